# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Building blocks of models: perceptron, recurrent and convolutional networks, output distributions, normalization."""

from rslcore.modules.cnn import CNN, image_to_float
from rslcore.modules.distribution import (
    BetaDistribution,
    CategoricalDistribution,
    Distribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)
from rslcore.modules.mlp import MLP
from rslcore.modules.normalization import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rslcore.modules.rnn import RNN, HiddenState

__all__ = [
    "CNN",
    "MLP",
    "RNN",
    "BetaDistribution",
    "CategoricalDistribution",
    "Distribution",
    "EmpiricalDiscountedVariationNormalization",
    "EmpiricalNormalization",
    "GaussianDistribution",
    "HeteroscedasticGaussianDistribution",
    "HiddenState",
    "image_to_float",
]
