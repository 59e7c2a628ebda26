# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Filming a policy: which offscreen OpenGL works here, frames, files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rslcore.cli.search_path import python_command

if TYPE_CHECKING:
    import numpy as np

    from rslcore.env import VecEnv
    from rslcore.tasks.registry import Policy

BACKENDS = ("egl", "osmesa")
"""Values of MUJOCO_GL that need no screen, the fastest first."""
WIDTH, HEIGHT = 640, 480
CAMERA = "track"
"""Name of the camera of a model that follows the robot."""
PROBE_TIMEOUT_S = 60

GL_FIX = "apt-get install libosmesa6 (or, with a GPU driver, libegl1)"
FFMPEG_FIX = 'pip install "imageio[ffmpeg]"'

_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 16, 16) as renderer:
    renderer.update_scene(data)
    renderer.render()
"""


def find_gl() -> str | None:
    """Return the value of MUJOCO_GL that draws here without a screen, None if there is none.

    A value that the user has set is tried first. Each is tried in a process of its own, since MuJoCo reads it only
    once and a broken driver can end the process.
    """
    wanted = os.environ.get("MUJOCO_GL")
    backends = dict.fromkeys([wanted, *BACKENDS] if wanted else BACKENDS)
    return next((backend for backend in backends if _draws(backend)), None)


def has_ffmpeg() -> bool:
    """Return whether MP4 files can be written."""
    if importlib.util.find_spec("imageio") is None or importlib.util.find_spec("imageio_ffmpeg") is None:
        return False
    import imageio_ffmpeg

    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return False
    return True


def record(env: VecEnv, policy: Policy, file: Path, seconds: float) -> Path:
    """Film the first environment in real time.

    Args:
        env: An environment with ``render``, in a process whose MUJOCO_GL draws.
        policy: Observations to actions.
        file: The video; with ending .gif, or where MP4 files cannot be written, a GIF.
        seconds: Length of the video.

    Returns:
        The file written.
    """
    import torch

    from rslcore.utils import reset_policy

    camera = _prepare_model(env)
    step_dt = env.step_dt or 0.02
    frames = []
    with torch.no_grad():
        observations = env.get_observations()
        reset_policy(policy)
        for _ in range(max(round(seconds / step_dt), 1)):
            frames.append(env.render(0, width=WIDTH, height=HEIGHT, camera=camera))  # type: ignore[attr-defined]
            observations, _, dones, _ = env.step(policy(observations))
            reset_policy(policy, dones)
    file.parent.mkdir(parents=True, exist_ok=True)
    write = _write_mp4
    if file.suffix == ".gif" or not has_ffmpeg():
        file, write = file.with_suffix(".gif"), _write_gif
    if file.is_symlink():  # what it points to is not ours
        file.unlink()
    return write(frames, file, step_dt)


def _draws(backend: str) -> bool:
    try:
        result = subprocess.run(
            python_command(_PROBE),
            env={**os.environ, "MUJOCO_GL": backend},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _prepare_model(env: VecEnv) -> str | int:
    """Make the environment's model quick to draw, and return the camera to use."""
    model: Any = getattr(env, "model", None)
    if model is None:
        return -1
    # Without these two, OpenGL in software is four times as fast.
    model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0.0
    return CAMERA if CAMERA in [model.camera(index).name for index in range(model.ncam)] else -1


def _write_mp4(frames: list[np.ndarray], file: Path, step_dt: float) -> Path:
    import imageio

    imageio.mimwrite(file, list[Any](frames), format="FFMPEG", fps=1.0 / step_dt, codec="libx264", quality=7)
    return file


def _write_gif(frames: list[np.ndarray], file: Path, step_dt: float) -> Path:
    from PIL import Image

    stride = max(round(0.04 / step_dt), 1)  # viewers do not show more than 25 to 50 images per second
    images = [Image.fromarray(frame).quantize(64) for frame in frames[::stride]]
    images[0].save(
        file, save_all=True, append_images=images[1:], duration=round(1000 * stride * step_dt), loop=0, optimize=False
    )
    return file
