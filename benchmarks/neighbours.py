# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Training beside programs that keep cores busy: rslcore's choice of threads, fixed numbers of threads, and its peers.

    python benchmarks/neighbours.py                                 # all jobs beside 0, 1, 2 and 4 neighbours
    python benchmarks/neighbours.py --jobs XS --neighbours 0 1 --rounds 5
    python benchmarks/neighbours.py --json >benchmarks/results/neighbours.json

A neighbour is a process that never sleeps. XS and M are the jobs of `train_iteration.py`, half-cheetah a shortened
training of `half_cheetah.py`, "simulator" the physics of its environment alone, whose number of threads is fixed when
it is built. All trainers take turns of some seconds; means of a turn are taken, as what a neighbour
costs comes in rare, long waits, and the median over the turns. "2 of 2" holds rslcore to both threads
(RSLCORE_THREADS=all), "1" to one, and without a number it chooses. The last line says what counts: the time against
the better of the two fixed numbers.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from _peers.job import SHAPES
from _peers.measure import Peer, sum_of
from train_iteration import machine

JOBS = ("XS", "M", "half-cheetah", "simulator")
WARM_UP = 3
"""Iterations at the beginning of a turn that are not counted: the neighbours are new."""


class Trainer(NamedTuple):
    """A package on a number of threads."""

    name: str
    package: str
    threads: int
    all_threads: bool = False

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """What its process inherits."""
        os.environ["RSLCORE_THREADS"] = "all" if self.all_threads else "measured"
        yield
        del os.environ["RSLCORE_THREADS"]


def trainers(packages: list[str], threads: int) -> list[Trainer]:
    """Every package on all threads and on one; rslcore also as it chooses."""
    chosen = []
    for package in packages:
        if package == "rslcore":
            chosen.append(Trainer("rslcore", package, threads))
        chosen += [
            Trainer(f"{package}, {threads} of {threads}", package, threads, all_threads=True),
            Trainer(f"{package}, 1", package, 1),
        ]
    return chosen


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that keep cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.2 if count else 0.0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def turn(peer: Peer, seconds: float) -> dict[str, float]:
    """Mean milliseconds of the iterations of a turn."""
    for _ in range(WARM_UP):
        peer.iterate()
    end, records = time.perf_counter() + seconds, []
    while time.perf_counter() < end or not records:
        records.append(peer.iterate())
    return {
        "update": statistics.fmean(record["seconds"]["update"] for record in records) * 1e3,
        "total": statistics.fmean(map(sum_of, records)) * 1e3,
    }


def iterations(job: str, who: list[Trainer], counts: list[int], rounds: int, seconds: float) -> dict[int, Any]:
    """Turns of all trainers on a job of `train_iteration.py`, by number of neighbours."""
    peers: dict[str, Peer] = {}
    try:
        for trainer in who:
            with trainer.environment():
                peers[trainer.name] = Peer(trainer.package, SHAPES[job], "stream", trainer.threads, 0)
                peers[trainer.name].iterate()
        turns: dict[int, Any] = {count: {trainer.name: [] for trainer in who} for count in counts}
        for _ in range(rounds):
            for count in counts:
                with neighbours(count):
                    for trainer in who:
                        turns[count][trainer.name].append(turn(peers[trainer.name], seconds))
        return turns
    finally:
        for peer in peers.values():
            peer.stop()


def half_cheetah(who: list[Trainer], counts: list[int], rounds: int, length: int) -> dict[int, Any]:
    """Trainings of so many iterations of all trainers, by number of neighbours; milliseconds per iteration."""
    script = Path(__file__).with_name("half_cheetah.py")
    turns: dict[int, Any] = {count: {trainer.name: [] for trainer in who} for count in counts}
    for seed in range(rounds):
        for count in counts:
            with neighbours(count):
                for trainer in who:
                    with trainer.environment(), tempfile.TemporaryDirectory() as folder:
                        command = [sys.executable, str(script), "--library", trainer.package, "--seed", str(seed)]
                        command += ["--threads", str(trainer.threads), "--iterations", str(length), "--output", folder]
                        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                        record = json.loads((Path(folder) / f"{trainer.package}_seed{seed}.json").read_text())
                    turns[count][trainer.name].append(
                        {
                            "update": record["seconds_of"]["returns and update"] * 1e3 / length,
                            "total": record["train_seconds"] * 1e3 / length,
                            "simulator": record["seconds_of"]["simulator"] * 1e3 / length,
                        }
                    )
    return turns


