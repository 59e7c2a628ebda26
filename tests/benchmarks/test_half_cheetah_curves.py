# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/half_cheetah.py: trials that are shorter than an episode, and where they may go."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "half_cheetah.py"


@pytest.fixture
def script():
    """The script as a module."""
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


def test_seconds_to_a_return_are_those_of_the_first_window_that_reached_it(script):
    """The clock is read at the end of the window, in which all steps count; a return never reached has no time."""
    finished = [(24_000, -100.0), (24_576, -50.0), (30_000, 10.0), (73_728, 5.0)]
    run = {"curve": script.curve(Recorder(finished, 73_728))}
    assert run["curve"]["seconds"] == [192.0, 384.0, 576.0]
    assert [script.seconds_to(run, target) for target in (-75.0, 5.0, 10.0, 11.0)] == [192.0, 384.0, 384.0, None]


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
