# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of the policies that hold two models, as rsl_rl 2.x and 3.x had them; defaults are those of 3.x."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from rslcore.config.base import Cfg
from rslcore.config.models import ActivationName


@dataclasses.dataclass
class ActorCriticCfg(Cfg):
    """Actor and critic, each an MLP."""

    class_name: str = "ActorCritic"
    """Class name, or ``"module:Class"``."""
    actor_obs_normalization: bool = False
    """Normalize the actor's observations by their running mean and standard deviation."""
    critic_obs_normalization: bool = False
    """Normalize the critic's observations by their running mean and standard deviation."""
    actor_hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the actor's hidden layers; -1 stands for the input width."""
    critic_hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the critic's hidden layers; -1 stands for the input width."""
    activation: ActivationName = "elu"
    """Activation after every hidden layer."""
    init_noise_std: float = 1.0
    """Initial standard deviation of the actions."""
    noise_std_type: Literal["scalar", "log"] = "scalar"
    """Whether the parameter is the standard deviation or its logarithm."""
    state_dependent_std: bool = False
    """Let the actor's MLP give the standard deviation too."""


@dataclasses.dataclass
class ActorCriticRecurrentCfg(ActorCriticCfg):
    """Actor and critic, each a recurrent layer before an MLP."""

    class_name: str = "ActorCriticRecurrent"
    """Class name, or ``"module:Class"``."""
    rnn_type: Literal["lstm", "gru"] = "lstm"
    """Kind of the recurrent layers."""
    rnn_hidden_dim: int = 256
    """Width of the hidden states."""
    rnn_num_layers: int = 1
    """Recurrent layers on top of each other."""


@dataclasses.dataclass
class ActorCriticCNNCfg(ActorCriticCfg):
    """Actor and critic with convolutional encoders for their image groups."""

    class_name: str = "ActorCriticCNN"
    """Class name, or ``"module:Class"``."""
    actor_cnn_cfg: dict[str, Any] | None = None
    """Encoder of the actor's image groups: one configuration for all, or one per group."""
    critic_cnn_cfg: dict[str, Any] | None = None
    """Encoder of the critic's image groups: one configuration for all, or one per group."""


@dataclasses.dataclass
class StudentTeacherCfg(Cfg):
    """Student and teacher, each an MLP."""

    class_name: str = "StudentTeacher"
    """Class name, or ``"module:Class"``."""
    student_obs_normalization: bool = False
    """Normalize the student's observations by their running mean and standard deviation."""
    teacher_obs_normalization: bool = False
    """Normalize the teacher's observations by the statistics of its checkpoint."""
    student_hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the student's hidden layers; -1 stands for the input width."""
    teacher_hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the teacher's hidden layers; -1 stands for the input width."""
    activation: ActivationName = "elu"
    """Activation after every hidden layer."""
    init_noise_std: float = 0.1
    """Standard deviation of the noise that the student explores with."""
    noise_std_type: Literal["scalar", "log"] = "scalar"
    """Whether the parameter is the standard deviation or its logarithm."""


@dataclasses.dataclass
class StudentTeacherRecurrentCfg(StudentTeacherCfg):
    """The student, and perhaps the teacher, with a recurrent layer before the MLP."""

    class_name: str = "StudentTeacherRecurrent"
    """Class name, or ``"module:Class"``."""
    rnn_type: Literal["lstm", "gru"] = "lstm"
    """Kind of the recurrent layers."""
    rnn_hidden_dim: int = 256
    """Width of the hidden states."""
    rnn_num_layers: int = 1
    """Recurrent layers on top of each other."""
    teacher_recurrent: bool = False
    """Whether the teacher is recurrent too."""
