# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Timing shared by the operator benchmarks: everything interleaved in one run, medians, ratios."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch

import rslcore


def interleave(calls: dict[str, Callable[[], object]], seconds: float = 2.0, min_rounds: int = 7) -> dict[str, float]:
    """Median time of each call in microseconds.

    Rounds go through all calls, so that drift hits all alike. In its turn a call runs untimed first, then timed for two
    milliseconds (at least once): each is measured in its own steady state, with the caches as it leaves them itself.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    deadline = time.perf_counter() + seconds
    rounds = 0
    while rounds < min_rounds or time.perf_counter() < deadline:
        for name, call in calls.items():
            call()
            end = time.perf_counter() + 2e-3
            start = 0.0
            while start < end:
                start = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - start) * 1e6)
        rounds += 1
    return {name: statistics.median(values) for name, values in times.items()}


def copy_of(num_bytes: int) -> Callable[[], object]:
    """A memcpy of as many bytes by torch, on the threads that it uses."""
    source, target = torch.zeros(num_bytes, dtype=torch.uint8), torch.empty(num_bytes, dtype=torch.uint8)
    return lambda: target.copy_(source)


class Report:
    """Collects rows, prints them as a table or as JSON (`--json`)."""

    def __init__(self, description: str) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        parser.add_argument("--seconds", type=float, default=2.0, help="time spent per row")
        self.options = parser.parse_args()
        self.rows: list[dict] = []

    def add(self, case: str, calls: dict[str, Callable[[], object]]) -> None:
        """Time a case; the first call is ours, all others are shown as a multiple of it."""
        medians = interleave(calls, self.options.seconds)
        ours = next(iter(medians.values()))
        self.rows.append(
            {"case": case, "us": medians, "ratio": {name: us / ours for name, us in list(medians.items())[1:]}}
        )
        if not self.options.json:
            print(f"{case}")
            for name, us in medians.items():
                print(f"    {name:<44} {us:>12,.1f} us {us / ours:>9.2f} x")

    def finish(self) -> None:
        """Print the JSON document, if it was asked for."""
        if self.options.json:
            info = rslcore.build_info()
            machine = {
                "processor": platform.processor() or platform.machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "simd": info["simd_in_use"],
                "git_revision": info["git_revision"],
            }
            print(json.dumps({"machine": machine, "rows": self.rows}, indent=2))
