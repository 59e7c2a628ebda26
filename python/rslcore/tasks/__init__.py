# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks that ship with rslcore, by name. Importing this package does not import MuJoCo."""

from rslcore.tasks.registry import Policy, TaskSpec, get, names

__all__ = ["Policy", "TaskSpec", "get", "names"]