def simulator(threads: int, counts: list[int], rounds: int, seconds: float) -> dict[int, Any]:
    """Milliseconds of a physics step of 64 half-cheetahs on all threads and on one, by number of neighbours."""
    from rslcore import tasks

    envs = {
        f"rslcore, {name}": tasks.get("half-cheetah").make_env(64, seed=0, num_threads=number)
        for name, number in ((f"{threads} of {threads}", threads), ("1", 1))
    }
    turns: dict[int, Any] = {count: {"rslcore": [], **{name: [] for name in envs}} for count in counts}
    for _ in range(rounds):
        for count in counts:
            with neighbours(count):
                for name, env in envs.items():
                    start, steps = time.perf_counter(), 0
                    while time.perf_counter() < start + seconds:
                        env.batch.step(nstep=env.decimation)
                        steps += 1
                    took = (time.perf_counter() - start) * 1e3 / steps
                    turns[count][name].append({"update": 0.0, "total": took})
        for by_name in turns.values():
            by_name["rslcore"] = by_name[f"rslcore, {threads} of {threads}"]  # what an environment takes by itself
    return turns


def summary(turns: dict[int, Any], threads: int) -> dict[str, Any]:
    """Medians over the turns, and rslcore's choice against its better fixed number of threads."""
    result: dict[str, Any] = {}
    for count, by_trainer in turns.items():
        rows = {
            name: {phase: statistics.median(x[phase] for x in values) for phase in values[0]}
            for name, values in by_trainer.items()
        }
        fixed = [rows[name] for name in (f"rslcore, {threads} of {threads}", "rslcore, 1") if name in rows]
        result[str(count)] = {
            "ms": rows,
            "against_best_fixed": {
                phase: rows["rslcore"][phase] / min(row[phase] for row in fixed)
                for phase in ("update", "total")
                if rows["rslcore"][phase]
            }
            if fixed
            else None,
            "turns": by_trainer,
        }
    return result


def table(job: str, result: dict[str, Any]) -> str:
    """One job as text."""
    lines = [
        f"{job}: mean ms of a turn, median over the turns",
        f"  {'':<20}{'neighbours':>11}{'update':>10}{'total':>10}",
    ]
    for count, entry in result.items():
        for name, row in entry["ms"].items():
            lines.append(f"  {name:<20}{count:>11}{row['update']:>10.1f}{row['total']:>10.1f}")
        if (ratio := entry["against_best_fixed"]) is not None:
            phases = ", ".join(f"{phase} {value:.2f}" for phase, value in ratio.items())
            lines.append(f"  rslcore against its better fixed number: {phases}")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--packages", nargs="+", default=["rslcore", "rsl_rl", "skrl"], help="half-cheetah: not skrl")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch; default: all cores")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every trainer")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--iterations", type=int, default=40, help="of half-cheetah")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    os.environ["OMP_WAIT_POLICY"] = "passive"  # or the trainers whose turn it is not would spin
    results = {}
    for job in arguments.jobs:
        known = [package for package in arguments.packages if job != "half-cheetah" or package != "skrl"]
        who = trainers(known, arguments.threads)
        if job == "half-cheetah":
            turns = half_cheetah(who, arguments.neighbours, arguments.rounds, arguments.iterations)
        elif job == "simulator":
            turns = simulator(arguments.threads, arguments.neighbours, arguments.rounds, arguments.seconds)
        else:
            turns = iterations(job, who, arguments.neighbours, arguments.rounds, arguments.seconds)
        results[job] = summary(turns, arguments.threads)
        if not arguments.json:
            print(table(job, results[job]), flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine([arguments.threads], "passive"), "results": results}, indent=1))


if __name__ == "__main__":
    main()
