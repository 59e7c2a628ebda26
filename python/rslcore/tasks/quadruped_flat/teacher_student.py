# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks quadruped-flat-teacher and quadruped-flat-student: a policy that knows more teaches one that can be built."""

from __future__ import annotations

import torch

from rslcore.config import (
    DistillationCfg,
    DistillationRunnerCfg,
    GaussianDistributionCfg,
    OnPolicyRunnerCfg,
    RNNModelCfg,
)
from rslcore.tasks.quadruped_flat.env import QuadrupedFlatEnv
from rslcore.tasks.quadruped_flat.training import training_cfg

NUM_STUDENT_ENVS = 256

_OBS_GROUPS = {"teacher": ["measured", "privileged"], "student": ["policy"]}


class QuadrupedTeacherStudentEnv(QuadrupedFlatEnv):
    """The same robot and task, with observations for a teacher beside those that a robot can measure.

    Observation groups, float32:

    - "policy" [N, 47] and "critic" [N, 67]: as in :class:`QuadrupedFlatEnv`; the student sees "policy" alone.
    - "measured" [N, 47]: "policy" without noise.
    - "privileged" [N, 13]: what a robot cannot measure: base linear velocity (3), base height (1), foot contacts (4),
      foot heights (4), friction (1).
    """

    def compute_observations(self) -> dict[str, torch.Tensor]:
        """The groups described at the class."""
        groups = super().compute_observations()
        groups["measured"] = groups["critic"][:, : groups["policy"].shape[1]]
        groups["privileged"] = torch.cat(
            (self.lin_vel, self.height[:, None], self.contacts.float(), self._foot_height, self._friction), 1
        )
        return groups


def teacher_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration of the teacher: that of quadruped-flat, with an actor that sees more."""
    cfg = training_cfg()
    cfg.experiment_name = "quadruped-flat-teacher"
    cfg.obs_groups = {"actor": _OBS_GROUPS["teacher"], "critic": ["critic"]}
    return cfg


def student_cfg() -> DistillationRunnerCfg:
    """Return the training configuration of the student: an LSTM on noisy measurements."""
    return DistillationRunnerCfg(
        max_iterations=150,
        experiment_name="quadruped-flat-student",
        num_steps_per_env=40,
        obs_groups={name: list(groups) for name, groups in _OBS_GROUPS.items()},
        student=RNNModelCfg(
            hidden_dims=(128,),
            rnn_hidden_dim=64,
            obs_normalization=True,
            distribution_cfg=GaussianDistributionCfg(init_std=0.1),
        ),
        teacher=teacher_cfg().actor,
        algorithm=DistillationCfg(gradient_length=10, num_learning_epochs=2, max_grad_norm=1.0),
    )
