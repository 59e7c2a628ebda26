# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent layers over rollouts against torch's on trajectories that are split and padded.

python benchmarks/ops/rnn.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report
from torch import nn

from rslcore import ops

STEPS, INPUTS, UNITS = 24, 48, 256
ENVS = [16, 256, 1_024]
END_PROBABILITIES = [0.0, 0.01, 0.05]
KINDS = {"LSTM": (nn.LSTM, ops.lstm), "GRU": (nn.GRU, ops.gru)}


def cases(
    kind: str, num_envs: int, probability: float
) -> tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]:
    """The layer in one scan, and torch's on padded trajectories, both from observations to outputs [T, N, H]."""
    layer_class, operator = KINDS[kind]
    layer = layer_class(INPUTS, UNITS)
    x = torch.randn(STEPS, num_envs, INPUTS)
    dones = torch.rand(STEPS, num_envs) < probability
    states = [torch.randn(num_envs, UNITS) for _ in range(2 if kind == "LSTM" else 1)]
    split = ops.split_trajectories(dones)
    count = int(split.offsets[-1])
    starts, lengths = split.starts[:count], split.lengths[:count]
    padded = ops.pad_trajectories(x, starts, lengths)
    first = (starts < num_envs)[:, None]
    gathered = [torch.where(first, state[starts % num_envs], 0)[None] for state in states]
    hidden = tuple(gathered) if len(gathered) == 2 else gathered[0]

    def theirs() -> torch.Tensor:
        return ops.unpad_trajectories(layer(padded, hidden)[0], starts, lengths, num_envs=num_envs)

    def ours() -> torch.Tensor:
        return operator(x, dones, *states, *layer.parameters())[0]

    return ours, theirs


def main() -> None:
    """Minibatches of few and many environments, episodes that never end and such that often do."""
    report = Report(__doc__.splitlines()[0])
    torch.manual_seed(0)
    for kind in KINDS:
        for num_envs in ENVS:
            for probability in END_PROBABILITIES:
                ours, theirs = cases(kind, num_envs, probability)
                gradient = torch.randn(STEPS, num_envs, UNITS)
                case = (
                    f"{kind} {INPUTS} -> {UNITS}, {STEPS} x {num_envs:,}, {probability:.0%} of the steps end an episode"
                )
                name = f"rslcore.ops.{kind.lower()}"
                with torch.no_grad():
                    report.add(f"{case}, forward", {name: ours, f"torch.nn.{kind}, padded": theirs})
                report.add(
                    f"{case}, forward and backward",
                    {
                        name: lambda ours=ours, gradient=gradient: ours().backward(gradient),
                        f"torch.nn.{kind}, padded": lambda theirs=theirs, gradient=gradient: theirs().backward(
                            gradient
                        ),
                    },
                )
    report.finish()


if __name__ == "__main__":
    main()
