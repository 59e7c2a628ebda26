# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of the output distributions of models."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from rslcore.config.base import Cfg

StdType = Literal["scalar", "log"]


@dataclasses.dataclass
class GaussianDistributionCfg(Cfg):
    """Diagonal Gaussian over actions with a standard deviation that does not depend on the state."""

    class_name: str = "GaussianDistribution"
    """Class name, or ``"module:Class"``."""
    init_std: float = 1.0
    """Initial standard deviation, in units of the actions."""
    std_range: tuple[float, float] = (1e-6, 1e6)
    """Smallest and largest standard deviation; beyond it the parameter gets no gradient."""
    std_type: StdType = "scalar"
    """Whether the parameter is the standard deviation or its logarithm."""
    learn_std: bool = True
    """False keeps the standard deviation at ``init_std``."""


@dataclasses.dataclass
class HeteroscedasticGaussianDistributionCfg(Cfg):
    """Diagonal Gaussian over actions with a standard deviation that the model gives along with the mean."""

    class_name: str = "HeteroscedasticGaussianDistribution"
    """Class name, or ``"module:Class"``."""
    init_std: float = GaussianDistributionCfg.init_std
    """Initial standard deviation in every state, in units of the actions."""
    std_range: tuple[float, float] = GaussianDistributionCfg.std_range
    """Smallest and largest standard deviation; beyond it the model gets no gradient from it."""
    std_type: StdType = GaussianDistributionCfg.std_type
    """Whether the model gives the standard deviation or its logarithm."""


@dataclasses.dataclass
class BetaDistributionCfg(Cfg):
    """Beta distributions over actions with hard limits."""

    class_name: str = "BetaDistribution"
    """Class name, or ``"module:Class"``."""
    action_range: tuple[float, float] = (-1.0, 1.0)
    """Smallest and largest action."""


@dataclasses.dataclass
class CategoricalDistributionCfg(Cfg):
    """Categorical distributions over discrete (one component) or multi-discrete actions."""

    num_categories: int | tuple[int, ...]
    """Categories of each component, or one number for all of them."""
    class_name: str = "CategoricalDistribution"
    """Class name, or ``"module:Class"``."""


DistributionCfg: TypeAlias = (
    GaussianDistributionCfg | HeteroscedasticGaussianDistributionCfg | BetaDistributionCfg | CategoricalDistributionCfg
)
