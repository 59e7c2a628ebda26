# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of the learning algorithms."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, get_args

from rslcore.config.base import Cfg
from rslcore.config.extensions import RndCfg, SymmetryCfg

OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
EngineName = Literal["auto", "eager", "fused", "graph"]
ENGINES = get_args(EngineName)

_ENGINE: EngineName = "auto"
"""The default of every algorithm."""


@dataclasses.dataclass
class PPOCfg(Cfg):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347)."""

    own_keys: ClassVar[tuple[str, ...]] = ("reshuffle_each_epoch", "bootstrap_final_obs", "use_tf32", "engine")

    class_name: str = "PPO"
    """Class name, or ``"module:Class"``."""
    num_learning_epochs: int = 5
    """Passes over the rollout per update."""
    num_mini_batches: int = 4
    """Minibatches per pass; rows that do not fill the last one are dropped."""
    clip_param: float = 0.2
    """Clip range of the probability ratio and of the value change."""
    gamma: float = 0.99
    """Discount factor per step."""
    lam: float = 0.95
    """Lambda of generalized advantage estimation."""
    value_loss_coef: float = 1.0
    """Weight of the value loss."""
    entropy_coef: float = 0.01
    """Weight of the entropy bonus."""
    learning_rate: float = 0.001
    """Learning rate; with the adaptive schedule, the initial one."""
    max_grad_norm: float = 1.0
    """Largest gradient norm, of actor and critic apart."""
    optimizer: OptimizerName = "adam"
    """Optimizer name."""
    use_clipped_value_loss: bool = True
    """Clip the change of the value to ``clip_param`` and take the larger loss."""
    schedule: Literal["adaptive", "fixed"] = "adaptive"
    """"adaptive" steers the learning rate by the KL divergence of every minibatch."""
    desired_kl: float | None = 0.01
    """KL divergence, in nats, that the adaptive schedule aims at; None switches the schedule off."""
    normalize_advantage_per_mini_batch: bool = False
    """Normalize advantages within each minibatch rather than over the rollout."""
    use_mixed_precision: bool = False
    """bfloat16 forward pass and losses."""
    rnd_cfg: RndCfg | None = None
    """Random network distillation: intrinsic rewards for what was rarely seen."""
    symmetry_cfg: SymmetryCfg | None = None
    """Symmetry augmentation and mirror loss."""
    grad_reduce_bucket_mb: float = 25
    """Largest buffer, in MiB, of one gradient all-reduce in distributed training."""
    share_cnn_encoders: bool = False
    """Let the critic use the actor's CNN encoders."""
    reshuffle_each_epoch: bool = False
    """Draw a new order of the rows for every epoch, not one per update."""
    bootstrap_final_obs: bool = False
    """At time-outs, bootstrap from the value of the true final observation where the environment gives it."""
    use_tf32: bool = False
    """TensorFloat-32 matrix products on a GPU: several times faster, to 3 digits; for policy, critic and update."""
    engine: EngineName = _ENGINE
    """What runs the updates: "auto" takes the fastest that is exact for the models, any other name insists on one."""


@dataclasses.dataclass
class DistillationCfg(Cfg):
    """Behaviour cloning of a teacher on the student's own rollouts (DAgger; Ross et al. 2011, arXiv:1011.0686)."""

    own_keys: ClassVar[tuple[str, ...]] = ("use_tf32", "engine")

    class_name: str = "Distillation"
    """Class name, or ``"module:Class"``."""
    num_learning_epochs: int = 1
    """Passes over the rollout per update."""
    gradient_length: int = 15
    """Steps whose losses are summed for one gradient step; how far gradients reach back through a hidden state."""
    learning_rate: float = 0.001
    """Learning rate."""
    max_grad_norm: float | None = None
    """Largest gradient norm; None leaves gradients as they are."""
    loss_type: Literal["mse", "huber"] = "mse"
    """Distance between the actions of student and teacher."""
    optimizer: OptimizerName = "adam"
    """Optimizer name."""
    use_mixed_precision: bool = False
    """bfloat16 forward pass and loss."""
    grad_reduce_bucket_mb: float = 25
    """Largest buffer, in MiB, of one gradient all-reduce in distributed training."""
    rnd_cfg: dict[str, Any] | None = None
    """Must be None: intrinsic rewards mean nothing to a student."""
    symmetry_cfg: dict[str, Any] | None = None
    """Must be None."""
    keep_teacher_state: bool = True
    """Let a recurrent teacher remember across updates; False has it forget at every update, as rsl_rl 5.5.1 does."""
    use_tf32: bool = False
    """TensorFloat-32 matrix products on a GPU: several times faster, to 3 digits; for policy, critic and update."""
    engine: EngineName = _ENGINE
    """What runs the updates: "auto" takes the fastest that is exact for the models, any other name insists on one."""
