# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Videos: offscreen drawing in a process of its own, MP4 and GIF."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from rslcore.cli import video


@pytest.fixture(scope="module")
def backend() -> str:
    """A value of MUJOCO_GL that draws here."""
    pytest.importorskip("mujoco")
    found = video.find_gl()
    if found is None:
        pytest.skip(f"no offscreen OpenGL; {video.GL_FIX}")
    return found


def test_play_writes_a_video(backend, trained, tmp_path):
    """Where OpenGL draws, play writes a file that another program reads: size, images per second, a moving picture."""
    imageio = pytest.importorskip("imageio")
    pytest.importorskip("imageio_ffmpeg")
    file = tmp_path / "new folder" / "film.mp4"
    printed = subprocess.run(
        [sys.executable, "-m", "rslcore", "play", str(trained[0]), "--episodes", "0", "--video", str(file)]
        + ["--video-seconds", "0.5", "--json"],
        capture_output=True,
        text=True,
    )
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout)["video"] == str(file)
    with imageio.get_reader(file) as reader:
        frames = [np.asarray(frame, dtype=float) for frame in reader]
        assert reader.get_meta_data()["fps"] == 20  # half-cheetah has 20 env steps per second
    assert len(frames) == 10
    assert frames[0].shape == (video.HEIGHT, video.WIDTH, 3)
    assert np.abs(frames[0] - frames[-1]).mean() > 1
    assert frames[0].std() > 10


def test_what_cannot_draw_is_passed_over(monkeypatch):
    """The user's MUJOCO_GL goes first, then the others; what cannot draw is passed over, and None if all cannot."""
    tried = []

    def draws(backend: str) -> bool:
        tried.append(backend)
        return backend == "osmesa"

    monkeypatch.setenv("MUJOCO_GL", "glfw")
    monkeypatch.setattr(video, "_draws", draws)
    assert video.find_gl() == "osmesa"
    assert tried == ["glfw", "egl", "osmesa"]
    monkeypatch.setattr(video, "_draws", lambda backend: False)
    assert video.find_gl() is None


def test_a_backend_that_does_not_exist_does_not_draw():
    """The probe tells a broken backend from a working one without harm to this process."""
    assert not video._draws("no-such-backend")


def test_gif_has_the_length_of_the_film(tmp_path):
    """A GIF, also in place of an MP4 that cannot be written, plays in real time."""
    image = pytest.importorskip("PIL.Image")
    frames = [np.full((24, 32, 3), 2 * index, dtype=np.uint8) for index in range(100)]
    file = video._write_gif(frames, tmp_path / "film.gif", step_dt=0.02)
    with image.open(file) as film:
        assert film.size == (32, 24)
        assert film.n_frames == 50
        assert film.info["duration"] == 40
