# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Imports run one way, and nobody pays for what they do not use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rslcore

ROOT = Path(rslcore.__file__).parent

BELOW = {
    "_build": {"ops"},
    "_checks": set(),
    "_files": set(),
    "config": set(),
    "numpy": {"_checks"},
    "ops": {"_checks"},
    "utils": {"ops", "config"},
    "modules": {"ops", "utils", "config"},
    "storage": {"ops", "utils"},
    "models": {"modules", "utils", "config"},
    "extensions": {"modules", "utils", "config"},
    "engine": {"models", "modules", "storage", "ops", "utils", "config"},
    "algorithms": {"engine", "extensions", "storage", "models", "modules", "ops", "utils", "config"},
    "env": {"ops", "utils"},
    "checkpoint": {"_files"},
    "export": {"_files", "utils"},
    "logging": {"_files", "ops", "config", "utils"},
    "tasks": {"env", "config", "utils"},
    "runners": {"algorithms", "checkpoint", "export", "logging", "env", "config", "utils", "models", "modules"},
}
"""What each part may import of the others; `cli` and `__main__` are above all, everybody may import the root."""

TYPING_ONLY = {("algorithms", "env"), ("extensions", "models"), ("extensions", "storage")}
"""Imports that serve annotations alone."""


def imports(path):
    """Parts of rslcore that a file imports, each with whether it does so for type checkers only."""
    tree = ast.parse(path.read_text())
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "rslcore" and len(parts) > 1 and is_part(parts[1]):
                yield parts[1], id(node) in guarded


def is_part(name):
    """Whether rslcore has a module or package of this name."""
    return (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


def part_of(path):
    """The part of rslcore that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = sorted(path for path in ROOT.rglob("*.py") if part_of(path) not in ("cli", "__init__", "__main__"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    """Law: cli -> runners -> algorithms -> {engine, storage, models} -> modules -> ops; nothing imports upwards."""
    part = part_of(path)
    assert part in BELOW, f"say in tests/test_layers.py what {part} may import"
    for target, typing_only in imports(path):
        allowed = BELOW[part] | {part} | {above for below, above in TYPING_ONLY if typing_only and below == part}
        assert target in allowed, f"{path.relative_to(ROOT)} imports rslcore.{target}"


def test_the_map_has_no_cycles():
    """Law: "may import" is an order."""
    rank = {}
    while len(rank) < len(BELOW):
        ready = [part for part, below in BELOW.items() if part not in rank and below <= set(rank)]
        assert ready, f"a cycle among {set(BELOW) - set(rank)}"
        rank |= dict.fromkeys(ready, len(rank))


FORBIDDEN_IN_ALGORITHMS = {
    "logging",
    "pathlib",
    "os",
    "io",
    "shutil",
    "tempfile",
    "json",
    "pickle",
    "yaml",
    "tensorboard",
}


@pytest.mark.parametrize("part", ["algorithms", "engine"])
def test_algorithms_know_neither_logs_nor_files(part):
    """Law: the rules of learning neither import logging and file modules nor open or save anything."""
    for path in (ROOT / part).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = getattr(node, "module", None)
                roots = {name.split(".")[0] for name in ([module] if module else [alias.name for alias in node.names])}
                assert not roots & FORBIDDEN_IN_ALGORITHMS, path
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in {"open", "torch.save", "torch.load"}, path


def loaded_after(statement):
    """Modules that a fresh interpreter has loaded after one statement."""
    code = f"import sys; {statement}; print(); print(*sorted(sys.modules))"
    environment = {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import rslcore", {"torch", "numpy", "tensordict", "mujoco", "importlib.metadata", "json", "email"}),
        ("import rslcore.config", {"torch", "numpy", "tensordict", "mujoco"}),
        ("import rslcore.numpy", {"torch", "tensordict", "mujoco", "importlib.metadata", "email"}),
        ("import rslcore.ops", {"tensordict", "mujoco", "tensorboard", "rich", "tyro", "gymnasium"}),
        ("import rslcore.algorithms", {"mujoco", "tensorboard", "rich", "tyro", "gymnasium"}),
        ("import rslcore.tasks", {"torch", "numpy", "tensordict", "mujoco", "gymnasium"}),
        ("from rslcore import tasks; [tasks.get(name).cfg() for name in tasks.names()]", {"torch", "numpy", "mujoco"}),
    ],
)
def test_imports_bring_in_only_what_they_need(statement, absent):
    """Law: kernel users pay for torch alone, or NumPy alone; simulators load when an environment is made."""
    assert not loaded_after(statement) & absent


@pytest.mark.parametrize(
    "arguments",
    [["train", "--help"], ["play", "--help"], ["export", "--help"], ["doctor", "--help"], ["tasks"]],
    ids=" ".join,
)
def test_reading_and_listing_loads_no_torch(arguments):
    """Law: a help text, with every setting of a task, and the list of the tasks load neither torch nor a simulator."""
    absent = {"torch", "numpy", "tensordict", "mujoco", "gymnasium", "matplotlib"}
    assert not loaded_after(f"from rslcore.cli import main; assert main({arguments}) == 0") & absent
