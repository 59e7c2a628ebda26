# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of telling rollout and update apart in time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rslcore.runners import clock as clock_module
from rslcore.runners.clock import IterationClock


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock of the host shows, to be set."""
    now = [0.0]
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: now[0])
    return now


def test_on_the_cpu_the_host_tells(host: list[float]) -> None:
    """The rollout lasts until it is ended, the update until the clock is stopped."""
    clock = IterationClock(torch.device("cpu"))
    host[0] = 2.0
    clock.end_rollout()
    host[0] = 5.0
    assert clock.stop() == (2.0, 3.0)


def test_on_a_gpu_the_device_tells(host: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollout lasts as long as the device worked on it, however early the host went on; the sum is the host's."""

    class Event:
        """Its time is when the device gets there: 4 s after the host has queued it."""

        def __init__(self, **_: Any) -> None:
            self.time = 0.0

        def record(self, stream: str) -> None:
            self.time = host[0] + (4.0 if host[0] else 0.0)

        def elapsed_time(self, end: Event) -> float:
            return 1e3 * (end.time - self.time)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", str)
    clock = IterationClock(torch.device("cuda:0"))
    host[0] = 1.0
    clock.end_rollout()
    host[0] = 9.0
    assert clock.stop() == (5.0, 4.0)
