# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.bias_activation` with its backward pass against the two torch calls it stands for, on CUDA where there is one.

python benchmarks/ops/bias_activation.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report
from torch.nn import functional

from rslcore import ops

SHAPES = [(384, 64), (6_144, 128), (24_576, 512)]
"""Rows of a minibatch x width of a layer, from the smallest of our trainings to the largest."""


def with_backward(function: Callable[..., torch.Tensor], x: torch.Tensor, bias: torch.Tensor) -> Callable[[], object]:
    """Outputs and both gradients; returns when the device has finished."""
    x, bias = x.clone().requires_grad_(), bias.clone().requires_grad_()
    grad = torch.ones_like(x)

    def run() -> None:
        torch.autograd.grad(function(x, bias), (x, bias), grad)
        if x.is_cuda:
            torch.cuda.synchronize()

    return run


def main() -> None:
    """Time every shape."""
    report = Report(__doc__.splitlines()[0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for rows, columns in SHAPES:
        x, bias = torch.randn(rows, columns, device=device), torch.randn(columns, device=device)
        report.add(
            f"bias_activation {rows:,} x {columns} on {device}",
            {
                "rslcore.ops.bias_activation(elu)": with_backward(ops.bias_activation, x, bias),
                "torch: x + bias, then elu": with_backward(lambda x, bias: functional.elu(x + bias), x, bias),
            },
        )
    report.finish()


if __name__ == "__main__":
    main()
