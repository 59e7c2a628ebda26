# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.mlp`: what a torch.nn.Sequential gives, forward and backward, and the operator contract."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from _gpu import DEVICES
from torch import nn

from rslcore import ops
from rslcore.ops import _activations, _library, reference
from rslcore.utils import resolve_nn_activation

WIDTHS = [
    (48, 64, 64, 12),
    (3, 1),
    (1, 1, 1),
    (48, 128, 128, 1),
    (17, 33, 5, 9, 2),
    (48, 512, 256, 12),
    (100, 37, 16, 1),
]
ROWS = [1, 7, 97, 400]
TOLERANCE = 3e-6
"""Of the largest element of a tensor: float32 sums of some hundred terms."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(widths: tuple[int, ...], rows: int) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Inputs, weights and biases that want gradients."""
    generator = torch.Generator().manual_seed(sum(widths) + rows)
    weights = [torch.randn(o, i, generator=generator) / i**0.5 for i, o in itertools.pairwise(widths)]
    biases = [0.3 * torch.randn(width, generator=generator) for width in widths[1:]]
    x = torch.randn(rows, widths[0], generator=generator)
    return x.requires_grad_(), [w.requires_grad_() for w in weights], [b.requires_grad_() for b in biases]


def modules(
    weights: list[torch.Tensor], biases: list[torch.Tensor], activation: str, last: str = "identity"
) -> nn.Sequential:
    """The same network of torch's modules, in float64."""
    layers: list[nn.Module] = []
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight.detach(), "bias": bias.detach()})
        layers += [linear, resolve_nn_activation(activation if i + 1 < len(weights) else last)]
    return nn.Sequential(*layers).double()


def assert_close(got: torch.Tensor, expected: torch.Tensor, scale: float | None = None) -> None:
    """Equal up to TOLERANCE of the largest element, or of `scale`."""
    scale = expected.abs().max().item() if scale is None else scale
    torch.testing.assert_close(got.double().cpu(), expected.cpu(), rtol=0, atol=TOLERANCE * max(scale, 1e-3))


def check(widths: tuple[int, ...], rows: int, activation: str, last: str, device: str = "cpu") -> None:
    """Outputs and all gradients are those of torch's modules."""
    x, weights, biases = make(widths, rows)
    network = modules(weights, biases, activation, last)
    exact_x = x.detach().double().requires_grad_()
    expected = network(exact_x)
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected.backward(grad.double())
    parts = [[t.detach().to(device).requires_grad_() for t in part] for part in ([x], weights, biases)]
    y = ops.mlp(parts[0][0], parts[1], parts[2], activation, last_activation=last)
    y.backward(grad.to(device))
    assert_close(y.detach(), expected.detach())
    assert_close(parts[0][0].grad, exact_x.grad)
    # Terms of a sum over the rows cancel, so that it is known to a share of what went in.
    for linear, weight, bias in zip(network[::2], parts[1], parts[2], strict=True):
        scale = max(linear.weight.grad.abs().max().item(), linear.bias.grad.abs().max().item(), rows**0.5)
        assert_close(weight.grad, linear.weight.grad, scale)
        assert_close(bias.grad, linear.bias.grad, scale)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_equals_torch_modules(widths: tuple[int, ...], rows: int, device: str) -> None:
    """Outputs, gradients of inputs, weights and biases, for widths and rows that fill no register, block or tile."""
    check(widths, rows, "elu", "identity", device)


@pytest.mark.parametrize("activation", _activations.NUMBERS)
def test_every_activation(activation: str) -> None:
    """Between the layers and behind the last one."""
    check((17, 33, 20, 5), 97, activation, "identity")
    check((17, 33, 5), 97, "tanh", activation)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_simd_level(level: str) -> None:
    """The tests above hold for processors with narrower registers."""
    program = (
        "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-x', "
        f"{str(Path(__file__))!r}, '-k', 'equals_torch_modules or every_activation or beside_it']))"
    )
    environment = {**os.environ, "RSLCORE_SIMD": level}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_row_does_not_depend_on_the_rows_beside_it() -> None:
    """An observation alone and within a batch gives the same bits: a rollout and the update agree."""
    x, weights, biases = make((48, 64, 40, 12), 500)
    with torch.no_grad():
        whole = ops.mlp(x, weights, biases)
        for rows in (1, 2, 13, 64):
            assert torch.equal(ops.mlp(x[:rows], weights, biases), whole[:rows])
        assert torch.equal(ops.mlp(x[497:], weights, biases), whole[497:])


