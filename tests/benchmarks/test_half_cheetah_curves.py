# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/half_cheetah.py: curves, trials that are shorter than an episode, and the comparison of times."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "half_cheetah.py"


@pytest.fixture
def script(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location("half_cheetah_curves", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Recorder:
    """What a curve is made of."""

    def __init__(self, finished, env_steps):
        """Steps of 64 environments, half a second each."""
        self.finished, self.env_steps, self.num_envs = finished, env_steps, 64
        self.clock = [0.5 * (step + 1) for step in range(env_steps // 64)]


def test_no_finished_episode_is_an_empty_curve(script):
    """A trial that ends before its first episode has no points and no final return."""
    assert script.curve(Recorder([], 1536)) == {"env_steps": [], "mean_return": [], "seconds": []}
    assert script.mean_of_last([]) is None
    points = script.curve(Recorder([(100, 1.0), (200, 2.0)], 1536))
    assert points == {"env_steps": [1536], "mean_return": [1.5], "seconds": [12.0]}


def test_only_whole_episodes_count(script):
    """An episode that began before the recorder did is left out; the next one is counted with its own return."""
    pytest.importorskip("mjbatch")
    env = script.EpisodeRecorder(script.tasks.get("half-cheetah").make_env(2, seed=0))
    env.episode_length_buf = torch.tensor([0, 998])
    returns = torch.zeros(2, dtype=torch.float64)
    expected = []
    for step in range(1, 1003):
        _, rewards, dones, _ = env.step(torch.zeros(2, 6))
        returns += rewards
        if step in (1000, 1002):
            expected.append((2 * step, returns[dones].item()))
        returns[dones] = 0.0
    assert env.finished == expected


def run(returns, seconds, train_seconds=10.0, first_step=64):
    """A record with what a comparison reads."""
    steps = [first_step + 64 * index for index in range(len(returns))]
    curve = {"env_steps": steps, "mean_return": returns, "seconds": seconds}
    return {"train_seconds": train_seconds, "seconds_of": {"simulator": train_seconds / 2}, "curve": curve}


def test_a_return_is_reached_on_the_line_between_two_points(script):
    """The first crossing counts, even where the curve falls again; a return never reached has no time."""
    curve = run([-100.0, 100.0, 50.0, 200.0], [1.0, 3.0, 5.0, 6.0])["curve"]
    times = [script._wall_clock.seconds_to(curve, target) for target in (-200.0, 0.0, 100.0, 125.0, 201.0)]
    assert times == [1.0, 2.0, 3.0, 5.5, None]


def test_the_median_curve_is_that_of_every_point(script):
    """Return and seconds are medians by themselves; a point that not all runs have is left out."""
    runs = [run([1.0, 5.0, 9.0], [1.0, 2.0, 3.0]), run([2.0, 3.0, 4.0], [4.0, 5.0, 9.0]), run([3.0, 4.0], [2.0, 3.0])]
    expected = {"env_steps": [64, 128], "mean_return": [2.0, 4.0], "seconds": [2.0, 3.0]}
    assert script._wall_clock.median_curve(runs) == expected


def test_returns_are_shares_of_the_lower_final_median(script):
    """Both median curves reach all of them; ratios are times of rsl_rl over those of rslcore."""
    theirs = [run([0.0, 100.0], [10.0, 20.0], 30.0), run([0.0, 300.0], [10.0, 20.0], 30.0)]
    ours = [run([0.0, 400.0], [5.0, 9.0], 10.0)] * 2
    compared = script._wall_clock.compare({"rsl_rl": theirs, "rslcore": ours})
    assert compared["whole_training"]["ratio"] == 3.0
    assert compared["seconds_of"] == {"simulator": {"rsl_rl": 15.0, "rslcore": 5.0}}
    assert [entry["return"] for entry in compared["to_return"]] == [100.0, 150.0, 180.0]
    half = compared["to_return"][0]
    assert half["seconds"] == {"rsl_rl": 15.0, "rslcore": 6.0} and half["ratio"] == 2.5
    assert half["each_seed"] == {"rsl_rl": [20.0, 13.33], "rslcore": [6.0, 6.0]}
    assert compared["to_return"][1]["each_seed"]["rsl_rl"] == [None, 15.0]
    assert "to a return of 150            rsl_rl: never, 15.0" in script._wall_clock.table(compared)


@pytest.mark.parametrize("returns", [[], [-300.0, -200.0]])
def test_without_a_positive_return_nothing_is_timed(script, returns):
    """A trial without whole episodes, or before anything is learned, is compared by its seconds alone."""
    runs = {library: [run(returns, [1.0, 2.0][: len(returns)])] for library in ("rsl_rl", "rslcore")}
    compared = script._wall_clock.compare(runs)
    assert compared["to_return"] == [] and compared["whole_training"]["ratio"] == 1.0
    assert "too short" in script._wall_clock.table(compared)


def test_wall_clock_document(script, monkeypatch, capsys):
    """Both libraries train with every seed, and all that was measured is one JSON object; nothing else is written."""
    pytest.importorskip("mjbatch")
    pytest.importorskip("rsl_rl")
    before = sorted((SCRIPT.parent / "results").rglob("*"))
    arguments = ["--wall-clock", "--seeds", "3", "--iterations", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["half_cheetah.py", *arguments])
    script.main()
    document = json.loads(capsys.readouterr().out)
    assert document["seeds"] == [3] and document["cfg"]["num_steps_per_env"] == 24
    assert {library: len(records) for library, records in document["runs"].items()} == {"rsl_rl": 1, "rslcore": 1}
    assert document["runs"]["rsl_rl"][0]["version"] != document["runs"]["rslcore"][0]["version"]
    assert document["whole_training"]["seconds"]["rslcore"] == document["runs"]["rslcore"][0]["train_seconds"]
    assert sorted((SCRIPT.parent / "results").rglob("*")) == before


def test_a_trial_tells_where_its_time_went(script):
    """The parts are those of the training, and the engine is named."""
    pytest.importorskip("mjbatch")
    record = script.train("rslcore", 0, 2, 1)
    assert sum(record["seconds_of"].values()) == pytest.approx(record["train_seconds"], abs=0.1)
    assert all(seconds >= 0 for seconds in record["seconds_of"].values())
    assert record["engine"]


@pytest.mark.parametrize("arguments", [["--iterations", "1"], ["--iterations", "0", "--output", "x"]])
def test_a_trial_needs_a_folder_of_its_own(script, monkeypatch, capsys, arguments):
    """A trial must not replace a result."""
    monkeypatch.setattr(sys, "argv", ["half_cheetah.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        script.main()
    assert "--iterations must be at least 1, and needs --output" in capsys.readouterr().err
