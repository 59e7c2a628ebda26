# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runs of both libraries, on the same environment, seen in TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from pendulum import PendulumVecEnv, make_cfg
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore.runners import OnPolicyRunner


def test_both_libraries_write_the_same_tags(tmp_path: Path) -> None:
    """The set of tags, and the iterations of each, are those of rsl-rl-lib 5.5.1; files have the same names."""
    original = pytest.importorskip("rsl_rl.runners", reason="rsl-rl-lib is the oracle")

    class WithCfg(PendulumVecEnv):
        cfg: ClassVar[dict[str, Any]] = {}

    steps, names = [], []
    for name, runner_class in (("theirs", original.OnPolicyRunner), ("ours", OnPolicyRunner)):
        runner = runner_class(WithCfg(), make_cfg(save_interval=4), str(tmp_path / name), "cpu")
        runner.learn(7)
        runner.logger.writer.close()
        events = EventAccumulator(str(tmp_path / name))
        events.Reload()
        tags = events.Tags()["scalars"]
        steps.append({tag: [e.step for e in events.Scalars(tag)] for tag in tags if not tag.endswith("/time")})
        assert {"Train/mean_reward/time", "Train/mean_episode_length/time"} <= set(tags)
        names.append({file.name for file in (tmp_path / name).glob("model_*.pt")})
    assert steps[0] == steps[1]
    assert names[0] == names[1] == {"model_0.pt", "model_4.pt", "model_6.pt"}
