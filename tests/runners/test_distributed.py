# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of training in several processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG
from pendulum import PendulumVecEnv, make_cfg

from rslcore.logging import read_metrics
from rslcore.runners import OnPolicyRunner

HERE = Path(__file__).parent


def test_two_processes_train_one_policy_on_the_cpu(tmp_path: Path) -> None:
    """Two Gloo processes with different seeds end with the same bits; rank 0 alone writes, and counts all steps."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, str(HERE / "distributed_training.py"), str(tmp_path), str(port)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "0.txt").read_text() == (tmp_path / "1.txt").read_text()
    assert not (tmp_path / "1").exists()
    assert [record["total_timesteps"] for record in read_metrics(tmp_path / "0")] == [2 * 8 * 16, 2 * 2 * 8 * 16]


@pytest.mark.parametrize(
    ("variables", "device", "message"),
    [
        ({"WORLD_SIZE": "2", "RANK": "2"}, "cpu", "RANK must be below WORLD_SIZE 2, got 2"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "5"}, "cpu", "LOCAL_RANK must be below WORLD_SIZE 2, got 5"),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, "cuda:0", "`device` must be 'cuda:1'"),
    ],
)
def test_contradicting_ranks_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], device: str, message: str
) -> None:
    """Ranks beyond the world size, and a GPU that is not the one of the local rank, are named."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        OnPolicyRunner(PendulumVecEnv(), make_cfg(), None, device)
