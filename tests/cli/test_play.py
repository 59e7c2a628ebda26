# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore play``: evaluation of a checkpoint, its video, its errors."""

from __future__ import annotations

import json
import shutil

import pytest

from rslcore.cli import video


def test_evaluates_the_latest_checkpoint(trained, run):
    """A run folder stands for its latest checkpoint; a seed gives the same figures again; stdout is one JSON object."""
    folder, printed = trained
    arguments = ("play", folder, "--episodes", 2, "--video", "off", "--json")
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["task"], report["checkpoint"]) == ("half-cheetah", str(folder / "model_1.pt"))
    assert report["evaluation"]["episodes"] == 2
    assert (report["video"], report["video_hint"]) == (None, None)
    assert json.loads(run(*arguments)[1]) == report
    # What the training printed at its end is what play reports.
    assert f"{report['evaluation']['return_mean']:.2f}" in printed
    other_seed = json.loads(run(*arguments, "--seed", 3)[1])
    assert other_seed["evaluation"]["return_mean"] != report["evaluation"]["return_mean"]


def test_says_what_to_install_where_nothing_can_be_drawn(trained, run, monkeypatch):
    """Without offscreen OpenGL: one line with the command, and everything else goes on."""
    monkeypatch.setattr(video, "find_gl", lambda: None)
    code, out, err = run("play", trained[0], "--episodes", 1)
    assert (code, err) == (0, "")
    assert "Evaluation over 1 episodes" in out
    assert next(line for line in out.splitlines() if "apt-get install libosmesa6" in line).startswith("No video: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/file.pt"], "play: checkpoint: there is no file or folder '/no/such/file.pt'"),
        (["--episode", "3"], "unknown option '--episode'; did you mean '--episodes'?"),
        (["run", "--video", "walk.avi"], "a file that ends in .mp4 or .gif, got 'walk.avi'"),
        (["run", "--video", "/dev/null/walk.mp4"], "cannot write the video '/dev/null/walk.mp4' ('/dev/null' is not"),
        (["run", "--video-seconds", "nan"], "--video-seconds must be a number above 0, got nan"),
        (["run", "--num-envs", "0"], "--num-envs must be at least 1, got 0"),
        (["run", "--num-envs", "-3"], "--num-envs must be at least 1, got -3"),
        ([], "usage: rslcore play CHECKPOINT [OPTIONS]"),
    ],
)
def test_errors(error_line, arguments, message):
    """What the user got wrong is told in one line."""
    assert message in error_line("play", *arguments)


def test_checkpoint_of_another_shape(trained, error_line):
    """A checkpoint of another task is refused with both shapes and the name of the file."""
    line = error_line("play", trained[0], "--task", "quadruped-flat", "--video", "off")
    assert str(trained[0] / "model_1.pt") in line
    assert "must be [1, 47], got [1, 17]" in line


def test_damaged_checkpoint(trained, tmp_path, error_line):
    """A file that is no checkpoint is told."""
    shutil.copytree(trained[0] / "params", tmp_path / "params")
    (tmp_path / "model_5.pt").write_bytes(b"nothing")
    assert "is damaged or no checkpoint" in error_line("play", tmp_path / "model_5.pt", "--video", "off")


def test_lone_checkpoint_needs_the_task(trained, tmp_path, run, error_line):
    """A checkpoint outside of a run folder is played with --task; without it, that is what the error says."""
    shutil.copy(trained[0] / "model_1.pt", tmp_path)
    file = tmp_path / "model_1.pt"
    assert "give it with --task" in error_line("play", file, "--video", "off")
    code, out, _ = run("play", file, "--task", "half-cheetah", "--episodes", 1, "--video", "off", "--json")
    assert code == 0
    assert json.loads(out)["evaluation"]["episodes"] == 1


def test_unknown_setting_in_the_run_folder(trained, tmp_path, error_line):
    """A key in params/agent.yaml that no setting has is told with the nearest one."""
    shutil.copytree(trained[0], tmp_path / "run")
    agent = tmp_path / "run" / "params" / "agent.yaml"
    agent.write_text(agent.read_text().replace("gamma:", "gama:"))
    assert "unknown key 'algorithm.gama'; did you mean 'gamma'?" in error_line(
        "play", tmp_path / "run", "--video", "off"
    )
