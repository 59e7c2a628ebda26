# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers that are computed the fastest way, and whose state does not tell which way that was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch

from rslcore.utils.resolve import resolve_optimizer

_IMPLEMENTATION_KEYS = ("fused", "foreach")
"""Options of an optimizer that say how it is computed, not what: no part of a checkpoint."""


def make_optimizer(name: str, parameters: Iterable[torch.nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """Return a new optimizer, fused where torch has it for the parameters' device, which is the fastest.

    A parameter that is given twice (an encoder that two models share) is kept twice, and stepped twice, as rsl_rl 5.5.1
    does; torch's fused kernels count such steps differently, so they are left out then.

    Args:
        name: "adam", "adamw", "sgd" or "rmsprop".
        parameters: What is learned, in the order of the state dict.
        learning_rate: Initial learning rate.

    Raises:
        ValueError: The name is unknown.
    """
    optimizer_class = resolve_optimizer(name)
    kept = list(parameters)
    options: dict[str, Any] = {"lr": learning_rate}
    distinct = len({id(parameter) for parameter in kept}) == len(kept)
    on_fused_device = all(parameter.device.type in ("cpu", "cuda") for parameter in kept)
    if distinct and on_fused_device and optimizer_class is not torch.optim.RMSprop:
        options["fused"] = True
    return optimizer_class(kept, **options)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the state dict of an optimizer as one of torch's default implementation would write it."""
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group.update((key, None) for key in _IMPLEMENTATION_KEYS if key in group)
    return state


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load a state dict into an optimizer, which keeps the way it is computed.

    What is of the shape of its parameter gets the strides of it too, and memory of its own: torch takes both over from
    the state dict, and its kernels step through parameter and state by the same strides.
    """
    own = {key: value for key, value in optimizer.param_groups[0].items() if key in _IMPLEMENTATION_KEYS}
    groups = [{**group, **own} for group in state["param_groups"]]
    numbers = chain.from_iterable(group["params"] for group in groups)
    parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    states = dict(state["state"])
    for number, parameter in zip(numbers, parameters, strict=False):  # torch tells of a wrong number of them
        if number in states:
            states[number] = {key: _laid_out_like(parameter, value) for key, value in states[number].items()}
    optimizer.load_state_dict({**state, "state": states, "param_groups": groups})


def _laid_out_like(parameter: torch.Tensor, value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)
