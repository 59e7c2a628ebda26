# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import torch

from rslcore.engine import EagerEngine, MinibatchResult


class Recorder:
    """A learner with two parameters: loss = batch * (a + 10 b)."""

    is_multi_gpu = False
    max_grad_norm = 1.0

    def __init__(self):
        self.a, self.b = torch.nn.Parameter(torch.zeros(())), torch.nn.Parameter(torch.zeros(()))
        self.optimizer = torch.optim.SGD([self.a], lr=1.0)
        self.second_optimizer = torch.optim.SGD([self.b], lr=1.0)
        self.calls = []

    def evaluate_mini_batch(self, batch):
        """The rule."""
        self.calls.append("evaluate")
        kl = torch.tensor(float(batch)) if batch > 1 else None
        return MinibatchResult(
            batch * (self.a + 10 * self.b), {"x": torch.tensor(float(batch)), "y": self.a * 0 + 1}, kl
        )

    def adapt_learning_rate(self, kl):
        """Set the learning rate to 1 / kl."""
        self.calls.append("adapt")
        for optimizer in self.optimizers():
            optimizer.param_groups[0]["lr"] = 1 / kl.item()

    def optimizers(self):
        """One for each parameter."""
        return [self.optimizer, self.second_optimizer]

    def reduce_parameters(self):
        """Only counted."""
        self.calls.append("reduce")

    def gradient_groups(self):
        """Each parameter by itself."""
        return [self.a], [self.b]


def test_steps_and_means():
    """Law: gradients are clipped by group, the learning rate is set before its step, all optimizers step; means."""
    learner = Recorder()
    means = EagerEngine().run(learner, iter([0.5, 2.0, 4.0]))
    assert means == {"x": 6.5 / 3, "y": 1.0}
    assert learner.calls == ["evaluate", "evaluate", "adapt", "evaluate", "adapt"]
    # a: gradients 0.5, then 2 and 4 clipped to 1 with rates 1/2 and 1/4; b: 5, 20 and 40, all clipped.
    torch.testing.assert_close(learner.a.data, torch.tensor(-(0.5 + 0.5 + 0.25)), rtol=1e-5, atol=0)
    torch.testing.assert_close(learner.b.data, torch.tensor(-(1.0 + 0.5 + 0.25)), rtol=1e-5, atol=0)


def test_gradients_are_reduced_in_distributed_runs():
    """Law: reduction happens once per minibatch, after the rule."""
    learner = Recorder()
    learner.is_multi_gpu = True
    EagerEngine().run(learner, iter([0.5]))
    assert learner.calls == ["evaluate", "reduce"]


def test_nothing_to_do():
    """Law: no minibatches, no terms."""
    assert EagerEngine().run(Recorder(), iter([])) == {}
