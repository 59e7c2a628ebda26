# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The machine's peak of float32 fused multiply-adds, measured in registers by a small C++ program.

python benchmarks/_peak.py [THREADS ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("_peak.cpp")


def fma_peak(threads: int, seconds: float = 1.0) -> float | None:
    """Measure FLOP/s on a number of threads, a multiply-add counted as two; None without a C++ compiler."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        for native in ("-march=native", "-mcpu=native"):
            command = [compiler, "-std=c++20", "-O3", native, "-ffp-contract=fast", "-pthread", SOURCE, "-o", program]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                break
        else:
            return None
        result = subprocess.run([program, str(threads), str(seconds)], capture_output=True, text=True, check=True)
    return float(result.stdout)


if __name__ == "__main__":
    for count in [int(argument) for argument in sys.argv[1:]] or [1, os.cpu_count() or 1]:
        peak = fma_peak(count)
        print(f"{count} threads: " + (f"{peak / 1e9:.1f} GFLOP/s" if peak else "no C++ compiler found"))
