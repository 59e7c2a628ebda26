# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Rollouts as padded trajectories for recurrent models, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch

from rslcore import ops
from rslcore.utils.exporting import exporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tensordict import TensorDict

_Data = TypeVar("_Data", torch.Tensor, "TensorDict")


class _Source(NamedTuple):
    """Where the trajectories of a mask come from."""

    starts: torch.Tensor
    lengths: torch.Tensor
    num_envs: int
    version: int


_SOURCE = "_rslcore_source"

_DONES = "_rslcore_dones"


def split_and_pad_trajectories(tensor: _Data, dones: torch.Tensor) -> tuple[_Data, torch.Tensor]:
    """Cut a rollout into its K trajectories, padded with zeros to T steps.

    Environment by environment, a trajectory ends where an episode or the rollout ends. As rsl_rl 5.5.1 does, with
    kernels instead of a loop over trajectories; the host reads one number, K.

    Args:
        tensor: Data of the rollout, [T, N, ...], any dtype; a TensorDict is split group by group.
        dones: Where episodes ended, [T, N] or [T, N, 1], any dtype.

    Returns:
        The padded trajectories [T, K, ...], differentiable, and masks, bool [T, K], that are true for steps of the
        rollout and false for padding.

    Raises:
        TypeError: ``dones`` is no tensor or of an unknown dtype.
        ValueError: A shape or a device does not fit.
    """
    split = ops.split_trajectories(dones)
    num_steps, num_envs = dones.shape[:2]
    if tensor.shape[:2] != dones.shape[:2]:
        raise ValueError(
            f"split_and_pad_trajectories: `tensor` must be [{num_steps}, {num_envs}, ...] like `dones`, "
            f"got {list(tensor.shape)}"
        )
    count = int(split.offsets[-1])
    starts, lengths = split.starts[:count], split.lengths[:count]
    padded = _each(tensor, lambda x: ops.pad_trajectories(x, starts, lengths), (num_steps, count))
    return padded, trajectory_masks(starts, lengths, num_steps=num_steps, num_envs=num_envs)


def unpad_trajectories(trajectories: _Data, masks: torch.Tensor) -> _Data:
    """Put padded trajectories back at their places: the inverse of :func:`split_and_pad_trajectories`.

    As rsl_rl 5.5.1 does. With masks made here (by :func:`split_and_pad_trajectories` or a storage) the device is not
    waited for; of masks that are copies or slices one number must be read, that of the environments. What
    :func:`rollout_masks` go with is returned as it is.

    Args:
        trajectories: Padded trajectories, [T, K, ...], any dtype, or a TensorDict of such.
        masks: Valid steps, bool [T, K]: the first ones of each trajectory.

    Returns:
        The data [T, N, ...], differentiable; contiguous.

    Raises:
        ValueError: The masks do not hold whole rollouts of T steps, or are of another shape than the trajectories.
    """
    if exporting(masks):  # the masks that the file is run with are others: where they end must not become a constant
        return _unpad_by_selection(trajectories, masks)
    if masks.shape != trajectories.shape[:2]:
        raise ValueError(
            f"unpad_trajectories: `masks` must be {list(trajectories.shape[:2])} like `trajectories`, "
            f"got {list(masks.shape)}"
        )
    if dones_of(masks) is not None:
        return trajectories
    num_steps = masks.shape[0]
    source = getattr(masks, _SOURCE, None)
    if source is None or source.version != masks._version:
        source = _source_of(masks)
    starts, lengths, num_envs, _ = source
    return _each(
        trajectories,
        lambda x: ops.unpad_trajectories(x, starts, lengths, num_envs=num_envs),
        (num_steps, num_envs),
    )


def _unpad_by_selection(trajectories: _Data, masks: torch.Tensor) -> _Data:
    """:func:`unpad_trajectories` with torch's operators, for exporters."""
    num_steps = trajectories.shape[0]

    def of_tensor(x: torch.Tensor) -> torch.Tensor:
        return x.transpose(0, 1)[masks.transpose(0, 1)].reshape(-1, num_steps, *x.shape[2:]).transpose(0, 1)

    return _each(trajectories, of_tensor, (num_steps,))


def trajectory_masks(starts: torch.Tensor, lengths: torch.Tensor, *, num_steps: int, num_envs: int) -> torch.Tensor:
    """Masks, bool [T, K], of K trajectories of a rollout [T, N] that begin on rows ``starts`` (t * N + n).

    The mask remembers the trajectories, so that :func:`unpad_trajectories` need not look for them.
    """
    masks = lengths > torch.arange(num_steps, device=lengths.device)[:, None]
    if not masks.is_inference():  # those do not tell whether they were written to since
        setattr(masks, _SOURCE, _Source(starts, lengths, num_envs, masks._version))
    return masks


def rollout_masks(dones: torch.Tensor) -> torch.Tensor:
    """Masks, bool [T, N], of a rollout that is not cut where ``dones`` [T, N] are set: nothing of it is padding.

    Whoever has a memory asks :func:`dones_of` the masks where to forget.
    """
    masks = torch.ones(dones.shape, dtype=torch.bool, device=dones.device)
    setattr(masks, _DONES, dones)
    return masks


def dones_of(masks: torch.Tensor) -> torch.Tensor | None:
    """Where episodes end [T, N] in a rollout that is not cut; None if the masks are of padded trajectories."""
    return getattr(masks, _DONES, None)


def _source_of(masks: torch.Tensor) -> _Source:
    """The trajectories that masks speak of, which follow each other environment by environment."""
    num_steps = masks.shape[0]
    lengths = masks.sum(dim=0)
    ends = lengths.cumsum(dim=0)
    rows = int(ends[-1]) if ends.numel() > 0 else 0
    num_envs = rows // max(num_steps, 1)
    if rows != num_envs * num_steps:
        raise ValueError(
            f"unpad_trajectories: `masks` must hold whole rollouts of {num_steps} steps, got {rows} valid steps"
        )
    begins = ends - lengths
    steps = begins % max(num_steps, 1)
    return _Source(steps * num_envs + begins // max(num_steps, 1), lengths, num_envs, -1)


def _each(data: _Data, function: Callable[[torch.Tensor], torch.Tensor], batch_size: tuple[int, ...]) -> _Data:
    """The function of a tensor, or of every tensor in a TensorDict."""
    if isinstance(data, torch.Tensor):
        return function(data)
    return data.apply(function, batch_size=batch_size)
