# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""One iteration of PPO by rslcore and by its peers: the same job on an environment that costs nothing, in turns.

    python benchmarks/train_iteration.py --shapes XS M S            # a table
    python benchmarks/train_iteration.py --shapes M --peers rslcore rsl_rl --iterations 5
    python benchmarks/train_iteration.py --shapes XS --threads 1 2  # what the second core brings
    python benchmarks/train_iteration.py --shapes S --json >benchmarks/results/train_iteration/S.json
    python benchmarks/train_iteration.py --plot                     # the picture of those files

Every trainer runs the public training loop of its package in a process of its own, and takes one iteration per round.
A peer is a package, or package:variant: `rsl_rl:compile` runs its models through torch.compile, `rslcore:eager` forces
an engine. It is checked, and the benchmark ends where it is not so, that all have the same number of parameters, take
as many gradient steps on as many samples, and that every parameter changes in every iteration.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from _peak import fma_peak
from _peers import measure, picture
from _peers.job import SHAPES

RESULTS = Path(__file__).parent / "results"
PEERS = ("rslcore", "rsl_rl", "skrl", "rl_games")


def peaks(threads: list[int], before: dict[str, float | None]) -> dict[str, float | None]:
    """Peak at every number of threads, or what was measured before where that is more: the machine may be busy."""
    return {str(count): max(fma_peak(count) or 0.0, before.get(str(count)) or 0.0) or None for count in threads}


def machine(threads: list[int], wait_policy: str) -> dict[str, Any]:
    """What the figures depend on."""
    with open("/proc/cpuinfo") as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "fma_peak_flops_per_second": peaks(threads, {}),
        "OMP_WAIT_POLICY": wait_policy,
        "git_revision": commit.stdout.strip(),
        "command": " ".join(["python", *sys.orig_argv[1:]]),
    }


def table(result: dict[str, Any], about: dict[str, Any]) -> str:
    """One shape as text."""
    lines = [
        f"{result['shape']}: {result['num_envs']:,} environments ({result['environment']}), "
        f"{result['iterations']} iterations; medians in ms",
        f"  {'':<18}{'threads':>7}{'rollout':>10}{'(of it env)':>12}{'returns':>9}{'update':>10}{'quartiles':>19}"
        f"{'rest':>7}{'total':>10}{'steps/s':>11}{'GFLOP/s':>9}{'of peak':>8}{'peak MB':>9}",
    ]
    for peer in result["peers"]:
        median = {phase: values["median_ms"] for phase, values in peer["phases"].items()}
        low, high = peer["phases"]["update"]["quartiles_ms"]
        peak = about["fma_peak_flops_per_second"].get(str(peer["threads"]))
        share = f"{peer['update_gemm_flops_per_second'] / peak:.0%}" if peak else "-"
        spread = f"{low:.1f}..{high:.1f}"
        lines.append(
            f"  {peer['peer']:<18}{peer['threads']:>7}{median['rollout']:>10.2f}{median['environment']:>12.2f}"
            f"{median['returns']:>9.2f}{median['update']:>10.1f}{spread:>19}{median['rest']:>7.2f}"
            f"{median['total']:>10.1f}{peer['env_steps_per_second']:>11,.0f}"
            f"{peer['update_gemm_flops_per_second'] / 1e9:>9.1f}{share:>8}{peer['peak_memory_mb']:>9,.0f}"
        )
    for name, entry in result["ratios"].items():
        parts = [
            f"{phase} {value['ratio']:.2f}x" + (f" ({value['against']})" if "against" in value else "")
            for phase, value in entry.items()
            if phase != "rest"
        ]
        lines.append(f"  {name}: {', '.join(parts)}")
    lines += [f"  {peer['peer']} {peer['version']}: {peer['description']}" for peer in result["peers"]]
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["XS", "M", "S"])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), help=f"default: {' '.join(PEERS)}")
    parser.add_argument("--iterations", type=int, help="timed iterations of every trainer; by default by shape")
    parser.add_argument("--warm-up", type=int, default=measure.WARM_UP, help="iterations before; 1 is the least")
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="torch threads; several are compared")
    parser.add_argument(
        "--environment", choices=["stream", "cart-pole"], default="stream", help="default: prepared transitions"
    )
    parser.add_argument("--engine", help="engine of rslcore; the same as --peers rslcore:ENGINE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--omp-wait-policy", choices=["passive", "default"], default="passive", help="of all trainers' OpenMP threads"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--plot", action="store_true", help="draw the picture of the committed results and end")
    arguments = parser.parse_args()
    if arguments.plot:
        picture.draw(RESULTS / "train_iteration", RESULTS / "train_iteration.png")
        return
    if arguments.warm_up < 1 or (arguments.iterations or 1) < 1:
        parser.error("--warm-up and --iterations must be at least 1")
    os.environ.pop("OMP_WAIT_POLICY", None)
    if arguments.omp_wait_policy == "passive":  # "active" would let those spin whose turn it is not
        os.environ["OMP_WAIT_POLICY"] = "passive"
    names = [f"rslcore:{arguments.engine}" if arguments.engine and n == "rslcore" else n for n in arguments.peers]
    about = machine(arguments.threads, arguments.omp_wait_policy)
    results = []
    for shape in arguments.shapes:
        try:
            result = measure.measure(
                *(shape, names, arguments.environment, arguments.threads),
                *(arguments.iterations, arguments.seed, arguments.warm_up),
            )
        except measure.JobsDifferError as error:
            raise SystemExit(f"train_iteration: not comparable: {error}") from error
        result["ratios"] = measure.ratios(result["peers"])
        results.append(result)
        about["fma_peak_flops_per_second"] = peaks(arguments.threads, about["fma_peak_flops_per_second"])
        if not arguments.json:
            print(table(result, about), flush=True)
    if arguments.json:
        print(json.dumps({"machine": about, "results": results}, indent=1))


if __name__ == "__main__":
    main()
