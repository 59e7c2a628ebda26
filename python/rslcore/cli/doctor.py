# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore doctor``: what works on this machine, and how to fix what does not. Needs no other package itself."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from rslcore.cli import video
from rslcore.cli.arguments import parse_json_option
from rslcore.cli.packages import INSTALL, error_text, is_missing

DISTRIBUTIONS = {"yaml": "pyyaml"}
"""Name of the import to that of the package, where it is another one."""
_RED, _GREEN, _YELLOW = "31", "32", "33"
REBUILD = "make build (from a source tree), or reinstall rslcore"


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
    description = "Check what works on this machine, and say how to fix what does not."
    as_json = parse_json_option(arguments, command="doctor", description=description)
    from rslcore import build_info

    build = build_info()
    checks = examine(build)
    healthy = all(check.ok for check in checks if check.required)
    if as_json:
        report = {"ok": healthy, "checks": [dataclasses.asdict(check) for check in checks], "build": build}
        print(json.dumps(report, indent=2))
    else:
        _show(build, checks, healthy)
    return 0 if healthy else 1


def examine(build: dict[str, Any]) -> list[Check]:
    """Look at everything that rslcore uses, given what `rslcore.build_info` says."""
    operators = build["operators"]
    cpu_fix = INSTALL["torch"] if build["torch"] is None else REBUILD
    return [
        *map(_package, ("torch", "numpy", "tensordict", "tensorboard", "rich", "tyro", "yaml")),
        _operators("CPU operators", operators["cpu"], cpu_fix, lost="slower plain-torch operators are used"),
        _operators("NumPy operators", operators["numpy"], REBUILD, lost="rslcore.numpy is not available"),
        _operators("CUDA operators", operators["cuda"], _cuda_fix(build), lost="training runs on the CPU"),
        _package("mujoco"),
        _package("mjbatch"),
        _package("gymnasium", required=False, use="task half-cheetah"),
        _package("matplotlib", required=False, use="curves.png"),
        _gl(),
        _ffmpeg(),
    ]


def _package(name: str, *, required: bool = True, use: str = "") -> Check:
    try:
        importlib.import_module(name)
        version = importlib.metadata.version(DISTRIBUTIONS.get(name, name))
    except Exception as error:  # a broken package raises anything
        detail = "not installed" if is_missing(error) else error_text(error)
        return Check(name, False, required, detail + (f"; needed for {use}" if use else ""), INSTALL[name])
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
    if importlib.util.find_spec("mujoco") is None:
        return Check("offscreen GL", False, False, "not known without mujoco; no videos", INSTALL["mujoco"])
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


def _show(build: dict[str, Any], checks: Sequence[Check], healthy: bool) -> None:
    facts = {
        "rslcore": f"{build['version']} (git {build['git_revision'] or 'unknown'})",
        "Python": build["python"],
        "compiler": build["compiler"] or "unknown",
        "SIMD": f"{build['simd_in_use'] or 'none'} in use, compiled: {', '.join(build['simd_compiled']) or 'none'}",
        "CUDA": f"compiled for {', '.join(map(str, build['cuda_architectures'])) or 'no architecture'}",
        "torch": f"{build['torch'] or 'not importable'} now, {build['torch_at_build'] or 'none'} at build",
    }
    for name, value in facts.items():
        print(_row(f"{name:<8}  ", value))
    print()
    names = max(len(check.name) for check in checks)
    for check in checks:
        state, colour = ("ok", _GREEN) if check.ok else ("missing", _RED if check.required else _YELLOW)
        print(_row(f"{state:<7}  {check.name:<{names}}  ", check.detail).replace(state, _coloured(state, colour), 1))
        if check.fix is not None:
            print(f"{'':<{names + 11}}fix: {check.fix}")  # in one line, to be copied
    needed = ", ".join(check.name for check in checks if check.required and not check.ok)
    print("\nTraining on the CPU can work." if healthy else f"\nTraining cannot work before this is fixed: {needed}.")


def _coloured(text: str, colour: str) -> str:
    shown = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\033[{colour}m{text}\033[0m" if shown else text


def _row(head: str, text: str) -> str:
    """Return a text behind its head, broken between words where the terminal ends."""
    width = max(shutil.get_terminal_size().columns, len(head) + 20)
    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False)
