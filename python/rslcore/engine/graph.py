# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The engine of CUDA: a whole update is one graph, launched by one call and read by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from rslcore.engine.graph_capture import Recording, warm_up
from rslcore.engine.graph_conditions import captured_parts, differences, fingerprint, refusal
from rslcore.engine.graph_update import StaticUpdate
from rslcore.engine.learner import Learner
from rslcore.modules import Distribution

_MAX_CHANGES = 4
"""After so many changes in a row that each cost a capture, the engine steps back."""


class GraphEngine:
    """Runs the update of PPO or distillation as a CUDA graph.

    The first update runs uncaptured, as a graph needs everything warmed up; the second one is captured and then
    launched; all others are launched. Where something that a graph has frozen is changed (a setting, a parameter that
    was replaced, another mode), the next update runs uncaptured and the one behind it is captured anew. Learning rates,
    and the number of the permutation, may change at any time.

    With several processes, gradients are averaged by the host between graphs of one minibatch each.
    """

    name = "graph"
    device_type: str | None = "cuda"
    needs_fixed_shapes = True

    def __init__(self) -> None:
        """Start without a graph."""
        self._update: StaticUpdate | None = None
        self._recording: Recording | None = None
        self._print: dict[str, Any] = {}
        self._changes = 0
        self._refusal: str | None = None
        self._counter: torch.Tensor | None = None
        """Number of the next permutation, on the device."""
        self._draws = 0
        """Permutations per update."""
        self._outputs: list[tuple[Distribution, Any]] = []
        """What the last minibatch left in the models' distributions: it is where the graph writes it."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graph: a copy of an algorithm has other tensors, and captures its own."""
        return vars(type(self)())

    def can_run(self, learner: Learner) -> str | None:
        """Return why the update cannot be captured; None if it can."""
        return self._refusal or refusal(learner, str(self.device_type))

    def describe(self, learner: Learner) -> str:
        """Return what it does, in words."""
        return "the update is a CUDA graph" if not learner.is_multi_gpu else "minibatches are CUDA graphs"

    def run(self, learner: Learner, batches: Iterable[Any]) -> dict[str, float]:
        """Take one gradient step per minibatch.

        Returns:
            The terms of the rule, averaged over all minibatches.

        Raises:
            RuntimeError: The learner cannot be run; see :meth:`can_run`.
        """
        if (reason := self.can_run(learner)) is not None:
            raise RuntimeError(f"GraphEngine: {reason}")
        device = next(p.device for part in captured_parts(learner).values() for p in part.parameters())
        storage = learner.storage  # type: ignore[attr-defined]
        if self._counter is None or self._counter.device != device:
            self._counter = torch.zeros((), dtype=torch.int64, device=device)
        self._counter.fill_(storage.offset)
        storage.counter = self._counter
        try:
            self._run(learner, batches, device)
        finally:
            storage.counter = None
        assert self._update is not None
        return self._update.read()

    def _run(self, learner: Learner, batches: Iterable[Any], device: torch.device) -> None:
        now = fingerprint(learner)
        if self._update is None or now != self._print:
            self._note_change(now)
            self._recording, self._update = None, StaticUpdate(learner, device)
            self._update.load()
            waits = warm_up(self._update.body(batches), self._update.between, device)
            self._print = fingerprint(learner)
            if waits:
                self._refusal = f"the update waits for the device at {waits[0]}"
            return
        update, storage = self._update, learner.storage  # type: ignore[attr-defined]
        update.load()
        if self._recording is not None:
            self._recording.replay(update.between)
            storage.offset += self._draws
            for distribution, output in self._outputs:
                vars(distribution)["_batch"] = output
            self._changes = 0
            return
        recording, first = Recording(device), storage.offset
        try:
            recording.capture(update.body(batches), update.between)
        except RuntimeError as error:
            self._refusal = f"the update could not be captured: {str(error).splitlines()[0]}"
            raise
        self._recording, self._draws = recording, storage.offset - first
        self._outputs = [
            (module, module._batch)
            for part in captured_parts(learner).values()
            for module in part.modules()
            if isinstance(module, Distribution)
        ]

    def _note_change(self, now: dict[str, Any]) -> None:
        if self._update is None:
            return
        self._changes += 1
        if self._changes > _MAX_CHANGES:
            self._refusal = f"what a graph freezes changes from update to update: {differences(self._print, now)}"
