# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Convolutional encoder of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rslcore.config import CNNCfg, nearest
from rslcore.utils import require, resolve_nn_activation

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
_NORMS = ("none", "batch", "layer")
_GLOBAL_POOLS: dict[str, type[nn.Module] | None] = {
    "none": None,
    "max": nn.AdaptiveMaxPool2d,
    "avg": nn.AdaptiveAvgPool2d,
}


def image_to_float(image: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return images as floating point: uint8 from 0..255 scaled to 0..1, other dtypes with the values they have."""
    return image.to(dtype) / 255.0 if image.dtype == torch.uint8 else image.to(dtype)


class CNN(nn.Sequential):
    """Convolutions, each with optional normalization before and max pooling after its activation.

    Layers are numbered and initialized as in rsl_rl 5.5.1, so state dicts interchange. Input [B, C, H, W].
    """

    def __init__(
        self,
        input_dim: Sequence[int],
        input_channels: int,
        output_channels: Sequence[int],
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = CNNCfg.stride,
        dilation: int | Sequence[int] = CNNCfg.dilation,
        padding: str = CNNCfg.padding,
        norm: str | Sequence[str] = CNNCfg.norm,
        activation: str = CNNCfg.activation,
        max_pool: bool | Sequence[bool] = CNNCfg.max_pool,
        global_pool: str = CNNCfg.global_pool,
        flatten: bool = CNNCfg.flatten,
    ) -> None:
        """Build the layers with torch's default initialization.

        A setting that may be a sequence is one value for all layers, or one for each. Kernels are square.

        Args:
            input_dim: Height H and width W of the images, in pixels.
            input_channels: Channels C of the images.
            output_channels: Channels of every layer.
            kernel_size: Side of the kernels, in pixels.
            stride: Step of the kernels, in pixels.
            dilation: Distance between the taps of the kernels, in pixels.
            padding: "none", or what surrounds the input of every layer: "zeros", "reflect", "replicate" or "circular".
            norm: "none", "batch" (Ioffe & Szegedy 2015) or "layer" (Ba et al. 2016, over channels and pixels).
            activation: Name of the activation after every layer.
            max_pool: Whether a layer ends with max pooling, 3x3 with stride 2.
            global_pool: "none", "max" or "avg": reduce every channel of the last layer to one number.
            flatten: Return vectors [B, output_dim].

        Raises:
            ValueError: A name is unknown, a number is out of range, a sequence has another length than there are
                layers, or a kernel is larger than the input of its layer.
        """
        super().__init__()
        num_layers = _number_of_layers(output_channels)
        kernels = _per_layer("kernel_size", kernel_size, num_layers)
        strides = _per_layer("stride", stride, num_layers)
        dilations = _per_layer("dilation", dilation, num_layers)
        norms = _per_layer("norm", norm, num_layers)
        max_pools = _per_layer("max_pool", max_pool, num_layers)
        _require_name("padding", padding, ("none", *_PADDING_MODES))
        _require_name("global_pool", global_pool, _GLOBAL_POOLS)
        for name in norms:
            _require_name("norm", name, _NORMS)

        layers: list[nn.Module] = []
        channels, size = input_channels, (input_dim[0], input_dim[1])
        mode: Any = "zeros" if padding == "none" else padding
        for i, (next_channels, k, s, d) in enumerate(zip(output_channels, kernels, strides, dilations, strict=True)):
            pad = (0, 0) if padding == "none" else _same_padding(size, k, s, d)
            next_size = _output_size(size, k, s, pad, d)
            if min(next_size) < 1:
                raise ValueError(
                    f"CNN: `kernel_size` {k} (dilation {d}) must fit into the input of layer {i}, "
                    f"got {size[0]}x{size[1]} pixels and padding '{padding}'"
                )
            layers.append(nn.Conv2d(channels, next_channels, k, s, pad, d, padding_mode=mode))
            if norms[i] == "batch":
                layers.append(nn.BatchNorm2d(next_channels))
            elif norms[i] == "layer":
                layers.append(nn.LayerNorm([next_channels, *next_size]))
            layers.append(resolve_nn_activation(activation))
            if max_pools[i]:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, padding=1))
                next_size = _output_size(next_size, 3, 2, (1, 1))
            channels, size = next_channels, next_size

        pool = _GLOBAL_POOLS[global_pool]
        if pool is not None:
            layers.append(pool((1, 1)))
            size = (1, 1)
        if flatten:
            layers.append(nn.Flatten(start_dim=1))
        self.extend(layers)
        self.output_channels = None if flatten else channels
        """Channels of the output; None if it is flattened."""
        self.output_dim = channels * math.prod(size) if flatten else size
        """Width of the flattened output; else its height and width."""

    def init_weights(self) -> None:
        """Draw the kernels from He et al. 2015's normal distribution (fan in), and set the biases to zero."""
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def _number_of_layers(output_channels: Sequence[int]) -> int:
    if not isinstance(output_channels, Sequence) or isinstance(output_channels, str) or not output_channels:
        raise ValueError(
            f"CNN: `output_channels` must be a sequence of integers, one per layer, got {output_channels!r}"
        )
    for i, channels in enumerate(output_channels):
        require("CNN", f"output_channels[{i}]", channels, integer=True, least=1)
    return len(output_channels)


def _per_layer(name: str, setting: Any, num_layers: int) -> list[Any]:  # noqa: ANN401
    """The setting of every layer."""
    if isinstance(setting, str) or not isinstance(setting, Sequence):
        settings = [setting] * num_layers
    elif len(setting) != num_layers:
        raise ValueError(
            f"CNN: `{name}` must be one value, or one for each of {num_layers} layers, got {list(setting)}"
        )
    else:
        settings = list(setting)
    if name in ("kernel_size", "stride", "dilation"):
        for value in settings:
            require("CNN", name, value, integer=True, least=1)
    return settings


def _require_name(setting: str, name: str, valid: Any) -> None:  # noqa: ANN401
    if name not in valid:
        raise ValueError(f"CNN: `{setting}` '{name}' is unknown; {nearest(str(name), valid)}")


def _same_padding(size: tuple[int, int], kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Least padding at either end, in pixels, that makes the output floor(side / stride) pixels or more."""

    def of_side(side: int) -> int:
        missing = (side // stride - 1) * stride + dilation * (kernel - 1) + 1 - side
        return max(0, math.ceil(missing / 2))

    return of_side(size[0]), of_side(size[1])


def _output_size(
    size: tuple[int, int], kernel: int, stride: int, padding: tuple[int, int], dilation: int = 1
) -> tuple[int, int]:
    """Height and width that a window leaves (formula of torch.nn.Conv2d)."""

    def of_side(side: int, pad: int) -> int:
        return (side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1

    return of_side(size[0], padding[0]), of_side(size[1], padding[1])
