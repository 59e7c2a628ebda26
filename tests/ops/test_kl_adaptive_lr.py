# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.kl_adaptive_lr`: the adaptive schedule of rsl_rl, in place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

from rslcore import ops
from rslcore.ops import reference

DTYPES = [torch.float32, torch.float64]
KLS = [0.0, 1e-12, 0.0049, 0.005, 0.0051, 0.01, 0.0199, 0.0201, 1.0, float("inf"), float("nan"), -0.1]
DESIRED = 0.01


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kl_dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rate", [1e-3, 1e-5, 1.2e-5, 9e-3, 1e-2, 0.5])
def test_is_the_rule_of_the_algorithm(rate: float, dtype: torch.dtype, kl_dtype: torch.dtype, device: str) -> None:
    """The number that the eager rule gives for the same KL, kernel and text."""
    rule = pytest.importorskip("rslcore.algorithms.ppo_rule", reason="operators alone are installed")
    for kl in KLS:
        tensors = torch.tensor(rate, dtype=dtype, device=device), torch.tensor(kl, dtype=kl_dtype, device=device)
        expected = rule.adapted_learning_rate(tensors[0].item(), tensors[1].item(), DESIRED)
        text = tensors[0].clone()
        reference.kl_adaptive_lr(text, tensors[1], DESIRED, 2.0, 1.5, 1e-5, 1e-2)
        ops.kl_adaptive_lr(*tensors, desired_kl=DESIRED)
        assert tensors[0].item() == torch.tensor(expected, dtype=dtype).item()
        assert text.item() == tensors[0].item()


def test_other_constants() -> None:
    """The constants are those of rsl_rl by default only."""
    rate = torch.tensor(1.0, dtype=torch.float64)
    for kl, expected in ((0.31, 0.5), (0.31, 0.25), (0.31, 0.2), (0.03, 0.4), (0.29, 0.4), (0.04, 0.4)):
        ops.kl_adaptive_lr(rate, torch.tensor(kl), desired_kl=0.1, tolerance=3.0, factor=2.0, bounds=(0.2, 3.0))
        assert rate.item() == pytest.approx(expected, rel=1e-15)


def test_an_optimizer_reads_the_tensor() -> None:
    """The learning rate of an optimizer may be a tensor: adapting it needs no read by the host."""
    rate = torch.tensor(1e-3)
    param = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([param], lr=rate)
    ops.kl_adaptive_lr(rate, torch.tensor(1.0), desired_kl=DESIRED)
    param.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(param.data, torch.full((3,), -1e-3 / 1.5))


RATE, KL = torch.tensor(1e-3), torch.tensor(1.0)
BAD = [
    ({"learning_rate": 1e-3}, TypeError, "`learning_rate` must be a torch Tensor, got float"),
    ({"learning_rate": torch.tensor(1)}, TypeError, "`learning_rate` must be float32 or float64, got int64"),
    ({"learning_rate": torch.zeros(1)}, ValueError, "`learning_rate` must be [], got [1]"),
    ({"kl": torch.zeros(2)}, ValueError, "`kl` must be [], got [2]"),
    ({"kl": torch.zeros((), device="meta")}, ValueError, "`kl` must be on cpu like `learning_rate`, got meta"),
    ({"kl": torch.zeros((), requires_grad=True)}, ValueError, "`kl` requires a gradient"),
    ({"kl": RATE}, ValueError, "`learning_rate` must share no memory with `kl`"),
    ({"desired_kl": -1.0}, ValueError, "`desired_kl` must be in [0, inf], got -1.0"),
    ({"desired_kl": None}, TypeError, "`desired_kl` must be a number, got NoneType"),
    ({"tolerance": 0.5}, ValueError, "`tolerance` must be in [1, inf], got 0.5"),
    ({"factor": 0.5}, ValueError, "`factor` must be in [1, inf], got 0.5"),
    ({"bounds": 1.0}, TypeError, "`bounds` must be the pair (smallest, largest), got float"),
    ({"bounds": (1.0, 0.5)}, ValueError, "`bounds[1]` must be in [1, inf], got 0.5"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the learning rate stays as it was."""
    with pytest.raises(error) as raised:
        ops.kl_adaptive_lr(**({"learning_rate": RATE, "kl": KL, "desired_kl": DESIRED} | change))
    assert str(raised.value).startswith(f"kl_adaptive_lr: {message}")
    assert RATE.item() == pytest.approx(1e-3)


def test_opcheck() -> None:
    """Schema, fake kernel and autograd registration are consistent."""
    args = (RATE.clone(), KL, DESIRED, 2.0, 1.5, 1e-5, 1e-2)
    torch.library.opcheck(torch.ops.rslcore.kl_adaptive_lr.default, args)


def test_compiles_whole() -> None:
    """One graph, with the results of the eager call."""
    torch._dynamo.reset()

    def function(rate: torch.Tensor, kl: torch.Tensor) -> torch.Tensor:
        rate = rate.clone()
        ops.kl_adaptive_lr(rate, kl, desired_kl=DESIRED)
        return rate

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert compiled(RATE, KL) == function(RATE, KL)


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("kl", [0.001, 0.01, 0.1])
def test_cuda(kl: float, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def arguments(device: str) -> tuple[torch.Tensor, ...]:
        return torch.tensor(1e-3, device=device), torch.tensor(kl, device=device)

    def call(rate: torch.Tensor, divergence: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rate = rate.clone()
        ops.kl_adaptive_lr(rate, divergence, desired_kl=DESIRED)
        return (rate,)

    check(arguments, call)
