# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.gae` against what people call today, and against a memcpy of the bytes that it must move.

python benchmarks/ops/gae.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from _bench import Report, copy_of
from rsl_rl.algorithms import PPO
from tensordict import TensorDict
from torchrl.objectives.value.functional import vec_generalized_advantage_estimate

from rslcore import ops

GAMMA, LAM = 0.99, 0.95
SHAPES = [(24, 4_096), (128, 1_024), (1_000, 64), (24, 65_536)]
MEMCPY = "memcpy of the same bytes (17 per sample)"
"""A sample is 9 bytes read and 8 written; torch's copy_, on as many threads, reads 17 and writes 17."""
TORCHRL_LIMIT = 200_000
"""Samples beyond which TorchRL's function takes seconds a call."""


def rsl_rl_loop(data: dict[str, torch.Tensor], normalize: bool) -> Callable[[], object]:
    """The return computation of rsl_rl's PPO, run as its own code on a storage with these contents."""
    num_steps = data["rewards"].shape[0]
    deep = {name: x.unsqueeze(-1) for name, x in data.items()}
    storage = SimpleNamespace(
        num_transitions_per_env=num_steps,
        rewards=deep["rewards"],
        values=deep["values"],
        dones=deep["dones"].byte(),
        returns=torch.empty_like(deep["rewards"]),
        advantages=torch.empty_like(deep["rewards"]),
    )

    class Critic:
        """Costs nothing: returns the last values."""

        def __call__(self, observations: TensorDict) -> torch.Tensor:
            return deep["last_values"]

        def get_hidden_state(self) -> None:
            return None

        def reset(self, hidden_state: None) -> None:
            return None

    algorithm = SimpleNamespace(
        storage=storage,
        critic=Critic(),
        gamma=GAMMA,
        lam=LAM,
        normalize_advantage_per_mini_batch=not normalize,
    )
    observations = TensorDict({}, batch_size=[data["rewards"].shape[1]])
    return lambda: PPO.compute_returns(algorithm, observations)


def python_loop(data: dict[str, torch.Tensor]) -> Callable[[], object]:
    """The loop over time steps that single-file PPO implementations write."""

    def run() -> torch.Tensor:
        rewards, values, alive = data["rewards"], data["values"], 1.0 - data["dones"].float()
        advantages = torch.zeros_like(rewards)
        last = torch.zeros_like(data["last_values"])
        next_values = data["last_values"]
        for t in reversed(range(rewards.shape[0])):
            delta = rewards[t] + GAMMA * next_values * alive[t] - values[t]
            last = delta + GAMMA * LAM * alive[t] * last
            advantages[t] = last
            next_values = values[t]
        return advantages + values

    return run


def torchrl_vectorized(data: dict[str, torch.Tensor]) -> Callable[[], object]:
    """TorchRL's vectorized estimate, on the layout that it wants."""
    state_values = data["values"].t().unsqueeze(-1).contiguous()
    next_values = torch.cat([data["values"][1:], data["last_values"][None]]).t().unsqueeze(-1).contiguous()
    rewards = data["rewards"].t().unsqueeze(-1).contiguous()
    dones = data["dones"].t().unsqueeze(-1).contiguous()
    return lambda: vec_generalized_advantage_estimate(GAMMA, LAM, state_values, next_values, rewards, dones)


def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    generator = torch.Generator().manual_seed(0)
    for num_steps, num_envs in SHAPES:
        data = {
            "rewards": torch.randn(num_steps, num_envs, generator=generator),
            "values": torch.randn(num_steps, num_envs, generator=generator),
            "dones": torch.rand(num_steps, num_envs, generator=generator) < 0.02,
            "last_values": torch.randn(num_envs, generator=generator),
        }
        out = torch.empty(num_steps, num_envs), torch.empty(num_steps, num_envs)
        samples = num_steps * num_envs
        calls = {
            "rslcore.ops.gae": lambda data=data, out=out: ops.gae(**data, gamma=GAMMA, lam=LAM, out=out),
            MEMCPY: copy_of(17 * samples),
            "rslcore.ops.gae, normalize=True": lambda data=data, out=out: ops.gae(
                **data, gamma=GAMMA, lam=LAM, normalize=True, out=out
            ),
            "rsl_rl 5.5.1 compute_returns": rsl_rl_loop(data, normalize=False),
            "rsl_rl 5.5.1 compute_returns, normalizing": rsl_rl_loop(data, normalize=True),
            "loop over time steps": python_loop(data),
        }
        if samples <= TORCHRL_LIMIT:
            calls["TorchRL vec_generalized_advantage_estimate"] = torchrl_vectorized(data)
        report.add(f"gae {num_steps} x {num_envs}", calls)
        times = report.rows[-1]["us"]
        to_memcpy = times["rslcore.ops.gae"] / times[MEMCPY]
        report.rows[-1]["gae_to_memcpy"] = to_memcpy
        if not report.options.json:
            print(f"    gae takes {to_memcpy:.2f} times as long as memcpy")
    report.finish()


if __name__ == "__main__":
    main()
