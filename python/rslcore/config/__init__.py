# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Typed configurations: the one place where a default value is written.

Keys, nesting and defaults are those of rsl_rl 5.5.1, so that ``OnPolicyRunnerCfg().to_dict()`` is a configuration
dictionary both libraries accept. The constructors of the models and algorithms take their defaults from here
(``clip_param: float = PPOCfg.clip_param``). Imports nothing but the standard library.
"""

from rslcore.config.algorithms import ENGINES, DistillationCfg, EngineName, OptimizerName, PPOCfg
from rslcore.config.base import Cfg, nearest
from rslcore.config.distributions import (
    BetaDistributionCfg,
    CategoricalDistributionCfg,
    DistributionCfg,
    GaussianDistributionCfg,
    HeteroscedasticGaussianDistributionCfg,
)
from rslcore.config.extensions import RndCfg, SymmetryCfg
from rslcore.config.models import (
    ActivationName,
    CNNCfg,
    CNNModelCfg,
    MLPModelCfg,
    RNNModelCfg,
)
from rslcore.config.policies import (
    ActorCriticCfg,
    ActorCriticCNNCfg,
    ActorCriticRecurrentCfg,
    StudentTeacherCfg,
    StudentTeacherRecurrentCfg,
)
from rslcore.config.runners import DistillationRunnerCfg, OnPolicyRunnerCfg, RunnerCfg

__all__ = [
    "ENGINES",
    "ActivationName",
    "ActorCriticCNNCfg",
    "ActorCriticCfg",
    "ActorCriticRecurrentCfg",
    "BetaDistributionCfg",
    "CNNCfg",
    "CNNModelCfg",
    "CategoricalDistributionCfg",
    "Cfg",
    "DistillationCfg",
    "DistillationRunnerCfg",
    "DistributionCfg",
    "EngineName",
    "GaussianDistributionCfg",
    "HeteroscedasticGaussianDistributionCfg",
    "MLPModelCfg",
    "OnPolicyRunnerCfg",
    "OptimizerName",
    "PPOCfg",
    "RNNModelCfg",
    "RndCfg",
    "RunnerCfg",
    "StudentTeacherCfg",
    "StudentTeacherRecurrentCfg",
    "SymmetryCfg",
    "nearest",
]
