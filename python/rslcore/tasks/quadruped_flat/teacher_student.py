# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks quadruped-flat-teacher and quadruped-flat-student: a policy that knows more teaches one that can be built."""

from __future__ import annotations

import torch

from rslcore.tasks.quadruped_flat.env import QuadrupedFlatEnv
from rslcore.tasks.quadruped_flat.training import NUM_STUDENT_ENVS, student_cfg, teacher_cfg

__all__ = ["NUM_STUDENT_ENVS", "QuadrupedTeacherStudentEnv", "student_cfg", "teacher_cfg"]


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
