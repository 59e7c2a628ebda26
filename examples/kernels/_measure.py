# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What the examples of this folder report: the same results, and the time of both versions in one run."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import rslcore

Call = Callable[[], object]

ITERATION = "one iteration of training"
"""Name of the time that the others are a share of."""


class Report:
    """Collects comparisons between a library's own code and the same with rslcore's operators."""

    def __init__(self, description: str) -> None:
        """Read the command line: ``--short`` and ``--json``."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--short", action="store_true", help="small sizes, seconds instead of minutes")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        options = parser.parse_args()
        self.short: bool = options.short
        self._json: bool = options.json
        self._document: dict[str, Any] = {"equal": {}, "times": {}}
        torch.set_num_threads(1)

    def equal(self, name: str, library: Any, ours: Any, tolerance: float = 1e-5) -> None:  # noqa: ANN401
        """Require that two results agree, and note their largest difference.

        Args:
            name: What is compared.
            library: Array or tensor of the library's own code.
            ours: The same with rslcore.
            tolerance: Largest difference as a fraction of the largest magnitude in ``library``.

        Raises:
            AssertionError: They do not agree.
        """
        expected, actual = np.asarray(library, np.float64), np.asarray(ours, np.float64)
        scale = float(np.abs(expected).max())
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale, err_msg=name)
        difference = float(np.abs(actual - expected).max()) / scale
        known = self._document["equal"].get(name, 0.0)
        self._document["equal"][name] = max(known, difference)

    def time(self, name: str, library: Call, ours: Call, rounds: int, *, per_iteration: int = 0) -> None:
        """Time two calls, in turns that each begins as often, after one untimed round; note their medians.

        CPU time of this process, which has one thread: what else the machine does hardly counts.

        Args:
            name: What is timed.
            library: The library's own code.
            ours: The same with rslcore.
            rounds: Calls of each.
            per_iteration: How often an iteration of training does this; 0 for the iteration itself, and for what is no
                part of it.
        """
        times: tuple[list[float], list[float]] = ([], [])
        turns = list(zip((library, ours), times, strict=True))
        for round_ in range(rounds + 1):
            turns.reverse()
            for call, kept in turns:
                start = time.process_time()
                call()
                if round_ > 0:
                    kept.append(1e3 * (time.process_time() - start))
        medians = [statistics.median(kept) for kept in times]
        self._document["times"][name] = {
            "library_ms": round(medians[0], 4),
            "rslcore_ms": round(medians[1], 4),
            "ratio": round(medians[0] / medians[1], 3),
            "rounds": rounds,
            "per_iteration": per_iteration,
        }

    def note(self, **facts: Any) -> None:  # noqa: ANN401
        """Add sizes and outcomes to the report."""
        self._document.update(facts)

    def finish(self) -> None:
        """Print everything."""
        self._document["machine"] = {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "simd": rslcore.build_info()["simd_in_use"],
        }
        times = self._document["times"]
        iteration = times[ITERATION]["library_ms"]
        self._document["share_of_iteration"] = {
            side: round(sum(row["per_iteration"] * row[f"{side}_ms"] for row in times.values()) / iteration, 4)
            for side in ("library", "rslcore")
        }
        if self._json:
            print(json.dumps(self._document, indent=2))
            return
        for name, fact in self._document.items():
            if name not in ("equal", "times", "machine", "share_of_iteration"):
                print(f"{name}: {fact}")
        print(f"\n{'the same results':<46} {'largest difference, relative':>30}")
        for name, difference in self._document["equal"].items():
            print(f"  {name:<44} {difference:>30.1e}")
        print(f"\n{'CPU time (medians, one run)':<46} {'library':>12} {'rslcore':>12} {'ratio':>7}")
        for name, row in self._document["times"].items():
            print(f"  {name:<44} {row['library_ms']:>9.2f} ms {row['rslcore_ms']:>9.2f} ms {row['ratio']:>6.2f}x")
        share = self._document["share_of_iteration"]
        print(
            f"\nThe pieces take {100 * share['library']:.1f}% of the library's iteration; with rslcore, "
            f"{100 * share['rslcore']:.1f}% of the same."
        )
