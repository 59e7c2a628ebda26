# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Operators on a GPU: time inside a CUDA graph, and bytes per second against a copy of the same bytes.

python benchmarks/gpu/operators.py [--out FILE]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _card import captured, device_us, finish, parser, require_device

from rslcore import ops

IN_GRAPH = 50
"""Calls per graph: the launch of the graph itself is shared by them."""


def row(name: str, call: Callable[[], object], num_bytes: int, device: torch.device, rounds: int) -> dict[str, Any]:
    """Time of one call inside a graph, beside a copy that moves as many bytes (half read, half written)."""
    source = torch.empty(max(num_bytes // 2, 1), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    us = device_us(captured(call, device, IN_GRAPH), device, rounds, 1) / IN_GRAPH
    copy_us = device_us(captured(lambda: target.copy_(source), device, IN_GRAPH), device, rounds, 1) / IN_GRAPH
    return {
        "case": name,
        "us_in_graph": round(us, 3),
        "us_eager": round(device_us(call, device, rounds), 3),
        "bytes": num_bytes,
        "gb_per_s": round(num_bytes / us / 1e3, 1),
        "copy_us": round(copy_us, 3),
        "of_copy_bandwidth": round(copy_us / us, 3),
    }


def gae(steps: int, envs: int, device: torch.device, rounds: int) -> dict[str, Any]:
    """Returns and advantages; 17 bytes per sample."""
    rewards, values = (torch.randn(steps, envs, device=device) for _ in range(2))
    dones = (torch.rand(steps, envs, device=device) < 0.01).to(torch.uint8)
    last = torch.randn(envs, device=device)
    out = torch.empty_like(rewards), torch.empty_like(rewards)
    num_bytes = rewards.nbytes * 4 + dones.nbytes + last.nbytes
    return row(
        f"gae {steps} x {envs:,}",
        lambda: ops.gae(rewards, values, dones, last, gamma=0.99, lam=0.95, out=out),
        num_bytes,
        device,
        rounds,
    )


def normalization(rows: int, width: int, device: torch.device, rounds: int) -> dict[str, Any]:
    """Moments of rows, and the rows normalized by them: they are read twice and written once."""
    x = torch.randn(rows, width, device=device)
    out = torch.empty_like(x)
    mean, var = torch.zeros(width, device=device), torch.ones(width, device=device)
    count = torch.zeros((), dtype=torch.int64, device=device)
    return row(
        f"update_and_normalize {rows:,} x {width}",
        lambda: ops.update_and_normalize(x, mean, var, count, out=out),
        3 * x.nbytes,
        device,
        rounds,
    )


def shuffle(rows: int, device: torch.device, rounds: int) -> dict[str, Any]:
    """A whole rollout: every row of every field is read and written once, and the index read."""
    fields = [torch.randn(rows, width, device=device) for width in (48, 12, 12, 12, 1, 1, 1, 1)]
    out = [torch.empty_like(field) for field in fields]
    index = ops.permutation(rows, seed=1, device=device)
    num_bytes = 2 * sum(field.nbytes for field in fields) + index.nbytes
    return row(
        f"shuffle_rows {rows:,} rows, {len(fields)} fields",
        lambda: ops.shuffle_rows(fields, index, out=out),
        num_bytes,
        device,
        rounds,
    )


def main() -> None:
    """Time all operators of the table."""
    options = parser(__doc__).parse_args()
    device = require_device(options.device)
    rounds, scale = (3, 256) if options.small else (100, 1)
    rows = [
        gae(24, 4_096 // min(scale, 64), device, rounds),
        gae(128, 1_048_576 // scale, device, rounds),
        normalization(4_194_304 // scale, 48, device, rounds),
        shuffle(3_145_728 // scale, device, rounds),
    ]
    finish("operators", device, rows, options.out)


if __name__ == "__main__":
    main()
