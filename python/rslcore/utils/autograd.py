# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Running, and keeping results, without autograd."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_R = TypeVar("_R")


def without_gradient(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function under ``torch.no_grad()``.

    Where gradients are off already, as in a rollout, nothing is switched: ``torch.no_grad`` as a decorator costs as
    much as three small torch operations, every time.
    """

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if not torch.is_grad_enabled():
            return function(*args, **kwargs)
        with torch.no_grad():
            return function(*args, **kwargs)

    return run


def without_graph(value: Any) -> Any:  # noqa: ANN401
    """Return a tensor, a tuple of them or a torch distribution, cut from the graph that made it; anything else itself.

    Such a value can be kept and copied: a graph would hold the memory of all that it was made of, and refuses both
    ``copy.deepcopy`` and pickle.
    """
    if isinstance(value, torch.Tensor):
        return value if value.grad_fn is None else value.detach()
    if type(value) is tuple:
        return tuple(map(without_graph, value))
    if isinstance(value, torch.distributions.Distribution):
        cut = copy.copy(value)
        vars(cut).update((name, without_graph(part)) for name, part in vars(value).items())
        return cut
    return value


def state_without_graph(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an object, each as :func:`without_graph` leaves it."""
    return {name: without_graph(value) for name, value in state.items()}
