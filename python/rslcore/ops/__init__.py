# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Operators of on-policy reinforcement learning on torch tensors, CPU or CUDA. Needs nothing but torch."""

from rslcore.ops.gae import gae
from rslcore.ops.normalization import discounted_return, normalize, update_and_normalize, update_moments
from rslcore.ops.shuffle import permutation, shuffle_rows

__all__ = [
    "discounted_return",
    "gae",
    "normalize",
    "permutation",
    "shuffle_rows",
    "update_and_normalize",
    "update_moments",
]
