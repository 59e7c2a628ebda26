# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""All that a machine with an NVIDIA GPU can tell about rslcore, in one command: is it right, and how fast is it.

    python benchmarks/gpu/run.py                        # tests, sanitizer, all benchmarks; about 20 minutes
    python benchmarks/gpu/run.py --only update rollout
    python benchmarks/gpu/run.py --out results/mine

Writes one JSON document per benchmark, with card, driver, clocks, date and command, the output of the tests, and
`summary.json` with the figures of the table in docs/gpu-status.md. Without a GPU it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from _card import machine, require_device

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BENCHMARKS = ("operators", "rollout", "update", "end_to_end")
TESTS = ("tests", "sanitizer")

GOALS = {
    "update S, tf32": ("update", "rsl_rl_over_rslcore", "8 times rsl_rl; goal 12 times, below 10 ms"),
    "gae 24 x 4,096": ("operators", "us_in_graph", "5 us; goal 3 us"),
    "gae 128 x 1,048,576": ("operators", "of_copy_bandwidth", "65% of copy bandwidth; goal 80%"),
    "update_and_normalize": ("operators", "of_copy_bandwidth", "60% of copy bandwidth; goal 75%"),
    "shuffle_rows": ("operators", "of_copy_bandwidth", "60% of copy bandwidth; goal 75%"),
    "rollout S": ("rollout", "us", "100 us per env step; goal 40 us"),
    "cart-pole": ("end_to_end", "env_steps_per_second", "10 million env steps/s; goal 30 million"),
}
"""Start of a case, the benchmark and the figure that answer it, and what an H200 should show."""


def run_tests(out: Path, sanitizer: bool) -> dict[str, Any]:
    """Run the GPU tests, or those of the operators under compute-sanitizer; their output goes into a file."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu"]
    name = "sanitizer" if sanitizer else "tests"
    if sanitizer:
        tool = shutil.which("compute-sanitizer")
        if tool is None:
            return {"skipped": "there is no compute-sanitizer on the PATH (it comes with the CUDA toolkit)"}
        command = [tool, "--error-exitcode", "9", *command, "tests/ops", "-k", "not reduce_overhead"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    except subprocess.TimeoutExpired:
        return {"command": " ".join(command), "error": "not finished after an hour"}
    (out / f"{name}.txt").write_text(done.stdout + done.stderr)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    return {"command": " ".join(command), "exit_code": done.returncode, "last_line": last}


def run_benchmark(name: str, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark in a process of its own."""
    file = out / f"{name}.json"
    command = [sys.executable, str(HERE / f"{name}.py"), "--out", str(file), "--device", options.device]
    command += ["--small"] if options.small else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        return {"command": " ".join(command), "exit_code": done.returncode, "last_line": _last_line(done.stderr)}
    return {"command": " ".join(command), "exit_code": 0, "rows": json.loads(file.read_text())["rows"]}


def table(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures that were asked for, and those that were not measured."""
    lines = []
    for case, (benchmark, figure, goal) in GOALS.items():
        rows = [row for row in results.get(benchmark, {}).get("rows", []) if row["case"].startswith(case)]
        measured = {row["case"]: row[figure] for row in rows} or "not measured"
        lines.append({"what": case, "figure": figure, "goal on an H200": goal, "measured": measured})
    return lines


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def main() -> None:
    """Run everything that was asked for."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "gpu")
    made.add_argument("--only", nargs="+", choices=(*TESTS, *BENCHMARKS), default=[*TESTS, *BENCHMARKS])
    made.add_argument("--device", default="cuda")
    made.add_argument("--small", action="store_true", help="tiny sizes, to try it out")
    options = made.parse_args()
    device = require_device(options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for name in options.only:
        print(f"== {name}", flush=True)
        if name in TESTS:
            results[name] = run_tests(options.out, sanitizer=name == "sanitizer")
        else:
            results[name] = run_benchmark(name, options.out, options)
        told = {key: value for key, value in results[name].items() if key != "rows"}
        print(json.dumps(told), flush=True)
    summary = {"machine": machine(device), "table": table(results), "runs": results}
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for line in summary["table"]:
        print(f"{line['what']:<24} {line['figure']:<22} {line['goal on an H200']:<44} {line['measured']}")
    if any(result.get("exit_code", 0) != 0 or "error" in result for result in results.values()):
        sys.exit("Something failed: see above and the files in " + str(options.out))


if __name__ == "__main__":
    main()
