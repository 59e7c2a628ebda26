# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What one iteration is reported by: the same numbers for every writer, file and console."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass
class IterationReport:
    """Numbers of one finished iteration; times in seconds, rates in env steps per second."""

    iteration: int
    """Number of the iteration."""
    start_iteration: int
    """First iteration of this call of ``learn``."""
    end_iteration: int
    """One past the last iteration of this call of ``learn``."""
    run_name: str
    """Name of the run, may be empty."""
    total_timesteps: int
    """Env steps since the run began, over all processes."""
    total_time: float
    """Time since the run began, spent in iterations."""
    learn_time_so_far: float
    """Time of the iterations of this call of ``learn``."""
    collection_time: float
    """Time of the rollout."""
    learning_time: float
    """Time of returns and update."""
    steps_per_second: int
    """Env steps per second of this iteration."""
    losses: dict[str, float]
    """Mean losses of the update by name."""
    learning_rate: float
    """Learning rate after the update."""
    mean_std: float
    """Mean standard deviation of the actions, in units of the actions."""
    mean_reward: float | None
    """Mean return of the last finished episodes, None before the first has finished."""
    mean_episode_length: float | None
    """Their mean length in steps."""
    mean_extrinsic_reward: float | None
    """Their mean return without intrinsic rewards, where there are such."""
    mean_intrinsic_reward: float | None
    """Their mean sum of intrinsic rewards, where there are such."""
    rnd_weight: float | None
    """Weight of the intrinsic rewards, where there are such."""
    extras: dict[str, float]
    """What the environment reports, averaged over the iteration."""
    peak_memory: float | None = None
    """Most memory that torch's tensors took on the GPU since the run began, in MiB; None on the CPU."""

    @property
    def iteration_time(self) -> float:
        """Time of this iteration."""
        return self.collection_time + self.learning_time

    @property
    def eta(self) -> float:
        """Expected time until this call of ``learn`` ends."""
        done = self.iteration + 1 - self.start_iteration
        return self.learn_time_so_far / done * (self.end_iteration - self.iteration - 1)

    def scalars(self) -> dict[str, float]:
        """Return tag -> value, with the tags of rsl_rl 5.5.1 and in its order."""
        values = {key if "/" in key else f"Episode/{key}": value for key, value in self.extras.items()}
        values |= {f"Loss/{key}": value for key, value in self.losses.items()}
        values |= {
            "Loss/learning_rate": self.learning_rate,
            "Policy/mean_std": self.mean_std,
            "Perf/total_fps": self.steps_per_second,
            "Perf/collection_time": self.collection_time,
            "Perf/learning_time": self.learning_time,
        }
        if self.peak_memory is not None:
            values["Perf/peak_memory_mib"] = self.peak_memory
        episodes = {
            "Rnd/mean_extrinsic_reward": self.mean_extrinsic_reward,
            "Rnd/mean_intrinsic_reward": self.mean_intrinsic_reward,
            "Rnd/weight": self.rnd_weight if self.mean_reward is not None else None,
            "Train/mean_reward": self.mean_reward,
            "Train/mean_episode_length": self.mean_episode_length,
        }
        return values | {tag: value for tag, value in episodes.items() if value is not None}

    def record(self) -> dict[str, Any]:
        """Return the iteration as one flat dictionary: progress, then :meth:`scalars`."""
        return {
            "iteration": self.iteration,
            "total_timesteps": self.total_timesteps,
            "total_time": round(self.total_time, 6),
            **self.scalars(),
        }
