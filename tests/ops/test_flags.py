# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""One law of every operator that takes flags: whatever is not zero is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rslcore.numpy as rnp
from rslcore import ops

SET = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]], dtype=torch.bool)
T, N = SET.shape
VALUES = [
    *((torch.uint8, 1), (torch.uint8, 255), (torch.int32, -1), (torch.int32, 256)),
    *((torch.int64, 256), (torch.int64, -(2**63)), (torch.float32, 0.5), (torch.float32, -1e-45)),
    (torch.float32, torch.nan),
]
"""Dtypes of flags, and what stands for "set" in them: also what the lowest byte, or a conversion, would lose."""

rewards = torch.arange(T * N, dtype=torch.float32).view(T, N)


def _gae(array: Any, flags: Any) -> Any:
    module, data = (ops, rewards) if array is torch.Tensor else (rnp, rewards.numpy())
    return module.gae(data, data, flags, data[0], gamma=0.9, lam=0.9, time_outs=flags)


def _episode_stats(array: Any, flags: Any) -> Any:
    torch_buffers = torch.zeros(2, N), torch.zeros(9, 2), torch.zeros((), dtype=torch.int64)
    buffers = torch_buffers if array is torch.Tensor else tuple(x.numpy() for x in torch_buffers)
    module, data = (ops, rewards) if array is torch.Tensor else (rnp, rewards.numpy())
    for t in range(T):
        module.episode_stats(data[t], flags[t], *buffers)
    return buffers


def _split(array: Any, flags: Any) -> Any:
    return (ops if array is torch.Tensor else rnp).split_trajectories(flags)


def _lstm(array: Any, flags: Any) -> Any:
    weights = torch.linspace(-1, 1, 16).view(8, 2), torch.linspace(-1, 1, 16).view(8, 2)
    return ops.lstm(torch.ones(T, N, 2), flags, torch.zeros(N, 2), torch.zeros(N, 2), *weights)


def _gru(array: Any, flags: Any) -> Any:
    weights = torch.linspace(-1, 1, 12).view(6, 2), torch.linspace(-1, 1, 12).view(6, 2)
    return ops.gru(torch.ones(T, N, 2), flags, torch.zeros(N, 2), *weights)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{str(value[0]).removeprefix('torch.')}-{value[1]}")
@pytest.mark.parametrize("operator", [_gae, _episode_stats, _split, _lstm, _gru], ids=lambda x: x.__name__[1:])
def test_whatever_is_not_zero_is_set(operator: Callable[..., Any], value: tuple[torch.dtype, float]) -> None:
    """Law: flags of any dtype and value give, bit for bit, what bool gives; by torch and by NumPy."""
    dtype, one = value
    flags = torch.where(SET, torch.tensor(one, dtype=dtype), torch.tensor(0, dtype=dtype))
    for expected, actual in zip(operator(torch.Tensor, SET), operator(torch.Tensor, flags), strict=True):
        assert torch.equal(actual, expected)
    if operator in (_lstm, _gru):
        return
    pairs = zip(operator(np.ndarray, SET.numpy()), operator(np.ndarray, flags.numpy()), strict=True)
    assert all(np.array_equal(actual, expected) for expected, actual in pairs)
