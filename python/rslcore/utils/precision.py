# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Precision of matrix products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def tf32_products(wanted: bool = True) -> Iterator[None]:
    """Let CUDA multiply float32 matrices in TensorFloat-32 within a block, if it is wanted.

    TF32 keeps the range of float32 and 10 of its 23 bits behind the point, and sums in float32. Elsewhere than on a GPU
    of compute capability 8.0 or newer nothing changes.
    """
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    if wanted:
        matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        if wanted:
            matmul.fp32_precision = before
