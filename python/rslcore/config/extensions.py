# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of the extensions of PPO."""

from __future__ import annotations

import dataclasses
from typing import Any

from rslcore.config.base import Cfg
from rslcore.config.models import ActivationName


@dataclasses.dataclass
class RndCfg(Cfg):
    """Random network distillation (Burda et al. 2018, arXiv:1810.12894)."""

    num_outputs: int = 1
    """Width of the embedding that the predictor learns."""
    predictor_hidden_dims: tuple[int, ...] = (-1,)
    """Widths of the predictor's hidden layers; -1 stands for the width of the state."""
    target_hidden_dims: tuple[int, ...] = (-1,)
    """Widths of the random target's hidden layers; -1 stands for the width of the state."""
    activation: ActivationName = "elu"
    """Activation after every hidden layer."""
    state_normalization: bool = False
    """Normalize the states by their running mean and standard deviation."""
    reward_normalization: bool = False
    """Divide intrinsic rewards by the running deviation of their discounted sum."""
    weight: float = 0.0
    """Weight of the intrinsic rewards per second: multiplied by the environment's ``step_dt``."""
    weight_schedule: dict[str, Any] | None = None
    """How the weight changes, in env steps: {"mode": "constant"}, {"mode": "step", "final_step", "final_value"} or
    {"mode": "linear", "initial_step", "final_step", "final_value"}. ``final_value`` is per env step, not per second."""
    learning_rate: float = 0.001
    """Learning rate of the predictor."""


@dataclasses.dataclass
class SymmetryCfg(Cfg):
    """Symmetry augmentation and mirror loss (Mittal et al. 2024, arXiv:2403.04359)."""

    data_augmentation_func: Any = None
    """Function (env, obs, actions) -> (obs, actions), or its name as ``"module:function"``."""
    use_data_augmentation: bool = False
    """Learn from mirrored samples as from the others."""
    use_mirror_loss: bool = False
    """Add the mirror loss."""
    mirror_loss_coeff: float = 0.0
    """Weight of the mirror loss."""
