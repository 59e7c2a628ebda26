# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Two processes over gloo learn together."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import torch
from limits import HANG

WORKER = textwrap.dedent(
    """
    import sys
    from types import SimpleNamespace
    import torch
    from tensordict import TensorDict
    from rslcore.algorithms import PPO
    from rslcore.config import OnPolicyRunnerCfg
    from rslcore.modules import EmpiricalNormalization

    rank, store, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(rank)
    observe = lambda: TensorDict({"policy": torch.randn(6, 5) + rank}, batch_size=[6])
    cfg = OnPolicyRunnerCfg(num_steps_per_env=4).to_dict()
    cfg["actor"] |= {"hidden_dims": [8], "obs_normalization": True}
    cfg["critic"] |= {"hidden_dims": [8], "obs_normalization": True}
    cfg["obs_groups"]["rnd_state"] = ["policy"]
    rnd_cfg = {"weight": 50.0, "num_outputs": 2, "predictor_hidden_dims": [7], "target_hidden_dims": [-1]}
    cfg["algorithm"]["rnd_cfg"] = rnd_cfg | {"state_normalization": True, "reward_normalization": True}
    cfg["algorithm"]["grad_reduce_bucket_mb"] = 64 / 2**20  # 16 numbers: packed buckets and sliced gradients
    cfg["multi_gpu"] = {"global_rank": rank, "local_rank": rank, "world_size": 2}
    ppo = PPO.construct_algorithm(observe(), SimpleNamespace(num_envs=6, num_actions=2, step_dt=0.02), cfg, "cpu")
    ppo.train_mode()
    ppo.broadcast_parameters()
    seen = []
    for _ in range(2):
        for _ in range(4):
            ppo.act(observe())
            ppo.process_env_step(observe(), torch.randn(6), torch.zeros(6), {})
        ppo.compute_returns(observe())
        seen.append(ppo.storage.observations["policy"].flatten(0, 1).clone())
        ppo.update()
    parameters = [*ppo.actor.parameters(), *ppo.critic.parameters(), *ppo.rnd.predictor.parameters()]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number + 10.0 * rank)
    ppo.reduce_parameters()
    reduced = [parameter.grad.clone() for parameter in parameters]
    normalizer, samples = EmpiricalNormalization(3, until=30), []
    for rows in (3 + 10 * rank, 7, 0 if rank else 5, 4):  # 16, 30, and then no more
        samples.append(torch.randn(rows, 3) * (1 + rank) - 2 * rank)
        normalizer.update(samples[-1])
    pooled = {"moments": normalizer.state_dict(), "samples": torch.cat(samples[:2])}
    result = {"pooled": pooled, "model": ppo.save(), "seen": torch.cat(seen), "lr": ppo.learning_rate}
    torch.save({**result, "reduced": reduced}, out)
    torch.distributed.destroy_process_group()
    """
)


def check_pooled(first, second):
    """Of unequal numbers of samples, up to the limit: the moments of their union, on both processes."""
    samples = torch.cat([first["samples"], second["samples"]]).double()
    assert len(samples) == first["moments"]["count"].item() == 30
    for name, expected in (("_mean", samples.mean(dim=0)), ("_var", samples.var(dim=0, unbiased=False))):
        assert torch.equal(first["moments"][name], second["moments"][name])
        torch.testing.assert_close(first["moments"][name][0].double(), expected, rtol=1e-6, atol=1e-7)


def test_processes_stay_in_step(tmp_path):
    """Law: after updates on different data, all processes have the same parameters, learning rate and moments."""
    files = [tmp_path / f"rank{rank}.pt" for rank in range(2)]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path / "store"), str(file)])
        for rank, file in enumerate(files)
    ]
    assert [worker.wait(timeout=HANG) for worker in workers] == [0, 0]
    first, second = (torch.load(file, weights_only=True) for file in files)
    assert first["lr"] == second["lr"]
    assert not torch.equal(first["seen"], second["seen"])
    for number, gradients in enumerate(zip(first["reduced"], second["reduced"], strict=True)):
        assert all((gradient == number + 5.0).all() for gradient in gradients), "gradients are means over processes"
    for model in ("actor_state_dict", "critic_state_dict", "rnd_state_dict"):
        for name, value in first["model"][model].items():
            assert torch.equal(value, second["model"][model][name]), name
    check_pooled(first["pooled"], second["pooled"])
    seen = torch.cat([first["seen"], second["seen"]]).double()
    moments = first["model"]["actor_state_dict"]
    assert moments["obs_normalizer.count"].item() == len(seen)
    torch.testing.assert_close(moments["obs_normalizer._mean"][0].double(), seen.mean(dim=0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        moments["obs_normalizer._var"][0].double(), seen.var(dim=0, unbiased=False), rtol=1e-5, atol=1e-6
    )
