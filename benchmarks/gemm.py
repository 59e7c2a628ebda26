# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The products of the CPU kernels' layers on rows in cache, as shares of the FMA peak measured beside them.

python benchmarks/gemm.py [--json] [--level avx512|avx2|baseline] [--threads N]

The best of 25 rounds, which other work on the machine disturbs least; the peak is that of the level's registers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLAGS = {
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "avx2": ["-march=x86-64-v3"],
    "baseline": ["-march=x86-64-v2"],
}
"""Compiler flags of the SIMD levels, as in cmake/RslcoreTargets.cmake."""
COLUMNS = ("forward", "input_gradient", "weight_gradient")


def shares(level: str, threads: int) -> list[dict]:
    """Run the measurement on that many processors at once; of each layer the smallest shares."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or "c++"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "gemm"
        options = ["-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", f"-DRSLCORE_SIMD={level}"]
        source = [f"-I{ROOT / 'csrc'}", Path(__file__).with_name("_gemm.cpp"), "-o", program]
        subprocess.run([compiler, *options, *FLAGS[level], *source], check=True)
        runs = [subprocess.Popen([program], stdout=subprocess.PIPE, text=True) for _ in range(threads)]
        outputs = [[line.split() for line in run.communicate()[0].splitlines()] for run in runs]
    return [
        {"layer": f"{lines[0][0]} -> {lines[0][1]}"}
        | {name: min(float(line[2 + i]) for line in lines) for i, name in enumerate(COLUMNS)}
        for lines in zip(*outputs, strict=True)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--level", choices=FLAGS, default="avx512")
    parser.add_argument("--threads", type=int, default=1, help="processors that measure at once")
    options = parser.parse_args()
    rows = shares(options.level, options.threads)
    if options.json:
        print(json.dumps({"level": options.level, "threads": options.threads, "rows": rows}, indent=2))
        return
    print(f"{'96 rows, layer':<16}" + "".join(f"{name:>17}" for name in COLUMNS))
    for row in rows:
        print(f"{row['layer']:<16}" + "".join(f"{row[name]:>17.0%}" for name in COLUMNS))


if __name__ == "__main__":
    main()
