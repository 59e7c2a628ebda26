# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What an engine asks of an algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch


class MinibatchResult(NamedTuple):
    """What the rule of an algorithm makes of one minibatch."""

    loss: torch.Tensor
    """The scalar to minimize, with its graph."""
    terms: dict[str, torch.Tensor]
    """Scalars to report, averaged over the update."""
    kl: torch.Tensor | None
    """Mean KL(old || new) in nats for the adaptive learning rate; None leaves the learning rate alone."""


class PPORule(NamedTuple):
    """The minibatch rule of PPO: with which models and settings, for engines that carry it out in another way."""

    actor: Any
    """The policy, as it is called."""
    critic: Any
    """The value function, as it is called."""
    clip_param: float
    value_loss_coef: float
    entropy_coef: float
    use_clipped_value_loss: bool
    normalize_advantages: bool
    """Whether the advantages are normalized within each minibatch."""
    adaptive: bool
    """Whether the learning rate is adapted to the KL divergence."""
    desired_kl: float | None
    """Divergence that the learning rate is adapted to by PPO's own rule; None if not at all, or by another one."""
    learning_rate: float
    """Learning rate before the coming step is adapted."""
    set_learning_rate: Callable[[float], None]
    """Sets the learning rate of the coming steps."""
    fixed_batches: bool
    """Whether all epochs have the same minibatches, so that they may be looked at before the first step."""
    observations: Mapping[str, torch.Tensor]
    """Observation groups that are stored, [T, N, ...] each."""
    rnd_loss: Callable[[Any], torch.Tensor] | None
    """Loss of random network distillation for the observations of a minibatch: other parameters, another optimizer."""


class Learner(Protocol):
    """An algorithm whose update consists of gradient steps on minibatches."""

    max_grad_norm: float
    is_multi_gpu: bool

    def evaluate_mini_batch(self, batch: Any) -> MinibatchResult:  # noqa: ANN401 - the storage's own type
        """Apply the rule to a minibatch; changes nothing."""

    def adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Set the learning rate of the coming step from the KL divergence of its minibatch."""

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """All optimizers; each takes one step per minibatch."""

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes."""

    def gradient_groups(self) -> Sequence[Sequence[torch.nn.Parameter]]:
        """Parameters whose gradient norm is limited together."""
