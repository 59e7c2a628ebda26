# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What acts: models from observation groups to actions or values."""

from rslcore.models.actor_critic import ActorCritic, ActorCriticCNN, ActorCriticRecurrent
from rslcore.models.cnn_model import CNNModel
from rslcore.models.mlp_model import MLPModel
from rslcore.models.rnn_model import RNNModel
from rslcore.models.student_teacher import StudentTeacher, StudentTeacherRecurrent

__all__ = [
    "ActorCritic",
    "ActorCriticCNN",
    "ActorCriticRecurrent",
    "CNNModel",
    "MLPModel",
    "RNNModel",
    "StudentTeacher",
    "StudentTeacherRecurrent",
]
