# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Observation groups as models take them: tensors, side by side, of the dtype of the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

if TYPE_CHECKING:
    from tensordict import TensorDict
    from torch import nn

    Observations: TypeAlias = TensorDict | Mapping[str, torch.Tensor]


def check_groups(where: str, obs: Any) -> None:  # noqa: ANN401
    """Refuse observations that are no tensors by group.

    Args:
        where: Who gave or takes them, for the message.
        obs: Observations, which should be a TensorDict or another mapping of group to tensor.

    Raises:
        TypeError: They are no mapping, or a group is no tensor; the message says what to do.
    """
    if not (hasattr(obs, "keys") and hasattr(obs, "items")):
        raise TypeError(
            f"{where}: observations must be a TensorDict of observation groups, got {_kind(obs)}; return "
            "TensorDict({'policy': tensor}, batch_size=[num_envs])"
        )
    for name, group in obs.items():
        if isinstance(group, torch.Tensor):
            continue
        if hasattr(group, "keys"):
            advice = f"give its entries {list(group.keys())} groups of their own, with names such as '{name}/...'"
        else:
            advice = f"convert it, with torch.as_tensor({name})"
        raise TypeError(f"{where}: the observation group '{name}' must be a tensor, got {_kind(group)}; {advice}")


def side_by_side(owner: str, obs: Observations, groups: Sequence[str], network: nn.Module) -> torch.Tensor:
    """Return groups [..., D_group] side by side [..., D], in the dtype of a network's parameters.

    A single group of that dtype is returned itself. A warning says where numbers are rounded, float64 to float32.

    Raises:
        TypeError: A group is no tensor.
    """
    parts = [obs[group] for group in groups]
    for part in parts:
        if not isinstance(part, torch.Tensor):
            check_groups(owner, {group: obs[group] for group in groups})
    joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    dtype = _dtype_of(network)
    if dtype is None or joined.dtype is dtype:
        return joined
    for group, part in zip(groups, parts, strict=True):
        warn_of_rounding(group, part, dtype)
    return joined.to(dtype)


def for_storage(obs: Observations, network: nn.Module) -> dict[str, torch.Tensor]:
    """Return example observations in the dtypes in which a rollout is to be kept.

    That is their own dtype, but the one of the network's parameters where these are of fewer bits: a step is then
    rounded once, when it is stored.
    """
    dtype = _dtype_of(network) or torch.float64
    return {name: group.to(dtype) if _rounds(group, dtype) else group for name, group in obs.items()}


def _dtype_of(network: nn.Module) -> torch.dtype | None:
    """Dtype of the first parameter; None if there is none."""
    for layer in network._modules.values():  # `parameters()` and `children()` take several microseconds
        for parameter in layer._parameters.values() if layer is not None else ():
            if parameter is not None:
                return parameter.dtype
    return next((parameter.dtype for parameter in network.parameters()), None)


def _rounds(group: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether numbers lose bits by becoming `dtype`."""
    return group.is_floating_point() and group.element_size() > dtype.itemsize


def warn_of_rounding(name: str, group: torch.Tensor, dtype: torch.dtype) -> None:
    """Warn where a group of observations loses bits by becoming `dtype`; Python shows the same warning once."""
    if _rounds(group, dtype):
        own, others = (str(kind).removeprefix("torch.") for kind in (group.dtype, dtype))
        warnings.warn(
            f"observations: the group '{name}' is {own}; it is converted to {others}, as the model's parameters are",
            stacklevel=1,
        )


def _kind(value: Any) -> str:  # noqa: ANN401
    """Name of a type with its module, unless it is built in."""
    module, name = type(value).__module__.partition(".")[0], type(value).__name__
    return name if module == "builtins" else f"{module}.{name}"
