# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Activations by the names of a configuration: their numbers in csrc/common/activation.h, and torch's functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

NUMBERS = {
    "identity": 0,
    "elu": 1,
    "crelu": 1,  # torch.nn.CELU, which with its default settings is ELU
    "selu": 2,
    "relu": 3,
    "lrelu": 4,
    "tanh": 5,
    "sigmoid": 6,
    "softplus": 7,
    "gelu": 8,
    "swish": 9,
    "mish": 10,
}
"""Number of every activation."""

FUNCTIONS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda x: x,
    functional.elu,
    functional.selu,
    functional.relu,
    functional.leaky_relu,
    torch.tanh,
    torch.sigmoid,
    functional.softplus,
    functional.gelu,
    functional.silu,
    functional.mish,
)
"""The activations in the order of their numbers."""
