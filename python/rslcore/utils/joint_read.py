# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""One copy to the host for everybody who wants to know something of the device."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import torch


class JointRead:
    """Numbers that several parts of an iteration want on the host, fetched together: the host waits once for all.

    Everybody adds what it wants; the first one that cannot go on without its own fetches everything.
    """

    def __init__(self, spoiled: torch.Tensor | None = None, refuse: Callable[[], None] | None = None) -> None:
        """Start with nothing to fetch, or with whether the data that the others are made of may be used at all.

        Args:
            spoiled: 1 where the data must not be used, otherwise 0, float32 []; None where that is known already.
            refuse: Asks the device by itself, and raises where ``spoiled`` is 1.
        """
        self.spoiled = spoiled
        self._refuse = refuse
        self._parts: list[tuple[torch.Tensor | Callable[[], torch.Tensor], list[float]]] = []
        self._flag = [] if spoiled is None else self.add(spoiled)

    def add(self, numbers: torch.Tensor | Callable[[], torch.Tensor]) -> list[float]:
        """Have numbers fetched too, as they are then; returns the list that :meth:`fetch` fills.

        Args:
            numbers: A tensor of any shape, or what returns it when everything is fetched.
        """
        values: list[float] = []
        self._parts.append((numbers, values))
        return values

    def fetch(self) -> None:
        """Fill all lists, by one copy per device; does nothing the second time.

        Raises:
            Exception: What ``refuse`` raises, where the data must not be used.
        """
        parts, self._parts = self._parts, []
        tensors = [(numbers if isinstance(numbers, torch.Tensor) else numbers()).detach() for numbers, _ in parts]
        for device in {tensor.device for tensor in tensors}:
            here = [(tensor, part[1]) for tensor, part in zip(tensors, parts, strict=True) if tensor.device == device]
            numbers = iter(torch.cat([tensor.reshape(-1) for tensor, _ in here]).tolist())
            for tensor, values in here:
                values.extend(islice(numbers, tensor.numel()))
        if any(self._flag):
            self.settle()

    def settle(self) -> None:
        """Find out now, by a read of its own, whether the data may be used: for who cannot undo what it does with it.

        Raises:
            Exception: What ``refuse`` raises, where the data must not be used.
        """
        if self._refuse is not None:
            self._refuse()
