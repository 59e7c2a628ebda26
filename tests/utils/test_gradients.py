# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch

from rslcore.utils import reduce_gradients_in_buckets


@pytest.fixture
def lone_process(tmp_path):
    """A process group of one: the sum over processes is the gradient itself."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("numbers_per_bucket", [1, 4, 7, 1000])
def test_every_gradient_is_divided_whatever_the_bucket(lone_process, numbers_per_bucket):
    """Law: each gradient becomes sum / world_size, sliced or packed, and parameters without one are skipped."""
    params = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 5), (2,), (1,), (4,), ())]
    expected = []
    for number, param in enumerate(params):
        if number != 2:
            param.grad = torch.randn(param.shape)
        expected.append(None if param.grad is None else param.grad / 4)
    reduce_gradients_in_buckets(params, world_size=4, bucket_mb=4 * numbers_per_bucket / 2**20)
    assert params[2].grad is None
    for param, mean in zip(params, expected, strict=True):
        if mean is not None:
            assert torch.equal(param.grad, mean)


def test_dtypes_are_not_mixed(lone_process):
    """Law: gradients of several dtypes keep theirs."""
    params = [torch.nn.Parameter(torch.zeros(2, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    for param in params:
        param.grad = torch.full_like(param, 3.0)
    reduce_gradients_in_buckets(params, world_size=2, bucket_mb=1)
    assert [(param.grad.dtype, param.grad.tolist()) for param in params] == [
        (torch.float32, [1.5, 1.5]),
        (torch.float64, [1.5, 1.5]),
    ]
