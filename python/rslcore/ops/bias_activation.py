# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What follows a matrix product in a layer: bias and activation in one pass, there and back."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops import _activations, _library, _tensors, reference

_OP = "bias_activation"


def bias_activation(x: torch.Tensor, bias: torch.Tensor, activation: str = "elu") -> torch.Tensor:
    """f(x + bias), for the product x of a linear layer without its bias.

    Backward makes the gradients of `x` and of `bias` in one pass over the data; sums over rows are taken in a fixed
    order that the shape decides. Meant for CUDA, beside a library's matrix products; on the CPU `mlp` does whole
    networks and is much faster.

    Differentiable, once, with respect to `x` and `bias`; a second derivative is refused.

    Args:
        x: Products [*B, F], float32 or float64.
        bias: Bias [F], dtype of `x`.
        activation: Name of an activation with torch's default settings, as for `mlp`.

    Returns:
        Outputs [*B, F].

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape, a device or the name of the activation does not fit.
    """
    tensors = {"x": x, "bias": bias}
    for name, tensor in tensors.items():
        checks.kind(_OP, name, tensor, torch.Tensor)
    checks.dtype(_OP, "x", x, checks.FLOATS)
    checks.dtype(_OP, "bias", bias, (checks.dtype_name(x),), like="x")
    if x.dim() == 0:
        raise ValueError(f"{_OP}: `x` must be [*B, F], got []")
    checks.shape(_OP, "bias", bias, (x.shape[-1],))
    if activation not in _activations.NUMBERS:
        raise ValueError(f"{_OP}: `activation` must be one of {', '.join(_activations.NUMBERS)}, got {activation!r}")
    _tensors.check_devices(_OP, tensors)
    number = _activations.NUMBERS[activation]
    if _library.in_plain_torch():
        return reference.bias_activation(x, bias, number)
    flat = x.contiguous().view(x.shape[:-1].numel(), x.shape[-1])
    return _library.run(_OP, x.device, (flat, bias.contiguous(), number)).view(x.shape)


def _context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    x, bias, ctx.activation = inputs
    ctx.save_for_backward(x, bias)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:  # noqa: ANN401
    gradients = torch.ops.rslcore.bias_activation_backward(grad.contiguous(), *ctx.saved_tensors, ctx.activation)
    return *gradients, None


if _library.errors["cpu"] is None:
    torch.library.register_fake("rslcore::bias_activation", lambda x, bias, activation: torch.empty_like(x))
    torch.library.register_fake(
        "rslcore::bias_activation_backward",
        lambda grad, x, bias, activation: (torch.empty_like(x), torch.empty_like(bias)),
    )
    torch.library.register_autograd("rslcore::bias_activation", _backward, setup_context=_context)
    torch.library.register_autograd("rslcore::bias_activation_backward", partial(_library.refuse_second_order, _OP))
