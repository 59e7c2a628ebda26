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
from rslcore.utils import JointRead, without_graph

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
        self._has_waited = False
        self._refusal: str | None = None
        self._counter: torch.Tensor | None = None
        """Number of the next permutation, on the device."""
        self._draws = 0
        """Permutations per update."""
        self._outputs: list[tuple[Distribution, Any]] = []
        """What the last minibatch left in the models' distributions: it is where the graph writes it."""
        self._joint: JointRead | None = None
        """What others want to read with the coming update."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graph: a copy of an algorithm has other tensors, and captures its own."""
        return vars(type(self)())

    def can_run(self, learner: Learner) -> str | None:
        """Return why the update cannot be captured; None if it can.

        Another engine then learns, which knows nothing of what joined: that is settled first.
        """
        reason = self._refusal or refusal(learner, str(self.device_type))
        if reason is not None and self._joint is not None:
            joint, self._joint = self._joint, None
            joint.settle()
        return reason

    def join(self, joint: JointRead) -> None:
        """Let the coming update fetch what others want to know of the device with its own read.

        Where ``joint.spoiled`` is set, the update changes neither parameters nor the state of optimizers, and raises
        what ``joint`` refuses with.
        """
        self._joint = joint

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
        joint, self._joint = self._joint or JointRead(), None
        try:
            update = self._run(learner, batches, device, joint)
        finally:
            storage.counter = None
        return update.read(joint)

    def _run(self, learner: Learner, batches: Iterable[Any], device: torch.device, joint: JointRead) -> StaticUpdate:
        """Queue all work of an update; returns where its results will be."""
        now = fingerprint(learner)
        if self._update is None or now != self._print:
            joint.settle()  # an optimizer's first step makes its state, which one that does nothing would leave unset
            self._note_change(now)
            return self._warm_up(learner, batches, device)
        update = self._update
        update.load(joint.spoiled)
        if self._recording is None:
            self._capture(learner, update, batches, device)
            return update
        self._recording.replay(update.between)
        learner.storage.offset += self._draws  # type: ignore[attr-defined]
        for distribution, output in self._outputs:
            vars(distribution)["_batch"] = output
        self._changes = 0
        return update

    def _warm_up(self, learner: Learner, batches: Iterable[Any], device: torch.device) -> StaticUpdate:
        update = StaticUpdate(learner, device)
        update.load()
        waits = warm_up(update.body(batches), update.between, device)
        self._recording, self._update, self._print = None, update, fingerprint(learner)
        if waits and self._has_waited:
            self._refusal = f"the update waits for the device at {waits[0]}"
        elif waits:  # perhaps for something that is set up once: the next update tells
            self._update = None
        self._has_waited = bool(waits)
        return update

    def _capture(self, learner: Learner, update: StaticUpdate, batches: Iterable[Any], device: torch.device) -> None:
        storage = learner.storage  # type: ignore[attr-defined]
        recording, first = Recording(device), storage.offset
        try:
            recording.capture(update.body(batches), update.between)
        except RuntimeError as error:
            self._refusal = f"the update could not be captured: {str(error).splitlines()[0]}"
            raise RuntimeError(f"GraphEngine: {self._refusal}; `engine='eager'` captures nothing") from error
        self._recording, self._draws = recording, storage.offset - first
        self._outputs = [
            (module, without_graph(module._batch))
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
