# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoint files: written atomically, read safely, checked before anything is changed."""

from rslcore.checkpoint.files import (
    CheckpointError,
    clean_leftovers,
    latest,
    read,
    resolve,
    restore_superseded,
    supersede,
    write,
)
from rslcore.checkpoint.lock import RunDirLock, lock
from rslcore.checkpoint.plain import first_not_plain
from rslcore.checkpoint.random_state import (
    check_random_state,
    random_state,
    restore_random_state,
    seed_generators,
)
from rslcore.checkpoint.validation import PARTS, check_compatible, check_structure

__all__ = [
    "PARTS",
    "CheckpointError",
    "RunDirLock",
    "check_compatible",
    "check_random_state",
    "check_structure",
    "clean_leftovers",
    "first_not_plain",
    "latest",
    "lock",
    "random_state",
    "read",
    "resolve",
    "restore_random_state",
    "restore_superseded",
    "seed_generators",
    "supersede",
    "write",
]
