# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Where modules are looked for: not in the current folder, but for those that the user names."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder


def find_named(module: str) -> None:
    """Look for a module that the user has named, or trusts, in the current folder too, after all that is installed.

    Where it is found there, the current folder is searched from now on, still last, so that it can import its
    neighbours.

    Raises:
        ModuleNotFoundError: It is in neither place.
    """
    top = module.partition(".")[0]
    if top in sys.modules or importlib.util.find_spec(top) is not None:
        return
    folder = os.getcwd()
    if PathFinder.find_spec(top, [folder]) is None:
        raise ModuleNotFoundError(
            f"there is no module '{module}', neither installed nor in the current folder '{folder}'", name=top
        )
    sys.path.append(folder)


def python_command(program: str, *arguments: str) -> list[str]:
    """Return the command that runs a program in another Python, which looks for modules where this one does.

    Left to itself, Python looks first in the current folder for what -c and -m name (-P forbids it, from 3.11 on).
    """
    search_path = [entry for entry in sys.path if entry]  # an empty one is the current folder
    return [sys.executable, "-c", f"import sys; sys.path[:] = {search_path!r}\n{program}", *arguments]
