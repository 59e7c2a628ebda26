# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks by name: those that ship with rslcore, and those of other libraries. Importing it imports no simulator."""

from rslcore.tasks.external import LIBRARIES, module_of
from rslcore.tasks.registry import Policy, TaskSpec, get, names

__all__ = ["LIBRARIES", "Policy", "TaskSpec", "get", "module_of", "names"]
