# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Program of the distributed test: forks into two processes that train together on the CPU.

Usage: distributed_training.py FOLDER PORT. Rank r logs into FOLDER/r and writes a digest of its parameters to
FOLDER/r.txt.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import torch
from pendulum import SavingPendulumVecEnv, make_cfg

from rslcore.runners import OnPolicyRunner


def train(folder: Path, rank: int) -> None:
    """Train two iterations as one of two ranks, whose weights and environments start differently."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.manual_seed(rank)
    runner = OnPolicyRunner(SavingPendulumVecEnv(seed=rank), make_cfg(), folder / str(rank), "cpu", console="none")
    runner.learn(2)
    torch.distributed.barrier()
    angles = runner.env.angle.clone()
    runner.load(folder / "0" / "model_1.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runner.learn(0)
    said = [str(warning.message) for warning in caught if "rank 0 alone" in str(warning.message)]
    assert len(said) == (1 if rank == 0 else 0)  # what is not restored is said, once
    assert all("the other 1 of 2 processes start new episodes" in text for text in said)
    assert torch.equal(runner.env.angle, angles)  # rank 0 goes on with its episodes, the other does not take them over
    tensors = [*runner.alg.actor.state_dict().values(), *runner.alg.critic.state_dict().values()]
    (folder / f"{rank}.txt").write_text(" ".join(tensor.double().sum().item().hex() for tensor in tensors))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": sys.argv[2]}
    other = os.fork()
    train(Path(sys.argv[1]), 0 if other else 1)
    if other:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
