# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import torch

from rslcore.algorithms.ppo_rule import adapted_learning_rate, normalize_advantages, ppo_terms


def terms(ratio=1.0, advantage=1.0, value=0.0, old_value=0.0, ret=0.0, *, clipped=True):
    """Terms of a minibatch of one row, with clip range 0.2."""
    log_ratio = torch.tensor([math.log(ratio)], requires_grad=True)
    values = torch.tensor([[value]], requires_grad=True)
    result = ppo_terms(
        log_ratio,
        torch.tensor([0.7]),
        values,
        torch.zeros(1, 1),
        torch.tensor([[advantage]]),
        torch.tensor([[old_value]]),
        torch.tensor([[ret]]),
        clip_param=0.2,
        use_clipped_value_loss=clipped,
    )
    (result.surrogate + result.value).backward()
    return result, log_ratio.grad.item(), values.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.1, 2.0, -2.2, -2.2),  # inside the range: -A r, gradient -A r with respect to the log-probability
        (1.5, 2.0, -2.4, 0.0),  # good action already likelier: clipped at 1.2, nothing more to gain
        (0.5, 2.0, -1.0, -1.0),  # good action less likely: not clipped, pulled back
        (0.5, -2.0, 1.6, 0.0),  # bad action already less likely: clipped at 0.8
        (1.5, -2.0, 3.0, 3.0),  # bad action likelier: not clipped, pushed down
    ],
)
def test_clip_branch(ratio, advantage, loss, gradient):
    """Law: the surrogate is the pessimistic one of the clipped and the plain objective (eq. 7)."""
    result, log_ratio_grad, _ = terms(ratio, advantage)
    assert result.surrogate.item() == pytest.approx(loss, rel=1e-6)
    assert log_ratio_grad == pytest.approx(gradient, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "old_value", "ret", "clipped", "loss", "gradient"),
    [
        (0.5, 0.0, 1.0, True, 0.64, 0.0),  # moved 0.5, clipped to 0.2: (0.2 - 1)^2 is the larger
        (0.5, 0.0, 1.0, False, 0.25, -1.0),  # (0.5 - 1)^2
        (-0.5, 0.0, 1.0, True, 2.25, -3.0),  # moved away from the return: the plain loss is the larger
        (0.1, 0.0, 1.0, True, 0.81, -1.8),  # within the range both are the same
    ],
)
def test_value_clip(value, old_value, ret, clipped, loss, gradient):
    """Law: the value loss is the larger one of plain and clipped squared errors, without a factor 1/2."""
    result, _, value_grad = terms(value=value, old_value=old_value, ret=ret, clipped=clipped)
    assert result.value.item() == pytest.approx(loss, rel=1e-6)
    assert value_grad == pytest.approx(gradient, rel=1e-6)


def test_terms_are_means_over_rows():
    """Law: each term is the mean over the rows of the minibatch, entropy included."""
    result = ppo_terms(
        torch.zeros(2),
        torch.tensor([1.0, 3.0]),
        torch.tensor([[1.0], [2.0]]),
        torch.zeros(2, 1),
        torch.tensor([[1.0], [2.0]]),
        torch.tensor([[1.0], [2.0]]),
        torch.zeros(2, 1),
        clip_param=0.2,
        use_clipped_value_loss=True,
    )
    assert [term.item() for term in result] == [-1.5, 2.5, 2.0]


def test_normalized_advantages():
    """Law: zero mean, divided by the unbiased standard deviation plus 1e-8; the input stays as it is."""
    advantages = torch.tensor([[1.0], [2.0], [6.0]])
    assert normalize_advantages(advantages, advantages).view(-1).tolist() == pytest.approx(
        [-2 / math.sqrt(7), -1 / math.sqrt(7), 3 / math.sqrt(7)]
    )
    assert advantages.view(-1).tolist() == [1.0, 2.0, 6.0]
    constant = torch.full((3, 1), 5.0)
    assert normalize_advantages(constant, constant).tolist() == [[0.0]] * 3


@pytest.mark.parametrize(
    ("rate", "kl", "expected"),
    [
        (1.5e-3, 0.021, 1e-3),  # more than twice the desired 0.01
        (1e-3, 0.0199, 1e-3),  # within a factor of two: unchanged
        (1e-3, 0.0051, 1e-3),
        (1e-3, 0.0049, 1.5e-3),  # less than half
        (1e-3, 0.0, 1e-3),  # nothing moved: unchanged
        (1e-3, math.nan, 1e-3),
        (1.2e-5, 1.0, 1e-5),  # lower bound
        (8e-3, 0.001, 1e-2),  # upper bound
    ],
)
def test_adaptive_learning_rate(rate, kl, expected):
    """Law: divided by 1.5 above 2 desired_kl, multiplied by 1.5 below half of it, within [1e-5, 1e-2]."""
    assert adapted_learning_rate(rate, kl, 0.01) == pytest.approx(expected, rel=1e-12)
