# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks quadruped-flat, -teacher and -student: a four-legged robot follows velocity commands on flat ground."""

import importlib
from typing import TYPE_CHECKING, Any

from rslcore.tasks.quadruped_flat.training import student_cfg, teacher_cfg, training_cfg

if TYPE_CHECKING:
    from rslcore.tasks.quadruped_flat.env import QuadrupedFlatCfg, QuadrupedFlatEnv, RewardWeights
    from rslcore.tasks.quadruped_flat.evaluation import evaluate
    from rslcore.tasks.quadruped_flat.symmetry import left_right
    from rslcore.tasks.quadruped_flat.teacher_student import QuadrupedTeacherStudentEnv

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

_NEEDS_TORCH = {
    "QuadrupedFlatCfg": "env",
    "QuadrupedFlatEnv": "env",
    "RewardWeights": "env",
    "evaluate": "evaluation",
    "left_right": "symmetry",
    "QuadrupedTeacherStudentEnv": "teacher_student",
}
"""Name to the module that has it, which is imported when the name is asked for."""


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
