# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Distributions over the output of a model: those of rsl_rl 5.5.1, and the categorical one it lacks."""

from rslcore.modules.distribution.base import Distribution
from rslcore.modules.distribution.beta import BetaDistribution
from rslcore.modules.distribution.categorical import CategoricalDistribution
from rslcore.modules.distribution.gaussian import GaussianDistribution, HeteroscedasticGaussianDistribution

__all__ = [
    "BetaDistribution",
    "CategoricalDistribution",
    "Distribution",
    "GaussianDistribution",
    "HeteroscedasticGaussianDistribution",
]
