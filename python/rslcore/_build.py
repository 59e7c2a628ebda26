# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What was built, and what of it works here."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

import rslcore

try:
    __version__ = importlib.metadata.version("rslcore")
except importlib.metadata.PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.0.0+uninstalled"


def build_info() -> dict[str, Any]:
    """Version, build and the state of the operators on this machine.

    Returns:
        version, git_revision, compiler, python, simd_compiled, simd_in_use, cuda_compiler, cuda_architectures,
        torch_at_build, torch, torch_cuda (CUDA version of torch or None), and for each of numpy, cpu and cuda whether
        its operators are available, or why not: `operators[device] = {"available": bool, "reason": str | None}`.
    """
    info: dict[str, Any] = {"version": __version__, "python": platform.python_version(), **_build_file()}
    operators: dict[str, dict[str, Any]] = {}
    try:
        from rslcore import _numpy  # type: ignore[attr-defined]

        info["simd_in_use"] = _numpy.simd_level()
        operators["numpy"] = {"available": True, "reason": None}
    except ImportError as error:
        info["simd_in_use"] = None
        operators["numpy"] = {"available": False, "reason": str(error)}
    try:
        import torch

        from rslcore.ops import _library
    except ImportError as error:
        info |= {"torch": None, "torch_cuda": None}
        reasons: dict[str, str | None] = {"cpu": str(error), "cuda": str(error)}
    else:
        info |= {"torch": torch.__version__, "torch_cuda": torch.version.cuda}
        reasons = dict(_library.errors)
        if reasons["cuda"] is None and not torch.cuda.is_available():
            reasons["cuda"] = "torch finds no usable NVIDIA GPU on this machine"
    for device, reason in reasons.items():
        operators[device] = {"available": reason is None, "reason": reason}
    info["operators"] = operators
    return info


def _build_file() -> dict[str, Any]:
    for folder in rslcore.__path__:
        path = Path(folder) / "_build.json"
        if path.is_file():
            return json.loads(path.read_text())
    return {
        "git_revision": None,
        "compiler": None,
        "torch_at_build": None,
        "simd_compiled": [],
        "cuda_compiler": None,
        "cuda_architectures": [],
    }
