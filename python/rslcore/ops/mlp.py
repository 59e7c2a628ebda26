# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Multilayer perceptron: a chain of linear layers and activations in one call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops import _activations, _library, _tensors, reference

_OP = "mlp"
_MAX_LAYERS = 16


def mlp(
    x: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor | None],
    activation: str = "elu",
    *,
    last_activation: str = "identity",
) -> torch.Tensor:
    """Chain of layers x <- f(x W^T + b), as a torch.nn.Sequential of torch.nn.Linear and activations computes it.

    On the CPU the rows are cut into tiles that stay in cache through all layers, and backward computes the layers'
    outputs of a tile again: nothing is kept for it but the arguments. While it runs, the rows are cut into at most 16
    chunks with a buffer each for the gradients of all parameters, and into fewer, down to 4, where these would take
    more than 64 MB. A row of the result does not depend on the rows beside it; gradients of the parameters are summed
    in an order that the shape decides, so no result depends on the number of threads. On CUDA, and under torch.func,
    this is a chain of torch's operators.

    Differentiable with respect to `x`, `weights` and `biases`; on the CPU once, and a second derivative is refused.

    Args:
        x: Inputs [*B, D], float32.
        weights: Weight [out, in] of every layer, 1 to 16 of them: `in` is D at first, then the `out` before.
        biases: Bias [out] of every layer; None for zeros.
        activation: What follows every layer but the last, with torch's default settings: "elu", "crelu" (torch's
            CELU), "selu", "relu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish" or "identity". On
            the CPU values and derivatives are within 2 units in the last place (derivatives of sigmoid and tanh: 3; on
            a processor without AVX2 and FMA one more for sigmoid, tanh and the derivative of softplus), those of GELU,
            SiLU and Mish within 3e-7 of the larger of 1 and the result.
        last_activation: What follows the last layer.

    Returns:
        Outputs [*B, out of the last layer].

    Raises:
        TypeError: An argument has another type or dtype.
        ValueError: A shape, a device, the number of layers or the name of an activation does not fit.
    """
    flat_biases = _check(x, weights, biases, activation, last_activation)
    numbers = _activations.NUMBERS[activation], _activations.NUMBERS[last_activation]
    if x.device.type == "cuda" or _library.in_plain_torch():
        return reference.mlp(x, list(weights), flat_biases, *numbers)
    args = (
        x.reshape(-1, x.shape[-1]).contiguous() if x.numel() > 0 else x.reshape(x.shape[:-1].numel(), x.shape[-1]),
        [weight.contiguous() for weight in weights],
        [bias.contiguous() for bias in flat_biases],
        *numbers,
    )
    y = _library.run(_OP, x.device, args)
    return y if x.dim() == 2 else y.view(*x.shape[:-1], y.shape[-1])


def _check(x: object, weights: object, biases: object, activation: object, last_activation: object) -> Any:  # noqa: ANN401
    """Refuse arguments that do not fit; the biases, with zeros for None."""
    checks.kind(_OP, "x", x, torch.Tensor)
    assert isinstance(x, torch.Tensor)
    checks.dtype(_OP, "x", x, ("float32",))
    if x.dim() == 0:
        raise ValueError(f"{_OP}: `x` must be [*B, D], got []")
    for name, value in (("activation", activation), ("last_activation", last_activation)):
        if value not in _activations.NUMBERS:
            raise ValueError(f"{_OP}: `{name}` must be one of {', '.join(_activations.NUMBERS)}, got {value!r}")
    layers = [_sequence("weights", weights), _sequence("biases", biases)]
    if not 1 <= len(layers[0]) <= _MAX_LAYERS:
        raise ValueError(f"{_OP}: `weights` must be those of 1 to {_MAX_LAYERS} layers, got {len(layers[0])}")
    if len(layers[1]) != len(layers[0]):
        raise ValueError(f"{_OP}: `biases` must be {len(layers[0])} like `weights`, got {len(layers[1])}")
    tensors = {"x": x}
    filled = []
    columns = x.shape[-1]
    for i, (weight, given) in enumerate(zip(*layers, strict=True)):
        checks.kind(_OP, f"weights[{i}]", weight, torch.Tensor)
        if weight.dim() != 2 or weight.shape[1] != columns:
            raise ValueError(f"{_OP}: `weights[{i}]` must be [out, {columns}], got {list(weight.shape)}")
        columns = weight.shape[0]
        bias = weight.new_zeros(columns) if given is None else given
        checks.kind(_OP, f"biases[{i}]", bias, torch.Tensor)
        checks.shape(_OP, f"biases[{i}]", bias, (columns,))
        filled.append(bias)
        for name, tensor in ((f"weights[{i}]", weight), (f"biases[{i}]", bias)):
            checks.dtype(_OP, name, tensor, ("float32",))
            tensors[name] = tensor
    _tensors.check_devices(_OP, tensors)
    return filled


def _sequence(name: str, values: object) -> Sequence[Any]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{_OP}: `{name}` must be a sequence of tensors, got {type(values).__name__}")
    return values


def _fake(
    x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], activation: int, last_activation: int
) -> torch.Tensor:
    return x.new_empty(x.shape[0], weights[-1].shape[0])


def _fake_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
    activation: int,
    last_activation: int,
    input_gradient: bool,
) -> list[torch.Tensor]:
    of_input = x.new_empty(x.shape) if input_gradient else x.new_empty(0)
    return [of_input, *(w.new_empty(w.shape) for w in weights), *(b.new_empty(b.shape) for b in biases)]


def _context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    x, weights, biases, *ctx.activations = inputs
    ctx.save_for_backward(x, *weights, *biases)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:  # noqa: ANN401
    x, *parameters = ctx.saved_tensors
    layers = len(parameters) // 2
    weights, biases = parameters[:layers], parameters[layers:]
    wanted = bool(ctx.needs_input_grad[0])
    of_input, *gradients = torch.ops.rslcore.mlp_backward(
        grad.contiguous(), x, weights, biases, *ctx.activations, wanted
    )
    return of_input if wanted else None, gradients[:layers], gradients[layers:], None, None


if _library.errors["cpu"] is None:
    torch.library.register_fake("rslcore::mlp", _fake)
    torch.library.register_fake("rslcore::mlp_backward", _fake_backward)
    torch.library.register_autograd("rslcore::mlp", _backward, setup_context=_context)
    torch.library.register_autograd("rslcore::mlp_backward", partial(_library.refuse_second_order, _OP))
