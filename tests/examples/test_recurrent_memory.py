# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""examples/recurrent_memory.py: its short version, and what its results must have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "recurrent_memory.py"


def test_the_short_version_trains_all_models(tmp_path):
    """Law: models with and without memory train and play; numbers and picture are written."""
    numbers, picture = tmp_path / "numbers.json", tmp_path / "picture.png"
    models = ["mlp", "lstm"]
    command = [sys.executable, SCRIPT, "--short", "--json", numbers, "--picture", picture, "--seeds", "3", "--models"]
    result = subprocess.run([*command, *models], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "LSTM, position only" in result.stdout and "final return" in result.stdout
    runs = json.loads(numbers.read_text())["runs"]
    assert [(run["model"], run["seed"]) for run in runs] == [("lstm", 3), ("mlp", 3)]
    for run in runs:
        assert len(run["env_steps"]) == len(run["mean_return"]) == 1
        assert -2000 < run["final_return"] < 0 and -2000 < run["mean_return"][0] < 0
    assert picture.stat().st_size > 5000


def test_the_committed_results_show_what_the_example_says():
    """Law: over at least three seeds, the worst recurrent policy is far better than the best without memory."""
    results = json.loads((ROOT / "benchmarks/results/examples/recurrent_memory.json").read_text())
    finals = {
        model: [run["final_return"] for run in results["runs"] if run["model"] == model]
        for model in ("mlp", "lstm", "gru", "mlp_velocity")
    }
    assert all(len(returns) >= 3 for returns in finals.values())
    assert min(finals["lstm"] + finals["gru"]) > max(finals["mlp"]) + 300
