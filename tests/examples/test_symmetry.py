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
RESULTS = ROOT / "benchmarks" / "results" / "examples" / "symmetry.json"


@pytest.fixture
def example(monkeypatch):
    """The example as a module."""
    for package in ("mujoco", "mjbatch", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(ROOT / "examples")
    threads = torch.get_num_threads()
    yield importlib.import_module("symmetry")
    torch.set_num_threads(threads)


def test_a_short_run(example, tmp_path, monkeypatch, capsys):
    """Law: all kinds of training run, their gait is measured, and numbers, a picture and a summary are left."""
    numbers, picture = tmp_path / "out" / "numbers.json", tmp_path / "picture.png"
    arguments = ["--short", "--seeds", "3", "--json", str(numbers), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["symmetry.py", *arguments])
    example.main()
    runs = json.loads(numbers.read_text())["runs"]
    assert [one["model"] for one in runs] == sorted(example.NAMES)
    assert all(one["action_asymmetry"] > 0 for one in runs)
    assert picture.stat().st_size > 1000
    assert "mirror loss       1 seeds" in capsys.readouterr().out


def test_a_symmetric_policy_is_measured_as_one(example):
    """Law: a policy that acts the same in the mirror has no asymmetry of actions; one that limps has."""
    measured = example.walk(lambda obs: torch.zeros(len(obs), 12), 2, 60)
    assert measured["action_asymmetry"] == 0
    limp = torch.tensor([0.0, 0.5, 0.0, *[0.0] * 9])
    measured = example.walk(lambda obs: limp.expand(len(obs), 12), 2, 60)
    degrees = torch.rad2deg(torch.tensor(0.3 * 0.5 * (2 / 12) ** 0.5))
    assert measured["action_asymmetry"] == pytest.approx(float(degrees), abs=1e-3)


def test_the_published_numbers(example):
    """Law: the numbers kept are of the whole script: trained with symmetry, every seed acts more symmetrically."""
    results = json.loads(RESULTS.read_text())
    assert results["settings"] == example.SETTINGS
    asymmetry = {
        model: [one["action_asymmetry"] for one in results["runs"] if one["model"] == model] for model in example.NAMES
    }
    for model in ("augmentation", "mirror_loss"):
        assert len(asymmetry[model]) == len(asymmetry["none"]) >= 1
        assert max(asymmetry[model]) < 0.5 * min(asymmetry["none"])
