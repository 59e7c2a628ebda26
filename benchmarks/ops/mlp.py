# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.mlp` against torch's modules and libraries, and the share of the machine's measured FMA peak that it reaches.

python benchmarks/ops/mlp.py [--json] [--seconds S]

RSLCORE_SIMD=avx2 measures the kernels of processors without AVX-512; OMP_NUM_THREADS the number of threads.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _bench import Report
from torch import nn

from rslcore import ops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from _peak import fma_peak

NETWORKS = {
    "XS": (384, (48, 64, 64, 12)),
    "M": (6_144, (48, 128, 128, 128, 12)),
    "S": (24_576, (48, 512, 256, 128, 12)),
}
"""Rows of a minibatch and widths of the actor."""

LAYERS = [(64, 64), (128, 128), (48, 512), (512, 256), (256, 128), (512, 512)]
"""Inputs and outputs of single layers, on 6,144 rows."""


def products(widths: tuple[int, ...]) -> int:
    """Multiply-adds per row of one pass."""
    return sum(a * b for a, b in itertools.pairwise(widths))


def network(widths: tuple[int, ...]) -> tuple[nn.Sequential, list[torch.Tensor], list[torch.Tensor]]:
    """Linear layers with ELU between them, and their weights and biases."""
    layers = [nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    chain = list(itertools.chain.from_iterable((layer, nn.ELU()) for layer in layers))[:-1]
    return nn.Sequential(*chain), [x.weight for x in layers], [x.bias for x in layers]


def without_gradient(call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """The call as in a rollout."""

    def run() -> torch.Tensor:
        with torch.no_grad():
            return call()

    return run


def backward(call: Callable[[], torch.Tensor], inputs: list[torch.Tensor], grad: torch.Tensor) -> Callable[[], object]:
    """The call and the gradients of `inputs`."""
    return lambda: torch.autograd.grad(call(), inputs, grad)


class Flops:
    """Adds to a report the share of the peak that its last row's first call reached."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.peak = fma_peak(torch.get_num_threads())

    def tell(self, flops: float) -> None:
        """`flops` are those of the products, whatever else the call does."""
        row = self.report.rows[-1]
        shares = {name: flops / us * 1e6 / self.peak for name, us in row["us"].items()} if self.peak else {}
        row["share_of_fma_peak"] = shares
        if shares and not self.report.options.json:
            print("    share of FMA peak: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))


def main() -> None:
    """Time networks, then layers."""
    report = Report(__doc__.splitlines()[0])
    flops = Flops(report)
    torch.manual_seed(0)
    for name, (rows, widths) in NETWORKS.items():
        modules, weights, biases = network(widths)
        x, grad = torch.randn(rows, widths[0]), torch.randn(rows, widths[-1])
        parameters = [*weights, *biases]

        def ours(x: torch.Tensor = x, w: list = weights, b: list = biases) -> torch.Tensor:
            return ops.mlp(x, w, b)

        def theirs(x: torch.Tensor = x, modules: nn.Module = modules) -> torch.Tensor:
            return modules(x)

        case = f"{name}: {rows:,} x {'-'.join(map(str, widths))}, ELU"
        report.add(
            f"{case}, forward",
            {"rslcore.ops.mlp": without_gradient(ours), "torch.nn.Sequential": without_gradient(theirs)},
        )
        flops.tell(2 * rows * products(widths))
        report.add(
            f"{case}, forward and backward",
            {
                "rslcore.ops.mlp": backward(ours, parameters, grad),
                "torch.nn.Sequential": backward(theirs, parameters, grad),
            },
        )
        flops.tell(2 * rows * (3 * products(widths) - widths[0] * widths[1]))
    for columns, outputs in LAYERS:
        rows = 6_144
        x, w, b = torch.randn(rows, columns), torch.randn(outputs, columns), torch.randn(outputs)
        report.add(
            f"one layer {rows:,} x {columns} -> {outputs}",
            {
                "rslcore.ops.mlp": lambda x=x, w=[w], b=[b]: ops.mlp(x, w, b),
                "torch linear (MKL)": lambda x=x, w=w, b=b: nn.functional.linear(x, w, b),
                "torch linear (oneDNN)": lambda x=x, w=w, b=b: torch.ops.mkldnn._linear_pointwise(
                    x, w, b, "none", [], ""
                ),
            },
        )
        flops.tell(2 * rows * columns * outputs)
    report.finish()


if __name__ == "__main__":
    main()
