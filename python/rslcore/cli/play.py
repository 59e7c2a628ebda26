# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore play``: how good is a trained policy, and what does it look like."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from rslcore.cli import video
from rslcore.cli.arguments import parse
from rslcore.cli.building import choose_device, find_run, load_policy, make_env
from rslcore.cli.errors import CliError
from rslcore.cli.evaluation import UNSEEN_SEED_OFFSET, evaluate, show
from rslcore.cli.packages import error_text

if TYPE_CHECKING:
    from rslcore.env import VecEnv
    from rslcore.tasks.registry import Policy

_DESCRIPTION = """\
Evaluate a trained policy, without exploration noise, and film it.

The seeds of the environments are such that training has not used.
"""


@dataclasses.dataclass
class PlayOptions:
    """Options of ``rslcore play``."""

    checkpoint: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")]
    """A model_*.pt file, or a run folder, whose latest one is taken."""
    task: str | None = None
    """Task; by default the one kept in the run folder."""
    trust: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="MODULE")] = ()
    """Module whose classes and tasks the run folder may name; may be given again for others."""
    episodes: int = 100
    """Episodes to evaluate; 0 for none."""
    num_envs: int | None = None
    """Environments; by default one per episode."""
    seed: int | None = None
    """Seed of the environments; by default one that training has not used."""
    device: str = "auto"
    """Device of the policy: cpu, cuda:0, ...; auto is a GPU where there is one."""
    video: str = "auto"
    """File of the video (.mp4 or .gif); auto is play.mp4 in the run folder, off is none."""
    video_seconds: float = 10.0
    """Length of the video."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(arguments: Sequence[str]) -> int:
    """Play a checkpoint."""
    options = parse(
        PlayOptions, arguments, command="play", usage="rslcore play", description=_DESCRIPTION, argument="CHECKPOINT"
    )
    _check(options)
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        report = _play(options)
    if options.json:
        print(json.dumps(report, indent=2))
    return 0


def _check(options: PlayOptions) -> None:
    """Refuse wrong values before anything takes time."""
    if options.episodes < 0:
        raise CliError(f"play: --episodes must be 0 or more, got {options.episodes}")
    if options.num_envs is not None and options.num_envs < 1:
        raise CliError(f"play: --num-envs must be at least 1, got {options.num_envs}")
    if not 0.0 < options.video_seconds < math.inf:
        raise CliError(f"play: --video-seconds must be a number above 0, got {options.video_seconds}")
    if options.video in ("auto", "off"):
        return
    file = Path(options.video)
    if file.suffix not in (".mp4", ".gif"):
        raise CliError(f"play: --video must be auto, off, or a file that ends in .mp4 or .gif, got '{file}'")
    if file.is_dir():
        raise CliError(f"play: --video '{file}' is a folder")
    folder = next(folder for folder in file.absolute().parents if folder.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CliError(f"play: cannot write the video '{file}' ('{folder}' is not a folder that can be written to)")


def _play(options: PlayOptions) -> dict[str, Any]:
    from rslcore.checkpoint import seed_generators

    console = Console(quiet=options.json, highlight=False, markup=False, soft_wrap=True)
    file, spec, cfg = find_run(options.checkpoint, options.task, options.trust, "play")
    device = choose_device(options.device, "play")
    seed = cfg.seed + UNSEEN_SEED_OFFSET if options.seed is None else options.seed

    # Must happen before MuJoCo is imported, which reads it once.
    backend = video.find_gl() if options.video != "off" else None
    if backend is not None:
        os.environ["MUJOCO_GL"] = backend
    seed_generators(seed)
    film_env = make_env(spec, 1, seed, device, "play")
    runner = load_policy(film_env, cfg, file, device, "play")
    policy = runner.get_inference_policy(device)
    console.print(f"Playing {file} on task {spec.name}")

    figures = None
    if options.episodes and spec.evaluate is not None:
        with console.status(f"Evaluating {options.episodes} episodes"):
            figures = evaluate(
                spec,
                policy,
                episodes=options.episodes,
                seed=seed,
                device=device,
                command="play",
                num_envs=options.num_envs,
            )
        show(console, figures)
    with console.status("Filming"):
        film, reason = _film(options, file.parent / "play.mp4", backend, film_env, policy)
    if reason is not None:
        console.print(reason)
    if film is not None:
        console.print(f"Video: {film}")
    return {
        "task": spec.name,
        "checkpoint": str(file),
        "evaluation": figures,
        "video": None if film is None else str(film),
        "video_hint": reason,
    }


def _film(
    options: PlayOptions, default: Path, backend: str | None, env: VecEnv, policy: Policy
) -> tuple[Path | None, str | None]:
    """Write the video; returns its file, and what to tell where it is not as asked for."""
    if options.video == "off":
        return None, None
    if not hasattr(env, "render"):
        return None, "No video: these environments cannot be drawn"
    if backend is None and "mujoco" in sys.modules:
        return None, f"No video: no offscreen OpenGL here; install it with: {video.GL_FIX}"
    wanted = default if options.video == "auto" else Path(options.video)
    try:
        file = video.record(env, policy, wanted, options.video_seconds)
    except OSError as error:
        raise CliError(f"play: cannot write the video '{wanted}' ({error})") from error
    except (ImportError, RuntimeError) as error:
        return None, f"No video: {error_text(error)}"
    if file.suffix != wanted.suffix:
        return file, f"The video is a GIF; for MP4: {video.FFMPEG_FIX}"
    return file, None
