# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Gymnasium spaces as rslcore sees them: observation groups of tensors, and actions [N, A].

Gymnasium is imported when a space is read, not with this module.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch

from rslcore.env.actions import ActionMap, CategoricalActions, ContinuousActions

ImageLayout = Literal["auto", "hwc", "chw"]

DEFAULT_GROUP = "policy"
"""Name of the observation group of an environment that has only one."""

_OBSERVATIONS = "Box of up to 4 dimensions, Discrete, MultiDiscrete, MultiBinary, and Dict or Tuple of these"
_ACTIONS = "Box of floating-point numbers, Discrete, MultiDiscrete, MultiBinary"
_CHANNELS = (1, 2, 3, 4, 6, 12)
"""Numbers of channels that images usually have: grey, colours, and a few of them stacked."""


class ObservationMap:
    """Turns batched observations of a Gymnasium space into observation groups.

    =====================================  ==================================================================
    space of one observation               group, for N environments
    =====================================  ==================================================================
    Box [D], Box []                        float32 [N, D], [N, 1]; also of integers
    Box [H, W], floating point             float32 [N, H * W]
    Box [H, W], uint8                      uint8 [N, 1, H, W]
    Box [C, H, W] or [H, W, C]             [N, C, H, W]; uint8 stays uint8, all else becomes float32
    Box [K, C, H, W] or [K, H, W, C]       [N, K * C, H, W] (K stacked images)
    Discrete(n)                            one-hot, float32 [N, n]
    MultiDiscrete([n1, n2, ...])           one-hot of every component, side by side, float32 [N, n1 + n2 + ...]
    MultiBinary                            float32 [N, D]
    Dict, Tuple                            one group per entry, named by its key or position; "outer/inner" when nested
    =====================================  ==================================================================
    """

    def __init__(self, space: Any, owner: str, image_layout: ImageLayout = "auto") -> None:  # noqa: ANN401
        """Read a space.

        Args:
            space: Space of one observation, ``single_observation_space``.
            owner: Class named in error messages.
            image_layout: Order of the axes of an image. "auto" takes that of [C, H, W] and [H, W, C] in which the
                number of channels is a usual one (1, 2, 3, 4, 6 or 12). Where this is so in both or in neither, it
                takes the one with fewer channels, [C, H, W] if they are equal, and a warning says so.

        Raises:
            ValueError: The space, or one within it, is not supported.
        """
        if image_layout not in ("auto", "hwc", "chw"):
            raise ValueError(f"{owner}: `image_layout` must be 'auto', 'hwc' or 'chw', got '{image_layout}'")
        self._groups: dict[str, tuple[tuple[str | int, ...], Callable[[Any], torch.Tensor]]] = {}
        """Group to its path within the batched observations, and the conversion of what is there."""
        self._read(space, (), owner, image_layout)

    @property
    def groups(self) -> list[str]:
        """Names of the groups."""
        return list(self._groups)

    def __call__(self, observations: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Return newly allocated tensors [N, ...] per group from batched observations."""
        groups = {}
        for name, (path, convert) in self._groups.items():
            value = observations
            for key in path:
                value = value[key]
            groups[name] = convert(value)
        return groups

    def _read(self, space: Any, path: tuple[str | int, ...], owner: str, layout: ImageLayout) -> None:  # noqa: ANN401
        from gymnasium import spaces

        if isinstance(space, (spaces.Dict, spaces.Tuple)):
            entries = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
            for key, inner in entries:
                self._read(inner, (*path, key), owner, layout)
            return
        name = "/".join(map(str, path)) or DEFAULT_GROUP
        where = f"observation '{name}'" if path else "observations"
        if layout == "auto" and isinstance(space, spaces.Box) and len(space.shape) in (3, 4):
            layout = _guessed_layout(space.shape, f"{owner}: {where} of {space}")
        convert = _conversion(space, layout)
        if convert is None:
            raise ValueError(f"{owner}: {where} of {space} are not supported; supported: {_OBSERVATIONS}")
        self._groups[name] = (path, convert)


def read_action_space(space: Any, owner: str, mode: str) -> ActionMap:  # noqa: ANN401
    """Return how to turn actions [N, A] into those of a Gymnasium space.

    Args:
        space: Space of one action, ``single_action_space``.
        owner: Class named in error messages.
        mode: What happens to the actions of a Box: "clip", "rescale" or "none"; see `ContinuousActions`.

    Raises:
        ValueError: The space is not supported.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        dtype = torch.float64 if space.dtype == np.float64 else torch.float32
        return ContinuousActions(space.shape, space.low, space.high, owner=owner, mode=mode, dtype=dtype)
    if isinstance(space, spaces.Discrete):
        return CategoricalActions(int(space.n), start=int(space.start), owner=owner)
    if isinstance(space, spaces.MultiDiscrete):
        return CategoricalActions(space.nvec, start=space.start, owner=owner)
    if isinstance(space, spaces.MultiBinary):
        return CategoricalActions(np.full(space.shape, 2), owner=owner)
    raise ValueError(f"{owner}: actions of {space} are not supported; supported: {_ACTIONS}")


def stack_observations(space: Any, observations: list[Any]) -> Any:  # noqa: ANN401
    """Return observations of single environments as a batch, in the containers of the space."""
    from gymnasium.vector.utils import concatenate, create_empty_array

    batch: Any = create_empty_array(space, n=len(observations), fn=np.zeros)
    return concatenate(space, observations, batch)


def numbers_in(info: Mapping[str, Any], names: tuple[str, ...], num_envs: int) -> dict[str, float]:
    """Return the means of the named entries of an info dictionary over the environments that report them."""
    means = {}
    for name in names:
        if name not in info:
            continue
        values = np.asarray(info[name], dtype=np.float64)
        reported = np.asarray(info.get(f"_{name}", np.ones(num_envs, dtype=bool)))
        if reported.any():
            means[f"Info/{name}"] = float(values[reported].mean())
    return means


def _conversion(space: Any, layout: ImageLayout) -> Callable[[Any], torch.Tensor] | None:  # noqa: ANN401
    """Return how batched observations of a space without inner ones become a tensor, None where there is no way."""
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return _one_hot(np.array([space.n]), np.array([space.start]))
    if isinstance(space, spaces.MultiDiscrete):
        return _one_hot(space.nvec.reshape(-1), space.start.reshape(-1))
    if isinstance(space, spaces.MultiBinary):
        return _vector
    if not isinstance(space, spaces.Box):
        return None
    rank, is_image = len(space.shape), space.dtype == np.uint8
    if rank < 2 or (rank == 2 and not is_image):
        return _vector
    if rank == 2:
        return lambda images: _tensor(images).unsqueeze(1)
    if rank > 4:
        return None
    if layout == "hwc":
        return lambda images: _stacked(_tensor(np.moveaxis(np.asarray(images), -1, -3)))
    return lambda images: _stacked(_tensor(images))


def seems_channels_last(shape: Sequence[int]) -> bool:
    """Return whether of an image, [C, H, W] or [H, W, C], only the last size is a usual number of channels."""
    return shape[-1] in _CHANNELS and shape[-3] not in _CHANNELS


def _guessed_layout(shape: tuple[int, ...], where: str) -> ImageLayout:
    """Return the order of axes that an image [C, H, W] or [H, W, C], or a stack of K, seems to have."""
    first, second, third = shape[-3:]
    usual = first in _CHANNELS, third in _CHANNELS
    channels_last = third < first if usual[0] == usual[1] else usual[1]
    if usual[0] == usual[1]:
        axes, channels, height, width = ("H, W, C", third, first, second) if channels_last else ("C, H, W", *shape[-3:])
        stack, count = ("K, ", f"{shape[0]} images of ") if len(shape) == 4 else ("", "")
        warnings.warn(
            f"{where}: the image is taken for [{stack}{axes}], {count}{channels} channels of {height} x {width}; the "
            "sizes do not tell: say `image_layout` 'hwc' or 'chw'",
            stacklevel=6,
        )
    return "hwc" if channels_last else "chw"


def _stacked(images: torch.Tensor) -> torch.Tensor:
    """Images [N, C, H, W] as they are, stacks [N, K, C, H, W] as images of K * C channels."""
    return images.flatten(1, 2) if images.dim() == 5 else images


def _tensor(array: Any) -> torch.Tensor:  # noqa: ANN401
    """Copy into a contiguous tensor, uint8 or else float32."""
    array = np.asarray(array)
    return torch.from_numpy(np.array(array, dtype=np.uint8 if array.dtype == np.uint8 else np.float32, order="C"))


def _vector(array: Any) -> torch.Tensor:  # noqa: ANN401
    array = np.array(array, dtype=np.float32, order="C")
    return torch.from_numpy(array.reshape(len(array), -1))


def _one_hot(counts: np.ndarray, starts: np.ndarray) -> Callable[[Any], torch.Tensor]:
    """Return the one-hot encoding of K categorical components: [N, K] (or [N]) to [N, sum of counts]."""
    offsets = torch.from_numpy(np.cumsum(counts) - counts - starts)
    width = int(counts.sum())

    def encode(array: Any) -> torch.Tensor:  # noqa: ANN401
        index = torch.from_numpy(np.array(array, dtype=np.int64)).reshape(-1, len(counts)) + offsets
        return torch.zeros(len(index), width, dtype=torch.float32, device="cpu").scatter_(1, index, 1.0)

    return encode
