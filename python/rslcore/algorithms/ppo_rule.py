# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The arithmetic of PPO on one minibatch of b rows: pure functions of tensors, no state.

Recurrent minibatches have [T, n] where b stands.

Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv:1707.06347; constants and the order of operations
as in rsl_rl 5.5.1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from rslcore.ops.kl_adaptive_lr import KL_TOLERANCE, LEARNING_RATE_FACTOR, LEARNING_RATE_RANGE

ADVANTAGE_EPS = 1e-8
"""Added to the standard deviation that advantages are divided by."""


class PPOTerms(NamedTuple):
    """The three terms of the PPO loss, scalars."""

    surrogate: torch.Tensor
    value: torch.Tensor
    entropy: torch.Tensor


def ppo_terms(
    log_prob: torch.Tensor,
    entropy: torch.Tensor,
    values: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantages: torch.Tensor,
    old_values: torch.Tensor,
    returns: torch.Tensor,
    *,
    clip_param: float,
    use_clipped_value_loss: bool,
) -> PPOTerms:
    """Surrogate loss, value loss and entropy of a minibatch.

    With the ratio r = exp(log_prob - old_log_prob) and c = ``clip_param``::

        surrogate = mean(max(-A r, -A clip(r, 1 - c, 1 + c)))                       (eq. 7, negated to be minimized)
        value     = mean((R - V)^2), or, clipped,
                    mean(max((V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2))
        entropy   = mean(H)

    Args:
        log_prob: Log-probability density of the actions now [b].
        entropy: Entropy of the action distribution now [any].
        values: Values now [b, 1].
        old_log_prob: Log-probability density at the time of the rollout [b, 1].
        advantages: Advantages A [b, 1].
        old_values: Values at the time of the rollout [b, 1].
        returns: Returns R [b, 1].
        clip_param: Clip range c.
        use_clipped_value_loss: Whether the value loss is clipped.
    """
    ratio = torch.exp(log_prob.flatten() - old_log_prob.flatten())
    descent = -advantages.flatten()
    surrogate = torch.max(descent * ratio, descent * ratio.clamp(1.0 - clip_param, 1.0 + clip_param)).mean()
    value_losses = (values - returns).pow(2)
    if use_clipped_value_loss:
        near_old = old_values + (values - old_values).clamp(-clip_param, clip_param)
        value_losses = torch.max(value_losses, (near_old - returns).pow(2))
    return PPOTerms(surrogate, value_losses.mean(), entropy.mean())


def normalize_advantages(advantages: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """Advantages in units of the (unbiased) standard deviation of ``samples``, from their mean, in a new tensor."""
    return (advantages - samples.mean()) / (samples.std() + ADVANTAGE_EPS)


def adapted_learning_rate(learning_rate: float, kl: float, desired_kl: float) -> float:
    """The learning rate after a minibatch whose KL(old || new) is ``kl``.

    Smaller where the policy moved more than twice the desired divergence, larger where it moved less than half; a
    divergence of zero (nothing learned since the rollout) and NaN leave it as it is.
    """
    if kl > desired_kl * KL_TOLERANCE:
        return max(LEARNING_RATE_RANGE[0], learning_rate / LEARNING_RATE_FACTOR)
    if 0.0 < kl < desired_kl / KL_TOLERANCE:
        return min(LEARNING_RATE_RANGE[1], learning_rate * LEARNING_RATE_FACTOR)
    return learning_rate
