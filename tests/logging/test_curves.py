# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the picture of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rslcore.logging import plot_curves


def write_metrics(folder: Path, iterations: int, **extra: float) -> None:
    """Write a metrics.jsonl whose first episodes end in the fourth iteration."""
    lines = []
    for it in range(iterations):
        record = {
            "iteration": it,
            "total_timesteps": 1000 * (it + 1),
            "total_time": 0.5 * it,
            "Loss/value": 2.0 / (it + 1),
        }
        record |= {"Loss/surrogate": -0.01, "Loss/learning_rate": 1e-3, "Policy/mean_std": 1.0, "Perf/total_fps": 900}
        if it > 2:
            record |= {"Train/mean_reward": float(it), "Train/mean_episode_length": 10.0}
        lines.append(json.dumps(record | extra))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("iterations", [1, 40])
def test_picture_of_any_length(tmp_path: Path, iterations: int) -> None:
    """One iteration without a finished episode, or many with the environment's own metrics, make a picture."""
    pytest.importorskip("matplotlib", reason="curves need matplotlib")
    write_metrics(tmp_path, iterations, **{"Episode_Reward/a": 1.0, "/leading": 0.0, "Episode/b": float("nan")})
    path = plot_curves(tmp_path, title="a $title$ with_signs")
    assert path == tmp_path / "curves.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_picture_says_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heading is the one given, else the names of experiment and run, as ``<experiment>/<date-time>`` has them."""
    figure = pytest.importorskip("matplotlib.figure", reason="curves need matplotlib").Figure
    headings = []
    suptitle = figure.suptitle
    monkeypatch.setattr(figure, "suptitle", lambda self, text, **how: headings.append(text) or suptitle(self, text))
    folder = tmp_path / "quadruped-flat" / "2026-01-31_12-00-00"
    folder.mkdir(parents=True)
    write_metrics(folder, 2)
    plot_curves(folder)
    plot_curves(folder, title="cart-pole")
    assert [text.split("\n")[0] for text in headings] == ["quadruped-flat/2026-01-31_12-00-00", "cart-pole"]


def test_missing_things_are_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No metrics file, an empty one, and missing matplotlib each say so."""
    pytest.importorskip("matplotlib", reason="curves need matplotlib")
    with pytest.raises(FileNotFoundError, match=r"metrics\.jsonl"):
        plot_curves(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="no iteration"):
        plot_curves(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rslcore\[plot\]'"):
        plot_curves(tmp_path)
