# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A small real environment in torch: pendulums to be swung up, with a complete state."""

from __future__ import annotations

import math
from typing import Any

import torch
from tensordict import TensorDict

from rslcore.config import GaussianDistributionCfg, MLPModelCfg, OnPolicyRunnerCfg, PPOCfg


class PendulumVecEnv:
    """N pendulums (1 m, 1 kg, 0.05 s per step), torque in newton metres / 2, reset to random angles after 40 steps.

    Not derived from VecEnv, and without ``cfg``: an environment needs neither.
    """

    num_actions = 1
    max_episode_length = 40

    def __init__(self, num_envs: int = 16, seed: int = 0) -> None:
        self.num_envs = num_envs
        self.device = "cpu"
        self.generator = torch.Generator().manual_seed(seed)
        self.angle = torch.zeros(num_envs)
        self.speed = torch.zeros(num_envs)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64)
        self.num_steps = 0
        self._reset(torch.ones(num_envs, dtype=torch.bool))

    def _reset(self, where: torch.Tensor) -> None:
        angles = (torch.rand(self.num_envs, generator=self.generator) * 2 - 1) * math.pi
        self.angle = torch.where(where, angles, self.angle)
        self.speed = torch.where(where, torch.zeros(()), self.speed)
        self.episode_length_buf = torch.where(where, 0, self.episode_length_buf)

    def get_observations(self) -> TensorDict:
        """Cosine and sine of the angle, and speed."""
        obs = torch.stack([self.angle.cos(), self.angle.sin(), self.speed / 8], dim=1)
        return TensorDict({"policy": obs}, batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """One step of 0.05 s."""
        torque = 2 * actions[:, 0].clamp(-1, 1)
        upright = torch.remainder(self.angle + math.pi, 2 * math.pi) - math.pi
        rewards = -(upright.square() + 0.1 * self.speed.square() + 0.001 * torque.square()) / 10
        self.speed = (self.speed + 0.05 * (14.7 * self.angle.sin() + 3 * torque)).clamp(-8, 8)
        self.angle = self.angle + 0.05 * self.speed
        self.episode_length_buf = self.episode_length_buf + 1
        self.num_steps += 1
        dones = self.episode_length_buf >= self.max_episode_length
        self._reset(dones)
        return self.get_observations(), rewards, dones, {"time_outs": dones, "log": {"upright": upright.abs().mean()}}


class SavingPendulumVecEnv(PendulumVecEnv):
    """The same, able to save its state."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the future depends on."""
        state = {name: getattr(self, name).clone() for name in ("angle", "speed", "episode_length_buf")}
        return state | {"generator": self.generator.get_state(), "num_steps": self.num_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        for name in ("angle", "speed", "episode_length_buf"):
            setattr(self, name, state[name].clone())
        self.generator.set_state(state["generator"])
        self.num_steps = state["num_steps"]


def make_cfg(**overrides: Any) -> dict[str, Any]:
    """Return a small training configuration, the same dictionary rsl_rl takes."""
    cfg = OnPolicyRunnerCfg(
        num_steps_per_env=8,
        save_interval=2,
        actor=MLPModelCfg(hidden_dims=(16,), obs_normalization=True, distribution_cfg=GaussianDistributionCfg()),
        critic=MLPModelCfg(hidden_dims=(16,), obs_normalization=True),
        algorithm=PPOCfg(num_learning_epochs=2, num_mini_batches=2),
    ).to_dict()
    return cfg | overrides
