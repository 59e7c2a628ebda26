# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Building blocks of models: perceptron, output distributions, normalization."""

from rslcore.modules.distribution import (
    BetaDistribution,
    CategoricalDistribution,
    Distribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)
from rslcore.modules.mlp import MLP
from rslcore.modules.normalization import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization

__all__ = [
    "MLP",
    "BetaDistribution",
    "CategoricalDistribution",
    "Distribution",
    "EmpiricalDiscountedVariationNormalization",
    "EmpiricalNormalization",
    "GaussianDistribution",
    "HeteroscedasticGaussianDistribution",
]
