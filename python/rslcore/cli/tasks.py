# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore tasks``: what can be trained."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from rslcore.cli.arguments import parse

EXTRAS = {"mujoco": ("mujoco", "mjbatch"), "gymnasium": ("gymnasium",), "envpool": ("envpool", "gymnasium")}
"""Extras of the package that tasks need, and the packages behind them."""


@dataclasses.dataclass
class TasksOptions:
    """Options of ``rslcore tasks``."""

    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """List the tasks."""
    options = parse(
        TasksOptions,
        arguments,
        command="tasks",
        usage="rslcore tasks",
        description="List the tasks that can be trained.",
    )
    from rslcore import tasks

    specs = [tasks.get(name) for name in tasks.names()]
    missing = {spec.name: missing_extras(spec.extras) for spec in specs}
    if options.json:
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
    console = Console(highlight=False, markup=False)
    for spec in specs:
        packages = ", ".join(package for extra in spec.extras for package in EXTRAS[extra])
        install = install_command(missing[spec.name])
        console.print(Text(spec.name, "bold"))
        console.print(Padding(spec.description, (0, 4)))
        needs = f"needs {packages}: {'missing' if install else 'installed'}" if packages else "built in"
        console.print(f"    {spec.num_envs} environments; {needs}")
        if install:
            console.print(f"    {install}", soft_wrap=True)
    for prefix, library in tasks.LIBRARIES.items():
        install = install_command(missing_extras([library.extra]))
        console.print(Text(f"{prefix}:ID", "bold"))
        console.print(Padding(f"{library.description}, e.g. {library.example}", (0, 4)))
        console.print(f"    {library.num_envs} environments; {install or 'installed'}", soft_wrap=True)
    console.print("\nTrain one with: rslcore train TASK")
    return 0


def missing_extras(extras: Sequence[str]) -> list[str]:
    """Return the extras whose packages are not all installed."""
    return [extra for extra in extras if any(importlib.util.find_spec(package) is None for package in EXTRAS[extra])]


def install_command(extras: Sequence[str]) -> str | None:
    """Return the command that installs extras, None for none."""
    return f'pip install "rslcore[{",".join(extras)}]"' if extras else None
