# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rslcore's NumPy operators in a rollout buffer of Stable-Baselines3, on Pendulum.

python examples/kernels/sb3_rollout_buffer.py [--short] [--json]

`PPO(..., rollout_buffer_class=RslcoreRolloutBuffer)` is all that a program changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from _measure import ITERATION, Report
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.type_aliases import RolloutBufferSamples

import rslcore.numpy as rn

EPOCHS, MINIBATCHES = 4, 8


class RslcoreRolloutBuffer(RolloutBuffer):
    """Returns, advantages and minibatches by `rslcore.numpy`; everything else as it was."""

    FIELDS = ("observations", "actions", "values", "log_probs", "advantages", "returns")
    """What a minibatch holds, in the order of `RolloutBufferSamples`."""

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Fill `returns` and `advantages` [T, N]; `dones` [N] tells of the last step."""
        # An episode that starts on step t + 1 has ended the one before on step t.
        ended = np.concatenate([self.episode_starts[1:], dones[None].astype(np.float32)])
        rn.gae(
            self.rewards,
            self.values,
            ended,
            last_values.detach().cpu().numpy().flatten(),
            gamma=self.gamma,
            lam=self.gae_lambda,
            out=(self.returns, self.advantages),
        )

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:
        """Yield the minibatches of one epoch: all rows shuffled at once, the minibatches are views of them."""
        num_rows = self.buffer_size * self.n_envs
        batch_size = batch_size or num_rows
        shuffled = rn.shuffle_rows(self.rows(), self.draw_order(num_rows))
        tensors = [torch.as_tensor(shuffled[name], device=self.device) for name in self.FIELDS]
        for start in range(0, num_rows, batch_size):
            yield RolloutBufferSamples(*(tensor[start : start + batch_size] for tensor in tensors))

    def rows(self) -> dict[str, np.ndarray]:
        """Every field [T * N, ...], time first."""
        arrays = {name: getattr(self, name) for name in self.FIELDS}
        return {name: x.reshape(-1, *x.shape[2:]).astype(_dtype(name, x), copy=False) for name, x in arrays.items()}

    def draw_order(self, n: int) -> np.ndarray:
        """A random permutation of 0..n-1, decided by NumPy's seed as in Stable-Baselines3."""
        return rn.permutation(n, seed=int(np.random.randint(2**62)))


def _dtype(name: str, x: np.ndarray) -> np.dtype:
    """Stable-Baselines3 gives actions to the policy as float32."""
    return np.dtype(np.float32) if name == "actions" else x.dtype


class ComparedRolloutBuffer(RslcoreRolloutBuffer):
    """Computes everything both ways while an agent trains, and requires that the results agree."""

    report: Report

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: np.ndarray) -> None:
        """Both versions on the same rollout."""
        RolloutBuffer.compute_returns_and_advantage(self, last_values, dones)
        expected = {"returns": self.returns.copy(), "advantages": self.advantages.copy()}
        super().compute_returns_and_advantage(last_values, dones)
        for name, array in expected.items():
            self.report.equal(name, array, getattr(self, name))

    def get(self, batch_size: int | None = None) -> Iterator[RolloutBufferSamples]:
        """Both versions with the same permutation."""
        kept = {name: getattr(self, name) for name in self.FIELDS}
        state = np.random.get_state()
        expected = list(RolloutBuffer.get(self, batch_size))
        np.random.set_state(state)
        vars(self).update(kept)
        self.generator_ready = False
        for theirs, ours in zip(expected, super().get(batch_size), strict=True):
            for name, expected_field, field in zip(self.FIELDS, theirs, ours, strict=True):
                assert field.dtype == expected_field.dtype and field.shape == expected_field.shape, name
                self.report.equal("minibatches", expected_field, field, tolerance=0.0)
            yield ours

    def draw_order(self, n: int) -> np.ndarray:
        """Stable-Baselines3's permutation: its rows have the environment first, ours the time."""
        env, step = np.divmod(np.random.permutation(n), self.buffer_size)
        return step * self.n_envs + env


def make_ppo(buffer_class: type[RolloutBuffer], num_envs: int, num_steps: int) -> PPO:
    """An agent that is the same every time."""
    envs = make_vec_env("Pendulum-v1", n_envs=num_envs, seed=0)
    return PPO(
        "MlpPolicy",
        envs,
        n_steps=num_steps,
        batch_size=num_envs * num_steps // MINIBATCHES,
        n_epochs=EPOCHS,
        gamma=0.9,
        seed=0,
        device="cpu",
        rollout_buffer_class=buffer_class,
    )


def compare_times(report: Report, num_envs: int, num_steps: int, rounds: int, *, in_training: bool) -> None:
    """The two pieces alone, on random contents; whether they are of the size that is trained with."""
    env = make_vec_env("Pendulum-v1", n_envs=1)
    generator = np.random.default_rng(0)
    last_values, dones = torch.zeros(num_envs), np.zeros(num_envs, bool)
    buffers = [
        cls(num_steps, env.observation_space, env.action_space, "cpu", 0.95, 0.99, num_envs)
        for cls in (RolloutBuffer, RslcoreRolloutBuffer)
    ]
    for buffer in buffers:
        buffer.rewards[:] = generator.standard_normal(buffer.rewards.shape)
        buffer.full = True
    size = f"{num_steps} x {num_envs}"
    calls = [lambda b=b: b.compute_returns_and_advantage(last_values, dones) for b in buffers]
    report.time(f"returns and advantages, {size}", *calls, rounds=rounds, per_iteration=int(in_training))
    # The first call of get() reorders the rows of Stable-Baselines3's buffer: it is not timed, the later epochs are.
    calls = [lambda b=b: list(b.get(num_steps * num_envs // MINIBATCHES)) for b in buffers]
    times_per_iteration = EPOCHS if in_training else 0
    report.time(f"minibatches of one epoch, {size}", *calls, rounds=rounds, per_iteration=times_per_iteration)


def main() -> None:
    """Train with both versions compared, then time them."""
    report = Report(__doc__.splitlines()[0])
    num_envs, num_steps, iterations = (4, 32, 2) if report.short else (16, 512, 6)
    report.note(environment="Pendulum-v1", num_envs=num_envs, num_steps=num_steps, iterations=iterations + 1)
    rollout = num_envs * num_steps

    ComparedRolloutBuffer.report = report
    compared = make_ppo(ComparedRolloutBuffer, num_envs, num_steps)
    compared.learn(2 * rollout)

    compare_times(report, num_envs, num_steps, rounds=3 if report.short else 30, in_training=True)
    if not report.short:
        compare_times(report, 64, 2048, rounds=10, in_training=False)
    agents = [make_ppo(cls, num_envs, num_steps) for cls in (RolloutBuffer, RslcoreRolloutBuffer)]
    calls = [lambda agent=agent: agent.learn(rollout, reset_num_timesteps=False) for agent in agents]
    report.time(ITERATION, *calls, rounds=iterations)
    report.finish()


if __name__ == "__main__":
    main()
