# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How an update is executed. An engine knows no algorithm: it is given one minibatch rule and runs it."""

from rslcore.engine.eager import EagerEngine
from rslcore.engine.known import KnownMLP, describe_mlp
from rslcore.engine.learner import Learner, MinibatchResult
from rslcore.engine.selection import Selection, select_engine

__all__ = [
    "EagerEngine",
    "KnownMLP",
    "Learner",
    "MinibatchResult",
    "Selection",
    "describe_mlp",
    "select_engine",
]
