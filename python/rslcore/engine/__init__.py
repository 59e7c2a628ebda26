# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How an update is executed. An engine knows no algorithm: it is given one minibatch rule and runs it."""

from rslcore.engine.eager import EagerEngine
from rslcore.engine.graph import GraphEngine
from rslcore.engine.graph_rollout import CapturedPolicySteps
from rslcore.engine.known import KnownMLP, changed_classes, describe_mlp
from rslcore.engine.learner import Learner, MinibatchResult, PPORule
from rslcore.engine.recurrent import refuses_whole_rollouts
from rslcore.engine.selection import Engine, EngineSelector, Selection

__all__ = [
    "CapturedPolicySteps",
    "EagerEngine",
    "Engine",
    "EngineSelector",
    "GraphEngine",
    "KnownMLP",
    "Learner",
    "MinibatchResult",
    "PPORule",
    "Selection",
    "changed_classes",
    "describe_mlp",
    "refuses_whole_rollouts",
]
