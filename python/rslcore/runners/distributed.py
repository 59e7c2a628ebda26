# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Joining the processes that ``torchrun`` started."""

from __future__ import annotations

import dataclasses
import os

import torch


@dataclasses.dataclass(frozen=True)
class Ranks:
    """Place of this process among those that train together."""

    world_size: int = 1
    """Number of processes."""
    global_rank: int = 0
    """Number of this process; 0 logs and saves."""
    local_rank: int = 0
    """Number of this process on its machine, and of its GPU."""


def read_ranks() -> Ranks:
    """Read WORLD_SIZE, RANK and LOCAL_RANK, which ``torchrun`` sets; without WORLD_SIZE, or with 1, one process.

    Raises:
        ValueError: The ranks contradict the world size.
    """
    ranks = Ranks(
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        global_rank=int(os.environ.get("RANK", "0")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
    )
    if ranks.world_size <= 1:
        return Ranks()
    for name, rank in (("RANK", ranks.global_rank), ("LOCAL_RANK", ranks.local_rank)):
        if not 0 <= rank < ranks.world_size:
            raise ValueError(f"OnPolicyRunner: {name} must be below WORLD_SIZE {ranks.world_size}, got {rank}")
    return ranks


def join_processes(device: torch.device | str) -> Ranks:
    """Join the process group that :func:`read_ranks` finds: NCCL for GPUs, Gloo for the CPU.

    A single process joins nothing. A process group that exists already is used.

    Args:
        device: Device of this process; a GPU must be the one of its local rank, as rsl_rl 5.5.1 demands.

    Raises:
        ValueError: The ranks contradict the world size, or the device the local rank.
    """
    ranks = read_ranks()
    if ranks.world_size <= 1:
        return ranks
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu and str(device) != f"cuda:{ranks.local_rank}":
        raise ValueError(
            f"OnPolicyRunner: `device` must be 'cuda:{ranks.local_rank}' for LOCAL_RANK {ranks.local_rank}, "
            f"got '{device}'"
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(
            backend="nccl" if on_gpu else "gloo", rank=ranks.global_rank, world_size=ranks.world_size
        )
    if on_gpu:
        torch.cuda.set_device(ranks.local_rank)
    return ranks
