# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Averaging gradients over processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

_MIB = 1024 * 1024


def reduce_gradients_in_buckets(params: Iterable[torch.nn.Parameter], world_size: int, bucket_mb: float) -> None:
    """Replace every gradient by its mean over all processes, with few collective calls and bounded memory.

    Args:
        params: Parameters in the same order on every process; those without a gradient are skipped, and must be the
            same ones everywhere.
        world_size: Number of processes.
        bucket_mb: Most MiB per collective call. Small gradients are packed together into one temporary buffer, a
            gradient larger than this is reduced in place, slice by slice.
    """
    pieces = [
        piece
        for param in params
        if param.grad is not None
        for piece in param.grad.view(-1).split(max(1, int(bucket_mb * _MIB) // param.grad.element_size()))
    ]
    for bucket in _buckets(pieces, bucket_mb * _MIB):
        packed = bucket[0] if len(bucket) == 1 else torch.cat(bucket)
        torch.distributed.all_reduce(packed)
        packed /= world_size
        if len(bucket) > 1:
            for piece, mean in zip(bucket, packed.split([piece.numel() for piece in bucket]), strict=True):
                piece.copy_(mean)


def _buckets(pieces: list[torch.Tensor], max_bytes: float) -> Iterator[list[torch.Tensor]]:
    """Consecutive pieces of one dtype, at most `max_bytes` together (or a single piece)."""
    bucket: list[torch.Tensor] = []
    filled = 0
    for piece in pieces:
        if bucket and (filled + piece.nbytes > max_bytes or piece.dtype != bucket[0].dtype):
            yield bucket
            bucket, filled = [], 0
        bucket.append(piece)
        filled += piece.nbytes
    if bucket:
        yield bucket