def test_threads_change_nothing() -> None:
    """One thread and three give the same bits, gradients too."""
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        x, weights, biases = make((48, 128, 64, 12), 3001)
        y = ops.mlp(x, weights, biases)
        y.square().sum().backward()
        results.append([y, *(t.grad for t in (x, *weights, *biases))])
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


def test_nan_stays_in_its_row() -> None:
    """A NaN or an infinity in an observation reaches the outputs of this row and of no other."""
    for name in _activations.NUMBERS:
        x, weights, biases = make((9, 20, 3), 30)
        data = x.detach().clone()
        data[13, 4] = float("nan")
        y = ops.mlp(data, weights, biases, name)
        assert y.isnan().any(dim=1).tolist() == [row == 13 for row in range(30)], name


def test_leading_dimensions_and_strides() -> None:
    """[T, N, D] is [T N, D]; views with strides are as good as copies."""
    x, weights, biases = make((6, 8, 3), 20)
    expected = ops.mlp(x, weights, biases)
    assert torch.equal(ops.mlp(x.view(4, 5, 6), weights, biases), expected.view(4, 5, 3))
    assert torch.equal(ops.mlp(x[0], weights, biases), expected[0])
    turned = [w.detach().t().contiguous().t() for w in weights]
    assert torch.equal(ops.mlp(x.detach().t().contiguous().t(), turned, biases), expected)


@pytest.mark.parametrize("shape", [(0, 6), (4, 0, 6), (5, 0)], ids=str)
def test_empty(shape: tuple[int, ...]) -> None:
    """Without rows there are no outputs and the gradients are zero; without columns the biases are left."""
    weights = [torch.randn(8, shape[-1]).requires_grad_(), torch.randn(3, 8)]
    biases = [torch.randn(8).requires_grad_(), torch.randn(3)]
    y = ops.mlp(torch.randn(shape), weights, biases)
    expected = reference.mlp(torch.randn(shape), weights, biases, 1, 0)
    torch.testing.assert_close(y, expected)
    for got, exact in zip(
        torch.autograd.grad(y.sum(), [weights[0], biases[0]]),
        torch.autograd.grad(expected.sum(), [weights[0], biases[0]]),
        strict=True,
    ):
        torch.testing.assert_close(got, exact)


def test_bias_none_is_zeros() -> None:
    """As of torch.nn.Linear(bias=False)."""
    x, weights, _ = make((6, 8, 3), 20)
    zeros = [torch.zeros(8), torch.zeros(3)]
    assert torch.equal(ops.mlp(x, weights, [None, None]), ops.mlp(x, weights, zeros))


def test_gradients_of_some() -> None:
    """Frozen layers and inputs get none, the others the same as ever."""
    x, weights, biases = make((6, 8, 7, 3), 20)
    every = torch.autograd.grad(ops.mlp(x, weights, biases).sum(), [weights[1], biases[2]])
    frozen = [weights[0].detach(), weights[1], weights[2].detach()]
    some = [biases[0].detach(), biases[1].detach(), biases[2]]
    got = torch.autograd.grad(ops.mlp(x.detach(), frozen, some).sum(), [weights[1], biases[2]])
    for a, b in zip(every, got, strict=True):
        assert torch.equal(a, b)


def test_second_derivatives_are_refused() -> None:
    """With an error: not silently taken for zero."""
    x, weights, biases = make((6, 8, 3), 20)
    (grad,) = torch.autograd.grad(ops.mlp(x, weights, biases).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="mlp: a second derivative is asked for"):
        grad.square().sum().backward()


def test_function_transforms() -> None:
    """torch.func goes through."""
    x, weights, biases = make((6, 8, 3), 20)
    point = x.detach()[0]
    jacobian = torch.func.jacrev(lambda x: ops.mlp(x, weights, biases))(point)
    assert jacobian.shape == (3, 6)
    each = torch.func.vmap(lambda x: ops.mlp(x, weights, biases))(x.detach())
    torch.testing.assert_close(each, ops.mlp(x, weights, biases).detach())


def test_opcheck() -> None:
    """Schema, fake kernels, autograd registration and tracing agree with what the operators do."""
    x, weights, biases = make((6, 8, 3), 20)
    torch.library.opcheck(torch.ops.rslcore.mlp.default, (x, weights, biases, 1, 5))
    plain = [t.detach() for t in (x, *weights, *biases)]
    for input_gradient in (False, True):
        args = (torch.randn(20, 3), plain[0], plain[1:3], plain[3:], 1, 5, input_gradient)
        torch.library.opcheck(torch.ops.rslcore.mlp_backward.default, args)


