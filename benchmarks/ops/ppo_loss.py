# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.ppo_loss` with its backward pass against the torch calls that rsl_rl 5.5.1 makes for the same numbers.

python benchmarks/ops/ppo_loss.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report, copy_of
from rsl_rl.modules.distribution import GaussianDistribution

from rslcore import ops
from rslcore.ops import reference

SHAPES = [(384, 12), (6_144, 12), (24_576, 12), (24_576, 37)]
"""Rows of a minibatch x actions: 64, 1,024 and 4,096 environments with 24 steps in 4 minibatches; a humanoid."""

SETTINGS = {"clip_param": 0.2, "value_loss_coef": 1.0, "entropy_coef": 0.01}


def make(rows: int, columns: int) -> dict[str, torch.Tensor]:
    """A minibatch; mean, std and values want gradients."""
    mean, std, values = torch.randn(rows, columns), torch.full((columns,), 0.7), torch.randn(rows, 1)
    old_mean = mean + 0.05 * torch.randn(rows, columns)
    actions = old_mean + 0.7 * torch.randn(rows, columns)
    data = {
        "mean": mean,
        "std": std,
        "values": values,
        "actions": actions,
        "old_log_prob": torch.distributions.Normal(old_mean, std).log_prob(actions).sum(-1, keepdim=True),
        "advantages": torch.randn(rows, 1),
        "returns": values + torch.randn(rows, 1),
        "old_values": values + 0.1 * torch.randn(rows, 1),
        "old_mean": old_mean,
        "old_std": std.repeat(rows, 1),
    }
    for name in ("mean", "std", "values"):
        data[name].requires_grad_()
    return data


def with_backward(loss: Callable[[], torch.Tensor], data: dict[str, torch.Tensor]) -> Callable[[], object]:
    """The loss and its gradients."""
    inputs = [data[name] for name in ("mean", "std", "values")]
    return lambda: torch.autograd.grad(loss(), inputs)


def rsl_rl_calls(data: dict[str, torch.Tensor]) -> Callable[[], torch.Tensor]:
    """Distribution of rsl_rl, then loss and KL divergence by torch, call by call."""
    distribution = GaussianDistribution(data["mean"].shape[1])
    distribution.std_param = torch.nn.Parameter(data["std"].detach())

    def run() -> torch.Tensor:
        distribution.update(data["mean"])
        log_prob = distribution.log_prob(data["actions"])
        with torch.inference_mode():
            distribution.kl_divergence((data["old_mean"], data["old_std"]), distribution.params).mean()
        ratio = torch.exp(log_prob - data["old_log_prob"].squeeze())
        descent = -data["advantages"].squeeze()
        surrogate = torch.max(descent * ratio, descent * ratio.clamp(0.8, 1.2)).mean()
        near_old = data["old_values"] + (data["values"] - data["old_values"]).clamp(-0.2, 0.2)
        errors = (data["values"] - data["returns"]).pow(2), (near_old - data["returns"]).pow(2)
        loss = surrogate + torch.max(*errors).mean() - 0.01 * distribution.entropy.mean()
        return loss + 0.0 * data["std"].sum()

    return run


def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    raw = torch.ops.rslcore.ppo_loss.default
    for rows, columns in SHAPES:
        data = make(rows, columns)
        plain = {name: x.detach() for name, x in data.items()}
        arguments, numbers = list(plain.values()), list(SETTINGS.values())
        report.add(
            f"ppo_loss {rows:,} x {columns}",
            {
                "rslcore.ops.ppo_loss and backward": with_backward(
                    lambda d=data: ops.ppo_loss(**d, **SETTINGS)[0], data
                ),
                "torch calls of rsl_rl 5.5.1 and backward": with_backward(rsl_rl_calls(data), data),
                "the reference in plain torch and backward": with_backward(
                    lambda d=data, n=numbers: reference.ppo_loss(*d.values(), *n)[0], data
                ),
                "without autograd (gradients included)": lambda p=plain: ops.ppo_loss(**p, **SETTINGS),
                "without the checks in Python": lambda a=arguments, n=numbers, raw=raw: raw(*a, *n),
                "memcpy of the same bytes (read once, write once)": copy_of(4 * rows * (5 * columns + 6) // 2),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
