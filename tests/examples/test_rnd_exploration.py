# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "examples" / "rnd_exploration.json"


@pytest.fixture
def example(monkeypatch):
    """The example as a module."""
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT / "examples")
    threads = torch.get_num_threads()
    yield importlib.import_module("rnd_exploration")
    torch.set_num_threads(threads)


def test_a_short_run(example, tmp_path, monkeypatch, capsys):
    """Law: training with and without RND runs, and leaves numbers, a picture and a summary."""
    numbers, picture = tmp_path / "out" / "numbers.json", tmp_path / "picture.png"
    arguments = ["--short", "--seeds", "3", "--json", str(numbers), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["rnd_exploration.py", *arguments])
    example.main()
    runs = json.loads(numbers.read_text())["runs"]
    assert [(one["model"], one["seed"]) for one in runs] == [("ppo", 3), ("rnd", 3)]
    assert all(0 < one["explored"][-1] <= 1 and sum(one["visits"]) == 6 * 16 * 32 for one in runs)
    assert picture.stat().st_size > 1000
    assert "PPO with RND  1 seeds" in capsys.readouterr().out


def test_the_maze(example):
    """Law: walls stop, the goal pays 1 and ends the episode, the time limit ends it too, and both start it anew."""
    env = example.MazeEnv(2)
    right, left, down, up = (torch.full((2, 1), float(move)) for move in range(4))
    for move in (left, up, down):
        obs, *_ = env.step(move)
        assert obs["policy"][:, 0].tolist() == [1, 1], "the start is in a corner"
    moves = [right] * 10 + [down] * 2 + [left] * 10 + [down] * 2 + [right] * 10 + [down] * 2 + [left] * 10 + [down] * 2
    for move in moves + [right] * 9:
        _, rewards, dones, _ = env.step(move)
        assert not rewards.any() and not dones.any()
    _, rewards, dones, extras = env.step(right)
    assert rewards.tolist() == [1, 1] and dones.all() and not extras["time_outs"].any()
    assert env.explored() == 1.0
    for step in range(120):
        _, rewards, dones, extras = env.step(up)
        assert dones.all() == extras["time_outs"].all() == (step == 119) and not rewards.any()


def test_the_published_numbers(example):
    """Law: the numbers kept are of the whole script: PPO alone never found the goal, with RND every seed did."""
    results = json.loads(RESULTS.read_text())
    assert results["settings"] == example.SETTINGS
    for model in example.NAMES:
        runs = [one for one in results["runs"] if one["model"] == model]
        assert [one["seed"] for one in runs] == [0, 1, 2, 3, 4]
        for one in runs:
            assert one["success"][-1] == 0 if model == "ppo" else one["success"][-1] > 0.9
