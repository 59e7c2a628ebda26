# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``torchrun -m rslcore train``: several processes, one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program in two processes on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=HANG, env=environment, check=False
    )


def test_two_processes_make_one_run(tmp_path, json_lines):
    """One folder, written by the first process alone; steps of both are counted; a resumed run goes on with both."""
    pytest.importorskip("mjbatch")
    settings = ("--num-steps-per-env", 4, "--device", "cpu", "--video", "off", "--eval-episodes", 0, "--json")
    first = torchrun(
        *("-m", "rslcore", "train", "quadruped-flat", "--num-envs", 2, "--iterations", 1),
        *("--log-dir", tmp_path, *settings),
    )
    assert first.returncode == 0, first.stderr
    (folder,) = (tmp_path / "quadruped-flat").iterdir()
    assert [file.name for file in sorted(folder.glob("model_*"))] == ["model_0.pt"]
    lines = json_lines(first.stdout)
    assert [line["total_timesteps"] for line in lines if "iteration" in line] == [2 * 2 * 4]
    assert [line["result"]["run_folder"] for line in lines if "result" in line] == [str(folder)]

    script = Path(sys.executable).with_name("rslcore")
    second = torchrun(script, "train", "--resume", folder, "--iterations", 2, *settings)
    assert second.returncode == 0, second.stderr
    assert list((tmp_path / "quadruped-flat").iterdir()) == [folder]
    lines = json_lines(second.stdout)
    assert [line["total_timesteps"] for line in lines if "iteration" in line] == [2 * 2 * 2 * 4]
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in metrics] == [0, 1]
