# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of models."""

from __future__ import annotations

import dataclasses
from typing import Literal

from rslcore.config.base import Cfg
from rslcore.config.distributions import DistributionCfg

ActivationName = Literal[
    "elu", "selu", "relu", "crelu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish", "identity"
]
RNNType = Literal["lstm", "gru"]
PaddingName = Literal["none", "zeros", "reflect", "replicate", "circular"]
NormName = Literal["none", "batch", "layer"]
GlobalPoolName = Literal["none", "max", "avg"]


@dataclasses.dataclass
class MLPModelCfg(Cfg):
    """A multi-layer perceptron over concatenated 1-D observation groups."""

    class_name: str = "MLPModel"
    """Class name, or ``"module:Class"``."""
    hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the hidden layers; -1 stands for the input width."""
    activation: ActivationName = "elu"
    """Activation after every hidden layer."""
    obs_normalization: bool = False
    """Normalize observations by their running mean and standard deviation."""
    distribution_cfg: DistributionCfg | None = None
    """Output distribution; None makes the output deterministic (a critic)."""


@dataclasses.dataclass
class RNNModelCfg(MLPModelCfg):
    """A recurrent network before the perceptron."""

    class_name: str = "RNNModel"
    """Class name, or ``"module:Class"``."""
    rnn_type: RNNType = "lstm"
    """Long short-term memory or gated recurrent units."""
    rnn_hidden_dim: int = 256
    """Width of the hidden state."""
    rnn_num_layers: int = 1
    """Recurrent layers, each fed with the one before."""


@dataclasses.dataclass
class CNNCfg(Cfg):
    """A convolutional encoder; a setting that may be a sequence is one value for all layers, or one for each."""

    output_channels: tuple[int, ...]
    """Channels of every layer: as many layers as entries."""
    kernel_size: int | tuple[int, ...]
    """Side of the square kernels, in pixels."""
    stride: int | tuple[int, ...] = 1
    """Step of the kernels, in pixels."""
    dilation: int | tuple[int, ...] = 1
    """Distance between the taps of the kernels, in pixels."""
    padding: PaddingName = "none"
    """What surrounds the input of every layer; all but "none" keep about input size / stride."""
    norm: NormName | tuple[NormName, ...] = "none"
    """Normalization before the activation: over the batch, or over channels and pixels of each sample."""
    activation: ActivationName = "elu"
    """Activation after every layer."""
    max_pool: bool | tuple[bool, ...] = False
    """Take the maximum of 3x3 pixels at every second pixel after the activation."""
    global_pool: GlobalPoolName = "none"
    """Reduce every channel of the last layer to one number: its maximum or its mean over the pixels."""
    flatten: bool = True
    """Return vectors; a model needs them."""


@dataclasses.dataclass
class CNNModelCfg(MLPModelCfg):
    """Convolutional encoders of image groups before the perceptron."""

    class_name: str = "CNNModel"
    """Class name, or ``"module:Class"``."""
    cnn_cfg: dict[str, CNNCfg] | CNNCfg | None = None
    """One encoder for every image group alike, or one for each by the group's name; None where encoders are shared."""
