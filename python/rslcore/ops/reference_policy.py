# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The part of `reference` that belongs to acting."""

from __future__ import annotations

import torch
from torch.nn.functional import linear

from rslcore.ops import _activations


def network(
    obs: list[torch.Tensor],
    mean: torch.Tensor | None,
    var: torch.Tensor | None,
    eps: float,
    layers: list[torch.Tensor],
    activation: int,
) -> torch.Tensor:
    """Output [B, out] of a perceptron over observation groups [B, D_group]; weight and bias of every layer in turns."""
    x = torch.cat(obs, dim=1)
    if mean is not None and var is not None:
        x = (x - mean.view(-1)) / (var.view(-1).sqrt() + eps)
    for i in range(0, len(layers), 2):
        x = linear(x, layers[i], layers[i + 1])
        if i + 2 < len(layers):
            x = _activations.FUNCTIONS[activation](x)
    return x


def mlp(
    x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], activation: int, last_activation: int
) -> torch.Tensor:
    """Outputs [*B, out] of a chain of linear layers, activations by their numbers."""
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        number = activation if i + 1 < len(weights) else last_activation
        x = _activations.FUNCTIONS[number](linear(x, weight, bias))
    return x


def bias_activation(x: torch.Tensor, bias: torch.Tensor, activation: int) -> torch.Tensor:
    """f(x + bias) of products [*B, F], the activation by its number."""
    return _activations.FUNCTIONS[activation](x + bias)
