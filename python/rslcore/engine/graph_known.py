# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Terms and gradients of a PPO minibatch whose models are known: one loss kernel, and the critic beside the actor."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import torch
from torch import nn

from rslcore import ops
from rslcore.engine.known import KnownMLP, describe_mlp
from rslcore.engine.learner import Learner, PPORule
from rslcore.ops import _activations, _library

TERMS = ("value", "surrogate", "entropy")
"""What is reported of a minibatch, in the order of the eager rule."""

_STATS = (1, 0, 2)
"""Their places in what `ppo_loss` returns; the mean KL divergence is at place 3."""


class KnownJob(NamedTuple):
    """A rule and models that are known."""

    rule: PPORule
    actor: KnownMLP
    critic: KnownMLP
    noise: nn.Parameter
    """Parameter of the standard deviation [A]."""


def known_job(learner: Learner) -> KnownJob | str:
    """What is known of an update, or why its rule must be evaluated as written."""
    describe = getattr(learner, "known_rule", None)
    rule: PPORule | str = "it is not PPO" if describe is None else describe()
    if isinstance(rule, str):
        return rule
    if rule.normalize_advantages:
        return "advantages are normalized per minibatch"
    actor, critic = describe_mlp(rule.actor), describe_mlp(rule.critic)
    for role, known in (("actor", actor), ("critic", critic)):
        if isinstance(known, str):
            return f"the {role} {known}"
        if known.activation not in _activations.NUMBERS:
            return f"the {role} has an activation without a kernel: {known.activation}"
    assert isinstance(actor, KnownMLP) and isinstance(critic, KnownMLP)
    if actor.distribution is None or critic.distribution is not None or critic.biases[-1].numel() != 1:
        return "actor and critic are not a policy and a value function"
    if (error := _library.errors.get(actor.device.type, "no kernels")) is not None:
        return f"the compiled operators are missing: {error}"
    distribution = actor.distribution
    noise = distribution.std_param if distribution.std_type == "scalar" else distribution.log_std_param
    return KnownJob(rule, actor, critic, noise)


class KnownGradients:
    """Makes the gradients of minibatches.

    Observations are concatenated and normalized once per shuffle, as the normalizers stand still during an update. The
    critic has a stream of its own: both networks are small, and together they fill the device better. What one stream
    makes and the other reads is held until both have met again, so that no memory is handed on too early.
    """

    def __init__(self, job: KnownJob, device: torch.device, *, reshuffled: bool, predictor: list[nn.Parameter]) -> None:
        """Prepare for updates of a job.

        Args:
            job: Rule and models.
            device: Where the models are.
            reshuffled: Whether minibatches change from epoch to epoch.
            predictor: Parameters that the loss of random network distillation trains.
        """
        self._job = job
        self._predictor = predictor
        self.adapts = job.rule.adaptive
        self._fork = Fork(device)
        self._reshuffled = reshuffled
        self._inputs: dict[tuple[int, int], tuple[torch.Tensor, ...]] = {}
        parts = (*job.actor.weights, *job.actor.biases)
        self._actor_parameters = [*parts, job.noise] if job.noise.requires_grad else [*parts]
        self._critic_parameters = [*job.critic.weights, *job.critic.biases]

    def begin(self) -> None:
        """Forget the inputs of the last update."""
        self._inputs = {}

    def __call__(self, batch: Any) -> tuple[list[torch.Tensor], torch.Tensor, dict[int, torch.Tensor]]:  # noqa: ANN401
        """Return the reported terms, the mean KL divergence, and gradients by the id of their parameter."""
        rule, fork = self._job.rule, self._fork
        actor_input, critic_input = self._inputs_of(batch)
        distribution = rule.actor.distribution
        with fork.beside():
            values = _evaluate(self._job.critic, critic_input)
        distribution.update(_evaluate(self._job.actor, actor_input))
        mean, std = distribution._batch
        fork.join()
        _, stats, *towards = _library.run(
            "ppo_loss",
            mean.device,
            (
                *(mean.detach(), std.detach(), values.detach(), batch.actions),
                *(batch.old_actions_log_prob, batch.advantages, batch.returns),
                batch.values if rule.use_clipped_value_loss else None,
                *batch.old_distribution_params,
                *(float(rule.clip_param), float(rule.value_loss_coef), float(rule.entropy_coef)),
            ),
        )
        with fork.beside():
            critic_gradients = torch.autograd.grad(values, self._critic_parameters, towards[2].view_as(values))
        learns_noise = self._job.noise.requires_grad
        outputs, output_gradients = ((mean, std), towards[:2]) if learns_noise else ((mean,), towards[:1])
        actor_gradients = torch.autograd.grad(outputs, self._actor_parameters, output_gradients)
        terms = [stats[place] for place in _STATS]
        parameters = [*self._actor_parameters, *self._critic_parameters]
        gradients = [*actor_gradients, *critic_gradients]
        if rule.rnd_loss is not None:
            loss = rule.rnd_loss(batch.observations)
            gradients += torch.autograd.grad(loss, self._predictor)
            parameters += self._predictor
            terms.append(loss.detach())
        fork.join()
        distribution.take(mean.detach(), std.detach())
        return terms, stats[3], dict(zip(map(id, parameters), gradients, strict=True))

    def _inputs_of(self, batch: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401
        """What actor and critic see of a minibatch, [b, D] each."""
        rule, key = self._job.rule, (batch.actions.data_ptr(), len(batch.actions))
        inputs = None if self._reshuffled else self._inputs.get(key)
        if inputs is None:
            with torch.no_grad():
                inputs = tuple(model.get_latent(batch.observations) for model in (rule.actor, rule.critic))
            self._inputs[key] = inputs
        return inputs


def _evaluate(known: KnownMLP, x: torch.Tensor) -> torch.Tensor:
    """The output of a network for what it sees [b, D]: a library's matrix products, each with one kernel behind it."""
    for weight, bias in zip(known.weights[:-1], known.biases[:-1], strict=True):
        x = ops.bias_activation(x.mm(weight.t()), bias, known.activation)
    return torch.addmm(known.biases[-1], x, known.weights[-1].t())


class Fork:
    """Work on a second stream of the device, beside that of the caller; on the CPU one after the other."""

    def __init__(self, device: torch.device) -> None:
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None

    def beside(self) -> contextlib.AbstractContextManager[Any]:
        """Queue the work of a block on the second stream, behind what the caller has queued so far."""
        if self._side is None:
            return contextlib.nullcontext()
        self._side.wait_stream(torch.cuda.current_stream(self._side.device))
        return torch.cuda.stream(self._side)

    def join(self) -> None:
        """Let the caller's stream wait for the second one."""
        if self._side is not None:
            torch.cuda.current_stream(self._side.device).wait_stream(self._side)
