# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runs trainers in turns, refuses those that do not do the same job, and sums up what they took."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
from typing import Any

from _peers.job import SHAPES, Shape
from _peers.worker import Task, run

PHASES = ("rollout", "returns", "update", "rest", "total", "environment")
"""What is reported of an iteration; "environment" is a part of "rollout", "total" all but it is the sum of the rest."""
PATIENCE = 2.0
"""Seconds of a first iteration after which whoever watches is told how long it took."""
WARM_UP = 2
"""Iterations that are not timed, unless told otherwise: the first one is also the one that is checked."""
SHORT = 0.5
"""Seconds. Where all trainers' iterations are shorter, a turn begins with one that is not timed: in training an
iteration follows the last one at once, and finds caches, clocks and threads as that one left them."""


class JobsDifferError(Exception):
    """Two trainers do not do the same job."""


class Peer:
    """One trainer in its process."""

    def __init__(self, name: str, shape: Shape, environment: str, threads: int, seed: int) -> None:
        """Start the process; `name` is a package, or package:variant."""
        self.name, self.shape, self.threads = name, shape, threads
        package, _, variant = name.partition(":")
        context = multiprocessing.get_context("spawn")
        self._connection, child = context.Pipe()
        os.environ["OMP_NUM_THREADS"] = str(threads)  # inherited; read when the library is loaded
        self._process = context.Process(
            target=run,
            args=(child, Task(package, variant or None, shape.name, environment, threads, seed)),
            daemon=True,
        )
        self._process.start()
        child.close()
        self.about: dict[str, Any] = self._receive()
        self.records: list[dict[str, Any]] = []

    def iterate(self, *, resume: bool = False) -> dict[str, Any]:
        """Let it take one iteration, and where it is to `resume` after a pause, one before that is not recorded."""
        if resume:
            self._connection.send("run")
            self._receive()
        self._connection.send("run")
        self.records.append(self._receive())
        return self.records[-1]

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._connection.send("stop")
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._connection.recv()
        except EOFError:
            message = {"failed": "its process ended"}
        if "failed" in message:
            raise RuntimeError(f"{self.name}, shape {self.shape.name}: {message['failed']}")
        return message


def check_same(peers: list[Peer]) -> None:
    """Raise JobsDifferError unless all trainers have learned equally much from equally many samples."""
    first = peers[0]
    for peer in peers:
        record = peer.records[-1]
        for what, value, expected in (
            ("parameters", peer.about["parameters"], first.about["parameters"]),
            ("gradient steps per iteration", record["gradient_steps"], peer.about["gradient_steps_expected"]),
            ("samples per minibatch", record["rows"], [peer.shape.rows] * peer.about["gradient_steps_expected"]),
        ):
            if value is not None and value != expected:
                raise JobsDifferError(f"{peer.name}, shape {peer.shape.name}: {what} must be {expected}, got {value}")
        if not record["smallest_change"] > 0:
            raise JobsDifferError(f"{peer.name}, shape {peer.shape.name}: a parameter has not changed")


def measure(
    shape_name: str,
    names: list[str],
    environment: str,
    threads: list[int],
    iterations: int | None,
    seed: int,
    warm_up: int = WARM_UP,
) -> dict[str, Any]:
    """Time all trainers on one shape, in turns, at every number of threads.

    Returns:
        A plain dictionary: the job, and under "peers" one summary per trainer and number of threads.
    """
    shape = SHAPES[shape_name]
    peers: list[Peer] = []
    try:
        peers.extend(Peer(name, shape, environment, count, seed) for count in threads for name in names)
        short = False
        for number in range(warm_up + (iterations or shape.iterations)):
            for peer in peers:
                record = peer.iterate(resume=short)
                if not number and sum_of(record) > PATIENCE:
                    print(f"{shape.name} {peer.name}: first iteration {sum_of(record):.1f} s", file=sys.stderr)
            check_same(peers)
            short = max(sum_of(peer.records[-1]) for peer in peers) < SHORT
        return {
            "shape": shape.name,
            "environment": environment,
            "num_envs": shape.num_envs,
            "hidden": list(shape.hidden),
            "rnn": shape.rnn,
            "observation": list(shape.observation),
            "flops": shape.flops(),
            "seed": seed,
            "iterations": iterations or shape.iterations,
            "warm_up": warm_up,
            "peers": [summary(peer, warm_up) for peer in peers],
        }
    finally:
        for peer in peers:
            peer.stop()


