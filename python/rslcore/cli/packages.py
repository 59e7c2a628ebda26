# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The packages that rslcore uses, and what to tell where one is missing. Imports nothing but the standard library."""

from __future__ import annotations

INSTALL = {
    "torch": "pip install torch",
    "numpy": "pip install numpy",
    "tensordict": "pip install tensordict",
    "tensorboard": "pip install tensorboard",
    "rich": "pip install rich",
    "tyro": "pip install tyro",
    "yaml": "pip install pyyaml",
    "mujoco": 'pip install "rslcore[mujoco]"',
    "mjbatch": 'pip install "rslcore[mujoco]"',
    "gymnasium": 'pip install "rslcore[gymnasium]"',
    "envpool": 'pip install "rslcore[envpool]"',
    "onnx": 'pip install "rslcore[onnx]"',
    "matplotlib": 'pip install "rslcore[plot]"',
    "imageio": 'pip install "rslcore[video]"',
    "imageio_ffmpeg": 'pip install "rslcore[video]"',
    "PIL": 'pip install "rslcore[video]"',
}
"""Name of the import to the command that installs it."""


def is_missing(error: BaseException) -> bool:
    """Return whether an error says that one of these packages is not installed."""
    return isinstance(error, ModuleNotFoundError) and error.name in INSTALL


def error_text(error: BaseException) -> str:
    """Return an error in one line; a text of a single word, as of a ``KeyError``, gets the type of the error."""
    if isinstance(error, ModuleNotFoundError) and error.name in INSTALL:
        fix = INSTALL[error.name]
        return f"the package '{error.name}' is not installed: {fix} ('rslcore doctor' lists all that is missing)"
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    line = next(iter(text.strip().splitlines()), "")
    return line if " " in line else f"{type(error).__name__}: {line}" if line else type(error).__name__
