# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import rsl_rl.modules
import torch

import rslcore.modules
from rslcore.modules import (
    BetaDistribution,
    CategoricalDistribution,
    Distribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)

A = 3
CASES = [
    ("GaussianDistribution", {}),
    ("GaussianDistribution", {"init_std": 0.3, "std_type": "log"}),
    ("GaussianDistribution", {"init_std": 5.0, "std_range": (0.1, 2.0)}),
    ("GaussianDistribution", {"init_std": 0.01, "std_range": (0.1, 2.0), "std_type": "log"}),
    ("GaussianDistribution", {"init_std": 0.5, "learn_std": False}),
    ("GaussianDistribution", {"init_std": 0.0}),
    ("HeteroscedasticGaussianDistribution", {}),
    ("HeteroscedasticGaussianDistribution", {"init_std": 0.3, "std_type": "log"}),
    ("HeteroscedasticGaussianDistribution", {"std_range": (0.5, 1.5)}),
    ("HeteroscedasticGaussianDistribution", {"init_std": 2.0, "std_range": (0.5, 1.5), "std_type": "log"}),
    ("BetaDistribution", {}),
    ("BetaDistribution", {"action_range": (0.0, 1.0)}),
    ("BetaDistribution", {"action_range": (-3.0, 0.5)}),
]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_equals_the_oracle(name, settings):
    """Law: parameters, samples (bit for bit), densities, entropy, KL and their gradients are rsl-rl-lib's."""
    results = []
    for library in (rslcore.modules, rsl_rl.modules):
        torch.manual_seed(1)
        distribution = getattr(library, name)(A, **settings)
        input_dim = distribution.input_dim
        shape = [input_dim] if isinstance(input_dim, int) else input_dim
        mlp_output = torch.randn(6, *shape, requires_grad=True)
        distribution.update(mlp_output)
        sample = distribution.sample()
        low, high = settings.get("action_range", (-2.0, 2.0) if "Gaussian" in name else (-1.0, 1.0))
        outputs = torch.linspace(low, high, 6 * A).view(6, A)
        log_prob, entropy, params = distribution.log_prob(outputs), distribution.entropy, distribution.params
        kl = distribution.kl_divergence(tuple(p.detach().flip(0) for p in params), params)
        ((log_prob + kl).sum() + entropy.mean()).backward()
        assert not sample.requires_grad and sample.shape == (6, A)
        assert log_prob.shape == entropy.shape == kl.shape == (6,)
        results.append(
            {
                "sample": sample,
                "log_prob": log_prob,
                "entropy": entropy,
                "kl": kl,
                "mean": distribution.mean,
                "std": distribution.std,
                "deterministic": distribution.deterministic_output(mlp_output),
                "exported": distribution.as_deterministic_output_module()(mlp_output),
                "mlp_output.grad": mlp_output.grad,
                **{f"params.{i}": p for i, p in enumerate(params)},
                **distribution.state_dict(),
                **{f"{name}.grad": p.grad for name, p in distribution.named_parameters() if p.requires_grad},
            }
        )
    ours, oracle = results
    assert list(ours) == list(oracle)
    assert torch.equal(ours["sample"], oracle["sample"])
    for key, expected in oracle.items():
        torch.testing.assert_close(ours[key], expected, rtol=1e-5, atol=1e-6, msg=lambda m, n=key: f"{n}: {m}")


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_initial_weights_are_the_oracles(name, settings):
    """Law: same seed, same weights of the MLP, to the bit."""
    weights = []
    for library in (rslcore.modules, rsl_rl.modules):
        torch.manual_seed(2)
        distribution = getattr(library, name)(A, **settings)
        mlp = library.MLP(5, distribution.input_dim, [8])
        distribution.init_mlp_weights(mlp)
        weights.append(mlp.state_dict())
    assert list(weights[0]) == list(weights[1])
    for key, expected in weights[1].items():
        assert torch.equal(weights[0][key], expected), key


