# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore train gymnasium:ID`` and ``envpool:ID``, and ``rslcore play`` of what they leave."""

from __future__ import annotations

import json
import sys

import pytest

SMALL = ["--num-envs", "2", "--num-steps-per-env", "16", "--iterations", "2", "--threads", "1", "--device", "cpu"]


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")
@pytest.mark.parametrize("task", ["gymnasium:CartPole-v1", "envpool:Pendulum-v1"])
def test_train_resume_and_play(task, run, tmp_path):
    """A run folder named after the task, which is continued and played without naming the task again."""
    pytest.importorskip(task.partition(":")[0])
    code, out, err = run("train", task, *SMALL, "--log-dir", tmp_path, "--eval-episodes", 3, "--video", "off", "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])["result"]
    assert result["task"] == task and result["total_steps"] == 64
    assert set(result["evaluation"]) == {"seed", "episodes", "return_mean", "return_std", "episode_length_mean"}
    (folder,) = (tmp_path / task.replace(":", "-")).iterdir()
    assert "library" in (folder / "params" / "env.yaml").read_text()

    code, out, err = run(
        "train", "--resume", folder, "--iterations", 3, "--eval-episodes", 0, "--video", "off", "--json"
    )
    assert code == 0 and json.loads(out.splitlines()[-1])["result"]["total_steps"] == 96, err

    code, out, err = run("play", folder, "--episodes", 3, "--video", "off", "--device", "cpu", "--json")
    report = json.loads(out)
    assert code == 0 and report["task"] == task and report["evaluation"]["episodes"] == 3, err


def test_what_cannot_be_drawn_costs_the_video_only(run, tmp_path, monkeypatch):
    """Without pygame, CartPole is evaluated and the reason for no video is told."""
    pytest.importorskip("gymnasium")
    run("train", "gymnasium:CartPole-v1", *SMALL, "--log-dir", tmp_path, "--eval-episodes", 0, "--video", "off")
    (folder,) = (tmp_path / "gymnasium-CartPole-v1").iterdir()
    monkeypatch.setattr("rslcore.cli.video.find_gl", lambda: None)
    monkeypatch.setitem(sys.modules, "pygame", None)
    code, out, _ = run("play", folder, "--episodes", 0, "--device", "cpu", "--json")
    report = json.loads(out)
    assert code == 0 and report["video"] is None
    assert report["video_hint"].startswith("No video: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gymnasium:CartPol-v1", "gymnasium has no environment 'CartPol-v1'; did you mean 'CartPole-v1'?"),
        ("gymnasum:CartPole-v1", "unknown library 'gymnasum' in 'gymnasum:CartPole-v1'; did you mean 'gymnasium'?"),
    ],
)
def test_names_that_do_not_exist(name, message, run):
    """One line that has the nearest name."""
    pytest.importorskip("gymnasium")
    code, _, err = run("train", name)
    assert code == 2 and message in err and err.count("\n") == 1


def test_the_listing_says_how_to_name_them(run):
    """``rslcore tasks`` shows the form of the names and an example."""
    text = " ".join(run("tasks")[1].split())
    assert "gymnasium:ID" in text and "e.g. gymnasium:CartPole-v1" in text
    assert "envpool:ID" in text and "e.g. envpool:Pong-v5" in text
