# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.clip_adam` against torch's gradient clipping followed by its optimizers.

python benchmarks/ops/adam.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from _bench import Report, copy_of

from rslcore import ops

NETWORKS = {"XS": (64, 64), "M": (128, 128, 128), "S": (512, 256, 128)}
"""Hidden layers of actor and critic, 48 observations, 12 actions."""


def make(hidden: tuple[int, ...]) -> tuple[list[torch.nn.Parameter], list[int]]:
    """Parameters of actor and critic with gradients, and how many each has."""
    groups = []
    for outputs in (12, 1):
        sizes = (48, *hidden, outputs)
        group = [torch.zeros(12)] if outputs == 12 else []
        for inputs, width in pairwise(sizes):
            group += [torch.randn(width, inputs) / inputs**0.5, torch.zeros(width)]
        groups.append([torch.nn.Parameter(x) for x in group])
    params = [param for group in groups for param in group]
    for param in params:
        param.grad = torch.randn_like(param)
    return params, [len(group) for group in groups]


def in_torch(hidden: tuple[int, ...], **options: bool) -> Callable[[], object]:
    """clip_grad_norm_ per group, then a step of torch's Adam."""
    params, sizes = make(hidden)
    optimizer = torch.optim.Adam(params, lr=1e-3, **options)

    def run() -> None:
        for group in (params[: sizes[0]], params[sizes[0] :]):
            torch.nn.utils.clip_grad_norm_(group, 1.0, foreach=True)
        optimizer.step()

    return run


def main() -> None:
    """Time every network."""
    report = Report(__doc__.splitlines()[0])
    raw = torch.ops.rslcore.clip_adam.default
    for name, hidden in NETWORKS.items():
        params, sizes = make(hidden)
        lists = [
            params,
            [param.grad for param in params],
            [torch.zeros_like(param.data) for param in params],
            [torch.zeros_like(param.data) for param in params],
            [torch.zeros(()) for _ in params],
        ]
        rest = (sizes, 1.0, 1e-3, 0.9, 0.999, 1e-8, 0.0, False, torch.zeros(2))
        count = sum(param.numel() for param in params)

        def unchecked(lists: list = lists, rest: tuple = rest) -> None:
            with torch.no_grad():
                raw(*lists, *rest)

        report.add(
            f"clip_adam {name}: {len(params)} tensors, {count:,} parameters",
            {
                "rslcore.ops.clip_adam": lambda lists=lists, sizes=sizes: ops.clip_adam(
                    *lists, group_sizes=sizes, max_norm=1.0, lr=1e-3
                ),
                "torch clip_grad_norm_ and Adam(fused=True)": in_torch(hidden, fused=True),
                "torch clip_grad_norm_ and Adam(), as rsl_rl 5.5.1": in_torch(hidden),
                "without the checks in Python": unchecked,
                "memcpy of the same bytes (read and write)": copy_of(4 * count * 4),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
