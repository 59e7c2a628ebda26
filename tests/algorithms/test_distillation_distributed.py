# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes over gloo distill together what one process with all environments does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
import torch
from limits import HANG
from rounding import GRADIENT

WORKER = textwrap.dedent(
    """
    import sys
    from types import SimpleNamespace
    import torch
    from rounding import make_lipschitz
    from tensordict import TensorDict
    from rslcore.algorithms import Distillation
    from rslcore.config import DistillationCfg, DistillationRunnerCfg, GaussianDistributionCfg, RNNModelCfg

    rank, world_size, store, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    torch.set_num_threads(1)
    if world_size > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world_size)
    num_envs = 6 // world_size
    rows = slice(rank * num_envs, (rank + 1) * num_envs)
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(6, *shape, generator=generator)[rows]

    def observe():
        return TensorDict({"policy": draw(5)}, batch_size=[num_envs])

    cfg = DistillationRunnerCfg(num_steps_per_env=8, algorithm=DistillationCfg(gradient_length=4, max_grad_norm=0.5))
    cfg.student = RNNModelCfg(hidden_dims=(8,), rnn_hidden_dim=6, obs_normalization=True)
    cfg = cfg.to_dict() | {"multi_gpu": None}
    if world_size > 1:
        cfg["multi_gpu"] = {"global_rank": rank, "local_rank": rank, "world_size": world_size}
    torch.manual_seed(rank)
    alg = Distillation.construct_algorithm(observe(), SimpleNamespace(num_envs=num_envs, num_actions=2), cfg, "cpu")
    alg.train_mode()
    make_lipschitz([alg.optimizer])
    if world_size > 1:
        alg.broadcast_parameters()
    for _ in range(3):
        for _ in range(8):
            alg.act(observe())
            alg.process_env_step(observe(), draw(), draw() > 1.0, {})
        loss = alg.update()["behavior"]
    torch.save({"saved": alg.save(), "loss": loss}, out)
    if world_size > 1:
        torch.distributed.destroy_process_group()
    """
)


def test_two_processes_are_one_with_all_environments(tmp_path, monkeypatch):
    """Law: both processes end with the same models and statistics, those of one process with all environments."""
    files = [str(tmp_path / f"{name}.pt") for name in ("first", "second", "alone")]
    store = str(tmp_path / "store")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), "2", store, file], env=environment)
        for rank, file in enumerate(files[:2])
    ]
    monkeypatch.setattr(sys, "argv", ["worker", "0", "1", store, files[2]])
    exec(WORKER, {})
    assert [worker.wait(timeout=HANG) for worker in workers] == [0, 0]
    first, second, alone = (torch.load(file, weights_only=True) for file in files)
    for model in ("student_state_dict", "teacher_state_dict"):
        for name, expected in alone["saved"][model].items():
            assert torch.equal(first["saved"][model][name], second["saved"][model][name]), name
            atol = GRADIENT * expected.abs().max().item()
            torch.testing.assert_close(first["saved"][model][name], expected, rtol=0, atol=atol)
    assert (first["loss"] + second["loss"]) / 2 == pytest.approx(alone["loss"], rel=GRADIENT)
