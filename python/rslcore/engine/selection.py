# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The choice of an engine, with its reason in words."""

from __future__ import annotations

from typing import NamedTuple

from rslcore.engine.eager import EagerEngine


class Selection(NamedTuple):
    """An engine, and why it was chosen."""

    engine: EagerEngine
    reason: str


def select_engine() -> Selection:
    """Return the fastest engine that is exact for an algorithm."""
    return Selection(EagerEngine(), "the only engine of this version; it runs every model, distribution and optimizer")
