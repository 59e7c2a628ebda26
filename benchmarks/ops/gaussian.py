# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.gaussian_sample` against what rsl_rl 5.5.1 calls per step, torch's own calls, and a memcpy of the bytes.

python benchmarks/ops/gaussian.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report, copy_of
from rsl_rl.modules.distribution import GaussianDistribution

from rslcore import ops

SHAPES = [(64, 12), (1_024, 12), (4_096, 12), (4_096, 37), (65_536, 12)]
"""Environments x actions: a laptop's, a training's on a GPU, a humanoid."""


def rsl_rl_distribution(mean: torch.Tensor) -> Callable[[], object]:
    """sample() and log_prob() of rsl_rl's distribution, its update() included: it builds torch's Normal."""
    distribution = GaussianDistribution(mean.shape[1])

    def run() -> torch.Tensor:
        distribution.update(mean)
        return distribution.log_prob(distribution.sample())

    return run


def torch_calls(mean: torch.Tensor, std: torch.Tensor) -> Callable[[], object]:
    """The same by torch.distributions."""

    def run() -> torch.Tensor:
        law = torch.distributions.Normal(mean, std, validate_args=False)
        return law.log_prob(law.sample()).sum(dim=-1)

    return run


@torch.no_grad()
def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    for rows, columns in SHAPES:
        mean, std = torch.randn(rows, columns), torch.full((columns,), 0.7)
        wide_std = std.expand_as(mean)
        noise, out = torch.randn(rows, columns), (torch.empty(rows, columns), torch.empty(rows))
        raw = torch.ops.rslcore.gaussian_sample.default
        report.add(
            f"gaussian_sample {rows:,} x {columns}",
            {
                "rslcore.ops.gaussian_sample(out=)": lambda m=mean, s=std, out=out: ops.gaussian_sample(
                    m, s, seed=1, offset=2, out=out
                ),
                "rsl_rl 5.5.1 GaussianDistribution": rsl_rl_distribution(mean),
                "torch.distributions.Normal": torch_calls(mean, std),
                "torch.normal alone, no log-probability": lambda m=mean, s=wide_std: torch.normal(m, s),
                "rslcore.ops.gaussian_sample": lambda m=mean, s=std: ops.gaussian_sample(m, s, seed=1, offset=2),
                "with the noise given": lambda m=mean, s=std, z=noise, out=out: ops.gaussian_sample(
                    m, s, seed=1, noise=z, out=out
                ),
                "without the checks in Python": lambda m=mean, s=std, out=out, raw=raw: raw(
                    m, s, None, 1, 2, None, *out
                ),
                "memcpy of the same bytes (read once, write once)": copy_of(4 * rows * (columns + 1)),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
