# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import rsl_rl.modules
import torch
from rsl_rl.modules.normalization import EmpiricalDiscountedVariationNormalization as OracleRewardNormalization

from rslcore.modules import EmpiricalDiscountedVariationNormalization, EmpiricalNormalization


def test_hand_computed():
    """Law: (x - mean) / (std + eps) with the population deviation: values 1, 2, 6 have mean 3 and variance 14/3."""
    normalizer = EmpiricalNormalization(1, eps=0.5)
    normalizer.update(torch.tensor([[1.0], [2.0], [6.0]]))
    assert normalizer.mean.item() == pytest.approx(3.0)
    assert normalizer._var.item() == pytest.approx(14 / 3)
    assert normalizer(torch.tensor([[5.0]])).item() == pytest.approx(2 / ((14 / 3) ** 0.5 + 0.5))
    assert EmpiricalNormalization(1).eps == 1e-2


@pytest.mark.parametrize("shape", [3, (2, 3), ()])
def test_equals_the_oracle(shape):
    """Law: after several batches of different sizes, statistics, outputs and state dict are rsl-rl-lib's."""
    ours, oracle = EmpiricalNormalization(shape), rsl_rl.modules.EmpiricalNormalization(shape)
    features = (shape,) if isinstance(shape, int) else shape
    generator = torch.Generator().manual_seed(0)
    for rows in (5, 1, 64):
        x = 3 * torch.randn(rows, *features, generator=generator) - 2
        ours.update(x)
        oracle.update(x)
    expected = oracle.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, value in ours.state_dict().items():
        assert value.dtype == expected[name].dtype
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours(x), oracle(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.inverse(ours(x)), x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.std, oracle.std)


def test_stops_in_evaluation_mode_and_after_until():
    """Law: nothing is learned in evaluation mode, nor once `until` samples have been seen."""
    normalizer = EmpiricalNormalization(2, until=10)
    normalizer.eval()
    normalizer.update(torch.ones(4, 2))
    assert normalizer.count.item() == 0
    normalizer.train()
    for expected in (6, 12, 12):
        normalizer.update(torch.randn(6, 2))
        assert normalizer.count.item() == expected
        torch.testing.assert_close(normalizer._std, normalizer._var.sqrt())


def test_any_leading_dimensions_and_dtypes():
    """Law: [..., D] is normalized row by row; single observations and integer images work; gradients flow to x."""
    normalizer = EmpiricalNormalization(3)
    normalizer.update(torch.randn(20, 3) * 4 + 1)
    x = torch.randn(4, 5, 3)
    expected = (x - normalizer.mean) / (normalizer.std + 1e-2)
    torch.testing.assert_close(normalizer(x), expected)
    torch.testing.assert_close(normalizer(x[0, 0]), expected[0, 0])
    bytes_ = torch.randint(0, 256, (5, 3), dtype=torch.uint8)
    torch.testing.assert_close(normalizer(bytes_), normalizer(bytes_.float()))
    x.requires_grad_()
    normalizer(x).sum().backward()
    torch.testing.assert_close(x.grad, (1 / (normalizer.std + 1e-2)).expand(4, 5, 3))


def test_a_wrong_width_is_refused():
    """Law: samples of another width than the statistics are refused, however many dimensions come before."""
    for shape in ((2, 6), (4, 2, 6), (6,)):
        with pytest.raises(ValueError, match="normalize"):
            EmpiricalNormalization(3)(torch.zeros(shape))


def test_works_across_inference_mode():
    """Law: statistics updated inside a rollout in inference mode can be updated outside, and the other way round."""
    normalizer = EmpiricalNormalization(3)
    rewards = EmpiricalDiscountedVariationNormalization([])
    for inference in (True, False, True):
        with torch.inference_mode(inference):
            normalizer.update(torch.randn(4, 3))
            rewards(torch.randn(4))
    assert normalizer.count.item() == 12 and rewards.emp_norm.count.item() == 12


def test_reward_normalization_equals_the_oracle():
    """Law: rewards are divided by the deviation of their running discounted sum, as rsl-rl-lib does."""
    ours = EmpiricalDiscountedVariationNormalization([], gamma=0.9, until=100)
    oracle = OracleRewardNormalization([], gamma=0.9, until=100)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        rewards = torch.rand(8, generator=generator)
        torch.testing.assert_close(ours(rewards), oracle(rewards), rtol=1e-5, atol=1e-6)
    ours.eval()
    oracle.eval()
    torch.testing.assert_close(ours(rewards), oracle(rewards), rtol=1e-5, atol=1e-6)
    assert list(ours.state_dict()) == list(oracle.state_dict())


def test_constant_rewards_are_left_alone():
    """Law: where the deviation is zero, rewards pass unchanged."""
    normalizer = EmpiricalDiscountedVariationNormalization([])
    assert normalizer(torch.full((4,), 2.0)).tolist() == [2.0] * 4
