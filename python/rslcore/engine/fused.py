# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The engine of the CPU: one kernel call makes all gradients of a minibatch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from rslcore.engine.known import describe_mlp
from rslcore.engine.learner import Learner, PPORule
from rslcore.engine.minibatch_kernel import TERMS, MinibatchJob, MinibatchKernel, missing_kernel
from rslcore.engine.optimizer_step import OptimizerStep, keeps_gradients
from rslcore.ops import _activations


class FusedEngine:
    """PPO with multilayer perceptrons and a Gaussian policy on the CPU.

    Rows are cut into chunks and these into tiles that stay in cache from the observations to the gradients of the
    weights: normalization, both networks, the loss and the way back. How the rows are cut follows from the shape alone,
    so results do not depend on the number of threads.
    """

    name = "fused"
    device_type: str | None = "cpu"
    needs_fixed_shapes = False

    def can_run(self, learner: Learner) -> str | None:
        """Return why the models or the algorithm need code of their own; None if they do not."""
        job = _job(learner)
        return job if isinstance(job, str) else None

    def describe(self, learner: Learner) -> str:
        """Return what it does, in words."""
        text = "gradients of a minibatch by one CPU kernel"
        return text if getattr(learner, "rnd", None) is None else f"{text}, those of RND by torch"

    def run(self, learner: Learner, batches: Iterable[Any]) -> dict[str, float]:
        """Take one gradient step per minibatch.

        Returns:
            The terms of the rule, averaged over all minibatches.

        Raises:
            RuntimeError: The learner cannot be run; see :meth:`can_run`.
        """
        job = _job(learner)
        if isinstance(job, str):
            raise RuntimeError(f"FusedEngine: {job}")
        kernel = MinibatchKernel(job)
        kernel.forget_other_gradients(learner.optimizers())
        step = OptimizerStep(learner)
        adam = step.adam_arguments()
        if adam is not None and job.rule.fixed_batches and job.rule.adaptive == (job.rule.desired_kl is not None):
            means = _run_whole(job.rule, kernel, list(batches), adam, learner.optimizers()[0])
        else:
            means = _run_steps(learner, job.rule, kernel, step, batches)
        if means:
            job.distribution.take_std(kernel.std)
        return means


def _run_steps(
    learner: Learner, rule: PPORule, kernel: MinibatchKernel, step: OptimizerStep, batches: Iterable[Any]
) -> dict[str, float]:
    """One step after the other: gradients by the kernel, then whatever else belongs to a step."""
    history: list[torch.Tensor] = []
    rnd_losses: list[torch.Tensor] = []
    for batch in batches:
        terms = kernel.gradients(batch)
        if rule.adaptive:
            learner.adapt_learning_rate(terms[-1])
        if rule.rnd_loss is not None:
            rnd_losses.append(_make_rnd_gradients(rule.rnd_loss, batch, learner.optimizers()))
        step.take()
        history.append(terms)
    if not history:
        return {}
    means = _means(torch.stack(history))
    if rnd_losses:
        means["rnd"] = torch.stack(rnd_losses).double().mean().item()
    return means


def _run_whole(
    rule: PPORule,
    kernel: MinibatchKernel,
    batches: Sequence[Any],
    adam: tuple[Any, ...],
    optimizer: torch.optim.Optimizer,
) -> dict[str, float]:
    """All steps in one call, where nothing has to happen between them that only Python knows."""
    if not batches:
        return {}
    rate = rule.learning_rate if rule.adaptive else optimizer.param_groups[0]["lr"]
    terms, rate = kernel.update(batches, adam, rate)
    if rule.adaptive:
        rule.set_learning_rate(rate)
    return _means(terms)


def _means(terms: torch.Tensor) -> dict[str, float]:
    """The reported terms, averaged over the minibatches [steps, ...]."""
    columns = zip(*terms.tolist(), strict=True)  # so few that plain Python is much faster than torch
    return {name: sum(column) / len(column) for name, column in zip(TERMS, columns, strict=False)}


def _make_rnd_gradients(
    loss_of: Callable[[Any], torch.Tensor],
    batch: Any,  # noqa: ANN401 - the storage's own type
    optimizers: Sequence[torch.optim.Optimizer],
) -> torch.Tensor:
    """Gradients of random network distillation, by torch; returns the loss."""
    for optimizer in optimizers[1:]:
        optimizer.zero_grad()
    loss = loss_of(batch.observations)
    loss.backward()
    return loss.detach()


def _job(learner: Learner) -> MinibatchJob | str:
    """What is to be computed, or why that cannot be done here."""
    if (missing := missing_kernel()) is not None:
        return missing
    known_rule = getattr(learner, "known_rule", None)
    if known_rule is None:
        return f"the algorithm has no kernel: {type(learner).__name__}"
    rule = known_rule()
    if isinstance(rule, str):
        return rule
    models = []
    for role in ("actor", "critic"):
        known = describe_mlp(getattr(rule, role))
        if isinstance(known, str):
            return f"the {role} {known}"
        if known.device.type != "cpu":
            return f"the {role} is on {known.device}"
        if known.activation not in _activations.NUMBERS:
            return f"the {role} has an activation without a kernel: {known.activation}"
        for group in known.groups:
            if rule.observations[group].dtype is not torch.float32:
                dtype = str(rule.observations[group].dtype).removeprefix("torch.")
                return f"the observations '{group}' are {dtype}, not float32"
        models.append(known)
    actor, critic = models
    distribution = actor.distribution
    if distribution is None:
        return "the actor has no distribution"
    if critic.distribution is not None or critic.biases[-1].numel() != 1:
        return "the critic is no function of one output"
    noise = distribution.std_param if distribution.std_type == "scalar" else distribution.log_std_param
    parameters = (*actor.weights, *actor.biases, *critic.weights, *critic.biases, noise)
    if len({parameter.data_ptr() for parameter in parameters}) < len(parameters):
        return "parameters share memory"
    if any(map(keeps_gradients, learner.optimizers())):
        return "the optimizer has a zero_grad of its own"
    return MinibatchJob(rule, actor, critic, distribution, noise)
