# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of a runner that learns more than once: after ``load``, after ``env.reset()``, after an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import PendulumVecEnv, SavingPendulumVecEnv, make_cfg

from rslcore import checkpoint
from rslcore.logging.metrics_file import read_metrics
from rslcore.runners import DistillationRunner, OnPolicyRunner


class InPlace(SavingPendulumVecEnv):
    """Makes its tensors anew in ``step``, and writes to them in ``load_state_dict`` and ``reset``."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        for name in ("angle", "speed", "episode_length_buf"):
            getattr(self, name).copy_(state[name])
        self.generator.set_state(state["generator"])
        self.num_steps = state["num_steps"]

    def reset(self) -> None:
        """Start all episodes upright."""
        self.angle.zero_()
        self.speed.mul_(0.0)
        self.episode_length_buf[:] = 0


def make_runner(env: Any, log_dir: Path | None = None, model: str = "mlp") -> OnPolicyRunner:
    """Return a silent runner, always from the same seed."""
    torch.manual_seed(1)
    cfg = make_cfg()
    if model == "lstm":
        for part in ("actor", "critic"):
            cfg[part] |= {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 8, "rnn_num_layers": 1}
    return OnPolicyRunner(env, cfg, log_dir, "cpu", console="none")


def parameters(runner: OnPolicyRunner) -> torch.Tensor:
    """Return all parameters as one vector."""
    return torch.nn.utils.parameters_to_vector([*runner.alg.actor.parameters(), *runner.alg.critic.parameters()])


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_load_continues_in_the_runner_that_trained(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: going back to a checkpoint in the same runner is exact, whatever ``load_state_dict`` writes to."""
    straight = make_runner(InPlace(), model=model)
    straight.learn(4)
    back = make_runner(InPlace(), model=model)
    back.learn(2)
    back.save(tmp_path / "model.pt")
    back.learn(3)
    for _ in range(2):
        back.load(tmp_path / "model.pt")
        back.learn(2)
        assert back.current_learning_iteration == 3
        assert torch.equal(parameters(back), parameters(straight))
    assert "starts new episodes" not in capsys.readouterr().out


def test_an_environment_is_reset_in_place_after_learning() -> None:
    """Law: what an environment made while learning is an ordinary tensor: it is written to, and used with gradients."""
    env = InPlace()
    runner = make_runner(env, model="lstm")
    runner.learn(1)
    env.reset()
    policy = runner.get_inference_policy()
    policy(env.get_observations()).sum().backward()
    runner.learn(1)
    assert not env.angle.is_inference()


class Failing(PendulumVecEnv):
    """Raises in one step, numbered over all."""

    failing_step = 11  # in the second rollout of 8 steps

    def step(self, actions: torch.Tensor) -> Any:
        """Step, or fail."""
        if self.num_steps == self.failing_step:
            self.num_steps += 1
            raise ConnectionError("simulator lost")
        return super().step(actions)


@pytest.mark.parametrize("model", ["mlp", "lstm"])
def test_learning_goes_on_after_an_error_of_the_environment(model: str, tmp_path: Path) -> None:
    """Law: an error in a rollout costs that rollout alone; ``learn`` starts it anew, with its own number."""
    runner = make_runner(Failing(), tmp_path, model)
    with pytest.raises(ConnectionError):
        runner.learn(3)
    assert runner.current_learning_iteration == 0
    runner.learn(2)
    assert runner.current_learning_iteration == 2
    assert runner.alg.storage.step == 0
    assert checkpoint.read(tmp_path / "model_2.pt")["iter"] == 2


def test_what_a_failed_rollout_reported_is_not_averaged(tmp_path: Path) -> None:
    """Law: the numbers of steps that were not learned from are no part of the next iteration's means."""

    class Reporting(Failing):
        def step(self, actions: torch.Tensor) -> Any:
            failed_before = self.num_steps > self.failing_step
            obs, rewards, dones, _ = super().step(actions)
            return obs, rewards, dones, {"log": {"number": torch.tensor(0.0 if failed_before else 100.0)}}

    runner = make_runner(Reporting(), tmp_path)
    with pytest.raises(ConnectionError):
        runner.learn(3)
    runner.learn(1)
    assert [record["Episode/number"] for record in read_metrics(tmp_path)] == [100.0, 0.0]


def test_learning_goes_on_after_an_error_in_an_update() -> None:
    """Law: so does an update that was refused: the rollout it was made of is not learned from."""
    env = PendulumVecEnv()
    runner = make_runner(env)
    original = env.step
    env.step = lambda actions: (*original(actions)[:1], torch.full((16,), 1e30), *original(actions)[2:])  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="must be finite"):
        runner.learn(1)
    env.step = original  # type: ignore[method-assign]
    runner.alg.load(make_runner(PendulumVecEnv()).alg.save(), None, True)
    runner.learn(1)
    assert parameters(runner).isfinite().all()


def test_distillation_goes_on_after_an_error_of_the_environment(tmp_path: Path) -> None:
    """The same for a student, which replays its rollouts from their start."""
    teacher = make_runner(PendulumVecEnv())
    teacher.learn(1)
    teacher.save(tmp_path / "teacher.pt")
    model = {"class_name": "MLPModel", "hidden_dims": [8]}
    cfg = make_cfg(obs_groups={"student": ["policy"], "teacher": ["policy"]}) | {
        "student": model | {"distribution_cfg": {"class_name": "GaussianDistribution"}},
        "teacher": model | {"hidden_dims": [16], "obs_normalization": True},
        "algorithm": {"class_name": "Distillation", "gradient_length": 4},
    }
    student = DistillationRunner(Failing(), cfg, None, "cpu", console="none")
    student.load(tmp_path / "teacher.pt")
    with pytest.raises(ConnectionError):
        student.learn(3)
    student.learn(2)
    assert student.current_learning_iteration == 2


@pytest.mark.parametrize("engine", ["fused", "eager"])
def test_one_sample_to_normalize_is_refused_when_learning_starts(engine: str) -> None:
    """Law: a runner of one environment and one step is built, for its policy; it does not learn."""
    cfg = make_cfg(num_steps_per_env=1)
    cfg["algorithm"] |= {"num_mini_batches": 1, "engine": engine}
    env = PendulumVecEnv(1)
    runner = OnPolicyRunner(env, cfg, None, "cpu", console="none")
    with pytest.raises(ValueError, match=r"PPO: `num_steps_per_env` x `num_envs` must give two samples .* got 1 x 1"):
        runner.learn(1)
    assert env.num_steps == 0
