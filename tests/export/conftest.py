# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import numpy as np
import pytest
import torch

from rslcore.env import GymnasiumVecEnv

gymnasium = pytest.importorskip("gymnasium")

STEPS = 25
"""Time limit of the episodes, in env steps."""


class Drawn(gymnasium.ObservationWrapper):
    """Observations as two vectors and an image of 2 channels that shows the numbers as bars."""

    def __init__(self, env):
        super().__init__(env)
        box = gymnasium.spaces.Box
        self.width = env.observation_space.shape[0]
        self.observation_space = gymnasium.spaces.Dict(
            {
                "camera": box(0, 255, (2, 12, 12), np.uint8),
                "first": box(-np.inf, np.inf, (1,), np.float32),
                "rest": box(-np.inf, np.inf, (self.width - 1,), np.float32),
            }
        )

    def observation(self, observation):
        """Draw."""
        image = np.zeros((2, 12, 12), np.uint8)
        for row, number in enumerate(observation):
            length = int(12 / (1 + np.exp(-number)))
            image[row % 2, 3 * row : 3 * row + 2, :length] = 40 * (row + 1)
        return {"camera": image, "first": observation[:1], "rest": observation[1:]}


@pytest.fixture
def make_env():
    """Make one environment: Pendulum (a torque), or CartPole (left or right), whose episodes soon end."""

    def make(id: str) -> GymnasiumVecEnv:
        def single():
            return Drawn(gymnasium.make(id, max_episode_steps=STEPS))

        return GymnasiumVecEnv(gymnasium.vector.SyncVectorEnv([single]), max_episode_length=STEPS)

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """Small models run fastest on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
