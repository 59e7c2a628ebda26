# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The rows of a rollout in another order, cut into minibatches."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from rslcore import ops
from rslcore.ops import _library


class Rooms:
    """Memory by name that is kept from update to update and grows where it must."""

    def __init__(self) -> None:
        """Begin without any."""
        self._tensors: dict[str, torch.Tensor] = {}

    def room(self, name: str, like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Return uninitialized memory of a shape, with dtype and device of another tensor."""
        numel = math.prod(shape)
        tensor = self._tensors.get(name)
        if tensor is None or tensor.numel() < numel or tensor.dtype != like.dtype or tensor.device != like.device:
            tensor = self._tensors[name] = torch.empty(numel, dtype=like.dtype, device=like.device)
        return tensor[:numel].view(shape)

    def tensors(self) -> list[torch.Tensor]:
        """Return all of it."""
        return list(self._tensors.values())


class _Plan(NamedTuple):
    """Views that stay the same as long as the buffers do."""

    buffers: dict[str, torch.Tensor]
    rows: int
    size: int
    fields: dict[str, torch.Tensor]
    """The buffers as rows [T * N, ...]."""
    targets: dict[str, torch.Tensor]
    """Their rows in the new order [rows, ...]."""
    pieces: list[dict[str, torch.Tensor]]
    """The targets, cut into minibatches [size, ...]."""

    def serves(self, buffers: dict[str, torch.Tensor], rows: int, size: int) -> bool:
        """Whether it was made for the same tensors and sizes."""
        own = self.buffers
        return (
            (rows, size) == (self.rows, self.size)
            and own.keys() == buffers.keys()
            and all(own[name] is buffer for name, buffer in buffers.items())
        )


class ShuffledRows:
    """Copies the rows of buffers in a new order into rooms, from which minibatches are cut."""

    def __init__(self, rooms: Rooms) -> None:
        """Begin without views."""
        self._rooms = rooms
        self._plan: _Plan | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave out the views: those of a copy must be views of its own buffers."""
        return {"_rooms": self._rooms, "_plan": None}

    def cut(self, buffers: dict[str, torch.Tensor], index: torch.Tensor, size: int) -> list[dict[str, torch.Tensor]]:
        """Return the rows `index` of all buffers in pieces of `size` rows; a rest that fills none is dropped.

        Args:
            buffers: By name, [T, N, ...].
            index: Rows out of the T * N, int64 [n].
            size: Rows per piece.

        Returns:
            The pieces in their order, each [size, ...] by name; the next call overwrites them.
        """
        rows, plan = index.shape[0], self._plan
        if plan is None or not plan.serves(buffers, rows, size):
            plan = self._make_plan(buffers, rows, size)
            views = all(buffer.is_contiguous() for buffer in buffers.values())  # of others, rows are a copy
            self._plan = plan if views else None
        sources, targets = list(plan.fields.values()), list(plan.targets.values())
        if not _library.run_as_is("shuffle_rows", (sources, index, targets), targets):
            ops.shuffle_rows(plan.fields, index, out=plan.targets)
        return plan.pieces

    def _make_plan(self, buffers: dict[str, torch.Tensor], rows: int, size: int) -> _Plan:
        fields = {name: buffer.flatten(0, 1) for name, buffer in buffers.items()}
        targets = {name: self._rooms.room(name, field, (rows, *field.shape[1:])) for name, field in fields.items()}
        starts = range(0, rows - size + 1, size)
        pieces = [{name: target[start : start + size] for name, target in targets.items()} for start in starts]
        return _Plan(buffers, rows, size, fields, targets, pieces)
