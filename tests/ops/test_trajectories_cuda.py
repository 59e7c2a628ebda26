# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The operators of trajectories on CUDA."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from _gpu import GPU_CHECKS

from rslcore import ops


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("shape", [(1, 1), (7, 97), (24, 4099)])
def test_trajectories_cuda(shape: tuple[int, int], check: Callable[..., None]) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""
    num_envs = shape[1]

    def make(device: str) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(num_envs)

        def random(*sizes: int) -> torch.Tensor:
            return torch.randn(*sizes, generator=generator)

        data = (torch.rand(*shape, generator=generator) < 0.2, random(*shape, 7), random(shape[0], 2, num_envs, 4))
        return tuple(x.to(device) for x in data)

    def call(dones: torch.Tensor, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        starts, lengths, offsets = ops.split_trajectories(dones)
        padded = ops.pad_trajectories(x, starts, lengths)
        back = ops.unpad_trajectories(padded, starts, lengths, num_envs=num_envs)
        return starts, lengths, offsets, padded, back, *ops.gather_hidden_states([h], starts, num_envs=num_envs)

    check(make, call)


@pytest.mark.gpu
def test_cuda_leaves_out_what_lies_outside() -> None:
    """On CUDA a trajectory that leaves the rollout is padding there, and nothing is written out of bounds."""
    starts = torch.tensor([0, -1, 12, 2], device="cuda")
    lengths = torch.tensor([9, 4, 4, 4], device="cuda")
    x = torch.arange(12.0, device="cuda").view(4, 3)
    padded = ops.pad_trajectories(x, starts, lengths)
    assert padded.t().tolist() == [[0, 3, 6, 9], [0] * 4, [0] * 4, [2, 5, 8, 11]]
    back = ops.unpad_trajectories(torch.ones(4, 4, device="cuda"), starts, lengths, num_envs=3)
    assert back.tolist() == [[1, 0, 1]] * 4
