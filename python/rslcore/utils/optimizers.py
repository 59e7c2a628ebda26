# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers that are computed the fastest way, and whose state does not tell which way that was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    """Load a state dict into an optimizer, which keeps the way it is computed."""
    own = {key: value for key, value in optimizer.param_groups[0].items() if key in _IMPLEMENTATION_KEYS}
    groups = [{**group, **own} for group in state["param_groups"]]
    optimizer.load_state_dict({**state, "param_groups": groups})
