# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of what is never saved: anything that has diverged, by whatever path."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import PendulumVecEnv, SavingPendulumVecEnv, make_cfg
from test_rnd import make_runner as make_rnd_runner

from rslcore import checkpoint
from rslcore.algorithms import PPO
from rslcore.runners import OnPolicyRunner
from rslcore.runners.divergence import excess, first_excess


def make_runner(run_dir: Path | None, env: Any = None, **cfg: Any) -> OnPolicyRunner:
    """Return a silent runner."""
    torch.manual_seed(1)
    return OnPolicyRunner(env or SavingPendulumVecEnv(), make_cfg(**cfg), run_dir, "cpu", console="none")


class LoudPendulumVecEnv(SavingPendulumVecEnv):
    """Rewards a hundred times as large."""

    def step(self, actions: torch.Tensor) -> Any:
        """Step."""
        obs, rewards, dones, extras = super().step(actions)
        return obs, 100 * rewards, dones, extras


def diverging_cfg() -> dict[str, Any]:
    """One gradient step per update: no later loss shows what it did to the critic."""
    cfg = make_cfg()
    return {**cfg["algorithm"], "num_learning_epochs": 1, "num_mini_batches": 1, "value_loss_coef": 1e38}


@pytest.mark.parametrize("save_interval", [1, 100])
@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_a_critic_that_is_nan_replaces_nothing(tmp_path: Path, engine: str, save_interval: int) -> None:
    """The first update makes the critic NaN: an error names it, and model_0.pt is still that of before."""
    algorithm = {**diverging_cfg(), "engine": engine}
    runner = make_runner(tmp_path, LoudPendulumVecEnv(), algorithm=algorithm, save_interval=save_interval)
    with pytest.raises(ValueError, match=r"in critic_state_dict\['.*'\] in iteration 0.*last checkpoint is of before"):
        runner.learn(1)
    content = checkpoint.read(tmp_path / "model_0.pt")
    assert all(bool(x.isfinite().all()) for x in content["critic_state_dict"].values())
    assert content["rslcore_state"]["finished"] is False
    assert runner.next_iteration == 0


def test_ctrl_c_saves_nothing_that_diverged(tmp_path: Path) -> None:
    """Ctrl-C after an iteration that no interval saves: what it made of the critic is refused all the same."""

    class Interrupting(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            if self.num_steps == 20:  # in the third iteration of 8 steps
                runner.alg.critic.mlp[0].weight.data[0, 0] = math.nan
                raise KeyboardInterrupt
            return super().step(actions)

    runner = make_runner(tmp_path, Interrupting(), save_interval=100)
    runner.learn(1)
    with pytest.raises((ValueError, KeyboardInterrupt)) as raised:
        runner.learn(5)
    assert "must be finite, got nan in critic_state_dict" in str(raised.value)
    assert [file.name for file in tmp_path.glob("model_*.pt")] == ["model_0.pt"]


SPOILED = {
    "actor": lambda alg: alg.actor.mlp[0].weight,
    "critic": lambda alg: alg.critic.mlp[2].bias,
    "actor's normalizer": lambda alg: alg.actor.obs_normalizer._var,
    "critic's normalizer": lambda alg: alg.critic.obs_normalizer._mean,
    "moments": lambda alg: alg.optimizer.state[alg.critic.mlp[0].weight]["exp_avg_sq"],
    "predictor": lambda alg: alg.rnd.predictor[0].weight,
    "target": lambda alg: alg.rnd.target[0].weight,
    "predictor's moments": lambda alg: alg.rnd.optimizer.state[alg.rnd.predictor[0].weight]["exp_avg"],
    "state normalizer": lambda alg: alg.rnd.state_normalizer._std,
    "reward normalizer": lambda alg: alg.rnd.reward_normalizer.emp_norm._mean,
    "discounted rewards": lambda alg: alg.rnd.reward_normalizer.discounted_avg,
}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", SPOILED)
def test_everything_that_is_saved_is_checked(tmp_path: Path, part: str, value: float) -> None:
    """One number of any part that is NaN or infinite: ``save`` names the entry, and the file of before stays."""
    runner = make_rnd_runner(tmp_path, state_normalization=True, reward_normalization=True)
    runner.learn(1)
    before = (tmp_path / "model_0.pt").read_bytes()
    assert excess(runner.alg).item() < 1
    assert first_excess(runner.alg) is None
    SPOILED[part](runner.alg).data.view(-1)[-1] = value
    with pytest.raises(ValueError, match=r"all parameters must be .*, got (nan|inf) in \w+\['"):
        runner.save(tmp_path / "model_0.pt")
    assert (tmp_path / "model_0.pt").read_bytes() == before


def test_infinite_constants_of_a_model_are_saved(tmp_path: Path) -> None:
    """A mask of -inf in a buffer is no divergence, in saving and in loading; NaN in it is."""
    runner = make_runner(tmp_path)
    runner.alg.actor.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    runner.save(tmp_path / "model_0.pt")
    runner.load(tmp_path / "model_0.pt")
    runner.alg.actor.mask[0] = math.nan
    with pytest.raises(ValueError, match=r"actor_state_dict\['mask'\]"):
        runner.save(tmp_path / "model_0.pt")


def test_algorithms_of_the_users_own_are_checked(tmp_path: Path) -> None:
    """A subclass with its own ``save`` is checked like PPO; nothing is asked of its other state."""

    class Own(PPO):
        def save(self) -> dict[str, Any]:
            return {**super().save(), "placeholder": torch.tensor([math.nan])}

    runner = make_runner(None, PendulumVecEnv())
    runner.alg.__class__ = Own
    runner.save(tmp_path / "model_0.pt")
    assert checkpoint.read(tmp_path / "model_0.pt")["placeholder"].isnan().all()
    runner.alg.critic.mlp[0].bias.data[0] = math.inf
    with pytest.raises(ValueError, match=r"critic_state_dict\['mlp.0.bias'\]"):
        runner.save(tmp_path / "model_0.pt")
