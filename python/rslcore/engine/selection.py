# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The choice of an engine, with its reason in words."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import torch

from rslcore.config import ENGINES, nearest
from rslcore.engine.eager import EagerEngine
from rslcore.engine.fused import FusedEngine
from rslcore.engine.fused_recurrent import FusedRecurrentEngine
from rslcore.engine.graph import GraphEngine
from rslcore.engine.learner import Learner


class Engine(Protocol):
    """A way to run an update. Every engine gives the results of the eager one, but for rounding."""

    name: str
    """As in ``--engine``; several engines for different models may share one."""

    device_type: str | None
    """Where the models must be that it is for, "cpu" or "cuda"; None if it does not matter."""

    needs_fixed_shapes: bool
    """Whether minibatches must have the same shapes in every update."""

    def can_run(self, learner: Learner) -> str | None:
        """Return why the update of an algorithm cannot be run, as it is now; None if it can. Cheap."""

    def describe(self, learner: Learner) -> str:
        """Return in words how an update that can be run is run."""

    def run(self, learner: Learner, batches: Iterable[Any]) -> dict[str, float]:
        """Take one gradient step per minibatch; return the reported terms, averaged over all minibatches."""


ENGINE_CLASSES: tuple[type[Engine], ...] = (FusedEngine, FusedRecurrentEngine, GraphEngine, EagerEngine)
"""All engines, the fastest first; the last one runs everything."""


class Selection(NamedTuple):
    """An engine, and why it was chosen."""

    engine: Engine
    reason: str


class EngineSelector:
    """Chooses the fastest engine that is exact for an algorithm, anew for every update: hooks may come at any time."""

    def __init__(self, owner: str, wanted: str) -> None:
        """Remember what is wanted.

        Args:
            owner: Name of the algorithm, for messages.
            wanted: "auto", or the name of the engine that must run.

        Raises:
            ValueError: There is no such engine.
        """
        if wanted not in ENGINES:
            raise ValueError(f"{owner}: `engine` '{wanted}' is unknown; {nearest(wanted, ENGINES)}")
        self._owner = owner
        self._wanted = wanted
        self._engines: list[Engine] = [engine() for engine in ENGINE_CLASSES if wanted in ("auto", engine.name)]
        self._last: Selection | None = None

    def select(self, learner: Learner) -> Selection:
        """Return the engine of the coming update; warns when it is not that of the one before.

        Raises:
            ValueError: The engine that must run cannot; the message says why.
        """
        refusals: dict[str, str] = {}
        device_type = torch.device(getattr(learner, "device", "cpu")).type
        for engine in self._engines:
            if self._wanted == "auto" and engine.device_type not in (None, device_type):
                continue
            refusal = engine.can_run(learner)
            if refusal is None:
                break
            refusals.setdefault(refusal, engine.name)
        else:
            reason = "; ".join(refusals) or "this version has no such engine"
            raise ValueError(f"{self._owner}: `engine` '{self._wanted}' cannot run this job: {reason}")
        if self._wanted != "auto":
            reason = f"as asked for; {engine.describe(learner)}"
        else:  # of several engines of one name, only the one that runs is told of
            others = [refusal for refusal, name in refusals.items() if name != engine.name]
            reason = "; ".join([*others, engine.describe(learner)])
        selection = Selection(engine, reason)
        if self._last is not None and self._last.engine is not engine:
            warnings.warn(
                f"{self._owner}: engine {engine.name} takes over from {self._last.engine.name} ({reason})",
                RuntimeWarning,
                stacklevel=4,
            )
        self._last = selection
        return selection
