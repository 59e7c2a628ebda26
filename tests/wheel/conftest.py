# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The wheel in fresh environments that hold nothing but what was asked for, away from the source tree.

Dependencies are links to packages that are installed already, found by following what each package declares: an
environment is ready in a second, needs no network, and lacks whatever was not declared.

`make wheel-test` sets RSLCORE_WHEEL to the file, and RSLCORE_WHEEL_BESIDE to an environment whose packages, torch above
all, are preferred.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SITE = Path(sysconfig.get_path("purelib"))


def sources() -> list[str]:
    """Folders of packages to link to, best first."""
    beside = os.environ.get("RSLCORE_WHEEL_BESIDE")
    return [*([str(packages(Path(beside)))] if beside else []), str(SITE)]


def packages(environment: Path) -> Path:
    """Folder of the packages of a virtual environment for this Python."""
    return environment.resolve() / SITE.relative_to(sys.prefix)


def closure(requirements: Sequence[str], folders: list[str]) -> list[importlib.metadata.Distribution]:
    """Distributions in `folders`, the first that has it, of `requirements` and of all that they declare to need."""
    found: dict[tuple[str, str], importlib.metadata.Distribution] = {}
    queue = [Requirement(text) for text in requirements]
    while queue:
        requirement = queue.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in found:
                continue
            distribution = next(iter(importlib.metadata.distributions(name=requirement.name, path=folders)), None)
            assert distribution is not None, f"{requirement.name} is declared but not installed here"
            found[key] = distribution
            needs = [Requirement(text) for text in distribution.requires or []]
            queue += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return list(found.values())


@dataclasses.dataclass
class Environment:
    """A virtual environment with the wheel in it, and an empty folder to work in."""

    folder: Path
    work: Path

    @property
    def site(self) -> Path:
        """Folder of its packages."""
        return packages(self.folder)

    def run(self, *arguments: object) -> str:
        """Run a program of the environment, python or a script of a package, and return what it prints."""
        program, *rest = map(str, arguments)
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RSLCORE"))}
        done = subprocess.run(
            [self.folder / "bin" / program, *rest],
            cwd=self.work,
            env=variables | {"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{program} {rest} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def copy_operator_tests(self) -> None:
        """Copy the operator tests, with what configures them, to the folder to work in."""
        for name in ("pyproject.toml", "tests/conftest.py"):
            (self.work / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.work / name)
        shutil.copytree(ROOT / "tests" / "ops", self.work / "tests" / "ops")


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel that is tested."""
    file = os.environ.get("RSLCORE_WHEEL")
    if not file:
        pytest.skip("`make wheel-test` builds the wheel and runs this")
    return Path(file).resolve()


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Make an environment with the wheel and with packages, named as requirements."""

    def make(*requirements: str) -> Environment:
        folder = tmp_path_factory.mktemp("environment")
        made = Environment(folder / "venv", folder / "work")
        made.work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.folder], check=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", made.folder / "bin" / "python"]
            + ["install", "--quiet", "--no-deps", "--no-index", wheel],
            check=True,
        )
        for distribution in closure(requirements, [str(made.site), *sources()]):
            link(distribution, made.site)
        return made

    return make


def link(distribution: importlib.metadata.Distribution, site: Path) -> None:
    """Link the top-level files and folders of a distribution into another folder of packages."""
    origin = Path(str(distribution.locate_file("")))
    for name in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        if not (site / name).exists() and (origin / name).exists():
            (site / name).symlink_to(origin / name)
