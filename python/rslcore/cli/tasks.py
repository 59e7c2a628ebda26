# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore tasks``: what can be trained."""

from __future__ import annotations

import importlib.util
import json
import shutil
import textwrap
from collections.abc import Sequence

from rslcore.cli.arguments import parse_json_option

EXTRAS = {"mujoco": ("mujoco", "mjbatch"), "gymnasium": ("gymnasium",), "envpool": ("envpool", "gymnasium")}
"""Extras of the package that tasks need, and the packages behind them."""


def run(arguments: Sequence[str]) -> int:
    """List the tasks."""
    as_json = parse_json_option(arguments, command="tasks", description="List the tasks that can be trained.")
    from rslcore import tasks

    specs = [tasks.get(name) for name in tasks.names()]
    missing = {spec.name: missing_extras(spec.extras) for spec in specs}
    if as_json:
        rows = [
            {
                "name": spec.name,
                "description": spec.description,
                "num_envs": spec.num_envs,
                "needs": list(spec.extras),
                "installed": not missing[spec.name],
                "install": install_command(missing[spec.name]),
            }
            for spec in specs
        ]
        print(json.dumps(rows, indent=2))
        return 0
    for spec in specs:
        packages = ", ".join(package for extra in spec.extras for package in EXTRAS[extra])
        install = install_command(missing[spec.name])
        needs = f"needs {packages}: {'missing' if install else 'installed'}" if packages else "built in"
        _show(spec.name, spec.description, f"{spec.num_envs} environments; {needs}", install)
    for prefix, library in tasks.LIBRARIES.items():
        install = install_command(missing_extras([library.extra]))
        state = f"{library.num_envs} environments{'' if install else '; installed'}"
        _show(f"{prefix}:ID", f"{library.description}, e.g. {library.example}", state, install)
    print("\nTrain one with: rslcore train TASK")
    return 0


def _show(name: str, description: str, state: str, install: str | None) -> None:
    """Print a task, its lines broken between words where the terminal ends; a command stays in one line."""
    width = max(shutil.get_terminal_size().columns, 40)
    print(name)
    for text in (description, state):
        print(textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    "))
    if install:
        print(f"    {install}")


def missing_extras(extras: Sequence[str]) -> list[str]:
    """Return the extras whose packages are not all installed."""
    return [extra for extra in extras if any(importlib.util.find_spec(package) is None for package in EXTRAS[extra])]


def install_command(extras: Sequence[str]) -> str | None:
    """Return the command that installs extras, None for none."""
    return f'pip install "rslcore[{",".join(extras)}]"' if extras else None
