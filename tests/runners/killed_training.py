# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Program of the kill test: starts a training several times, each from the latest checkpoint, and kills every one.

Usage: killed_training.py RUN_DIR KILLS. Prints, after each kill, the iteration of the latest checkpoint. Processes are
forked from this one, which has imported everything, so that they live long enough to be killed while they train.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch.utils.tensorboard
from limits import HANG
from pendulum import SavingPendulumVecEnv, make_cfg

from rslcore import checkpoint
from rslcore.runners import OnPolicyRunner


def train_without_end(run_dir: Path) -> None:
    """Train from the latest checkpoint, saving after every iteration."""
    torch.manual_seed(0)
    runner = OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(save_interval=1), run_dir, "cpu", console="none")
    if (found := checkpoint.latest(run_dir)) is not None:
        runner.load(found)
    runner.learn(1_000_000)


def main(run_dir: Path, kills: int) -> None:
    """Start, wait for some progress and a random time more, kill; several times."""
    torch.set_num_threads(1)
    for _ in range(kills):
        before = checkpoint.latest(run_dir)
        process = os.fork()
        if process == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            train_without_end(run_dir)
        deadline = time.monotonic() + HANG
        while checkpoint.latest(run_dir) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.2))
        os.kill(process, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
        content = checkpoint.read(checkpoint.resolve(run_dir))
        print(content["iter"], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
