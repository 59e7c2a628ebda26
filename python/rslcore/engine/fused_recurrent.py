# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The engine of the CPU for models with memory: few large operators, whole rollouts, nothing padded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from rslcore import ops
from rslcore.engine.fused import FusedEngine
from rslcore.engine.known import KnownMLP, describe_head
from rslcore.engine.learner import Learner, PPORule
from rslcore.engine.optimizer_step import OptimizerStep
from rslcore.engine.recurrent import refuses_whole_rollouts
from rslcore.modules import GaussianDistribution

TERMS = ("value", "surrogate", "entropy")
"""What is reported of a minibatch."""

ADVANTAGE_EPS = ops.reference.ADVANTAGE_EPS


class _Job(NamedTuple):
    """What is to be computed."""

    rule: PPORule
    actor: KnownMLP
    critic: KnownMLP
    distribution: GaussianDistribution


class _Minibatch(NamedTuple):
    """A minibatch of B = T n samples, in the form the operators take, kept for all epochs."""

    source: Any
    actor_input: torch.Tensor
    """Normalized observations of the actor [T, n, D]."""
    critic_input: torch.Tensor
    fields: tuple[torch.Tensor, ...]
    """The arguments of `ppo_loss` that come from the rollout."""


class FusedRecurrentEngine:
    """PPO with LSTM or GRU models and a Gaussian policy on the CPU.

    A minibatch is one operator per recurrent layer, one per MLP and one for the loss with its gradients, joined by
    torch's autograd. Observations are normalized once per update.
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
        return "recurrent layers that reset their state on the way, MLPs and loss, each by one CPU kernel"

    def run(self, learner: Learner, batches: Iterable[Any]) -> dict[str, float]:
        """Take one gradient step per minibatch.

        Returns:
            The terms of the rule, averaged over all minibatches.

        Raises:
            RuntimeError: The learner cannot be run; see :meth:`can_run`.
        """
        job = _job(learner)
        if isinstance(job, str):
            raise RuntimeError(f"FusedRecurrentEngine: {job}")
        for optimizer in learner.optimizers():
            optimizer.zero_grad()  # the step must not find an old gradient of what gets none any more
        step: OptimizerStep | None = None
        known: dict[int, _Minibatch] = {}
        history: list[torch.Tensor] = []
        for batch in batches:
            minibatch = known.get(id(batch.observations))
            if minibatch is None:  # it is kept, so that no other one gets its id
                minibatch = known[id(batch.observations)] = _prepare(job, batch)
            loss, stats = _evaluate(job, minibatch, batch)
            if job.rule.adaptive:
                learner.adapt_learning_rate(stats.kl)
            for optimizer in learner.optimizers():
                optimizer.zero_grad(set_to_none=False)  # the step looks for the gradients once
            loss.backward()
            step = step or OptimizerStep(learner)
            step.take()
            history.append(torch.stack([getattr(stats, term) for term in TERMS]))
        if not history:
            return {}
        return dict(zip(TERMS, torch.stack(history).double().mean(dim=0).tolist(), strict=True))


def _evaluate(job: _Job, minibatch: _Minibatch, batch: Any) -> tuple[torch.Tensor, ops.PPOStats]:  # noqa: ANN401
    rule = job.rule
    actor_state, critic_state = batch.hidden_states
    mean = _output(rule.actor, job.actor, minibatch.actor_input, batch.masks, actor_state)
    values = _output(rule.critic, job.critic, minibatch.critic_input, batch.masks, critic_state)
    job.distribution.update(mean.view(*batch.actions.shape))  # as the actor itself would
    return ops.ppo_loss(
        mean,
        job.distribution.current_std(),
        values,
        *minibatch.fields,
        clip_param=rule.clip_param,
        value_loss_coef=rule.value_loss_coef,
        entropy_coef=rule.entropy_coef,
        use_clipped_value_loss=rule.use_clipped_value_loss,
    )


def _output(
    model: Any,  # noqa: ANN401
    head: KnownMLP,
    inputs: torch.Tensor,
    masks: torch.Tensor,
    state: Any,  # noqa: ANN401
) -> torch.Tensor:
    """Output of the MLP of a model [T n, A] for normalized observations [T, n, D]."""
    latent = model.rnn(inputs, masks, state) if model.is_recurrent else inputs
    return ops.mlp(latent.flatten(0, 1), head.weights, head.biases, head.activation)


@torch.no_grad()
def _prepare(job: _Job, batch: Any) -> _Minibatch:  # noqa: ANN401
    rule = job.rule
    inputs = []
    for model in (rule.actor, rule.critic):
        observations = {group: batch.observations[group] for group in model.obs_groups}
        inputs.append(model.obs_normalizer(model._concatenate(observations)).contiguous())
    advantages = batch.advantages
    if rule.normalize_advantages:
        advantages = (advantages - advantages.mean()) / (advantages.std() + ADVANTAGE_EPS)
    fields = (batch.actions, batch.old_actions_log_prob, advantages, batch.returns, batch.values)
    flat = tuple(field.flatten(0, 1) for field in (*fields, *batch.old_distribution_params))
    return _Minibatch(batch, inputs[0], inputs[1], flat)


def _job(learner: Learner) -> _Job | str:
    """What is to be computed, or why that cannot be done here."""
    known_rule = getattr(learner, "known_rule", None)
    if known_rule is None:
        return f"the algorithm has no kernel: {type(learner).__name__}"
    rule = known_rule()
    if isinstance(rule, str):
        return rule
    if not (getattr(rule.actor, "is_recurrent", False) or getattr(rule.critic, "is_recurrent", False)):
        return FusedEngine().can_run(learner) or "no model is recurrent"
    if rule.rnd_loss is not None:
        return "random network distillation of recurrent minibatches sees their padding"
    heads = []
    for role in ("actor", "critic"):
        model = getattr(rule, role)
        known = refuses_whole_rollouts(model) or describe_head(model)
        if isinstance(known, str):
            return f"the {role} {known}"
        for group in known.groups:
            if rule.observations[group].dtype is not torch.float32:
                dtype = str(rule.observations[group].dtype).removeprefix("torch.")
                return f"the observations '{group}' are {dtype}, not float32"
        heads.append(known)
    actor, critic = heads
    if actor.distribution is None:
        return "the actor has no distribution"
    if critic.distribution is not None or critic.biases[-1].numel() != 1:
        return "the critic is no function of one output"
    parameters = [*rule.actor.parameters(), *rule.critic.parameters()]
    if len({parameter.data_ptr() for parameter in parameters}) < len(parameters):
        return "parameters share memory"
    return _Job(rule, actor, critic, actor.distribution)
