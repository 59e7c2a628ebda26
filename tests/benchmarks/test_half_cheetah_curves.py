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


def test_no_finished_episode_is_an_empty_curve(script):
    """A trial that ends before its first episode has no points and no final return."""
    assert script.curve([], 1536) == {"env_steps": [], "mean_return": []}
    assert script.mean_of_last([]) is None
    assert script.curve([(100, 1.0), (200, 2.0)], 1536) == {"env_steps": [1536], "mean_return": [1.5]}


@pytest.mark.parametrize("arguments", [["--iterations", "1"], ["--iterations", "0", "--output", "x"]])
def test_a_trial_needs_a_folder_of_its_own(script, monkeypatch, capsys, arguments):
    """A trial must not replace a result."""
    monkeypatch.setattr(sys, "argv", ["half_cheetah.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        script.main()
    assert "--iterations must be at least 1, and needs --output" in capsys.readouterr().err