def sum_of(record: dict[str, Any]) -> float:
    """Seconds of a whole iteration."""
    return sum(record["seconds"][phase] for phase in ("rollout", "returns", "update", "rest"))


def summary(peer: Peer, warm_up: int) -> dict[str, Any]:
    """Medians and spread of one trainer."""
    timed = peer.records[warm_up:]
    phases = {}
    for phase in PHASES:
        values = [sum_of(record) if phase == "total" else record["seconds"][phase] for record in timed]
        quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        phases[phase] = {
            "median_ms": quartiles[1] * 1e3,
            "quartiles_ms": [quartiles[0] * 1e3, quartiles[2] * 1e3],
            "range_ms": [min(values) * 1e3, max(values) * 1e3],
        }
    update, flops = phases["update"]["median_ms"] / 1e3, peer.shape.flops()
    return {
        "peer": peer.name,
        "version": peer.about["version"],
        "description": timed[-1]["description"],
        "threads": peer.threads,
        "phases": phases,
        "env_steps_per_second": peer.shape.samples / (phases["total"]["median_ms"] / 1e3),
        "update_gemm_flops_per_second": flops["update"] / update,
        "parameters": peer.about["parameters"],
        "gradient_steps": timed[-1]["gradient_steps"],
        "samples_per_minibatch": peer.shape.rows if peer.records[0]["rows"] else None,
        "peak_memory_mb": peer.records[-1]["peak_memory"] / 1e6,
        "memory_before_mb": peer.about["memory_before"] / 1e6,
    }


def ratios(peers: list[dict[str, Any]]) -> dict[str, Any]:
    """How many times faster rslcore is than the fastest of the others, by phase, and what more threads bring to each.

    Trainers are compared on the same number of threads, and where there are several, each on its best one.
    """
    result: dict[str, Any] = {}
    threads = sorted({peer["threads"] for peer in peers})
    ours, others = ([p for p in peers if p["peer"].startswith("rslcore") == own] for own in (True, False))
    for peer in ours:
        rivals = [other for other in others if other["threads"] == peer["threads"]]
        result[f"{peer['peer']} on {peer['threads']} threads"] = advantage([peer], rivals)
    if len(threads) > 1:
        for name in dict.fromkeys(peer["peer"] for peer in ours):
            same = [peer for peer in ours if peer["peer"] == name]
            result[f"{name}, each on its best number of threads"] = advantage(same, others)
        for name in dict.fromkeys(peer["peer"] for peer in peers):
            few, many = (
                fastest([p for p in peers if (p["peer"], p["threads"]) == (name, n)], "total")
                for n in (threads[0], threads[-1])
            )
            result[f"{name} from {threads[0]} to {threads[-1]} threads"] = {
                phase: {"ratio": median(few, phase) / median(many, phase)} for phase in ("rollout", "update", "total")
            }
    return result


def advantage(ours: list[dict[str, Any]], others: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratio of the fastest of the others to the fastest of ours, by phase."""
    entry: dict[str, Any] = {}
    for phase in PHASES[:-1] if others else ():
        own, best = fastest(ours, phase), fastest(others, phase)
        entry[phase] = {"ratio": median(best, phase) / median(own, phase), "against": best["peer"]}
    return entry


def fastest(peers: list[dict[str, Any]], phase: str) -> dict[str, Any]:
    """The summary with the smallest median."""
    return min(peers, key=lambda peer: median(peer, phase))


def median(peer: dict[str, Any], phase: str) -> float:
    """Median of a phase in milliseconds."""
    return peer["phases"][phase]["median_ms"]
