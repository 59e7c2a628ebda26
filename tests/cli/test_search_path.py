# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What lies in the current folder runs only where the user names it, however rslcore is started."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from limits import HANG

from rslcore.cli.search_path import python_command

STARTS = {
    "script": [str(Path(sys.executable).with_name("rslcore"))],
    "module": [sys.executable, "-m", "rslcore"],
}
DECOYS = (
    "mujoco", "mjbatch", "torch", "numpy", "tensordict", "tensorboard", "rich", "tyro", "yaml", "gymnasium",
    "matplotlib", "imageio", "imageio_ffmpeg", "PIL", "difflib", "rsl_rl",
)  # fmt: skip
"""Modules that the commands import, or a file names."""
SMALL = (
    "--num-envs", "2", "--num-steps-per-env", "8", "--iterations", "1", "--threads", "1", "--device", "cpu",
    "--eval-episodes", "0", "--json", "--log-dir", "runs",
)  # fmt: skip

GRID_ENV = """
    import gymnasium
    import grid_size

    class Grid(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, grid_size.SIZE, (1,))
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.place = self.observation_space.low
            return self.place, {}

        def step(self, action):
            self.place = self.place + action
            return self.place, float(action), bool(self.place >= grid_size.SIZE), False, {}

    gymnasium.register("Grid-v0", Grid)
"""


@pytest.fixture
def here(tmp_path) -> Path:
    """A folder with a module in the place of every package; each leaves a file when it is run."""
    for name in DECOYS:
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()\n")
    return tmp_path


def call(start: str, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, started in one of both ways."""
    return subprocess.run([*STARTS[start], *arguments], cwd=here, capture_output=True, text=True, timeout=HANG)


def ran(here: Path) -> list[str]:
    """Return which of the modules there have been run."""
    return sorted(file.stem for file in here.glob("*.ran"))


@pytest.mark.parametrize("start", STARTS)
def test_doctor_runs_nothing_of_the_current_folder(start, here):
    """Law: neither the doctor nor the processes in which it tries to draw import what lies in the current folder."""
    done = call(start, here, "doctor", "--json")
    assert ran(here) == []
    checks = {check["name"]: check["ok"] for check in json.loads(done.stdout)["checks"]}
    assert checks["torch"] and checks["tensordict"]


def test_training_and_filming_run_what_is_named(here):
    """Law: a class that is named by hand is found there, by the process that films too; nothing else there is run."""
    (here / "nets.py").write_text("from rslcore.models import MLPModel\nclass Net(MLPModel): ...\n")
    done = call("module", here, "train", "cart-pole", *SMALL, "--actor.class-name", "nets:Net")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert result["video"] is not None, result["hints"]
    assert result["play"].endswith(" --trust nets")
    assert ran(here) == []


def test_an_environment_of_the_current_folder(tmp_path):
    """Law: both ways of starting find the module of a task in the current folder, and the neighbours it imports."""
    pytest.importorskip("gymnasium")
    (tmp_path / "grid_env.py").write_text(textwrap.dedent(GRID_ENV))
    (tmp_path / "grid_size.py").write_text("SIZE = 3\n")
    done = call("script", tmp_path, "train", "gymnasium:grid_env:Grid-v0", *SMALL, "--video", "off")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    *_, option, module = result["play"].split()
    assert (option, module) == ("--trust", "grid_env")
    resume = ("train", "--resume", result["run_folder"], *SMALL, "--video", "off", "--iterations", "2")
    done = call("module", tmp_path, *resume, "--trust", "grid_env")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (("gymnasium:grid_env:Grid-v0",), ""),
        (("cart-pole", "--actor.class-name", "grid_env:Net"), "`actor.class_name` names 'grid_env:Net', but "),
        (("cart-pole", "--logger", "grid_env.Net"), "`logger` names 'grid_env.Net', but "),
    ],
)
def test_what_is_nowhere(arguments, subject, tmp_path, monkeypatch, error_line):
    """Law: the error says where was looked."""
    monkeypatch.chdir(tmp_path)
    message = error_line("train", *arguments)
    assert f"train: {subject}there is no module 'grid_env', neither installed nor in the current folder" in message
    assert str(tmp_path) in message


def test_what_is_installed_comes_first(here, monkeypatch):
    """Law: a child finds what its parent finds, in the same order, and never the current folder for being that."""
    (here / "own.py").touch()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    command = python_command(
        "import json; print(json.dumps([sys.path, sys.argv[1:]]))\ntry:\n    import own\nexcept ImportError: pass\n"
        "else: sys.exit(1)",
        "two words",
    )
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[entry for entry in sys.path if entry], ["two words"]]
