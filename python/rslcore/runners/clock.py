# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What the parts of an iteration take, where the host runs ahead of the device."""

from __future__ import annotations

import time

import torch


class IterationClock:
    """Times rollout and update apart; never waits for the device.

    On a GPU the rollout ends when the device is done with it, which the host does not wait for: events in the device's
    queue tell, once the update's results have been read.
    """

    def __init__(self, device: torch.device) -> None:
        """Start with the rollout."""
        self._device = device
        self._start = self._end_of_rollout = time.perf_counter()
        self._events = [self._event()] if device.type == "cuda" else []

    def end_rollout(self) -> None:
        """Go on with the update."""
        self._end_of_rollout = time.perf_counter()
        if self._events:
            self._events.append(self._event())

    def stop(self) -> tuple[float, float]:
        """Return seconds of the rollout and of the update, whose results the host has read."""
        total = time.perf_counter() - self._start
        rollout = self._end_of_rollout - self._start
        if self._events:
            rollout = self._events[0].elapsed_time(self._events[1]) / 1e3
        return rollout, total - rollout

    def _event(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event
