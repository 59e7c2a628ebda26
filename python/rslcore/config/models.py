# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of models and of their output distributions."""

from __future__ import annotations

import dataclasses
from typing import Literal

from rslcore.config.base import Cfg

ActivationName = Literal[
    "elu", "selu", "relu", "crelu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish", "identity"
]


@dataclasses.dataclass
class GaussianDistributionCfg(Cfg):
    """Diagonal Gaussian over actions with a standard deviation that does not depend on the state."""

    class_name: str = "GaussianDistribution"
    """Class name, or ``"module:Class"``."""
    init_std: float = 1.0
    """Initial standard deviation, in units of the actions."""
    std_range: tuple[float, float] = (1e-6, 1e6)
    """Smallest and largest standard deviation; beyond it the parameter gets no gradient."""
    std_type: Literal["scalar", "log"] = "scalar"
    """Whether the parameter is the standard deviation or its logarithm."""
    learn_std: bool = True
    """False keeps the standard deviation at ``init_std``."""


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
    distribution_cfg: GaussianDistributionCfg | None = None
    """Output distribution; None makes the output deterministic (a critic)."""
