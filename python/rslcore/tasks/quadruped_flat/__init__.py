# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks quadruped-flat, -teacher and -student: a four-legged robot follows velocity commands on flat ground."""

from rslcore.tasks.quadruped_flat.env import QuadrupedFlatCfg, QuadrupedFlatEnv, RewardWeights
from rslcore.tasks.quadruped_flat.evaluate import evaluate
from rslcore.tasks.quadruped_flat.symmetry import left_right
from rslcore.tasks.quadruped_flat.teacher_student import QuadrupedTeacherStudentEnv, student_cfg, teacher_cfg
from rslcore.tasks.quadruped_flat.training import training_cfg

__all__ = [
    "QuadrupedFlatCfg",
    "QuadrupedFlatEnv",
    "QuadrupedTeacherStudentEnv",
    "RewardWeights",
    "evaluate",
    "left_right",
    "student_cfg",
    "teacher_cfg",
    "training_cfg",
]
