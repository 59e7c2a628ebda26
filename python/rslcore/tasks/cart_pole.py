# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Task cart-pole: balance a pole on a cart, learned in seconds without a simulator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tensordict import TensorDict

from rslcore.env.cart_pole_vec_env import CartPoleVecEnv
from rslcore.env.vec_env import VecEnv
from rslcore.tasks.training import CART_POLE_NUM_ENVS as NUM_ENVS
from rslcore.tasks.training import cart_pole_cfg as training_cfg
from rslcore.utils import reset_policy

__all__ = ["NUM_ENVS", "evaluate", "training_cfg"]


@torch.no_grad()
def evaluate(env: VecEnv, policy: Callable[[TensorDict], torch.Tensor], episodes: int) -> dict[str, float]:
    """Run whole episodes.

    Args:
        env: A `CartPoleVecEnv`; give it a seed that training has not used.
        policy: Observations to actions [N, P].
        episodes: Number of episodes, spread over the environments; the first ones started are counted.

    Returns:
        "episodes", "return_mean" (steps until the fall, at most the time limit), "return_std" (population standard
        deviation), "fall_fraction" and "episode_length_s".

    Raises:
        TypeError: If `env` is not a `CartPoleVecEnv`.
        ValueError: If `episodes` is less than 1.
    """
    if not isinstance(env, CartPoleVecEnv):
        raise TypeError(f"cart-pole evaluate: `env` must be a CartPoleVecEnv, got {type(env).__name__}")
    if episodes < 1:
        raise ValueError(f"cart-pole evaluate: `episodes` must be at least 1, got {episodes}")
    finished: list[torch.Tensor] = []
    falls: list[torch.Tensor] = []
    while len(finished) * env.num_envs < episodes:
        observations = env.reset()
        reset_policy(policy)
        running = torch.ones(env.num_envs, dtype=torch.bool, device="cpu")
        fell = torch.zeros(env.num_envs, dtype=torch.bool, device="cpu")
        episode_return = torch.zeros(env.num_envs, dtype=torch.float64, device="cpu")
        while running.any():
            observations, rewards, dones, extras = env.step(policy(observations))
            reset_policy(policy, dones)
            dones = dones.cpu()
            episode_return += rewards.cpu() * running
            fell |= running & dones & ~extras["time_outs"].cpu()
            running &= ~dones
        finished.append(episode_return)
        falls.append(fell)
    returns, fallen = torch.cat(finished)[:episodes], torch.cat(falls)[:episodes]
    return {
        "episodes": episodes,
        "return_mean": returns.mean().item(),
        "return_std": returns.std(unbiased=False).item(),
        "fall_fraction": fallen.double().mean().item(),
        "episode_length_s": returns.mean().item() * env.step_dt,
    }
