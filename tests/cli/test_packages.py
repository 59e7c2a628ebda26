# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A package that is not installed is one line that says how to install it, never a traceback."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from rslcore.cli import packages

BLOCKED = """
import importlib.util, json, sys

missing, command = json.loads(sys.argv[1]), json.loads(sys.argv[2])

class Missing:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in missing else find_spec(name, *rest)
sys.meta_path.insert(0, Missing)
from rslcore.cli import main
sys.exit(main(command))
"""


def without(missing: list[str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process in which packages cannot be imported."""
    arguments = [json.dumps(missing), json.dumps(command)]
    return subprocess.run([sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True)


TRAIN = ["--num-envs", "2", "--num-steps-per-env", "8", "--iterations", "1", "--eval-episodes", "0", "--video", "off"]
NEEDS = [
    ("tyro", ["train", "cart-pole", "--help"]),
    ("rich", ["train", "cart-pole", "--help"]),
    ("yaml", ["train", "cart-pole", "--help"]),
    ("tyro", ["play", "--help"]),
    ("rich", ["play", "--help"]),
    ("yaml", ["play", "--help"]),
    ("tyro", ["export", "--help"]),
    ("rich", ["export", "--help"]),
    ("yaml", ["export", "--help"]),
    ("torch", ["train", "cart-pole"]),
    ("torch", ["play", "."]),
    ("torch", ["export", "."]),
    ("torch", ["train", "gymnasium:CartPole-v1"]),
    ("numpy", ["train", "cart-pole", *TRAIN]),
    ("tensordict", ["train", "cart-pole", *TRAIN]),
]


@pytest.mark.parametrize(
    ("package", "command"), NEEDS, ids=[f"{package} {' '.join(command[:2])}" for package, command in NEEDS]
)
def test_a_command_without_a_package_it_needs(package, command):
    """Exit code 2 and one line, which names the command, the package, and how to install it."""
    done = without([package], *command)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    *before, line = done.stderr.splitlines()
    assert package == "numpy" or not before  # without NumPy torch warns
    assert line.startswith(f"rslcore: {command[0]}: ") and "Traceback" not in done.stderr
    assert f"'{package}' is not installed: {packages.INSTALL[package]}" in line
    assert "'rslcore doctor'" in line


LATE = [
    ("tensorboard", ["cart-pole"], "pip install tensorboard"),
    ("mujoco", ["quadruped-flat"], 'pip install "rslcore[mujoco]"'),
    ("mjbatch", ["quadruped-flat"], 'pip install "rslcore[mujoco]"'),
    ("gymnasium", ["half-cheetah"], 'pip install "rslcore[gymnasium]"'),
    ("gymnasium", ["gymnasium:CartPole-v1"], 'pip install "rslcore[gymnasium]"'),
    ("envpool", ["envpool:CartPole-v1"], 'pip install "rslcore[envpool]"'),
]


@pytest.fixture
def lacking(monkeypatch):
    """Make packages that are imported where they are used fail to import in this process: ``lacking("onnx", ...)``."""

    def forbid(*missing: str) -> None:
        class Missing:
            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> None:
                if name.split(".")[0] in missing:
                    raise ModuleNotFoundError(f"No module named '{name}'", name=name)

        for name in list(sys.modules):
            if name.removeprefix("torch.utils.").split(".")[0] in missing:  # torch.utils.tensorboard
                monkeypatch.delitem(sys.modules, name)
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *rest: None if name in missing else find_spec(name)
        )

    return forbid


@pytest.mark.parametrize(("package", "task", "fix"), LATE, ids=[f"{package} {task[0]}" for package, task, _ in LATE])
def test_a_task_without_its_packages(package, task, fix, run, lacking, tmp_path):
    """One line with the command that installs the packages, and no run folder stays behind."""
    lacking(package)
    code, _, err = run("train", *task, *TRAIN, "--log-dir", tmp_path)
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith("rslcore: train: ") and package in last and fix in last
    assert "Traceback" not in err
    assert not [path for path in tmp_path.glob("*/*")]


def test_what_is_only_nice_to_have_costs_itself_alone(run, lacking, tmp_path):
    """Without matplotlib, imageio, PIL and onnx all works but what they are for, and that says how to get it."""
    lacking("matplotlib", "imageio", "imageio_ffmpeg", "PIL", "onnx")
    code, out, err = run("train", "cart-pole", *TRAIN, "--log-dir", tmp_path)
    assert code == 0, err
    assert 'pip install "rslcore[plot]"' in out
    (folder,) = (tmp_path / "cart-pole").iterdir()
    code, out, err = run("play", folder, "--episodes", 1, "--video-seconds", 0.1)
    assert code == 0 and 'pip install "rslcore[video]"' in out, err
    code, _, err = run("export", folder)
    assert code == 2 and err.count("\n") == 1 and 'pip install "rslcore[onnx]"' in err
    assert run("export", folder, "--format", "jit")[0] == 0


def test_doctor_and_tasks_need_no_package():
    """Beside the standard library alone both work; the doctor names each package that is missing, with its fix."""
    everything = [*packages.INSTALL, "pygments", "markdown_it"]
    done = without(everything, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for name in ("torch", "numpy", "tensordict", "tensorboard", "rich", "tyro", "yaml", "mujoco", "mjbatch"):
        assert (checks[name]["ok"], checks[name]["detail"]) == (False, "not installed")
        assert checks[name]["fix"] == packages.INSTALL[name]
    assert checks["CPU operators"]["fix"] == "pip install torch"
    text = without(everything, "doctor")
    assert text.returncode == 1 and "Training cannot work before this is fixed: torch, numpy" in text.stdout
    listed = without(everything, "tasks")
    assert listed.returncode == 0 and 'pip install "rslcore[mujoco]"' in listed.stdout


def test_a_missing_package_of_the_user_is_not_hidden(run, monkeypatch):
    """What a module of the user's lacks is an error of that module: it is not told as a package of rslcore's."""
    assert not packages.is_missing(ModuleNotFoundError("No module named 'my_robot'", name="my_robot"))
    assert not packages.is_missing(ModuleNotFoundError("No module named 'torch.nope'", name="torch.nope"))
