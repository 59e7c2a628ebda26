# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""examples/pixels.py: the task itself, its short version, and what its results must have."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "pixels.py"


@pytest.fixture
def env(monkeypatch):
    """Courts for many balls."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("pixels").CatchEnv(400, seed=1)


def play(env, player):
    """Fraction of balls caught by actions that a function chooses from the observations."""
    caught, balls = 0.0, 0.0
    obs = env.get_observations()
    for _ in range(3 * env.max_episode_length):
        obs, rewards, dones, _ = env.step(player(obs))
        assert not rewards[~dones].any()
        caught, balls = caught + float(rewards.sum()), balls + float(dones.sum())
    assert balls == 3 * env.num_envs
    return caught / balls


def test_who_knows_the_state_catches(env):
    """Law: following the ball catches most; standing still catches a paddle's width of the court."""

    def follow(obs):
        return (obs["state"][:, 1] - obs["state"][:, 0]).unsqueeze(-1) * env.SIZE / 2

    assert play(env, follow) > 0.8
    assert play(env, lambda obs: torch.zeros(env.num_envs, 1)) == pytest.approx(2 * env.REACH / env.SIZE, abs=0.05)


def test_the_images_show_the_ball(env):
    """Law: the bright pixels lie around the ball of the state; the second channel is the first of the step before."""
    before = env.get_observations()
    obs, _, dones, _ = env.step(torch.zeros(env.num_envs, 1))
    assert obs["camera"].dtype == torch.uint8 and obs["camera"].shape == (400, 2, env.SIZE, env.SIZE)
    assert not dones.any() and torch.equal(obs["camera"][:, 1], before["camera"][:, 0])
    bright = (obs["camera"][:, 0] == 255).float()
    assert torch.equal(bright * 255, obs["camera"][:, 0].float()) and bright.sum(dim=(1, 2)).min() >= 2
    centres = torch.arange(env.SIZE) + 0.5
    x = (bright.sum(dim=1) * centres).sum(dim=-1) / bright.sum(dim=(1, 2))
    assert ((obs["state"][:, 1] + 1) * env.SIZE / 2 - x).abs().max() <= 1.5


def test_the_short_version_trains(tmp_path):
    """Law: the CNN on uint8 images trains and plays; given the true state, a policy learns even in so short a time."""
    numbers, picture = tmp_path / "numbers.json", tmp_path / "picture.png"
    command = [sys.executable, SCRIPT, "--short", "--json", numbers, "--picture", picture, "--seeds", *"012345"]
    result = subprocess.run([*command, "--policies", "pixels", "state"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "CNN: image and paddle" in result.stdout
    finals = {"pixels": [], "state": []}
    for run in json.loads(numbers.read_text())["runs"]:
        finals[run["model"]].append(run["final_return"])
    assert len(finals["pixels"]) == 6 and all(0 < caught < 1 for caught in finals["pixels"])
    # A still paddle catches 0.21. Of 30 seeds, one caught 0.26, half of them 0.43 or more: the mean of six is above.
    assert sum(finals["state"]) / len(finals["state"]) > 0.3
    assert picture.stat().st_size > 5000


def test_the_committed_results_show_what_the_example_says():
    """Law: over at least three seeds, the worst policy that sees is far better than the best blind one."""
    results = json.loads((ROOT / "benchmarks/results/examples/pixels.json").read_text())
    finals = {
        model: [run["final_return"] for run in results["runs"] if run["model"] == model]
        for model in ("pixels", "blind", "state")
    }
    assert all(len(returns) >= 3 for returns in finals.values())
    assert min(finals["pixels"]) > max(finals["blind"]) + 0.3
