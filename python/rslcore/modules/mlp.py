# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Multi-layer perceptron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from rslcore.utils import require, resolve_nn_activation


class MLP(nn.Sequential):
    """Linear layers with an activation after each but the last.

    Layers are numbered as in rsl_rl 5.5.1 (linear 0, activation 1, linear 2, ...), so state dicts interchange.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int | Sequence[int],
        hidden_dims: Sequence[int],
        activation: str = "elu",
        last_activation: str | None = None,
    ) -> None:
        """Build the layers with torch's default initialization.

        Args:
            input_dim: Width of the input [..., input_dim].
            output_dim: Width of the output, or the shape that the last dimension of the output is given.
            hidden_dims: Widths of the hidden layers; -1 stands for ``input_dim``.
            activation: Name of the activation after every hidden layer.
            last_activation: Name of the activation after the last layer; None leaves it linear.

        Raises:
            ValueError: An activation is unknown, or ``hidden_dims`` is not a sequence of widths.
        """
        super().__init__()
        if not isinstance(hidden_dims, Sequence) or isinstance(hidden_dims, str):
            raise ValueError(f"MLP: `hidden_dims` must be a sequence of integers, got {hidden_dims!r}")
        for number, width in enumerate(hidden_dims):
            if width != -1:
                require("MLP", f"hidden_dims[{number}]", width, integer=True, least=1)
        widths = [input_dim, *(input_dim if width == -1 else width for width in hidden_dims)]
        output_shape = None if isinstance(output_dim, int) else tuple(output_dim)
        output_width = output_dim if isinstance(output_dim, int) else math.prod(output_dim)

        layers: list[nn.Module] = []
        for width, next_width in itertools.pairwise(widths):
            layers += [nn.Linear(width, next_width), resolve_nn_activation(activation)]
        layers.append(nn.Linear(widths[-1], output_width))
        if output_shape is not None:
            layers.append(nn.Unflatten(dim=-1, unflattened_size=output_shape))
        if last_activation is not None:
            layers.append(resolve_nn_activation(last_activation))
        self.extend(layers)

    def init_weights(self, scales: float | Sequence[float]) -> None:
        """Make the weights orthogonal (Saxe et al. 2014) and the biases zero.

        Args:
            scales: Gain of all layers, or a sequence in which the linear layer numbered i has its gain at place i
                (numbers of the layers as in the state dict, as in rsl_rl 5.5.1).
        """
        for number, layer in enumerate(self):
            if isinstance(layer, nn.Linear):
                gain = scales if isinstance(scales, (int, float)) else scales[number]
                nn.init.orthogonal_(layer.weight, gain=gain)
                nn.init.zeros_(layer.bias)
