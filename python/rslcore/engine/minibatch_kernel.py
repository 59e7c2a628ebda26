# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The operator behind the fused engine, csrc/ppo_minibatch: terms and gradients of one minibatch in one call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.autograd.graph import increment_version

from rslcore.engine.known import KnownMLP
from rslcore.engine.learner import PPORule
from rslcore.modules import GaussianDistribution
from rslcore.ops import _activations, _library
from rslcore.ops.kl_adaptive_lr import KL_TOLERANCE, LEARNING_RATE_FACTOR, LEARNING_RATE_RANGE

TERMS = ("value", "surrogate", "entropy")
"""What is reported of a minibatch, in the order of the operator; the mean KL divergence follows."""


_ADAM_LISTS = ("params", "grads", "exp_avgs", "exp_avg_sqs", "steps")


class MinibatchJob(NamedTuple):
    """What is to be computed."""

    rule: PPORule
    actor: KnownMLP
    critic: KnownMLP
    distribution: GaussianDistribution
    noise: nn.Parameter
    """Parameter of the standard deviation [A]."""


def missing_kernel() -> str | None:
    """Why there is no such operator here; None if there is one."""
    if (error := _library.errors["cpu"]) is not None:
        return f"the compiled operators are missing: {error}"
    return None if hasattr(torch.ops.rslcore, "ppo_minibatch") else "this build has no ppo_minibatch"


class MinibatchKernel:
    """The operator, with everything prepared that stays the same during one update."""

    def __init__(self, job: MinibatchJob) -> None:
        """Make the gradients of all parameters, which every call overwrites."""
        rule, distribution, noise = job.rule, job.distribution, job.noise
        self._job = job
        self._models = (*_model_arguments(job.actor), *_model_arguments(job.critic))
        logarithmic = distribution.std_type == "log"
        self._noise = (
            noise,
            logarithmic,
            *(distribution.log_std_range if logarithmic else distribution.std_range),
            _gradient_of(noise) if noise.requires_grad else None,
        )
        self._settings = (
            float(rule.clip_param),
            float(rule.value_loss_coef),
            float(rule.entropy_coef),
            rule.use_clipped_value_loss,
            rule.normalize_advantages,
        )
        self.std = _float32(noise.numel())
        """Standard deviation [A] of the last minibatch."""
        self._batches: dict[int, tuple[Any, list[Any]]] = {}

    def forget_other_gradients(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Leave gradients to none but the parameters that get new ones: an optimizer would step by the old."""
        job = self._job
        made = {id(x) for known in (job.actor, job.critic) for x in (*known.weights, *known.biases)}
        if job.noise.requires_grad:
            made.add(id(job.noise))
        for group in chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
            for parameter in group["params"]:
                if id(parameter) not in made:
                    parameter.grad = None

    @torch.no_grad()
    def gradients(self, batch: Any) -> torch.Tensor:  # noqa: ANN401 - the storage's own type
        """Write the gradients of a minibatch; return its `TERMS` and the mean KL divergence [4], float32."""
        observations = batch.observations
        known = self._batches.get(id(observations))
        if known is None:  # kept, so that no other minibatch gets its id
            known = self._batches[id(observations)] = (observations, self._fields(batch))
        terms = _float32(len(TERMS) + 1)
        self.std = std = self._job.distribution._to_std(self._job.noise)
        torch.ops.rslcore.ppo_minibatch.default(*known[1], *self._models, std, *self._noise, *self._settings, terms)
        return terms

    @torch.no_grad()
    def update(self, batches: Sequence[Any], adam: Sequence[Any], learning_rate: float) -> tuple[torch.Tensor, float]:
        """Take one gradient step per minibatch, all in one call.

        Args:
            batches: The minibatches of all steps; those of several epochs share their observations' object.
            adam: :meth:`OptimizerStep.adam_arguments`.
            learning_rate: Learning rate of the first step, before it is adapted to its minibatch.

        Returns:
            `TERMS` and the mean KL divergence of every step [steps, 4], float32, and the learning rate of the last.
        """
        places: dict[int, int] = {}
        distinct = []
        for batch in batches:
            if id(batch.observations) not in places:
                places[id(batch.observations)] = len(places)
                distinct.append(self._fields(batch))
        order = [places[id(batch.observations)] for batch in batches]
        actor_groups, critic_groups, *fields = zip(*distinct, strict=True)
        terms = _float32(len(order), len(TERMS) + 1)
        rate = torch.tensor(learning_rate, dtype=torch.float64, device="cpu")
        norms = _float32(len(adam[len(_ADAM_LISTS)])).zero_()
        torch.ops.rslcore.ppo_update.default(
            *(list(chain.from_iterable(groups)) for groups in (actor_groups, critic_groups)),
            *map(list, fields),
            *self._models,
            *self._noise,
            *self._settings,
            order,
            *adam,
            rate,
            self._job.rule.desired_kl,
            KL_TOLERANCE,
            LEARNING_RATE_FACTOR,
            *LEARNING_RATE_RANGE,
            norms,
            self.std,
            terms,
        )
        increment_version([x for tensors in adam[: len(_ADAM_LISTS)] for x in tensors])
        return terms, rate.item()

    def _fields(self, batch: Any) -> list[Any]:  # noqa: ANN401
        """The operator's arguments that make up a minibatch."""
        job, observations = self._job, batch.observations
        groups = [[observations[group].contiguous() for group in known.groups] for known in (job.actor, job.critic)]
        fields = (
            batch.actions,
            batch.old_actions_log_prob,
            batch.advantages,
            batch.values,
            batch.returns,
            *batch.old_distribution_params,
        )
        return [*groups, *(field.contiguous() for field in fields)]


def _float32(*shape: int) -> torch.Tensor:
    """Room for results of the kernel, whatever torch's default device and dtype are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _model_arguments(known: KnownMLP) -> tuple[Any, ...]:
    """The operator's arguments that make up a model."""
    normalizer = known.normalizer
    return (
        *((None, None, 0.0) if normalizer is None else (normalizer._mean, normalizer._var, normalizer.eps)),
        list(known.weights),
        list(known.biases),
        _activations.NUMBERS[known.activation],
        [_gradient_of(weight) for weight in known.weights],
        [_gradient_of(bias) for bias in known.biases],
    )


def _gradient_of(parameter: nn.Parameter) -> torch.Tensor:
    """The gradient of a parameter, made where it has none."""
    gradient = parameter.grad
    if gradient is None or not gradient.is_contiguous() or gradient.dtype != parameter.dtype:
        gradient = parameter.grad = torch.empty_like(parameter)
    return gradient
