# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/train_iteration.py: it times what it says, and refuses to compare different jobs."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("needs the benchmarks of the source tree", allow_module_level=True)


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The benchmark's modules can be imported, as when its script runs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def module(name):
    """One module of the benchmark."""
    return importlib.import_module(f"_peers.{name}")


def test_floating_point_operations_of_a_layer_by_layer_count():
    """Forward, gradient of every weight, gradient of every input but the first layer's; two per multiply-add."""
    shape = module("job").SHAPES["XS"]
    actor, critic = 48 * 64 + 64 * 64 + 64 * 12, 48 * 64 + 64 * 64 + 64
    first = 2 * 48 * 64
    per_sample = 2 * (actor + critic), 2 * (2 * (actor + critic) - first)
    assert shape.flops() == {"rollout": per_sample[0] * 64 * 24, "update": sum(per_sample) * 64 * 24 * 5}


def test_recurrent_and_image_layers_have_the_width_of_what_is_before_them():
    """Four gates see input and state; convolutions without padding leave 15x15, then 6x6 pixels."""
    shapes = module("job").SHAPES
    assert shapes["R"].products(12)[:3] == [(4 * 256 * 48, False), (4 * 256 * 256, True), (256 * 128, True)]
    convolutions = [(15 * 15 * 16 * 64, False), (6 * 6 * 32 * 16 * 16, True), (6 * 6 * 32 * 128, True)]
    assert shapes["V"].products(12)[:3] == convolutions


def test_the_clock_gives_every_moment_to_one_phase(monkeypatch):
    """Phases are entered by calls of methods of a class, and add up to the iteration."""
    now = [100.0]
    monkeypatch.setattr(module("clock").time, "perf_counter", lambda: now[0])
    clock = module("clock").Clock()

    def wait(seconds):
        now[0] += seconds

    class Algorithm:
        def compute_returns(self):
            wait(2.0)

        def update(self):
            wait(4.0)

    class Logger:
        def log(self):
            wait(8.0)

    seen = []
    clock.between = lambda: seen.append(dict(clock.seconds))
    clock.time(Algorithm, "compute_returns", phase="returns", then="rest")
    clock.time(Algorithm, "update", phase="update", then="rest")
    clock.ends_with(Logger, "log")
    clock.start()
    wait(1.0)
    Algorithm().compute_returns()
    Algorithm().update()
    Logger().log()
    assert seen == [{"rollout": 1.0, "returns": 2.0, "update": 4.0, "rest": 8.0}]


def peer(name, **changes):
    """A trainer that has taken one iteration of shape XS."""
    job = module("job")
    record = {"gradient_steps": 20, "rows": [384] * 20, "smallest_change": 1e-3} | changes
    about = {"parameters": changes.get("parameters", 16_000), "gradient_steps_expected": 20}
    return SimpleNamespace(name=name, shape=job.SHAPES["XS"], about=about, records=[record])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parameters": 15_999}, "parameters must be 16000, got 15999"),
        ({"gradient_steps": 19}, "gradient steps per iteration must be 20, got 19"),
        ({"rows": [383] * 20}, "samples per minibatch must be"),
        ({"smallest_change": 0.0}, "a parameter has not changed"),
        ({"smallest_change": float("nan")}, "a parameter has not changed"),
    ],
)
def test_different_jobs_are_not_compared(changes, message):
    """Fewer parameters, steps or samples, or a parameter that learns nothing, end the benchmark."""
    measure = module("measure")
    measure.check_same([peer("a"), peer("b")])
    with pytest.raises(measure.JobsDifferError, match=message):
        measure.check_same([peer("a"), peer("b", **changes)])


def test_ratios_are_against_the_fastest_of_the_others():
    """In every phase apart; on the same number of threads, and each on the one that suits it best."""
    measure = module("measure")

    def summary(name, update, threads=2):
        phases = {phase: {"median_ms": 1.0} for phase in measure.PHASES} | {"update": {"median_ms": update}}
        return {"peer": name, "threads": threads, "phases": phases}

    peers = [summary("rslcore", 10.0), summary("rsl_rl", 40.0), summary("skrl", 30.0)]
    peers += [summary("rslcore", 19.0, 1), summary("rsl_rl", 25.0, 1), summary("skrl", 38.0, 1)]
    ratios = measure.ratios(peers)
    assert ratios["rslcore on 2 threads"]["update"] == {"ratio": 3.0, "against": "skrl"}
    assert ratios["rslcore on 1 threads"]["update"] == {"ratio": 25.0 / 19.0, "against": "rsl_rl"}
    best = ratios["rslcore, each on its best number of threads"]
    assert best["update"] == {"ratio": 2.5, "against": "rsl_rl"}
    assert ratios["rslcore from 1 to 2 threads"]["update"] == {"ratio": 1.9}


def test_a_small_run_has_all_figures(monkeypatch, capsys):
    """Two packages do the same job in turns, and everything that is promised is in the JSON."""
    script = importlib.import_module("train_iteration")
    monkeypatch.setattr(script, "fma_peak", lambda threads: 1e11)
    arguments = ["--shapes", "XS", "--peers", "rslcore", "rsl_rl", "--iterations", "2", "--threads", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["train_iteration.py", *arguments])
    script.main()
    document = json.loads(capsys.readouterr().out)
    assert document["machine"]["fma_peak_flops_per_second"] == {"1": 1e11}
    (result,) = document["results"]
    assert [entry["peer"] for entry in result["peers"]] == ["rslcore", "rsl_rl"]
    for entry in result["peers"]:
        assert entry["parameters"] == 15_449
        assert entry["gradient_steps"] == 20
        assert entry["samples_per_minibatch"] == 384
        assert entry["env_steps_per_second"] > 0
        assert entry["update_gemm_flops_per_second"] > 0
        assert entry["peak_memory_mb"] >= entry["memory_before_mb"] > 0
        for phase in ("rollout", "returns", "update", "total", "environment"):
            low, high = entry["phases"][phase]["range_ms"]
            assert 0 < low <= entry["phases"][phase]["median_ms"] <= high
    assert set(result["ratios"]["rslcore on 1 threads"]) >= {"rollout", "returns", "update", "total"}
    assert "rsl_rl" in script.table(result, document["machine"])
