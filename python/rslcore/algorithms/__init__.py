# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The rules of learning."""

from rslcore.algorithms.distillation import Distillation
from rslcore.algorithms.ppo import PPO

__all__ = ["PPO", "Distillation"]
