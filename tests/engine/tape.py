# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tapes that stand for CUDA graphs where there is no GPU."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rslcore.algorithms import sampling
from rslcore.engine import CapturedPolicySteps, EagerEngine, GraphEngine, selection
from rslcore.engine import graph as engine_module
from rslcore.engine import graph_rollout as rollout_module
from rslcore.modules.distribution import base, beta, gaussian


class Tape(TorchDispatchMode):
    """Records operators with their arguments and results, below autograd."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Every operator comes by."""
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self):
        """Run everything again on the same tensors, and let the results have the values of now."""
        for func, args, kwargs, result in self.calls:
            for before, now in zip(tree_leaves(result), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(before, torch.Tensor) and before.data_ptr() != now.data_ptr():
                    before.copy_(now)


class TapeRecording:
    """`Recording` with tapes for graphs; a capture runs the work as well."""

    def __init__(self, device, pool=None):
        self.pool = pool
        self.tapes = []

    def capture(self, work, between=None):
        """Record piece by piece."""
        ended = False
        while not ended:
            with Tape() as tape:
                ended = next(work, "end") == "end"
            self.tapes.append(tape)
            if not ended:
                between()

    def replay(self, between=None):
        """Repeat piece by piece."""
        for number, tape in enumerate(self.tapes):
            if number > 0 and between is not None:
                between()
            tape.replay()


def run_at_once(work, between, device):
    """`warm_up` without streams."""
    for _ in work:
        between()
    return []


def use_tapes(monkeypatch):
    """Let the engine of CUDA run on the CPU, with tapes for graphs; it looks into no tensor that it cannot on a GPU."""
    for module in (engine_module, rollout_module):
        monkeypatch.setattr(module, "Recording", TapeRecording)
    monkeypatch.setattr(engine_module, "warm_up", run_at_once)
    for owner in (GraphEngine, CapturedPolicySteps):
        monkeypatch.setattr(owner, "device_type", "cpu")
    monkeypatch.setattr(selection, "ENGINE_CLASSES", (GraphEngine, EagerEngine))
    for module in (base, beta, gaussian, sampling):
        monkeypatch.setattr(module, "can_inspect", lambda tensor: False, raising=False)
