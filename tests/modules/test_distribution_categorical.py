# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import math

import pytest
import torch

from rslcore.modules import MLP, CategoricalDistribution

SIZES = [3, 2, 4]


def updated(logits, sizes):
    """A distribution with these logits."""
    distribution = CategoricalDistribution(len(sizes), sizes)
    distribution.update(torch.as_tensor(logits, dtype=torch.float32))
    return distribution


def test_shapes():
    """Law: logits side by side in, one float32 index per component out, one number per sample; also unbatched."""
    distribution = CategoricalDistribution(3, SIZES)
    assert distribution.input_dim == 9 and distribution.output_dim == 3
    assert CategoricalDistribution(2, 5).num_categories == [5, 5]
    for batch in ([], [6], [2, 5], [0]):
        logits = torch.randn(*batch, 9)
        distribution.update(logits)
        sample = distribution.sample()
        assert sample.shape == (*batch, 3) and sample.dtype == torch.float32
        assert distribution.deterministic_output(logits).shape == (*batch, 3)
        assert distribution.log_prob(sample).shape == distribution.entropy.shape == torch.Size(batch)
        assert distribution.mean.shape == distribution.std.shape == (*batch, 3)
        assert [params.shape for params in distribution.params] == [(*batch, 9)]


def test_hand_computed():
    """Law: p = (1/2, 1/4, 1/4) and (1/5, 4/5): log-probability, entropy, KL to uniform, moments of the index."""
    distribution = updated([[math.log(2), 0.0, 0.0, 0.0, math.log(4)]], [3, 2])
    assert distribution.log_prob(torch.tensor([[0.0, 1.0]])).item() == pytest.approx(math.log(0.5 * 0.8))
    entropy = 1.5 * math.log(2) - 0.2 * math.log(0.2) - 0.8 * math.log(0.8)
    assert distribution.entropy.item() == pytest.approx(entropy)
    uniform = updated([[0.0] * 5], [3, 2]).params
    kl = distribution.kl_divergence(distribution.params, uniform).item()
    assert kl == pytest.approx(math.log(3) + math.log(2) - entropy)
    assert distribution.mean[0].tolist() == pytest.approx([0.75, 0.8])
    assert distribution.std[0].tolist() == pytest.approx([math.sqrt(0.25 + 1 - 0.75**2), 0.4])
    assert distribution.deterministic_output(torch.tensor([[1.0, 0.0, 2.0, 5.0, 4.0]])).tolist() == [[2.0, 0.0]]


def test_one_component_samples_as_torch_does():
    """Law: with one component, samples are torch.distributions.Categorical's under the same seed."""
    logits = torch.randn(500, 6)
    torch.manual_seed(3)
    expected = torch.distributions.Categorical(logits=logits).sample()
    torch.manual_seed(3)
    assert torch.equal(updated(logits, [6]).sample().view(-1), expected.float())


@pytest.mark.parametrize("sizes", [SIZES, [3, 3]])
def test_frequencies_are_probabilities(sizes):
    """Law: many samples fall on the categories as often as they are likely, to five standard errors, independently."""
    n = 30_000
    torch.manual_seed(0)
    distribution = updated(torch.randn(1, sum(sizes)).expand(n, -1), sizes)
    samples = distribution.sample()
    for i, probs in enumerate(distribution.params[0][0].exp().split(sizes)):
        frequency = torch.bincount(samples[:, i].long(), minlength=sizes[i]) / n
        error = (frequency - probs).abs() / (probs * (1 - probs) / n).sqrt()
        assert error.max() < 5, i
    correlation = torch.corrcoef(samples[:, :2].T)[0, 1]
    assert abs(correlation) < 5 / math.sqrt(n)


def test_categories_that_are_ruled_out_are_never_drawn():
    """Law: a logit of -inf gives probability zero, entropy and gradients stay finite, KL of equals is zero."""
    logits = torch.zeros(2000, 9)
    logits[:, [0, 3, 8]] = -math.inf
    logits.requires_grad_()
    distribution = updated(logits, SIZES)
    samples = distribution.sample()
    assert samples[:, 0].min() == 1 and samples[:, 1].min() == 1 and samples[:, 2].max() == 2
    entropy, log_prob = distribution.entropy, distribution.log_prob(samples)
    torch.testing.assert_close(entropy, torch.full((2000,), math.log(2) + math.log(3)))
    kl = distribution.kl_divergence(distribution.params, distribution.params)
    assert (kl == 0).all()
    (entropy + log_prob + kl).sum().backward()
    assert logits.grad.isfinite().all()


def test_extreme_logits_stay_finite():
    """Law: logits of +-1e4 give certain samples, entropy 0, and finite log-probabilities, KL and gradients."""
    logits = torch.tensor([[1e4, -1e4, 0.0, -1e4, 1e4]] * 50).requires_grad_()
    distribution = updated(logits, [3, 2])
    assert (distribution.sample() == torch.tensor([0.0, 1.0])).all()
    other = updated(torch.zeros(50, 5), [3, 2])
    log_prob = distribution.log_prob(torch.tensor([[1.0, 0.0]] * 50))
    torch.testing.assert_close(log_prob, torch.full((50,), -4e4))
    kl = other.kl_divergence(other.params, distribution.params)
    assert kl.isfinite().all() and (distribution.entropy == 0).all() and (distribution.std == 0).all()
    (log_prob + distribution.entropy + kl).sum().backward()
    assert logits.grad.isfinite().all()


def test_starts_nearly_uniform():
    """Law: the first policy is within a few percent of uniform in every state, and not the same in all of them."""
    torch.manual_seed(0)
    distribution = CategoricalDistribution(2, [3, 5])
    mlp = MLP(4, distribution.input_dim, [32, 32])
    distribution.init_mlp_weights(mlp)
    distribution.update(mlp(torch.randn(100, 4)))
    probs = distribution.params[0].exp()
    torch.testing.assert_close(probs[:, :3], torch.full((100, 3), 1 / 3), rtol=0.05, atol=0)
    assert probs.std(dim=0).min() > 0


def test_state_dict_is_empty():
    """Law: the sizes are settings, not weights: nothing to load or to miss."""
    assert CategoricalDistribution(3, SIZES).state_dict() == {}


def test_no_host_look_elsewhere(monkeypatch):
    """Law: where values may not be looked at, what is no category has log-probability NaN, not another's."""
    monkeypatch.setattr("rslcore.modules.distribution.categorical.can_inspect", lambda tensor: False)
    distribution = updated(torch.zeros(3, 5), [3, 2])
    log_prob = distribution.log_prob(torch.tensor([[0.0, 1.0], [3.0, 0.0], [-1.0, 0.0]]))
    assert log_prob.isnan().tolist() == [False, True, True]


def test_clear_errors():
    """Law: sizes and outputs that do not fit are named."""
    with pytest.raises(ValueError, match=r"`num_categories` must have 2 numbers, one per output, got \[3\]"):
        CategoricalDistribution(2, [3])
    with pytest.raises(ValueError, match=r"`num_categories\[1\]` must be an integer and at least 1, got 0"):
        CategoricalDistribution(2, [3, 0])
    distribution = updated(torch.zeros(3, 5), [3, 2])
    with pytest.raises(ValueError, match=r"`outputs` must be category indices below \[3, 2\], got 2.0 at \[1, 1\]"):
        distribution.log_prob(torch.tensor([[2.0, 1.0], [0.0, 2.0], [0.0, 0.0]]))
    distribution.update(torch.full((1, 5), -math.inf))
    with pytest.raises(RuntimeError, match="`logits` must be finite to sample, got nan"):
        distribution.sample()
