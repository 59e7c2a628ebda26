# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The environment that costs nothing: a fixed stream of transitions, the same for every trainer."""

from __future__ import annotations

import time

import torch

from _peers.job import Shape

PERIOD = 49
"""Steps after which the stream repeats: no multiple of a rollout, so that rollouts differ."""
END_PROBABILITY = 0.01
"""Of an episode on a step; half of the ends are time-outs."""


class Stream:
    """Prepared observations, rewards and ends of episodes; every `next` hands out the same tensors again.

    Whoever writes into a tensor has to copy it before.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        """Draw all transitions."""
        generator = torch.Generator().manual_seed(seed)
        envs = shape.num_envs
        size = (PERIOD, envs, *shape.observation)
        draw = torch.rand if shape.images else torch.randn
        self.observations = draw(size, generator=generator).unbind()
        self.rewards = torch.randn(PERIOD, envs, generator=generator).unbind()
        ends = torch.rand(PERIOD, envs, generator=generator) < END_PROBABILITY
        time_outs = ends & (torch.rand(PERIOD, envs, generator=generator) < 0.5)
        self.ends, self.time_outs = ends.unbind(), time_outs.unbind()
        self.terminated = (ends & ~time_outs).unbind()
        self.seconds = 0.0
        """Time spent in environments since it was last set to zero."""
        self._step = 0

    def next(self) -> int:
        """Index of the next transition."""
        self._step = (self._step + 1) % PERIOD
        return self._step

    def since(self, start: float) -> None:
        """Add the time since `start` of `time.perf_counter` to that spent in environments."""
        self.seconds += time.perf_counter() - start
