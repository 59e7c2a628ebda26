# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions

from rslcore.modules import (
    BetaDistribution,
    CategoricalDistribution,
    GaussianDistribution,
    HeteroscedasticGaussianDistribution,
)

B, A = 7, 3
LOW, HIGH = -2.0, 0.5
SIZES = [4, 1, 3]


def gaussian(mlp_output):
    """Mean from the MLP, standard deviation 0.5."""
    return distributions.Normal(mlp_output, torch.full((A,), 0.5, dtype=mlp_output.dtype))


def heteroscedastic(mlp_output):
    """Mean and log standard deviation from the MLP."""
    return distributions.Normal(mlp_output[:, 0], mlp_output[:, 1].exp())


def beta(mlp_output):
    """Alpha and beta through softplus + 1, scaled to LOW .. HIGH."""
    alpha, beta = (torch.nn.functional.softplus(mlp_output) + 1).unbind(1)
    scale = distributions.AffineTransform(LOW, HIGH - LOW)
    return distributions.TransformedDistribution(distributions.Beta(alpha, beta), [scale])


CASES = {
    "gaussian": (GaussianDistribution(A, init_std=0.5).double(), gaussian),
    "heteroscedastic": (HeteroscedasticGaussianDistribution(A, std_type="log"), heteroscedastic),
    "beta": (BetaDistribution(A, action_range=(LOW, HIGH)), beta),
}


def close(actual, expected):
    """float64 against float64."""
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def make_mlp_output(distribution, seed=0):
    """A random output of the MLP in float64."""
    shape = [distribution.input_dim] if isinstance(distribution.input_dim, int) else distribution.input_dim
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, *shape, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("case", CASES)
def test_continuous_distributions_equal_torchs(case):
    """Law: log-probability, its gradient, KL and moments are those of torch.distributions, in float64."""
    distribution, make_oracle = CASES[case]
    mlp_output = make_mlp_output(distribution)
    distribution.update(mlp_output)
    oracle = make_oracle(mlp_output)
    outputs = torch.linspace(LOW + 0.1, HIGH - 0.1, B * A, dtype=torch.float64).view(B, A)
    log_prob, expected = distribution.log_prob(outputs), oracle.log_prob(outputs).sum(-1)
    close(log_prob, expected)
    (gradient,) = torch.autograd.grad(log_prob.sum(), mlp_output)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), mlp_output)
    close(gradient, expected_gradient)

    other = make_oracle(make_mlp_output(distribution, seed=1))
    distribution.update(make_mlp_output(distribution, seed=1))
    new_params = distribution.params
    distribution.update(mlp_output)
    close(
        distribution.kl_divergence(distribution.params, new_params), distributions.kl_divergence(oracle, other).sum(-1)
    )
    close(distribution.kl_divergence(new_params, new_params), torch.zeros(B, dtype=torch.float64))

    base = getattr(oracle, "base_dist", oracle)
    scale, shift = (HIGH - LOW, LOW) if case == "beta" else (1.0, 0.0)
    close(distribution.mean, base.mean * scale + shift)
    close(distribution.std, base.stddev * scale)
    close(distribution.deterministic_output(mlp_output), distribution.mean)
    close(distribution.entropy, base.entropy().sum(-1))


@pytest.mark.parametrize("sizes", [[4], [3, 3], SIZES])
def test_categorical_equals_torchs(sizes):
    """Law: log-probability, entropy, KL and their gradients are the sums over independent components of torch's."""
    distribution = CategoricalDistribution(len(sizes), sizes)
    mlp_output, new_output = make_mlp_output(distribution), make_mlp_output(distribution, seed=1)
    oracles, new_oracles = (
        [distributions.Categorical(logits=part) for part in output.split(sizes, -1)]
        for output in (mlp_output, new_output)
    )
    outputs = torch.stack([torch.arange(B) % size for size in sizes], dim=-1).float()
    distribution.update(new_output)
    new_params = distribution.params
    distribution.update(mlp_output)
    close(distribution.params[0].exp(), torch.cat([oracle.probs for oracle in oracles], dim=-1))
    for actual, expected in (
        (
            distribution.log_prob(outputs),
            sum(oracle.log_prob(outputs[:, i]) for i, oracle in enumerate(oracles)),
        ),
        (distribution.entropy, sum(oracle.entropy() for oracle in oracles)),
        (
            distribution.kl_divergence(distribution.params, new_params),
            sum(distributions.kl_divergence(old, new) for old, new in zip(oracles, new_oracles, strict=True)),
        ),
    ):
        close(actual, expected)
        (gradient,) = torch.autograd.grad(actual.sum(), mlp_output, retain_graph=True)
        (expected_gradient,) = torch.autograd.grad(expected.sum(), mlp_output, retain_graph=True)
        close(gradient, expected_gradient)


