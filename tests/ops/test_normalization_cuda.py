# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The operators of `ops.normalization` on CUDA tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from _gpu import GPU_CHECKS

from rslcore import ops

GPU_CALLS = {
    "update_moments": lambda x, mean, var, count: ops.update_moments(x, mean, var, count) or (mean, var, count),
    "until": lambda x, mean, var, count: ops.update_moments(x, mean, var, count, until=7) or (mean, var, count),
    "normalize": lambda x, mean, var, count: (ops.normalize(x, mean, var),),
    "update_and_normalize": lambda *a: (ops.update_and_normalize(*a), *a[1:]),
    "discounted_return": lambda x, mean, var, count: ops.discounted_return(x[0], mean, gamma=0.9) or (mean,),
}


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("call", GPU_CALLS.values(), ids=GPU_CALLS)
@pytest.mark.parametrize("shape", [(1, 1), (4099, 1), (4096, 48), (1009, 235), (7, 10_007)])
def test_cuda(shape: tuple[int, int], call: Callable, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def make(device: str) -> tuple[torch.Tensor, ...]:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 3.0
        return tuple(t.to(device) for t in (x, torch.zeros(shape[1]), torch.ones(shape[1]), torch.tensor(7)))

    check(make, call)


@pytest.mark.gpu
def test_cuda_beyond_31_bits() -> None:
    """More than 2^31 elements: every row is counted and normalized."""
    rows, columns = 2**31 // 64 + 3, 64
    if torch.cuda.mem_get_info()[0] < 12 * 2**30:
        pytest.skip("needs 12 GiB of free GPU memory")
    x = torch.ones(rows, columns, device="cuda")
    x[rows // 2 :] = 3.0
    mean, var = torch.zeros(columns, device="cuda"), torch.ones(columns, device="cuda")
    count = torch.tensor(0, device="cuda")
    ops.update_and_normalize(x, mean, var, count, eps=0.0, out=x)
    upper = (rows - rows // 2) / rows
    torch.testing.assert_close(mean.cpu(), torch.full((columns,), 1 + 2 * upper))
    torch.testing.assert_close(var.cpu(), torch.full((columns,), 4 * upper * (1 - upper)))
    assert count.item() == rows
    torch.testing.assert_close(x[-1].cpu(), torch.ones(columns))
    torch.testing.assert_close(x[0].cpu(), -torch.ones(columns))
