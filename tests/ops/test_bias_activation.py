# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.bias_activation`: torch's activations behind a bias, with their gradients, and the operator contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

from rslcore import ops
from rslcore.ops import _activations, _library
from rslcore.utils import resolve_nn_activation

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 1), (7, 64), (300, 5), (9, 300), (1000, 128)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(
    rows: int, columns: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Products and biases on both sides of zero."""
    generator = torch.Generator().manual_seed(rows * 100 + columns)
    x = 3 * torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    bias = torch.randn(columns, generator=generator, dtype=torch.float64)
    return x.to(device, dtype), bias.to(device, dtype)


def with_gradients(function: Callable, x: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """y, and the gradients of sum(y * w) for some w."""
    x, bias = x.clone().requires_grad_(), bias.clone().requires_grad_()
    y = function(x, bias)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device).view_as(y)
    return y.detach(), *torch.autograd.grad(y, (x, bias), weight)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", _activations.NUMBERS)
def test_equals_torch(name: str, dtype: torch.dtype, device: str) -> None:
    """Values and gradients are those of torch's module behind x + bias."""
    module = resolve_nn_activation(name)
    tolerance = {"rtol": 2e-6, "atol": 2e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for shape in SHAPES:
        x, bias = make(*shape, dtype, device)
        got = with_gradients(lambda x, bias: ops.bias_activation(x, bias, name), x, bias)
        expected = with_gradients(lambda x, bias: module(x.double() + bias.double()), x, bias)
        for result, other in zip(got[:2], expected[:2], strict=True):
            torch.testing.assert_close(result.double(), other.double(), **tolerance)
        torch.testing.assert_close(got[2].double(), expected[2].double(), rtol=1e-5, atol=tolerance["atol"] * 10)


@pytest.mark.parametrize("name", _activations.NUMBERS)
def test_ends_of_the_line(name: str) -> None:
    """Infinities, zeros and large numbers give what torch gives; NaN stays NaN."""
    x = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 50.0, -50.0, 200.0, -200.0, torch.inf, torch.nan]])
    got = ops.bias_activation(x, torch.zeros(10), name)
    expected = resolve_nn_activation(name)(x)
    if name == "gelu":
        expected[0, 8] = torch.inf  # of which torch's vectorized GELU makes NaN
    assert torch.equal(got.isnan(), expected.isnan())
    torch.testing.assert_close(got, expected, equal_nan=True, rtol=1e-6, atol=1e-30)


def test_gradcheck() -> None:
    """Gradients are those of finite differences."""
    x, bias = (t.requires_grad_() for t in make(5, 3, torch.float64))
    for name in ("elu", "gelu", "mish"):
        assert torch.autograd.gradcheck(lambda x, bias, name=name: ops.bias_activation(x, bias, name), (x, bias))


def test_any_leading_dimensions_and_strides() -> None:
    """[T, N, F] and views are rows like others."""
    x, bias = make(24, 5)
    expected = with_gradients(ops.bias_activation, x, bias)
    for other in (x.view(2, 3, 4, 5), torch.stack([x, x], dim=-1)[..., 0], x.t().contiguous().t()):
        got = with_gradients(ops.bias_activation, other, bias)
        assert got[0].shape == other.shape
        for result, wanted in zip(got, expected, strict=True):
            assert torch.equal(result.reshape(wanted.shape), wanted)
    assert ops.bias_activation(x[0], bias).shape == (5,)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty(shape: tuple[int, int]) -> None:
    """No rows, no columns: the gradient of the bias is a sum of nothing."""
    y, x_gradient, bias_gradient = with_gradients(ops.bias_activation, *make(*shape))
    assert y.shape == x_gradient.shape == shape
    assert bias_gradient.tolist() == [0.0] * shape[1]


def test_same_bits_for_any_number_of_threads() -> None:
    """Rows are cut by the shape alone."""
    x, bias = make(5003, 64)
    one = with_gradients(ops.bias_activation, x, bias)
    torch.set_num_threads(3)
    assert all(torch.equal(a, b) for a, b in zip(one, with_gradients(ops.bias_activation, x, bias), strict=True))


X, BIAS = torch.zeros(3, 4), torch.zeros(4)
BAD = [
    ({"x": [0.0]}, TypeError, "`x` must be a torch Tensor, got list"),
    ({"x": X.half()}, TypeError, "`x` must be float32 or float64, got float16"),
    ({"x": torch.zeros(())}, ValueError, "`x` must be [*B, F], got []"),
    ({"bias": BIAS.double()}, TypeError, "`bias` must be float32 like `x`, got float64"),
    ({"bias": torch.zeros(3)}, ValueError, "`bias` must be [4], got [3]"),
    ({"bias": torch.zeros(4, device="meta")}, ValueError, "`bias` must be on cpu like `x`, got meta"),
    ({"activation": "cubic"}, ValueError, "`activation` must be one of identity, elu"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got."""
    with pytest.raises(error) as raised:
        ops.bias_activation(**({"x": X, "bias": BIAS} | change))
    assert str(raised.value).startswith(f"bias_activation: {message}")


def test_fallback_and_transforms_run_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled library the public function gives the same; torch.func goes through the text."""
    x, bias = make(33, 5, torch.float64)
    expected = with_gradients(ops.bias_activation, x, bias)
    mapped = torch.func.vmap(lambda row: ops.bias_activation(row, bias))(x)
    torch.testing.assert_close(mapped, expected[0], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(_library, "_compiled", {})
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    monkeypatch.setattr(_library, "_warned", {"cpu"})
    torch.testing.assert_close(with_gradients(ops.bias_activation, x, bias), expected, rtol=1e-12, atol=1e-12)


def test_opcheck() -> None:
    """Schema, fake kernels and autograd registration are consistent."""
    x, bias = make(9, 4)
    torch.library.opcheck(torch.ops.rslcore.bias_activation.default, (x, bias, 1))
    torch.library.opcheck(
        torch.ops.rslcore.bias_activation.default, (x.clone().requires_grad_(), bias.clone().requires_grad_(), 1)
    )
    torch.library.opcheck(torch.ops.rslcore.bias_activation_backward.default, (x, x, bias, 1))


def test_compiles_whole() -> None:
    """Forward and backward in one graph each, with the results of the eager call."""
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, bias: ops.bias_activation(x, bias), fullgraph=True, backend="aot_eager")
    x, bias = make(33, 5)
    expected = with_gradients(ops.bias_activation, x, bias)
    assert all(torch.equal(a, b) for a, b in zip(with_gradients(compiled, x, bias), expected, strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("shape", [(1, 1), (24_576, 512), (5003, 37), (70, 1000)])
def test_cuda(shape: tuple[int, int], check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def arguments(device: str) -> tuple[torch.Tensor, ...]:
        return make(*shape, device=device)

    def call(x: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = ops.bias_activation(x.detach(), bias.detach())
        return y, *torch.ops.rslcore.bias_activation_backward(y, x.detach(), bias.detach(), 1)

    check(arguments, call)