@pytest.mark.parametrize("case", CASES)
def test_samples_follow_the_density(case):
    """Law: mean and standard deviation of many samples are the distribution's, to five standard errors."""
    distribution, _ = CASES[case]
    n = 20_000
    torch.manual_seed(0)
    distribution.update(make_mlp_output(distribution)[:1].expand(n, *make_mlp_output(distribution).shape[1:]))
    samples = distribution.sample()
    assert samples.shape == (n, A)
    error = (samples.mean(0) - distribution.mean[0]).abs() / (distribution.std[0] / math.sqrt(n))
    assert error.max() < 5
    torch.testing.assert_close(samples.std(0), distribution.std[0].detach(), rtol=0.05, atol=0)


def test_beta_is_finite_at_the_ends_of_its_range():
    """Law: outputs at the ends, or beyond by rounding, have a finite density and gradient; samples stay inside."""
    distribution = BetaDistribution(2, action_range=(LOW, HIGH))
    for raw in (-1e4, -1.0, 0.0, 1.0, 1e4):
        mlp_output = torch.full((4, 2, 2), raw).requires_grad_()
        distribution.update(mlp_output)
        edges = torch.tensor([LOW, HIGH, LOW - 1e-3, HIGH + 1e-3])[:, None].expand(4, 2)
        log_prob = distribution.log_prob(edges)
        (log_prob + distribution.entropy).sum().backward()
        assert log_prob.isfinite().all() and mlp_output.grad.isfinite().all(), raw
        assert distribution.kl_divergence(distribution.params, distribution.params).isfinite().all()
        sample = distribution.sample()
        assert sample.min() >= LOW and sample.max() <= HIGH


@pytest.mark.parametrize("std_type", ["scalar", "log"])
@pytest.mark.parametrize("raw", [-1e4, 0.0, 1e4])
def test_heteroscedastic_deviation_stays_in_its_range(raw, std_type):
    """Law: whatever the MLP gives, the deviation is within std_range, all is finite, and the mean has a gradient."""
    distribution = HeteroscedasticGaussianDistribution(2, std_range=(0.01, 5.0), std_type=std_type)
    mlp_output = torch.stack([torch.zeros(4, 2), torch.full((4, 2), raw)], dim=1).requires_grad_()
    distribution.update(mlp_output)
    assert distribution.std.min() >= 0.01 * (1 - 1e-6) and distribution.std.max() <= 5.0 * (1 + 1e-6)
    log_prob = distribution.log_prob(distribution.sample() + 0.5)
    (log_prob + distribution.entropy).sum().backward()
    assert log_prob.isfinite().all() and mlp_output.grad.isfinite().all()
    assert mlp_output.grad[:, 0].abs().min() > 0
    if abs(raw) == 1e4:
        assert (mlp_output.grad[:, 1] == 0).all()


def test_half_precision_outputs_are_computed_in_float32():
    """Law: bfloat16 from the MLP gives parameters in float32."""
    for distribution in (
        HeteroscedasticGaussianDistribution(2),
        BetaDistribution(2),
        CategoricalDistribution(2, 300),
    ):
        mlp_output = make_mlp_output(distribution).detach().bfloat16()
        distribution.update(mlp_output)
        assert all(params.dtype == torch.float32 for params in distribution.params)
        assert distribution.sample().dtype == torch.float32
        reference = type(distribution)(2, 300) if isinstance(distribution, CategoricalDistribution) else distribution
        reference.update(mlp_output.float())
        torch.testing.assert_close(distribution.params, reference.params)


def use(distribution, mlp_output):
    """Everything that a rollout and an update ask of a distribution."""
    distribution.update(mlp_output)
    outputs = distribution.sample()
    kl = distribution.kl_divergence(distribution.params, distribution.params)
    return outputs, distribution.log_prob(outputs), distribution.entropy, distribution.mean, distribution.std, kl


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianDistribution(A),
        lambda: HeteroscedasticGaussianDistribution(A, std_type="log"),
        lambda: CategoricalDistribution(A, SIZES),
    ],
    ids=["gaussian", "heteroscedastic", "categorical"],
)
def test_no_value_is_read_off_the_cpu_or_in_a_graph(make):
    """Law: all works where values cannot be read, and in one graph of torch.compile (torch cannot draw Beta there)."""
    distribution = make()
    mlp_output = make_mlp_output(distribution).detach().float()
    results = []
    for call in (use, torch.compile(use, backend="eager", fullgraph=True)):
        torch.manual_seed(0)
        results.append(call(distribution, mlp_output))
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(eager, compiled)
    shapes = [output.shape for output in use(distribution.to("meta"), mlp_output.to("meta"))]
    assert shapes == [output.shape for output in results[0]]
