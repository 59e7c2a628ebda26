# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The quadruped in a mirror: left and right exchanged (y -> -y)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict

_Block = tuple[tuple[int, ...], tuple[int, ...]]
"""Where each entry of the mirror image comes from, and its sign."""

_SCALAR: _Block = ((0,), (1,))
_VECTOR: _Block = ((0, 1, 2), (1, -1, 1))
"""Velocities and directions (x, y, z)."""
_ROTATION: _Block = ((0, 1, 2), (-1, 1, -1))
"""Angular velocities (roll, pitch, yaw)."""
_COMMAND: _Block = ((0, 1, 2), (1, -1, -1))
"""(vx, vy, yaw rate)."""
_FEET: _Block = ((1, 0, 3, 2), (1, 1, 1, 1))
"""Front left, front right, rear left, rear right."""
_JOINTS: _Block = ((3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8), (-1, 1, 1) * 4)
"""Hip, thigh and knee of each leg: hips roll, thighs and knees pitch."""
_CLOCK: _Block = ((0, 1), (-1, -1))
"""Sine and cosine of the gait's phase: in a trot, left and right feet are half a cycle apart."""

_MEASURED = (_ROTATION, _VECTOR, _JOINTS, _JOINTS, _COMMAND, _JOINTS, _CLOCK)
_GROUPS: dict[str, Sequence[_Block]] = {
    "policy": _MEASURED,
    "measured": _MEASURED,
    "critic": (*_MEASURED, _VECTOR, _SCALAR, _FEET, _FEET, _FEET, *[_SCALAR] * 4),
    "privileged": (_VECTOR, _SCALAR, _FEET, _FEET, _SCALAR),
}
"""What the observation groups are made of; see `QuadrupedFlatEnv` and `QuadrupedTeacherStudentEnv`."""


def mirror_actions(actions: torch.Tensor) -> torch.Tensor:
    """Return the actions [..., 12] of the robot in the mirror."""
    return _mirror((_JOINTS,), actions)


def mirror_observations(obs: TensorDict) -> TensorDict:
    """Return the observations [..., D] per group of the robot in the mirror.

    Raises:
        ValueError: A group is none of the task's.
    """
    unknown = [group for group in obs.keys() if group not in _GROUPS]  # noqa: SIM118 (TensorDict)
    if unknown:
        raise ValueError(f"mirror_observations: the observation groups must be of {list(_GROUPS)}, got {unknown}")
    return TensorDict(
        {group: _mirror(_GROUPS[group], values) for group, values in obs.items()},
        batch_size=obs.batch_size,
        device=obs.device,
    )


def mirror_state(qpos: torch.Tensor, qvel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the generalized positions [..., 19] and velocities [..., 18] of the robot in the mirror y = 0.

    Of MuJoCo's free joint: position, quaternion (w, x, y, z), velocity in the world, angular velocity in the body.
    """
    quaternion: _Block = ((0, 1, 2, 3), (1, -1, 1, -1))
    return _mirror((_VECTOR, quaternion, _JOINTS), qpos), _mirror((_VECTOR, _ROTATION, _JOINTS), qvel)


def left_right(
    env: Any,  # noqa: ANN401
    obs: TensorDict | None,
    actions: torch.Tensor | None,
) -> tuple[TensorDict | None, torch.Tensor | None]:
    """Put the mirror images behind the originals: the function that `SymmetryCfg` asks for.

    Name it as ``"rslcore.tasks.quadruped_flat.symmetry:left_right"``.

    Args:
        env: Not used: all that matters is in the layout of the groups.
        obs: Observations [b, D] per group, or None.
        actions: Actions [b, 12], or None.

    Returns:
        Observations [2 b, D] and actions [2 b, 12]; None stays None.
    """
    return (
        None if obs is None else torch.cat([obs, mirror_observations(obs)]),
        None if actions is None else torch.cat([actions, mirror_actions(actions)]),
    )


def _mirror(blocks: Sequence[_Block], values: torch.Tensor) -> torch.Tensor:
    index: list[int] = []
    signs: list[int] = []
    for sources, block_signs in blocks:
        start = len(index)
        index += [start + source for source in sources]
        signs += block_signs
    if values.shape[-1] != len(index):
        raise ValueError(f"quadruped-flat symmetry: the last dimension must be {len(index)}, got {list(values.shape)}")
    return values[..., index] * torch.tensor(signs, dtype=values.dtype, device=values.device)