def test_compiles_whole() -> None:
    """Without a break in the graph, forward and backward."""
    torch._dynamo.reset()
    x, weights, biases = make((6, 8, 3), 20)
    compiled = torch.compile(lambda x, w, b: ops.mlp(x, w, b).sum(), fullgraph=True, backend="aot_eager")
    got = torch.autograd.grad(compiled(x, weights, biases), [x, *weights, *biases])
    expected = torch.autograd.grad(ops.mlp(x, weights, biases).sum(), [x, *weights, *biases])
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_reference_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library is missing the plain text computes the same, with gradients."""
    x, weights, biases = make((6, 8, 3), 20)
    expected = ops.mlp(x, weights, biases, "gelu", last_activation="tanh")
    monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    got = ops.mlp(x, weights, biases, "gelu", last_activation="tanh")
    torch.testing.assert_close(got, expected)
    got.sum().backward()
    assert x.grad is not None


X, W, B = torch.zeros(5, 4), [torch.zeros(3, 4), torch.zeros(2, 3)], [torch.zeros(3), torch.zeros(2)]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": [1.0]}, TypeError, "mlp: `x` must be a torch Tensor, got list"),
        ({"x": X.double()}, TypeError, "mlp: `x` must be float32, got float64"),
        ({"x": torch.tensor(1.0)}, ValueError, r"mlp: `x` must be \[\*B, D\], got \[\]"),
        ({"x": X[:, :3]}, ValueError, r"mlp: `weights\[0\]` must be \[out, 3\], got \[3, 4\]"),
        ({"weights": W[0]}, TypeError, "mlp: `weights` must be a sequence of tensors, got Tensor"),
        ({"weights": []}, ValueError, "mlp: `weights` must be those of 1 to 16 layers, got 0"),
        ({"weights": [W[0], W[1].double()]}, TypeError, r"mlp: `weights\[1\]` must be float32, got float64"),
        ({"weights": [W[0], W[1][0]]}, ValueError, r"mlp: `weights\[1\]` must be \[out, 3\], got \[3\]"),
        ({"weights": [W[0], 1.0]}, TypeError, r"mlp: `weights\[1\]` must be a torch Tensor, got float"),
        ({"biases": B[:1]}, ValueError, "mlp: `biases` must be 2 like `weights`, got 1"),
        ({"biases": [B[0], B[0]]}, ValueError, r"mlp: `biases\[1\]` must be \[2\], got \[3\]"),
        ({"biases": [B[0], B[1].to("meta")]}, ValueError, r"mlp: `biases\[1\]` must be on cpu like `x`, got meta"),
        ({"activation": "swiglu"}, ValueError, "mlp: `activation` must be one of identity, elu, .*, got 'swiglu'"),
        ({"last_activation": None}, ValueError, "mlp: `last_activation` must be one of .*, got None"),
    ],
)
def test_bad_arguments(change: dict, error: type[Exception], message: str) -> None:
    """Operator, argument, what was expected and what came."""
    args = {"x": X, "weights": W, "biases": B} | change
    with pytest.raises(error, match=f"^{message}"):
        ops.mlp(**args)


@pytest.mark.parametrize(
    ("position", "bad"),
    [
        (0, X[:, :3]),
        (0, X.t()),
        (0, X.double()),
        (1, [W[0]] * 17),
        (1, []),
        (1, [W[0], W[0]]),
        (2, B[:1]),
        (2, [B[0]] * 2),
    ]
    + [(3, -1), (3, 11), (4, 11)],
)
def test_raw_operator_is_guarded(position: int, bad: object) -> None:
    """A direct call cannot read or write where it must not."""
    args = [X, W, B, 1, 0]
    args[position] = bad
    with pytest.raises(RuntimeError, match="mlp: "):
        torch.ops.rslcore.mlp(*args)
    with pytest.raises(RuntimeError, match="mlp: "):
        torch.ops.rslcore.mlp_backward(torch.zeros(5, 2), *args, True)
    with pytest.raises(RuntimeError, match="mlp: `grad` must"):
        torch.ops.rslcore.mlp_backward(torch.zeros(5, 3), X, W, B, 1, 0, True)
