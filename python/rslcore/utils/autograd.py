# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Running without autograd."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

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
