# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore train`` of a teacher, and of a student from its run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from rslcore import checkpoint
from rslcore.logging import read_metrics

OPTIONS = (
    "--num-envs", 4, "--iterations", 1, "--num-steps-per-env", 4, "--threads", 1, "--video", "off", "--device", "cpu",
    "--eval-episodes", 0,
)  # fmt: skip


@pytest.fixture
def teacher(tmp_path, run):
    """Run folder of a teacher of other hidden layers than the task's, and what the training printed."""
    for package in ("mujoco", "mjbatch"):
        pytest.importorskip(package)
    hidden = ("--actor.hidden-dims", 32, 16)
    code, out, err = run("train", "quadruped-flat-teacher", *OPTIONS, *hidden, "--log-dir", tmp_path / "teacher")
    assert code == 0, err
    (folder,) = (tmp_path / "teacher" / "quadruped-flat-teacher").iterdir()
    return folder, out


def test_from_teacher_to_student_to_playing(teacher, tmp_path, run, json_lines):
    """The command that the teacher's run prints trains a student, whose run resumes and plays as any other."""
    folder, printed = teacher
    (command,) = [line for line in printed.splitlines() if line.startswith("Teach:")]
    assert command.split()[-4:] == ["train", "quadruped-flat-student", "--teacher", str(folder)]

    small = ("--algorithm.gradient-length", 2, "--student.rnn-hidden-dim", 8, "--json")
    code, out, err = run(*command.split()[-4:], *OPTIONS, *small, "--log-dir", tmp_path / "student")
    assert code == 0, err
    student = Path(json_lines(out)[-1]["result"]["run_folder"])
    assert "Loss/behavior" in read_metrics(student)[0]
    agent = yaml.safe_load((student / "params" / "agent.yaml").read_text())
    assert agent["class_name"] == "DistillationRunner"
    assert agent["teacher"]["hidden_dims"] == [32, 16]
    content = checkpoint.read(student / "model_0.pt")
    learned = checkpoint.read(folder / "model_0.pt")["actor_state_dict"]
    assert all(torch.equal(tensor, learned[key]) for key, tensor in content["teacher_state_dict"].items())

    code, out, err = run("train", "--resume", student, "--iterations", 2, "--eval-episodes", 0, "--video", "off")
    assert code == 0, err
    assert [record["iteration"] for record in read_metrics(student)] == [0, 1]
    code, out, err = run("play", student, "--episodes", 2, "--video", "off", "--device", "cpu", "--json")
    assert code == 0, err
    assert json.loads(out)["evaluation"]["episodes"] == 2


def test_what_can_be_wrong_with_a_teacher(teacher, tmp_path, run, error_line):
    """Each mistake is one line that says what to do."""
    assert "give --teacher RUN_FOLDER, of a run like: " in error_line("train", "quadruped-flat-student")
    assert "learns from rewards" in error_line("train", "quadruped-flat", "--teacher", teacher[0])
    assert str(tmp_path / "none") in error_line("train", "quadruped-flat-student", "--teacher", tmp_path / "none")
    code, _, err = run(
        "train", "quadruped-flat-student", "--teacher", teacher[0], "--json", "--num-envs", 2,
        "--teacher.hidden-dims", 8, "--log-dir", tmp_path / "student",
    )  # fmt: skip
    assert code == 2
    assert err.endswith("teacher_state_dict['mlp.0.weight'] must be [8, 60], got [32, 60]\n")
