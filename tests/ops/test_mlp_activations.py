# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Activations of `ops.mlp` and their derivatives: units in the last place against float64, at every SIMD level."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from rslcore import ops
from rslcore.utils import resolve_nn_activation

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
SMALLEST_NORMAL = torch.finfo(torch.float32).tiny


def points() -> torch.Tensor:
    """A sample of all finite float32, and densely what networks have."""
    bits = torch.arange(-(2**31), 2**31, 20_011).to(torch.int32)
    every = bits.view(torch.float32)
    return torch.cat([every[every.isfinite()], torch.linspace(-20, 20, 200_001), torch.linspace(-110, 110, 50_001)])


def evaluate(name: str, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and derivative by the operator: a network of one layer of one unit."""
    x = z.unsqueeze(1).requires_grad_()
    y = ops.mlp(x, [torch.ones(1, 1)], [torch.zeros(1)], last_activation=name)
    (grad,) = torch.autograd.grad(y.sum(), x)
    return y.detach().squeeze(1), grad.squeeze(1)


@pytest.fixture(scope="module", params=["baseline", "avx2", "avx512"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    """The level, and (value, derivative) at `points()` of every activation."""
    path = tmp_path_factory.mktemp("activations") / "results.pt"
    program = (
        f"import sys, torch; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_mlp_activations as t; "
        "torch.set_num_threads(1); z = t.points(); "
        f"torch.save({{n: t.evaluate(n, z) for n in t.EXACT}}, {str(path)!r})"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "RSLCORE_SIMD": request.param}, check=True)
    return request.param, torch.load(path)


def elu(scale: float, alpha: float) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """ELU, scaled."""
    return lambda z: (
        torch.where(z > 0, scale * z, scale * alpha * torch.expm1(z)),
        torch.where(z > 0, scale, scale * alpha * torch.exp(z)),
    )


def of_sigmoid(z: torch.Tensor) -> torch.Tensor:
    """Derivative of the sigmoid, without cancellation."""
    return torch.sigmoid(z) * torch.sigmoid(-z)


def by_autograd(f: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """Value and derivative as torch has them."""

    def both(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = z.clone().requires_grad_()
        y = f(z)
        return y.detach(), torch.autograd.grad(y.sum(), z)[0]

    return both


EXACT: dict[str, Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]] = {
    "identity": lambda z: (z, torch.ones_like(z)),
    "elu": elu(1.0, 1.0),
    "selu": elu(SELU_SCALE, SELU_ALPHA),
    "relu": lambda z: (z.clamp(min=0), (z > 0).double()),
    "lrelu": lambda z: (torch.where(z > 0, z, 0.01 * z), torch.where(z > 0, 1.0, 0.01)),
    "tanh": lambda z: (torch.tanh(z), 4 * of_sigmoid(2 * z)),
    "sigmoid": lambda z: (torch.sigmoid(z), of_sigmoid(z)),
    "softplus": lambda z: (functional.softplus(z), torch.where(z > 20, 1.0, torch.sigmoid(z))),
    "gelu": by_autograd(functional.gelu),
    "swish": by_autograd(functional.silu),
    "mish": by_autograd(functional.mish),
}
"""Value and derivative in float64."""

ULPS = {
    "identity": (0, 0),
    "elu": (1, 1),
    "selu": (2, 2),
    "relu": (0, 0),
    "lrelu": (1, 1),
    "tanh": (2, 3),
    "sigmoid": (2, 3),
    "softplus": (2, 2),
    "swish": (2, None),
}
"""Largest errors of value and derivative in units in the last place, with FMA, where the result is a normal number."""

WITHOUT_FMA = {"tanh": (3, 4), "sigmoid": (3, 4), "softplus": (2, 3), "swish": (4, None)}
"""The same at the level that rounds every product."""


@pytest.mark.parametrize("name", EXACT)
def test_error(name: str, results: tuple[str, dict]) -> None:
    """Units in the last place where that is claimed, and 3e-7 of the larger of 1 and the result for all."""
    level, by_name = results
    z = points()
    allowed = ULPS.get(name, (None, None))
    if level == "baseline":
        allowed = WITHOUT_FMA.get(name, allowed)
    for got, exact, ulps in zip(by_name[name], EXACT[name](z.double()), allowed, strict=True):
        finite = exact.abs() <= torch.finfo(torch.float32).max
        error = (got.double() - exact).abs()
        assert (error[finite] <= 3e-7 * exact.abs().clamp(min=1)[finite]).all()
        if ulps is not None:
            normal = finite & (exact.abs() >= 1e-36)
            assert (error[finite & ~normal] <= 1e-36).all()
            magnitude = exact.abs().clamp(min=SMALLEST_NORMAL)
            unit = torch.exp2(torch.floor(torch.log2(magnitude)) - 23)
            worst = (error / unit)[normal].argmax()
            assert (error / unit)[normal][worst] <= ulps, z[normal][worst]


@pytest.mark.parametrize("name", EXACT)
def test_where_torch_decides(name: str) -> None:
    """At zeros, infinities and NaN: torch's values and, where it has one, its derivatives."""
    z = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-45, -1e-45, 100.0, -100.0])
    module: nn.Module = resolve_nn_activation(name)
    expected_z = z.clone().requires_grad_()
    expected = module(expected_z)
    (slope,) = torch.autograd.grad(expected.sum(), expected_z)
    value, derivative = evaluate(name, z)
    limit = expected.detach().isnan() & ~z.isnan()  # torch has -inf * 0 where the limit is 0
    torch.testing.assert_close(value[~limit], expected.detach()[~limit], rtol=1e-6, atol=1e-37, equal_nan=True)
    known = ~slope.isnan() & ~z.isnan()
    torch.testing.assert_close(
        derivative[known & ~derivative.isnan()], slope[known & ~derivative.isnan()], atol=3e-7, rtol=0
    )
    assert (derivative.isnan() <= ~z.isfinite()).all()


def test_monotone_where_the_branches_meet() -> None:
    """No step at 0: next to it values and slopes are those of the other side."""
    z = torch.linspace(-1e-3, 1e-3, 4001)
    for name in ("elu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish"):
        value, derivative = evaluate(name, z)
        assert (value.diff() >= 0).all(), name
        assert derivative.diff().abs().max() < 3e-6, name
