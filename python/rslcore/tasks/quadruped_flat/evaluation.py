# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How well a policy follows velocity commands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from tensordict import TensorDict

from rslcore.env.vec_env import VecEnv
from rslcore.tasks.quadruped_flat.env import QuadrupedFlatEnv
from rslcore.utils import reset_policy

SETTLING_TIME_S = 1.0
"""Time after a new command (and after the start of an episode) that does not count."""
SPEED_BINS = (0.25, 0.5, 0.75, 1.0)
"""Upper ends of the bins of the commanded planar speed, m/s; standing commands have a bin of their own."""


@torch.no_grad()
def evaluate(env: VecEnv, policy: Callable[[TensorDict], torch.Tensor], episodes: int) -> dict[str, Any]:
    """Measure velocity tracking and falls over whole episodes.

    Everything stays as in training: randomized friction and mass, observation noise, pushes (the steps after a push
    count) and command distribution (planar speed up to 1 m/s, a tenth of the commands to stand still). Give the
    environment a seed that training has not used, so that commands and robots are unseen. The policy is called as it
    is: an inference policy acts without exploration noise.

    The first second after a command change, and of an episode, does not count (`SETTLING_TIME_S`); what the error is
    with it comes as "lin_vel_error_all_steps". Errors are means over the steps of all counted episodes, also of those
    that end in a fall, but without the last step of an episode: the robot has been reset by then.

    Args:
        env: A `QuadrupedFlatEnv`. All its episodes are started anew.
        policy: Observations to actions [N, 12].
        episodes: Number of episodes; every environment contributes equally many (the last round only as many
            environments as needed), so that short episodes are not favoured.

    Returns:
        "episodes"; "lin_vel_error" (mean of |command - v| in the plane, m/s); "lin_vel_error_all_steps" (the same
        with the steps after a command change); "settling_time_s" (time that does not count, s); "yaw_rate_error"
        (mean absolute error, rad/s); "fall_fraction" (fraction of the episodes that end in a fall); "return_mean",
        "return_std"; "episode_length_s"; "bins": per commanded speed, "standing" or "<low>-<high>" m/s, a dict of
        "lin_vel_error", "yaw_rate_error" and "fraction" (of the counted steps). A bin without any step is left out.

    Raises:
        TypeError: If `env` is not a `QuadrupedFlatEnv`.
        ValueError: If `episodes` is less than 1.
    """
    if not isinstance(env, QuadrupedFlatEnv):
        raise TypeError(f"quadruped-flat evaluate: `env` must be a QuadrupedFlatEnv, got {type(env).__name__}")
    if episodes < 1:
        raise ValueError(f"quadruped-flat evaluate: `episodes` must be at least 1, got {episodes}")
    edges = torch.tensor((0.0, *SPEED_BINS), device="cpu")
    # Rows: steps counted, sum of linear errors, sum of yaw errors. Column 0: standing.
    sums = torch.zeros(3, len(edges), dtype=torch.float64, device="cpu")
    all_steps = torch.zeros(2, dtype=torch.float64, device="cpu")  # number, sum of linear errors
    returns: list[float] = []
    lengths: list[float] = []
    falls = 0
    remaining = episodes
    while remaining > 0:
        running = torch.arange(env.num_envs, device="cpu") < remaining
        remaining -= int(running.sum())
        observations = env.reset()
        reset_policy(policy)
        episode_return = torch.zeros(env.num_envs, device="cpu")
        episode_length = torch.zeros(env.num_envs, device="cpu")
        settled_for = torch.zeros(env.num_envs, device="cpu")
        while running.any():
            command, standing = env.command.clone(), env.standing.clone()
            observations, rewards, dones, extras = env.step(policy(observations))
            reset_policy(policy, dones)
            rewards, dones, time_outs = rewards.cpu(), dones.cpu(), extras["time_outs"].cpu()
            episode_return += rewards * running
            episode_length += running * env.step_dt
            falls += int((dones & ~time_outs & running).sum())
            running = running & ~dones

            lin_error = (command[:, :2] - env.lin_vel[:, :2]).norm(dim=1)
            yaw_error = (command[:, 2] - env.ang_vel[:, 2]).abs()
            all_steps += torch.stack((running.sum(), lin_error[running].double().sum()))
            settled_for += env.step_dt
            counted = running & (settled_for > SETTLING_TIME_S)
            column = torch.bucketize(command[:, :2].norm(dim=1).clamp(max=SPEED_BINS[-1]), edges).clamp_(min=1)
            column = column.masked_fill(standing, 0)[counted]
            for row, value in enumerate((torch.ones_like(lin_error), lin_error, yaw_error)):
                sums[row].index_add_(0, column, value[counted].double())
            settled_for[(env.command != command).any(1)] = 0.0
        counted_envs = min(env.num_envs, episodes - len(returns))
        returns += episode_return[:counted_envs].tolist()
        lengths += episode_length[:counted_envs].tolist()

    labels = ["standing", *(f"{low:g}-{high:g}" for low, high in pairwise((0.0, *SPEED_BINS)))]
    total = sums.sum(1)
    steps = total[0].clamp(min=1.0)
    all_returns = torch.tensor(returns, dtype=torch.float64, device="cpu")
    return {
        "episodes": episodes,
        "lin_vel_error": (total[1] / steps).item(),
        "lin_vel_error_all_steps": (all_steps[1] / all_steps[0].clamp(min=1.0)).item(),
        "settling_time_s": SETTLING_TIME_S,
        "yaw_rate_error": (total[2] / steps).item(),
        "fall_fraction": falls / episodes,
        "return_mean": all_returns.mean().item(),
        "return_std": all_returns.std(unbiased=False).item(),
        "episode_length_s": sum(lengths) / episodes,
        "bins": {
            label: {
                "lin_vel_error": (lin / count).item(),
                "yaw_rate_error": (yaw / count).item(),
                "fraction": (count / steps).item(),
            }
            for label, (count, lin, yaw) in zip(labels, sums.T, strict=True)
            if count > 0
        },
    }
