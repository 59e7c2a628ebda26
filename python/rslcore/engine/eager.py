# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The engine that runs anything: one torch call after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from rslcore.engine.learner import Learner
from rslcore.utils import cpu_by_default


class EagerEngine:
    """Runs the rule of an algorithm as written; what every other engine must agree with."""

    name = "eager"
    device_type: str | None = None
    needs_fixed_shapes = False

    def can_run(self, learner: Learner) -> str | None:
        """Return None: there is nothing it cannot run."""
        return None

    def describe(self, learner: Learner) -> str:
        """Return what it does, in words."""
        return "torch runs the models and their gradients as written"

    def run(self, learner: Learner, batches: Iterable[Any]) -> dict[str, float]:
        """Take one gradient step per minibatch.

        The reported terms stay on the device and are read once, at the end; the adaptive learning rate reads one number
        per minibatch.

        Returns:
            The terms of the rule, averaged over all minibatches.
        """
        groups = learner.gradient_groups()
        optimizers = learner.optimizers()
        names: list[str] = []
        history: list[torch.Tensor] = []
        for batch in batches:
            result = learner.evaluate_mini_batch(batch)
            if result.kl is not None:
                learner.adapt_learning_rate(result.kl)
            for optimizer in optimizers:
                optimizer.zero_grad()
            result.loss.backward()
            if learner.is_multi_gpu:
                learner.reduce_parameters()
            for group in groups:
                torch.nn.utils.clip_grad_norm_(group, learner.max_grad_norm, foreach=True)
            with cpu_by_default():  # a first step makes the optimizer's state
                for optimizer in optimizers:
                    optimizer.step()
            names = list(result.terms)
            history += [term.detach() for term in result.terms.values()]
        if not history:
            return {}
        means = torch.stack(history).view(-1, len(names)).double().mean(dim=0).tolist()
        return dict(zip(names, means, strict=True))