def test_gaussian_gives_its_input_as_the_mean():
    """Law: the deterministic output is the output of the MLP itself, not a copy."""
    distribution, mean = GaussianDistribution(A), torch.randn(6, A)
    assert distribution.input_dim == A
    assert distribution.deterministic_output(mean) is mean


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


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: GaussianDistribution(A, std_type="sqrt"),
            "GaussianDistribution: `std_type` must be 'scalar' or 'log', got 'sqrt'",
        ),
        (
            lambda: HeteroscedasticGaussianDistribution(A, std_type="sqrt"),
            "HeteroscedasticGaussianDistribution: `std_type` must be 'scalar' or 'log', got 'sqrt'",
        ),
        (lambda: GaussianDistribution(A, init_std=-1.0), "`init_std` must be a finite number and at least 0, got -1.0"),
        (
            lambda: HeteroscedasticGaussianDistribution(A, std_range=(2.0, 1.0)),
            r"HeteroscedasticGaussianDistribution: `std_range` must be .* got \[2.0, 1.0\]",
        ),
        (
            lambda: BetaDistribution(A, action_range=(1.0, -1.0)),
            r"BetaDistribution: `action_range\[1\]` must be a finite number and greater than 1.0, got -1.0",
        ),
        (lambda: BetaDistribution(A, action_range=2.0), r"`action_range` must be \[smallest, largest\], got 2.0"),
        (lambda: BetaDistribution(A, action_range=(0.0, math.inf)), r"`action_range\[1\]` must be .*, got inf"),
        (
            lambda: BetaDistribution(A).init_mlp_weights(torch.nn.ReLU()),
            "BetaDistribution: `mlp` must have a linear layer, got ReLU",
        ),
    ],
)
def test_wrong_settings_are_named(build, message):
    """Law: a setting that makes no sense is refused at once: class, argument, expected and got."""
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    "distribution",
    [
        GaussianDistribution(A),
        HeteroscedasticGaussianDistribution(A),
        BetaDistribution(A),
        CategoricalDistribution(A, num_categories=2),
    ],
    ids=lambda distribution: type(distribution).__name__,
)
def test_use_before_update_is_refused(distribution):
    """Law: before update() there is nothing to speak of."""
    uses = [
        distribution.sample,
        lambda: distribution.log_prob(torch.zeros(1, A)),
        *(lambda name=name: getattr(distribution, name) for name in ("mean", "std", "entropy", "params")),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match=rf"{type(distribution).__name__}: update\(\) must be called"):
            use()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    """Law: sampling from NaN or infinity says which parameter, where and how many."""
    mean = torch.zeros(6, A)
    mean[2, 1] = value
    pairs = torch.zeros(6, 2, A)
    pairs[2, 1, 0] = value
    std = GaussianDistribution(A)
    torch.nn.init.constant_(std.std_param, math.nan)
    for distribution, mlp_output, message in (
        (GaussianDistribution(A), mean, rf"`mean` must be finite to sample, got {value} at \[2, 1\] \(1 of 18"),
        (std, torch.zeros(6, A), r"`std` must be finite to sample, got nan at \[0\] \(3 of 3"),
        (HeteroscedasticGaussianDistribution(A), mean[:, None].expand(6, 2, A), rf"`mean` must .* {value} at \[2, 1\]"),
        (BetaDistribution(A), pairs, rf"`beta` must be finite to sample, got {value} at \[2, 0\]"),
        (CategoricalDistribution(A, 1), mean, r"`logits` must be finite to sample, got nan at \[2, 1\]"),
    ):
        distribution.update(mlp_output)
        with pytest.raises(RuntimeError, match=f"{type(distribution).__name__}: {message}"):
            distribution.sample()


def test_the_base_class_implements_nothing_but_initialization():
    """Law: a distribution of one's own defines its parts; weight initialization is optional."""
    base = Distribution(A)
    base.init_mlp_weights(torch.nn.Linear(1, 1))
    for use in (lambda: base.mean, lambda: base.std, lambda: base.entropy, lambda: base.params, lambda: base.sample()):
        with pytest.raises(NotImplementedError):
            use()
