# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.update_and_normalize` against rsl_rl's module, torch.var_mean, and a memcpy of the bytes that it must move.

python benchmarks/ops/normalization.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report, copy_of
from rsl_rl.modules import EmpiricalNormalization

from rslcore import ops

SHAPES = [(64, 48), (4_096, 1), (4_096, 48), (4_096, 235), (24 * 4_096, 48)]
"""Laptop and full-size steps, rewards, and the whole rollout that rsl_rl 5.5 updates from."""


def rsl_rl_module(x: torch.Tensor) -> Callable[[], object]:
    """update() and forward() of rsl_rl's module."""
    module = EmpiricalNormalization(x.shape[1])

    def run() -> torch.Tensor:
        module.update(x)
        return module(x)

    return run


def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    for rows, columns in SHAPES:
        x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
        out = torch.empty_like(x)
        mean, var, count = torch.zeros(columns), torch.ones(columns), torch.tensor(0)
        state = (mean, var, count)
        raw = torch.ops.rslcore.update_and_normalize.default
        report.add(
            f"update_and_normalize {rows} x {columns}",
            {
                "rslcore.ops.update_and_normalize": lambda x=x, s=state, out=out: ops.update_and_normalize(
                    x, *s, out=out
                ),
                "rsl_rl 5.5.1 EmpiricalNormalization": rsl_rl_module(x),
                "torch.var_mean alone": lambda x=x: torch.var_mean(x, dim=0, correction=0),
                "without the checks in Python": lambda x=x, s=state, out=out, raw=raw: raw(x, *s, 1e-2, None, out),
                "rslcore.ops.update_moments alone": lambda x=x, s=state: ops.update_moments(x, *s),
                "rslcore.ops.normalize alone": lambda x=x, s=state, out=out: ops.normalize(x, *s[:2], out=out),
                # Last, so that the first call finds its samples in no cache and the others find them warm.
                "memcpy of the same bytes (read twice, write once)": copy_of(6 * rows * columns),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
