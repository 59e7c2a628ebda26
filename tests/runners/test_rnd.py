# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of a run with random network distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import PendulumVecEnv, SavingPendulumVecEnv, make_cfg

from rslcore import checkpoint
from rslcore.logging import read_metrics
from rslcore.runners import OnPolicyRunner

SCHEDULE = {"mode": "linear", "initial_step": 0, "final_step": 100, "final_value": 0.0}
RND = {"weight": 20.0, "weight_schedule": SCHEDULE, "reward_normalization": True, "state_normalization": True}


class TimedPendulumVecEnv(SavingPendulumVecEnv):
    """Tells how long a step is."""

    step_dt = 0.05


def make_runner(run_dir: Path | None, env: Any = None, seed: int = 1, **rnd: Any) -> OnPolicyRunner:
    """Return a silent runner with random network distillation."""
    torch.manual_seed(seed)
    cfg = make_cfg()
    cfg["obs_groups"]["rnd_state"] = ["policy"]
    cfg["algorithm"]["rnd_cfg"] = {**RND, **rnd}
    return OnPolicyRunner(env or TimedPendulumVecEnv(), cfg, run_dir, "cpu", console="none")


def test_a_resumed_run_continues_exactly(tmp_path: Path) -> None:
    """Four iterations are two, a new runner, and two more, bit for bit: counters and averages are in the checkpoint."""
    straight = make_runner(tmp_path / "straight")
    straight.learn(4)
    make_runner(tmp_path / "resumed").learn(2)
    resumed = make_runner(tmp_path / "resumed", seed=9)
    resumed.load(tmp_path / "resumed" / "model_1.pt")
    resumed.learn(2)
    ours, expected = resumed.alg.save(), straight.alg.save()
    for part in ("actor_state_dict", "critic_state_dict", "rnd_state_dict", "rnd_progress"):
        for name, value in expected[part].items():
            assert torch.equal(torch.as_tensor(ours[part][name]), torch.as_tensor(value)), f"{part} {name}"
    assert resumed.alg.rnd.weight == straight.alg.rnd.weight == pytest.approx(20.0 * 0.05 * (1 - 32 / 100))


def test_rewards_are_logged_apart(tmp_path: Path) -> None:
    """The tags of rsl_rl: rewards of the environment, intrinsic ones, their weight, and the predictor's loss."""
    make_runner(tmp_path).learn(6)
    last = read_metrics(tmp_path)[-1]
    parts = last["Rnd/mean_extrinsic_reward"] + last["Rnd/mean_intrinsic_reward"]
    assert last["Train/mean_reward"] == pytest.approx(parts, rel=1e-4)
    assert last["Rnd/mean_intrinsic_reward"] > 0 and last["Loss/rnd"] > 0
    assert last["Rnd/weight"] == pytest.approx(20.0 * 0.05 * (1 - 48 / 100))


def test_what_does_not_fit_is_refused_before_anything_changes(tmp_path: Path) -> None:
    """An environment without step_dt, and a checkpoint of another predictor, are one clear error each."""
    with pytest.raises(ValueError, match=r"must have `env.unwrapped.step_dt` .* got none from PendulumVecEnv"):
        make_runner(None, PendulumVecEnv())
    make_runner(tmp_path).learn(1)
    content = torch.load(tmp_path / "model_0.pt", weights_only=True)
    content["rnd_optimizer_state_dict"]["param_groups"][0]["params"] = [0]
    torch.save(content, tmp_path / "damaged.pt")
    for runner, file, message in (
        (make_runner(None, num_outputs=3), "model_0.pt", "rnd_state_dict"),
        (make_runner(None), "damaged.pt", "rnd_optimizer_state_dict.* must be of"),
    ):
        before = [parameter.clone() for parameter in runner.alg.actor.parameters()]
        with pytest.raises(checkpoint.CheckpointError, match=message):
            runner.load(tmp_path / file)
        assert all(torch.equal(a, b) for a, b in zip(before, runner.alg.actor.parameters(), strict=True))
