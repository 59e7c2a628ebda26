# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import rsl_rl.modules
import torch

from rslcore.modules import Distribution, GaussianDistribution

A = 3
SETTINGS = [
    {},
    {"init_std": 0.3, "std_type": "log"},
    {"init_std": 5.0, "std_range": (0.1, 2.0)},
    {"init_std": 0.01, "std_range": (0.1, 2.0), "std_type": "log"},
    {"init_std": 0.5, "learn_std": False},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_equals_the_oracle(settings):
    """Law: parameters, samples (bit for bit), densities, entropy and their gradients are rsl-rl-lib's."""
    results = []
    for library_class in (GaussianDistribution, rsl_rl.modules.GaussianDistribution):
        torch.manual_seed(1)
        distribution = library_class(A, **settings)
        mean = torch.randn(6, A, requires_grad=True)
        distribution.update(mean)
        sample = distribution.sample()
        outputs = torch.linspace(-2, 2, 6 * A).view(6, A)
        log_prob, entropy = distribution.log_prob(outputs), distribution.entropy
        (log_prob.sum() + entropy.mean()).backward()
        results.append(
            {
                "sample": sample,
                "log_prob": log_prob,
                "entropy": entropy,
                "mean": distribution.mean,
                "std": distribution.std,
                "mean_grad": mean.grad,
                **distribution.state_dict(),
                **{f"{name}.grad": p.grad for name, p in distribution.named_parameters() if p.requires_grad},
            }
        )
        assert not sample.requires_grad
        assert distribution.input_dim == A
        assert distribution.deterministic_output(mean) is mean
    ours, oracle = results
    assert list(ours) == list(oracle)
    assert torch.equal(ours["sample"], oracle["sample"])
    for name, expected in oracle.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_kl_divergence_equals_the_oracle_and_a_hand_computed_value():
    """Law: KL(N(0, 1) || N(1, 2)) = log 2 + (1 + 1) / 8 - 1/2, summed over outputs."""
    old = (torch.zeros(1, 2), torch.ones(1, 2))
    new = (torch.ones(1, 2), torch.full((1, 2), 2.0))
    ours, oracle = GaussianDistribution(2), rsl_rl.modules.GaussianDistribution(2)
    assert ours.kl_divergence(old, new).tolist() == pytest.approx([2 * (math.log(2) + 0.25 - 0.5)])
    torch.testing.assert_close(ours.kl_divergence(old, new), oracle.kl_divergence(old, new))


def test_kl_divergence_of_rounding_differences_is_exactly_zero():
    """Law: means that differ by rounding alone have KL 0: the first minibatch then leaves the learning rate alone."""
    mean, std = torch.randn(50, 4), torch.rand(50, 4) + 0.5
    nudged = torch.nextafter(mean, torch.full_like(mean, math.inf))
    distribution = GaussianDistribution(4)
    assert not torch.equal(mean, nudged)
    assert distribution.kl_divergence((mean, std), (nudged, std)).count_nonzero() == 0


@pytest.mark.parametrize(
    ("init_std", "std_type", "gradient_is_zero"),
    [(0.05, "scalar", True), (3.0, "scalar", True), (0.5, "scalar", False), (0.05, "log", True), (0.5, "log", False)],
)
def test_no_gradient_beyond_the_range(init_std, std_type, gradient_is_zero):
    """Law: the deviation is clamped to its range, and the parameter gets a gradient only within."""
    distribution = GaussianDistribution(A, init_std=init_std, std_range=(0.1, 2.0), std_type=std_type)
    distribution.update(torch.zeros(4, A))
    distribution.entropy.sum().backward()
    (parameter,) = distribution.parameters()
    assert (parameter.grad == 0).all() == gradient_is_zero
    expected = min(max(init_std, 0.1), 2.0)
    torch.testing.assert_close(distribution.std, torch.full((4, A), expected))


def test_deviations_stay_positive():
    """Law: a range that reaches zero starts at 1e-6, so a negative parameter cannot break sampling."""
    distribution = GaussianDistribution(A, init_std=1.0, std_range=(0.0, 1.0))
    torch.nn.init.constant_(distribution.std_param, -1.0)
    distribution.update(torch.zeros(4, A))
    assert distribution.sample().abs().max() < 1e-4


def test_clear_errors():
    """Law: an unknown std_type, and use before update(), say so."""
    with pytest.raises(ValueError, match="`std_type` must be 'scalar' or 'log', got 'sqrt'"):
        GaussianDistribution(A, std_type="sqrt")
    with pytest.raises(RuntimeError, match=r"update\(\) must be called"):
        GaussianDistribution(A).sample()


def test_the_base_class_implements_nothing_but_initialization():
    """Law: a distribution of one's own defines its parts; weight initialization is optional."""
    base = Distribution(A)
    base.init_mlp_weights(torch.nn.Linear(1, 1))
    for use in (lambda: base.mean, lambda: base.std, lambda: base.entropy, lambda: base.params, lambda: base.sample()):
        with pytest.raises(NotImplementedError):
            use()
