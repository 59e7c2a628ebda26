# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From gradients to new parameters: what follows the gradients of a minibatch in every engine that makes its own."""

from __future__ import annotations

import torch

from rslcore.engine.learner import Learner


class OptimizerStep:
    """Averages gradients over all processes, limits their norm and steps all optimizers."""

    def __init__(self, learner: Learner) -> None:
        """Look at the optimizers once per update."""
        self._learner = learner
        self._groups = learner.gradient_groups()
        self._optimizers = learner.optimizers()

    def take(self) -> None:
        """Take a step with the gradients that all parameters hold, which are limited in place."""
        learner = self._learner
        if learner.is_multi_gpu:
            learner.reduce_parameters()
        for group in self._groups:
            torch.nn.utils.clip_grad_norm_(group, learner.max_grad_norm, foreach=True)
        for optimizer in self._optimizers:
            optimizer.step()
