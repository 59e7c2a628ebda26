# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "examples" / "teacher_student.json"


@pytest.fixture
def example():
    """The example as a module."""
    for package in ("mujoco", "mjbatch", "matplotlib"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("teacher_student", ROOT / "examples" / "teacher_student.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)
    del sys.modules[spec.name]


def test_a_short_run(example, tmp_path, monkeypatch, capsys):
    """Law: teacher and student are trained, evaluated and compared; numbers, picture and summary are written."""
    files = tmp_path / "out" / "numbers.json", tmp_path / "picture.png"
    arguments = ["--short", "--student", "gru", "--json", *map(str, files[:1]), "--picture", str(files[1])]
    monkeypatch.setattr(sys, "argv", ["teacher_student.py", *arguments])
    example.main()
    printed = capsys.readouterr().out
    results = json.loads(files[0].read_text())
    assert files[1].stat().st_size > 1000
    errors = {name: results[name]["evaluation"]["lin_vel_error"] for name in ("teacher", "student")}
    assert results["error_ratio"] == pytest.approx(errors["student"] / errors["teacher"], abs=1e-4)
    for name in errors:
        assert len(results[name]["curve"]["env_steps"]) == example.SHORT.points
        assert f"{name}: velocity tracking error" in printed
    assert f"picture: {files[1]}" in printed


def test_the_published_numbers_reach_the_goal(example):
    """Law: the numbers kept are of the whole script, and the student's error is within 20 % of the teacher's."""
    results = json.loads(RESULTS.read_text())
    assert results["error_ratio"] <= example.GOAL
    for name, iterations in (
        ("teacher", example.Scale.teacher_iterations),
        ("student", example.Scale.student_iterations),
    ):
        cfg = example.teacher_cfg() if name == "teacher" else example.student_cfg()
        envs = example.Scale.teacher_envs if name == "teacher" else example.Scale.student_envs
        assert results[name]["curve"]["env_steps"][-1] == iterations * cfg.num_steps_per_env * envs
        assert results[name]["evaluation"]["episodes"] == example.Scale.final_episodes
