# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Environments: the interface that algorithms train on, and batched MuJoCo simulation behind it."""

from rslcore.env.mujoco_vec_env import MujocoVecEnv
from rslcore.env.vec_env import VecEnv

__all__ = ["MujocoVecEnv", "VecEnv"]
