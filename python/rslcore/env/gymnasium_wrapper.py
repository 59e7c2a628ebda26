# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A wrapper around single environments of Gymnasium; imports Gymnasium, and is imported where an adapter is made."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium


class CopiedLastObservation(gymnasium.Wrapper):
    """Copies the observation that ends an episode.

    An environment may write all its observations into one array. Vector environments in SAME_STEP mode keep that array
    as ``final_obs`` and reset the environment, after which it would hold the first observation of the next episode.
    """

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Step the environment."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            observation = copy.deepcopy(observation)
        return observation, reward, terminated, truncated, info
