# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runners: the loop of rollouts and updates, with logging and checkpoints."""

from rslcore.runners.distillation_runner import DistillationRunner
from rslcore.runners.on_policy_runner import OnPolicyRunner

__all__ = ["DistillationRunner", "OnPolicyRunner"]
