# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Environments that cost next to nothing, with the interface of rsl_rl; adapters to other packages build on it."""

from __future__ import annotations

import time
from typing import Any

import torch
from tensordict import TensorDict

from _peers import job
from _peers.job import Shape

PERIOD = 49
"""Steps after which the stream repeats: no multiple of a rollout, so that rollouts differ."""
END_PROBABILITY = 0.01
"""Of an episode of the stream on a step; half of the ends are time-outs."""


class Meter:
    """Adds up the time that a trainer spends in its environment."""

    seconds = 0.0

    def since(self, start: float) -> None:
        """Add the time since `start` of `time.perf_counter`."""
        self.seconds += time.perf_counter() - start


class StreamEnv:
    """A fixed stream of transitions, the same for every trainer: nothing is computed, nothing allocated.

    Its tensors are handed out again and again: whoever writes into one has to copy it before.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        """Draw all transitions."""
        self.num_envs, self.num_actions = shape.num_envs, job.NUM_ACTIONS
        self.max_episode_length = 1000
        self.episode_length_buf = torch.zeros(shape.num_envs, dtype=torch.int64)
        self.device, self.cfg = "cpu", {}
        generator = torch.Generator().manual_seed(seed)
        draw = torch.rand if shape.images else torch.randn
        observations = draw((PERIOD, shape.num_envs, *shape.observation), generator=generator)
        rewards = torch.randn(PERIOD, shape.num_envs, generator=generator)
        ends = torch.rand(PERIOD, shape.num_envs, generator=generator) < END_PROBABILITY
        time_outs = ends & (torch.rand(PERIOD, shape.num_envs, generator=generator) < 0.5)
        self._steps = [
            (TensorDict({"policy": observations[i]}, batch_size=[shape.num_envs]), rewards[i], ends[i], time_outs[i])
            for i in range(PERIOD)
        ]
        self._step = 0

    def get_observations(self) -> TensorDict:
        """Return the present observations."""
        return self._steps[self._step][0]

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Return the next transition of the stream."""
        self._step = (self._step + 1) % PERIOD
        observations, rewards, ends, time_outs = self._steps[self._step]
        return observations, rewards, ends, {"time_outs": time_outs}


def make_env(name: str, shape: Shape, seed: int) -> Any:  # noqa: ANN401 - an environment as rsl_rl has it
    """Make an environment of a shape: "stream", or "cart-pole" (twelve poles of rslcore's own).

    Raises:
        ValueError: The environment has no such observations.
    """
    if name == "stream":
        return StreamEnv(shape, seed)
    if shape.images:
        raise ValueError(f"environment '{name}' has no images")
    from rslcore.env import CartPoleVecEnv

    return CartPoleVecEnv(shape.num_envs, seed, num_poles=job.NUM_ACTIONS)
