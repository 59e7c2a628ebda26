# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Returns and lengths of episodes in many environments, kept where the rewards are."""

from __future__ import annotations

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_OP = "episode_stats"

_WIDE_FLAGS = (torch.int64, torch.int32, torch.float32)
"""Dtypes of `dones` that the operator itself does not read."""


def episode_stats(
    rewards: torch.Tensor,
    dones: torch.Tensor,
    running: torch.Tensor,
    finished: torch.Tensor,
    count: torch.Tensor,
    *,
    intrinsic_rewards: torch.Tensor | None = None,
) -> None:
    """Add one step of N environments to the sums of their running episodes, and keep those of episodes that end.

    In place; nothing is read by the host. There are R = 2 sums per episode: its length in steps and its return. With
    `intrinsic_rewards` there are R = 4: length, return with both rewards, and the returns of `rewards` and of
    `intrinsic_rewards` alone. Episodes that end are numbered over all steps, within a step by environment (the order in
    which rsl_rl 5.5.1 appends them to its buffers); episode i is kept in row i mod W of `finished`, so the ring holds
    the last W, and the next one goes to row `count` mod W.

    Args:
        rewards: Rewards of the step [N] or [N, 1], float32 or float64.
        dones: The episode ended on this step, [N] or [N, 1]: bool, uint8, int32, int64 or float32, set where not 0.
        running: Sums of the running episodes [R, N], dtype of `rewards`; updated, and 0 where the episode ended.
        finished: Sums of the last W finished episodes [W, R], dtype of `rewards`; updated.
        count: Number of finished episodes so far, int64 [], >= 0; updated.
        intrinsic_rewards: Shape and dtype of `rewards`.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or device does not fit, two arguments share memory, or a gradient is asked for.
    """
    if type(dones) is torch.Tensor and dones.dtype in _WIDE_FLAGS:
        dones = dones != 0
    args = (rewards, intrinsic_rewards, dones, running, finished, count)
    if _library.run_as_is(_OP, args, written=args[3:]):
        return
    tensors = checks.episode(_OP, torch.Tensor, rewards, intrinsic_rewards, dones, running, finished, count)
    _tensors.check_devices(_OP, tensors)
    _tensors.refuse_gradient(_OP, tensors)
    _tensors.check_targets(_OP, {"running": running, "finished": finished, "count": count})
    flat_running, flat_finished = running.contiguous(), finished.contiguous()
    args = (
        rewards.contiguous(),
        None if intrinsic_rewards is None else intrinsic_rewards.contiguous(),
        _tensors.as_flags(dones).contiguous(),
        flat_running,
        flat_finished,
        count,
    )
    _library.run(_OP, rewards.device, args, written=(flat_running, flat_finished, count))
    _tensors.write_back(flat_running, running)
    _tensors.write_back(flat_finished, finished)
