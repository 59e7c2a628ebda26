# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limits import HANG

from rslcore.cli import main

TRAINING = [
    "train", "half-cheetah", "--num-envs", "4", "--iterations", "2", "--save-interval", "1", "--num-steps-per-env", "8",
    "--seed", "7", "--threads", "1", "--video", "off", "--eval-episodes", "2", "--device", "cpu",
]  # fmt: skip
"""A training of a second."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run folder, and what the training printed to a pipe."""
    for package in ("gymnasium", "mujoco", "mjbatch"):
        pytest.importorskip(package)
    root = tmp_path_factory.mktemp("runs")
    printed = subprocess.run(
        [sys.executable, "-m", "rslcore", *TRAINING, "--log-dir", str(root), "--algorithm.gamma", "0.98"],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert printed.returncode == 0, printed.stderr
    (folder,) = (root / "half-cheetah").iterdir()
    return folder, printed.stdout


@pytest.fixture(autouse=True)
def one_thread():
    """Trainings set the number of threads of this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capsys):
    """Run the command line in this process: ``run(*arguments)`` returns exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def error_line(run):
    """Run a command that must fail as user errors do; returns its one line."""

    def call(*arguments: object) -> str:
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("rslcore: ")
        assert err.count("\n") == 1
        return err

    return call


@pytest.fixture
def json_lines():
    """Parse output of which every line must be JSON."""

    def parse(text: str) -> list[dict]:
        return [json.loads(line) for line in text.splitlines()]

    return parse
