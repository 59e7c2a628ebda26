# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""One update of PPO on a GPU by rslcore (graph, eager) and by rsl_rl, in turns, with the same precision on all sides.

python benchmarks/gpu/update.py [--shapes S M XS] [--out FILE]
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from typing import Any

import rsl_rl.algorithms
import torch
from _card import finish, parser, require_device, wall_ms
from _jobs import SHAPES, Stream, construct, rollout

import rslcore.algorithms


@contextlib.contextmanager
def precision(tf32: bool) -> Iterator[None]:
    """TF32 products for everybody, or for nobody."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def measure(shape: str, tf32: bool, bf16: bool, device: torch.device, rounds: int, small: bool) -> dict[str, Any]:
    """Median update of every side, each measured in turns; peak memory of ours."""
    num_envs, hidden = (64, (16, 16)) if small else SHAPES[shape]
    engines = ("graph", "eager") if device.type == "cuda" else ("eager",)
    stream = Stream(num_envs, device)
    with precision(tf32):
        sides = {
            f"rslcore:{engine}": construct(rslcore, num_envs, hidden, device, engine=engine, use_mixed_precision=bf16)
            for engine in engines
        }
        sides["rsl_rl"] = construct(rsl_rl, num_envs, hidden, device, use_mixed_precision=bf16)
        times: dict[str, list[float]] = {name: [] for name in sides}
        peaks: dict[str, float] = {}
        for round_ in range(rounds + 3):
            for name, alg in sides.items():
                rollout(alg, stream)
                if device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(device)
                (ms,) = wall_ms(alg.update, device, 1)
                if device.type == "cuda":
                    peaks[name] = max(peaks.get(name, 0.0), torch.cuda.max_memory_allocated(device) / 2**20)
                if round_ >= 3:
                    times[name].append(ms)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians[f"rslcore:{engines[0]}"]
    return {
        "case": f"update {shape}, {'bf16' if bf16 else 'tf32' if tf32 else 'float32'}",
        "ms": {name: round(ms, 3) for name, ms in medians.items()},
        "spread_ms": {name: [round(min(values), 3), round(max(values), 3)] for name, values in times.items()},
        "rsl_rl_over_rslcore": round(medians["rsl_rl"] / ours, 2),
        "peak_mib": {name: round(peak, 1) for name, peak in peaks.items()},
    }


def main() -> None:
    """Measure all shapes and precisions."""
    made = parser(__doc__)
    made.add_argument("--shapes", nargs="+", choices=SHAPES, default=["S", "M", "XS"])
    options = made.parse_args()
    device = require_device(options.device)
    rounds = 2 if options.small else 15
    rows = []
    for shape in options.shapes:
        for tf32, bf16 in ((True, False), (False, False), (True, True)):
            rows.append(measure(shape, tf32, bf16, device, rounds, options.small))
    finish("update", device, rows, options.out)


if __name__ == "__main__":
    main()
