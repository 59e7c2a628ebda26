# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Capture and replay of CUDA graphs: the only code here that cannot run without a GPU."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

_END = object()


class Recording:
    """CUDA graphs of some work: one, or several where the host has something to do in between.

    The graphs share one memory pool of their own, as they always run one after the other.
    """

    def __init__(self, device: torch.device, pool: Any = None) -> None:  # noqa: ANN401 - torch has no name for it
        """Start with nothing captured.

        Args:
            device: Where the work is done.
            pool: Memory pool shared with other recordings, which never run at the same time; None for one of its own.
        """
        self._device = device
        self.pool = pool
        """Where the graphs keep what they compute; the first capture makes one where there is none."""
        self._graphs: list[torch.cuda.CUDAGraph] = []

    def capture(self, work: Iterator[None], between: Callable[[], None] | None = None) -> None:
        """Capture work, and run it once.

        Args:
            work: Does its work when it is iterated over; yields where the host has something to do.
            between: What the host does there.
        """
        self._graphs = []
        if self.pool is None:
            self.pool = torch.cuda.graph_pool_handle()
        while True:
            graph = torch.cuda.CUDAGraph()
            # Other threads (of a simulator, say) may allocate meanwhile: their calls are none of this capture's.
            with (
                torch.cuda.device(self._device),
                torch.cuda.graph(
                    graph,
                    pool=self.pool,
                    stream=_capture_stream(self._device),
                    capture_error_mode="thread_local",
                ),
            ):
                ended = next(work, _END) is _END
            self._graphs.append(graph)
            graph.replay()
            if ended:
                return
            if between is not None:
                between()

    def replay(self, between: Callable[[], None] | None = None) -> None:
        """Run what was captured, on the current stream."""
        for number, graph in enumerate(self._graphs):
            if number > 0 and between is not None:
                between()
            graph.replay()


def warm_up(work: Iterator[None], between: Callable[[], None], device: torch.device) -> list[str]:
    """Run work once as it is, on a side stream, as is needed before it is captured.

    Libraries make their handles and workspaces, optimizers their state.

    Returns:
        Where the work made the host wait for the device, which a graph cannot: places in the code.
    """
    side, current = _capture_stream(device), torch.cuda.current_stream(device)
    side.wait_stream(current)
    with torch.cuda.device(device), torch.cuda.stream(side), _watch_for_waits() as waits:
        for _ in work:
            between()
    current.wait_stream(side)
    return waits


@functools.cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """One stream per device: libraries keep a workspace for every stream that they have seen."""
    return torch.cuda.Stream(device)


@contextlib.contextmanager
def _watch_for_waits() -> Iterator[list[str]]:
    """Collect where a block waits for the device; filled when the block ends.

    Capturing such a wait would fail, and a failed capture leaves the allocator of torch before 2.12 unusable.
    """
    waits: list[str] = []
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for warning in caught:
        if "called a synchronizing" in str(warning.message):
            waits.append(f"{warning.filename}:{warning.lineno}")
        elif "ynchronization debug mode" not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
