# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""examples/discrete_actions.py runs from its beginning to its picture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "discrete_actions.py"


def test_short_version_trains_and_draws(tmp_path):
    """A task of each library is trained, shown and written; CartPole, pushed at random, lasts 22 steps: it learns.

    Of 30 seeds all ended at 128 steps or more.
    """
    for package in ("gymnasium", "envpool", "matplotlib"):
        pytest.importorskip(package)
    numbers, picture = tmp_path / "numbers.json", tmp_path / "curves.png"
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--short", "--tasks", "cartpole", "lunarlander", "--seeds", "1", "2", "3"]
        + ["--json", numbers, "--picture", picture],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(numbers.read_text())["runs"]
    assert sorted((run["model"], run["seed"]) for run in runs) == [
        (model, seed) for model in ("cartpole", "lunarlander") for seed in (1, 2, 3)
    ]
    assert sum(run["final_return"] for run in runs if run["model"] == "cartpole") / 3 > 44
    # The only point of a curve is there if an episode ended in the last iteration, as with seed 1.
    points = {run["seed"]: run["env_steps"] for run in runs if run["model"] == "lunarlander"}
    assert points[1] == [17 * 64 * 8] and all(steps in ([], [17 * 64 * 8]) for steps in points.values())
    assert picture.stat().st_size > 1000
    assert "CartPole-v1 (solved: 475)" in done.stdout and "EnvPool" in done.stdout
