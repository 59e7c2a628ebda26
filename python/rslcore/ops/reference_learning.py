# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The part of `reference` that belongs to a learning step: loss, learning rate, optimizer."""

from __future__ import annotations

import math

import torch

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def ppo_loss(
    mean: torch.Tensor,
    std: torch.Tensor,
    values: torch.Tensor,
    actions: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantages: torch.Tensor,
    returns: torch.Tensor,
    old_values: torch.Tensor | None,
    old_mean: torch.Tensor | None,
    old_std: torch.Tensor | None,
    clip_param: float,
    value_loss_coef: float,
    entropy_coef: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss [], with its graph, and statistics [5] of a minibatch: surrogate, value, entropy, KL, clipped share.

    The value loss is clipped where there are `old_values`; entropy and KL are of the rows of `old_mean`.
    """
    values, returns, descent = values.flatten(), returns.flatten(), -advantages.flatten()
    log_prob = (-((actions - mean) ** 2) / (2 * std**2) - std.log() - _LOG_SQRT_2PI).sum(dim=-1)
    log_ratio = log_prob - old_log_prob.flatten()
    ratio = log_ratio.exp()
    low, high = 1.0 - clip_param, 1.0 + clip_param
    surrogate = torch.max(descent * ratio, descent * ratio.clamp(low, high)).mean()
    value = (values - returns) ** 2
    if old_values is not None:
        old = old_values.flatten()
        near_old = old + (values - old).clamp(-clip_param, clip_param)
        value = torch.max(value, (near_old - returns) ** 2)
    samples = mean.shape[0] if old_mean is None else old_mean.shape[0]
    new_std = std.expand_as(mean)[:samples]
    entropy = (0.5 + _LOG_SQRT_2PI + new_std.log()).sum(dim=-1).mean()
    loss = surrogate + value_loss_coef * value.mean() - entropy_coef * entropy
    if old_mean is None or old_std is None:
        kl = ratio - 1 - log_ratio
    else:
        square = (old_std / new_std) ** 2
        shift = ((old_mean - mean[:samples]) / new_std) ** 2
        kl = 0.5 * (square + shift - 1 - square.log()).sum(dim=-1)
    clipped = ((ratio < low) | (ratio > high)).to(mean.dtype)
    stats = torch.stack([surrogate, value.mean(), entropy, kl.mean(), clipped.mean()])
    return loss, stats.detach()


def kl_adaptive_lr(
    learning_rate: torch.Tensor,
    kl: torch.Tensor,
    desired_kl: float,
    tolerance: float,
    factor: float,
    min_lr: float,
    max_lr: float,
) -> None:
    """Divide or multiply `learning_rate` [] by `factor` where `kl` [] is too far from the desired one."""
    rate, divergence = learning_rate.double(), kl.double()
    too_far = divergence > desired_kl * tolerance
    too_near = (divergence > 0.0) & (divergence < desired_kl / tolerance)
    larger = torch.where(too_near, (rate * factor).clamp(max=max_lr), rate)
    adapted = torch.where(too_far, (rate / factor).clamp(min=min_lr), larger)
    learning_rate.copy_(adapted.to(learning_rate.dtype))


def clip_adam(
    params: list[torch.Tensor],
    grads: list[torch.Tensor],
    exp_avgs: list[torch.Tensor],
    exp_avg_sqs: list[torch.Tensor],
    steps: list[torch.Tensor],
    group_sizes: list[int],
    max_norm: float | None,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    norms: torch.Tensor,
) -> None:
    """Scale the gradients of each group to a norm of at most `max_norm`, then take a step of Adam with all tensors."""
    if max_norm is not None:
        group_grads = iter(grads)
        for group, size in enumerate(group_sizes):
            own = [next(group_grads) for _ in range(size)]
            norms[group] = sum((grad.double() ** 2).sum() for grad in own) ** 0.5
            for grad in own:
                grad *= (max_norm / (norms[group] + 1e-6)).clamp(max=1.0)
    for param, grad, exp_avg, exp_avg_sq, step in zip(params, grads, exp_avgs, exp_avg_sqs, steps, strict=True):
        step += 1
        if decoupled:
            param *= 1 - lr * weight_decay
        else:
            grad = grad + weight_decay * param
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        corrected = exp_avg_sq.sqrt() / math.sqrt(1 - beta2 ** step.item())
        param.addcdiv_(exp_avg, corrected + eps, value=-lr / (1 - beta1 ** step.item()))
