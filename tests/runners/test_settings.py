# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of refusing settings that make no sense, when a runner is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pendulum import PendulumVecEnv, make_cfg

from rslcore.config import OnPolicyRunnerCfg
from rslcore.runners import OnPolicyRunner

ALGORITHM = {
    "num_mini_batches": (0, 2.0, 129),  # 16 environments, 8 steps
    "num_learning_epochs": (0, True),
    "clip_param": (0, -0.1, float("inf")),
    "gamma": (-0.1, 1.1, float("nan")),
    "lam": (-0.1, 1.1),
    "learning_rate": (0, -1e-3, "1e-3"),
    "max_grad_norm": (0, float("nan")),
    "desired_kl": (0, -0.01),
    "entropy_coef": (float("nan"), None),
    "value_loss_coef": (float("inf"),),
}


def build(cfg: Any) -> OnPolicyRunner:
    """Return a silent runner."""
    return OnPolicyRunner(PendulumVecEnv(), cfg, None, "cpu")


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ALGORITHM.items() for value in values])
def test_algorithm_settings_out_of_range(key: str, value: Any) -> None:
    """Every setting of PPO out of its range is a ValueError naming it and what was given."""
    cfg = make_cfg()
    cfg["algorithm"][key] = value
    with pytest.raises(ValueError, match=rf"PPO: `{key}` must be .*, got {value!r}"):
        build(cfg)


def test_ends_of_the_ranges_are_allowed() -> None:
    """What is just within the ranges is accepted."""
    cfg = make_cfg()
    cfg["algorithm"] |= {"num_mini_batches": 128, "num_learning_epochs": 1, "gamma": 1, "lam": 0, "desired_kl": None}
    assert build(cfg).next_iteration == 0


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("distribution_cfg", {"init_std": -1.0}, "`init_std` must be a finite number and at least 0, got -1.0"),
        ("distribution_cfg", {"std_range": [2.0, 1.0]}, r"`std_range` must be .*, got \[2.0, 1.0\]"),
        ("actor", {"hidden_dims": 64}, "`hidden_dims` must be a sequence of integers, got 64"),
        ("actor", {"hidden_dims": [64, 0]}, r"`hidden_dims\[1\]` must be an integer and at least 1, got 0"),
        ("actor", {"distribution_cfg": None}, "`actor` must have a `distribution_cfg`, got None"),
        ("runner", {"num_steps_per_env": 0}, "OnPolicyRunner: `num_steps_per_env` must be .* at least 1, got 0"),
        ("runner", {"save_interval": 0}, "OnPolicyRunner: `save_interval` must be an integer and at least 1, got 0"),
    ],
)
def test_other_settings_out_of_range(part: str, values: dict[str, Any], message: str) -> None:
    """The same for the models and the runner."""
    cfg = make_cfg()
    {"runner": cfg, "actor": cfg["actor"], "distribution_cfg": cfg["actor"]["distribution_cfg"]}[part].update(values)
    with pytest.raises(ValueError, match=message):
        build(cfg)


def test_missing_keys_are_named_together() -> None:
    """All required keys that are absent are in one message."""
    cfg = make_cfg()
    del cfg["save_interval"], cfg["actor"]
    with pytest.raises(ValueError, match=r"`train_cfg` must have the keys \['save_interval', 'actor'\]"):
        build(cfg)


def test_typed_configuration_is_accepted() -> None:
    """A typed configuration does as well as its dictionary, and is not changed."""
    cfg = OnPolicyRunnerCfg()
    assert build(cfg).cfg["num_steps_per_env"] == 24
    assert cfg == OnPolicyRunnerCfg()


def test_default_console_is_that_of_rsl_rl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``console``: blocks of lines with a run folder, also on a terminal; no iterations without one."""
    for folder, shown in ((tmp_path, True), (None, False)):
        runner = OnPolicyRunner(PendulumVecEnv(), make_cfg(), folder, "cpu")
        capsys.readouterr()
        runner.learn(1)
        assert ("Learning iteration 0/1" in capsys.readouterr().out) is shown


def test_prints_are_redirected_for_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed while a runner is built is shown; with "json" on standard error."""
    for console, stream in (("none", "out"), ("plain", "out"), ("live", "out"), ("json", "err")):
        OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, "cpu", console=console)
        assert "Actor Model" in getattr(capsys.readouterr(), stream)
