# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The environment interface: N synchronized environments stepped as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from tensordict import TensorDict


class VecEnv(ABC):
    """N environments that take one batch of actions and return one batch of observations.

    Names and meaning are those of rsl_rl 5.5.1. An environment resets itself: when an episode ends on a step, the
    observations returned by that step already belong to the next episode (same-step autoreset).

    An environment may also offer ``state_dict()`` and ``load_state_dict(state)`` (tensors and plain numbers only, so
    that ``torch.load(weights_only=True)`` reads them); a resumed run then continues exactly where it stopped.
    """

    num_envs: int
    """Number of environments N."""

    num_actions: int
    """Number of action dimensions A."""

    max_episode_length: int | torch.Tensor
    """Time limit in env steps: one number for all environments, or one per environment [N]."""

    episode_length_buf: torch.Tensor
    """Steps taken in the running episodes: int64 [N]. May be assigned, e.g. to start at random episode lengths."""

    device: torch.device | str
    """Device of the tensors that `get_observations` and `step` return."""

    cfg: Any
    """Configuration of the environment, for the log."""

    step_dt: float | None = None
    """Duration of one env step in seconds, where the environment knows it."""

    @abstractmethod
    def get_observations(self) -> TensorDict:
        """Return the current observations without advancing anything.

        Returns:
            TensorDict with batch size [N] and one entry per observation group, e.g. "policy" and "critic".
        """

    @abstractmethod
    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance every environment by one step.

        Args:
            actions: Actions, float [N, A].

        Returns:
            observations: As `get_observations`, after the step (and after the reset where an episode ended).
            rewards: float32 [N].
            dones: [N], non-zero where the episode ended on this step, for whatever reason.
            extras: Dictionary with

                - "time_outs": bool [N], the episode ended by the time limit and not by a terminal state;
                - "log": optional dict of str to float or tensor, averages worth logging;
                - "final_obs": optional TensorDict of the true last observations, taken before the reset. Rows are
                  valid where dones is set; absent when no episode ended.
        """
