# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a trainer shows of itself, whatever package it is from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch


class Finished(BaseException):
    """Raised between two iterations to leave a training loop that has no end."""


@dataclasses.dataclass
class Trainer:
    """A training loop that is ready to run."""

    train: Callable[[], object]
    """Runs the public loop of the package until `Finished` comes out of the clock."""
    parameters: list[torch.nn.Parameter]
    """All that is learned."""
    optimizer: torch.optim.Optimizer
    head: torch.nn.Module | None
    """The layer that makes the mean actions: its rows are the samples of a minibatch. None must not be watched."""
    description: Callable[[], str]
    """Settings that matter, in words."""
    verified: Callable[[], None] = lambda: None
    """Called after the first iteration, in which `head` was watched."""

    def steps_taken(self) -> int:
        """Gradient steps so far, as the optimizer counts them."""
        state = self.optimizer.state.get(self.parameters[0], {})
        return int(state["step"]) if "step" in state else 0


def head_of(model: torch.nn.Module, outputs: int) -> torch.nn.Module:
    """The last linear layer of a model with this many outputs."""
    return [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == outputs][-1]
