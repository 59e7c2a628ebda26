# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Both libraries train on half-cheetah in turns, and their times are compared; see `half_cheetah.py --help`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

SCRIPT = Path(__file__).with_name("half_cheetah.py")
BASELINE, OURS = "rsl_rl", "rslcore"
SHARES = (0.5, 0.75, 0.9)
"""Returns that are timed, as shares of the lower of the two final medians."""

Curve = dict[str, list[float]]
"""Points "env_steps", "mean_return" and "seconds" of equal length."""
Record = dict[str, Any]
"""What `half_cheetah.py` writes of one training."""


def train_in_turns(seeds: list[int], iterations: int | None, threads: int) -> dict[str, list[Record]]:
    """Train with both libraries for every seed, each in a fresh process; who goes first changes from seed to seed.

    Returns:
        The records of each library, in the order of `seeds`.
    """
    order = [
        (seed, library)
        for number, seed in enumerate(seeds)
        for library in ((BASELINE, OURS) if number % 2 == 0 else (OURS, BASELINE))
    ]
    runs: dict[str, list[Record]] = {BASELINE: [], OURS: []}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for done, (seed, library) in enumerate(order):
            minutes = (time.perf_counter() - start) / 60
            _progress(f"training {done + 1} of {len(order)}: {library}, seed {seed} ({minutes:.0f} min so far)")
            command = [sys.executable, str(SCRIPT), "--library", library, "--seed", str(seed)]
            command += ["--threads", str(threads), "--output", folder]
            command += ["--iterations", str(iterations)] if iterations else []
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            runs[library].append(json.loads((Path(folder) / f"{library}_seed{seed}.json").read_text()))
    _progress("")
    return runs


def median_curve(runs: list[Record]) -> Curve:
    """Take the medians over runs of return and seconds, at the numbers of env steps where all runs have a point."""
    by_steps = [
        {steps: (value, seconds) for steps, value, seconds in zip(*run["curve"].values(), strict=True)} for run in runs
    ]
    shared = [steps for steps in by_steps[0] if all(steps in points for points in by_steps)]
    return {
        "env_steps": shared,
        "mean_return": [median(points[steps][0] for points in by_steps) for steps in shared],
        "seconds": [round(median(points[steps][1] for points in by_steps), 3) for steps in shared],
    }


def seconds_to(curve: Curve, target: float) -> float | None:
    """Seconds until a curve first reached a return, on a straight line between two points; None where it never did."""
    before: tuple[float, float] | None = None
    for value, seconds in zip(curve["mean_return"], curve["seconds"], strict=True):
        if value >= target:
            if before is None:
                return seconds
            share = (target - before[0]) / (value - before[0])
            return round(before[1] + share * (seconds - before[1]), 2)
        before = value, seconds
    return None


def compare(runs: dict[str, list[Record]]) -> dict[str, Any]:
    """Compare the times of two libraries that trained with the same seeds; the definitions are those of `--help`."""
    curves = {library: median_curve(records) for library, records in runs.items()}
    finals = [curve["mean_return"][-1] for curve in curves.values() if curve["mean_return"]]
    to_return = []
    # A share of a negative return would be a higher one: a trial that has learned nothing yet has no targets.
    for share in SHARES if len(finals) == len(curves) and min(finals) > 0 else ():
        target = round(share * min(finals), 1)
        seconds = {library: seconds_to(curve, target) for library, curve in curves.items()}
        to_return.append(
            {
                "share_of_lower_final_median": share,
                "return": target,
                "seconds": seconds,
                "ratio": _ratio(seconds),
                "each_seed": {
                    library: [seconds_to(record["curve"], target) for record in records]
                    for library, records in runs.items()
                },
            }
        )
    whole = {library: median(record["train_seconds"] for record in records) for library, records in runs.items()}
    return {
        "whole_training": {
            "seconds": whole,
            "ratio": _ratio(whole),
            "each_seed": {library: [run["train_seconds"] for run in records] for library, records in runs.items()},
        },
        "seconds_of": {
            part: {library: median(run["seconds_of"][part] for run in records) for library, records in runs.items()}
            for part in runs[OURS][0]["seconds_of"]
        },
        "to_return": to_return,
        "median_curves": curves,
    }


def document(runs: dict[str, list[Record]]) -> dict[str, Any]:
    """Everything that was measured, for a file: the comparison, and what it was made from."""
    one_run = ("library", "seed", "cfg")
    return {
        "machine": {"cores": os.cpu_count(), "command": " ".join(["python", *sys.orig_argv[1:]])},
        "seeds": [record["seed"] for record in runs[OURS]],
        **compare(runs),
        "runs": {
            library: [{key: value for key, value in record.items() if key not in one_run} for record in records]
            for library, records in runs.items()
        },
        "cfg": {key: value for key, value in runs[OURS][0]["cfg"].items() if key != "seed"},
    }


def table(compared: dict[str, Any]) -> str:
    """Text of a comparison: medians first, then every seed."""
    whole, libraries = compared["whole_training"], (BASELINE, OURS)
    rows = [
        ("whole training", whole["seconds"]),
        *((f"  {name}", part) for name, part in compared["seconds_of"].items()),
    ]
    rows += [(f"to a return of {entry['return']:.0f}", entry["seconds"]) for entry in compared["to_return"]]
    lines = [f"{'median seconds':26s}" + "".join(f"{library:>10s}" for library in libraries) + f"{'ratio':>8s}"]
    for label, seconds in rows:
        ratio = _ratio(seconds)
        lines.append(
            f"{label:26s}"
            + "".join(f"{seconds[library]:10.2f}" for library in libraries)
            + (f"{ratio:8.2f}" if ratio else "")
        )
    lines.append("every seed")
    for label, entry in (
        ("whole training", whole),
        *((f"to a return of {entry['return']:.0f}", entry) for entry in compared["to_return"]),
    ):
        for library in libraries:
            values = ("never" if value is None else f"{value:.1f}" for value in entry["each_seed"][library])
            lines.append(f"{label:26s}{library:>10s}: {', '.join(values)}")
    if not compared["to_return"]:
        lines.append("no return was reached that could be compared: the trainings were too short")
    return "\n".join(lines)


def _ratio(seconds: dict[str, float | None]) -> float | None:
    """Seconds of rsl_rl per second of rslcore."""
    theirs, ours = seconds[BASELINE], seconds[OURS]
    return round(theirs / ours, 3) if theirs and ours else None


def _progress(text: str) -> None:
    """Replace the line that a terminal shows; nothing is written to anything else."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
