# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore doctor``: what works on this machine, and how to fix what does not."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rslcore.cli import video
from rslcore.cli.arguments import parse
from rslcore.cli.building import error_text

REBUILD = "make build (from a source tree), or reinstall rslcore"


@dataclasses.dataclass
class DoctorOptions:
    """Options of ``rslcore doctor``."""

    json: bool = False
    """Print JSON."""


@dataclasses.dataclass
class Check:
    """One line of the report."""

    name: str
    """What is looked at."""
    ok: bool
    """Whether it works."""
    required: bool
    """Whether training on the CPU needs it."""
    detail: str
    """Version, or what is wrong."""
    fix: str | None = None
    """What to do about it."""


def run(arguments: Sequence[str]) -> int:
    """Print the report; 0 if training on the CPU can work, else 1."""
    options = parse(
        DoctorOptions,
        arguments,
        command="doctor",
        usage="rslcore doctor",
        description="Check what works on this machine, and say how to fix what does not.",
    )
    from rslcore import build_info

    build = build_info()
    checks = examine(build)
    healthy = all(check.ok for check in checks if check.required)
    if options.json:
        report = {"ok": healthy, "checks": [dataclasses.asdict(check) for check in checks], "build": build}
        print(json.dumps(report, indent=2))
    else:
        _show(Console(highlight=False), build, checks, healthy)
    return 0 if healthy else 1


def examine(build: dict[str, Any]) -> list[Check]:
    """Look at everything that rslcore uses, given what `rslcore.build_info` says."""
    operators = build["operators"]
    return [
        _package("torch", "pip install torch"),
        _package("numpy", "pip install numpy"),
        _package("tensordict", "pip install tensordict"),
        _package("tensorboard", "pip install tensorboard"),
        _operators("CPU operators", operators["cpu"], REBUILD, lost="slower plain-torch operators are used"),
        _operators("NumPy operators", operators["numpy"], REBUILD, lost="rslcore.numpy is not available"),
        _operators("CUDA operators", operators["cuda"], _cuda_fix(build), lost="training runs on the CPU"),
        _package("mujoco", 'pip install "rslcore[mujoco]"'),
        _package("mjbatch", 'pip install "rslcore[mujoco]"'),
        _package("gymnasium", 'pip install "rslcore[gymnasium]"', required=False, use="task half-cheetah"),
        _package("matplotlib", 'pip install "rslcore[plot]"', required=False, use="curves.png"),
        _gl(),
        _ffmpeg(),
    ]


def _package(name: str, fix: str, *, required: bool = True, use: str = "") -> Check:
    try:
        importlib.import_module(name)
        version = importlib.metadata.version(name)
    except Exception as error:  # a broken package raises anything
        detail = error_text(error) + (f"; needed for {use}" if use else "")
        return Check(name, False, required, detail, fix)
    return Check(name, True, required, version)


def _operators(name: str, state: dict[str, Any], fix: str, *, lost: str) -> Check:
    if state["available"]:
        return Check(name, True, False, "compiled")
    return Check(name, False, False, f"{' '.join(str(state['reason']).split())}; {lost}", fix)


def _cuda_fix(build: dict[str, Any]) -> str:
    if build["torch_cuda"] is None:
        return "only with an NVIDIA GPU: install a CUDA build of torch, see https://pytorch.org"
    if not build["cuda_architectures"]:
        return f"install nvcc, then: {REBUILD}"
    return "install the NVIDIA driver; check with nvidia-smi"


def _gl() -> Check:
    try:
        backend, problem = video.find_gl(), "no videos"
    except Exception as error:
        backend, problem = None, f"no videos; {error_text(error)}"
    return Check("offscreen GL", backend is not None, False, backend or problem, None if backend else video.GL_FIX)


def _ffmpeg() -> Check:
    try:
        works, problem = video.has_ffmpeg(), "videos are written as GIF"
    except Exception as error:
        works, problem = False, f"videos are written as GIF; {error_text(error)}"
    return Check("ffmpeg", works, False, "MP4 videos" if works else problem, None if works else video.FFMPEG_FIX)


def _show(console: Console, build: dict[str, Any], checks: Sequence[Check], healthy: bool) -> None:
    facts = {
        "rslcore": f"{build['version']} (git {build['git_revision'] or 'unknown'})",
        "Python": build["python"],
        "compiler": build["compiler"] or "unknown",
        "SIMD": f"{build['simd_in_use'] or 'none'} in use, compiled: {', '.join(build['simd_compiled']) or 'none'}",
        "CUDA": f"compiled for {', '.join(map(str, build['cuda_architectures'])) or 'no architecture'}",
        "torch": f"{build['torch'] or 'not importable'} now, {build['torch_at_build'] or 'none'} at build",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(Text(name, "dim"), Text(str(value)))
    console.print(grid)
    console.print()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for check in checks:
        style = "green" if check.ok else "red" if check.required else "yellow"
        detail = Text(check.detail)
        if check.fix is not None:
            detail.append(f"\nfix: {check.fix}", "bold")
        table.add_row(Text("ok" if check.ok else "missing", style), Text(check.name), detail)
    console.print(table)
    needed = ", ".join(check.name for check in checks if check.required and not check.ok)
    verdict = "Training on the CPU can work." if healthy else f"Training cannot work before this is fixed: {needed}."
    console.print()
    console.print(Text(verdict, "green" if healthy else "red"))
