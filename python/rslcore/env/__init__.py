# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Environments: the interface that algorithms train on, carts with poles, batched MuJoCo, adapters to other libraries.

Importing this package imports no simulator: an adapter imports its library when it is used.
"""

from rslcore.env.array_vec_env import ArrayEnv, ArrayVecEnv
from rslcore.env.cart_pole_vec_env import CartPoleVecEnv
from rslcore.env.envpool_vec_env import EnvPoolVecEnv
from rslcore.env.gymnasium_vec_env import GymnasiumVecEnv
from rslcore.env.mujoco_vec_env import MujocoVecEnv
from rslcore.env.vec_env import VecEnv

__all__ = ["ArrayEnv", "ArrayVecEnv", "CartPoleVecEnv", "EnvPoolVecEnv", "GymnasiumVecEnv", "MujocoVecEnv", "VecEnv"]
