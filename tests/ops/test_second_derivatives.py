# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Second derivatives of the differentiable operators: right where they exist, refused by name where they do not."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch

from rslcore import ops
from rslcore.ops import _library

pytestmark = pytest.mark.skipif(_library.errors["cpu"] is not None, reason="needs the compiled operators")

Arguments = dict[str, torch.Tensor]


def normal(*shape: int) -> torch.Tensor:
    """The same numbers for every shape of as many dimensions."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


RECURRENT = {"x": normal(3, 4, 2), "h_0": normal(4, 5)}


def layer(gates: int) -> Arguments:
    """Weights and biases of a recurrent layer of five units."""
    rows = gates * 5
    weights = {"weight_ih": normal(rows, 2), "weight_hh": normal(rows, 5)}
    return {**weights, "bias_ih": normal(rows), "bias_hh": normal(rows)}


DONES = torch.eye(3, 4, dtype=torch.bool)

MINIBATCH = (normal(7, 3), torch.full((7, 1), -4.0), normal(7, 1), normal(7, 1) + 1.0)
"""Actions, their old log-probabilities, advantages and returns."""

ONCE: dict[str, tuple[Callable[..., torch.Tensor], Arguments]] = {
    "mlp": (
        lambda x, w_0, b_0, w_1, b_1: ops.mlp(x, [w_0, w_1], [b_0, b_1], "tanh").square().sum(),
        {"x": normal(7, 4), "w_0": normal(5, 4), "b_0": normal(5), "w_1": normal(3, 5), "b_1": normal(3)},
    ),
    "bias_activation": (
        lambda x, bias: ops.bias_activation(x, bias, "tanh").square().sum(),
        {"x": normal(7, 4), "bias": normal(4)},
    ),
    "ppo_loss": (
        lambda mean, std, values: ops.ppo_loss(
            *(mean, std, values, *(x.to(mean) for x in MINIBATCH)),
            **{"clip_param": 0.2, "value_loss_coef": 1.0, "entropy_coef": 0.1, "use_clipped_value_loss": False},
        )[0],
        {"mean": 0.1 * normal(7, 3), "std": torch.ones(3), "values": normal(7, 1)},
    ),
    "lstm": (
        lambda x, **rest: ops.lstm(x, DONES, **rest)[0].square().sum(),
        {**RECURRENT, "c_0": normal(4, 5), **layer(4)},
    ),
    "gru": (lambda x, **rest: ops.gru(x, DONES, **rest)[0].square().sum(), {**RECURRENT, **layer(3)}),
}
"""Operators with first derivatives only: a scalar of them, and what they are differentiable with respect to."""


@pytest.mark.parametrize("others", ["frozen", "learned"])
@pytest.mark.parametrize(("op", "name"), [(op, name) for op, (_, arguments) in ONCE.items() for name in arguments])
def test_refused(op: str, name: str, others: str) -> None:
    """Whichever argument is asked, a penalty on its gradient is an error even where there is a Hessian beside it."""
    function, given = ONCE[op]
    arguments = {key: x.clone().requires_grad_(others == "learned" or key == name) for key, x in given.items()}
    x = arguments[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns only where it takes a second derivative for zero
        value = function(**arguments) + x.square().sum()
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        (plain,) = torch.autograd.grad(function(**arguments) + x.square().sum(), x)
        assert torch.equal(gradient, plain)
        with pytest.raises(RuntimeError, match=f"^{op}: a second derivative is asked for"):
            torch.autograd.grad(gradient.square().sum(), x, retain_graph=True)
        with pytest.raises(RuntimeError, match=f"^{op}: a second derivative is asked for"):
            gradient.square().sum().backward()


@pytest.mark.gpu
@pytest.mark.parametrize("op", ["bias_activation", "ppo_loss"])
def test_refused_on_cuda(op: str) -> None:
    """The same of the kernels there; the other operators are chains of torch's on CUDA."""
    function, given = ONCE[op]
    arguments = {key: x.cuda().requires_grad_() for key, x in given.items()}
    first = next(iter(arguments.values()))
    (gradient,) = torch.autograd.grad(function(**arguments) + first.square().sum(), first, create_graph=True)
    with pytest.raises(RuntimeError, match=f"^{op}: a second derivative is asked for"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("op", ONCE)
def test_other_second_derivatives(op: str) -> None:
    """A penalty on gradients of something else may stand beside the operator in a loss."""
    function, given = ONCE[op]
    arguments = {key: x.clone().requires_grad_() for key, x in given.items()}
    other = torch.ones(3, requires_grad=True)
    value = function(**arguments) + other.pow(3).sum()
    *_, gradient = torch.autograd.grad(value, [*arguments.values(), other], create_graph=True)
    (value + gradient.sum()).backward()
    assert torch.equal(other.grad, torch.full((3,), 9.0))
    assert all(x.grad is not None for x in arguments.values())


STARTS, LENGTHS, _ = ops.split_trajectories(DONES)

LINEAR: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]] = {
    "normalize": (
        lambda x: ops.normalize(x, torch.zeros(4).double(), torch.full((4,), 4.0).double(), eps=0.0),
        normal(7, 4),
    ),
    "pad_trajectories": (lambda x: ops.pad_trajectories(x, STARTS, LENGTHS), normal(3, 4, 2)),
    "unpad_trajectories": (lambda x: ops.unpad_trajectories(x, STARTS, LENGTHS, num_envs=4), normal(3, 12, 2)),
}
"""Linear operators, which have all derivatives, and their inputs."""


@pytest.mark.parametrize("op", LINEAR)
def test_right(op: str) -> None:
    """The Hessian of the sum of fourth powers of a linear L, applied to v, is L^T (12 (L x)^2 L v)."""
    function, given = LINEAR[op]
    x, direction = given.double().requires_grad_(), torch.ones_like(given.double())
    y = function(x)
    (gradient,) = torch.autograd.grad(y.pow(4).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((gradient * direction).sum(), x)
    (expected,) = torch.autograd.grad(function(x), x, 12 * y.detach().square() * function(direction))
    torch.testing.assert_close(second, expected)
