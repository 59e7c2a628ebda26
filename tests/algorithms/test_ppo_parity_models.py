# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO with every kind of model and distribution learns what rsl-rl-lib 5.5.1 learns."""

from __future__ import annotations

import pytest
import torch
from rounding import BFLOAT16_GRADIENT

DISTRIBUTIONS = {
    "gaussian": {},
    "log_gaussian": {"std_type": "log", "init_std": 0.6},
    "heteroscedastic": {"class_name": "HeteroscedasticGaussianDistribution"},
    "log_heteroscedastic": {"class_name": "HeteroscedasticGaussianDistribution", "std_type": "log"},
    "beta": {"class_name": "BetaDistribution", "action_range": (-2.0, 3.0)},
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("model", ["mlp", "lstm", "gru", "cnn"])
def test_updates_equal_the_oracle(make_twins, model, distribution):
    """Law: every model x every distribution gives the oracle's parameters after whole updates.

    The learning rate is fixed: of an unchanged policy the KL divergence is a rounding error, and the adaptive schedule
    asks for its sign.
    """
    twins = make_twins(actor=model, distribution=DISTRIBUTIONS[distribution], schedule="fixed")
    twins.assert_same_after(updates=2)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("model", ["lstm", "gru", "cnn"])
def test_learning_rates_equal_the_oracle(make_twins, model, distribution):
    """Law: from its upper bound, the learning rate is adapted to the same divergences."""
    settings = {"learning_rate": 1e-2, "desired_kl": 3e-4}
    twins = make_twins(actor=model, distribution=DISTRIBUTIONS[distribution], **settings)
    twins.assert_same_after()
    assert twins.ours.learning_rate < 1e-2


@pytest.mark.parametrize("model", ["lstm", "gru", "cnn"])
def test_updates_with_normalized_observations_equal_the_oracle(make_twins, model):
    """Law: the same with normalizers, and with advantages normalized per minibatch."""
    settings = {"normalize_advantage_per_mini_batch": True, "schedule": "fixed"}
    twins = make_twins(actor=model, obs_normalization=True, **settings)
    twins.assert_same_after(updates=3)


@pytest.mark.parametrize(("actor", "critic"), [("lstm", "mlp"), ("mlp", "gru"), ("gru", "lstm"), ("cnn", "mlp")])
def test_models_of_two_kinds_equal_the_oracle(make_twins, actor, critic):
    """Law: actor and critic may be of different kinds: one with a hidden state, one without."""
    make_twins(actor=actor, critic=critic, schedule="fixed").assert_same_after(updates=2)


def test_recurrent_minibatches_with_a_remainder_equal_the_oracle(make_twins):
    """Law: environments that do not fill the last minibatch are dropped as the oracle does."""
    make_twins(actor="lstm", num_envs=13, num_mini_batches=3, schedule="fixed").assert_same_after(updates=2)


def test_hidden_states_outlive_the_update(make_twins):
    """Law: a rollout begins with the hidden states in which the last one ended, of actor and critic."""
    twins = make_twins(actor="lstm")
    twins.rollout()
    twins.update()
    for role in ("actor", "critic"):
        ours, theirs = (getattr(alg, role).get_hidden_state() for alg in twins)
        for mine, expected in zip(ours, theirs, strict=True):
            assert expected.abs().sum() > 0
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)


def test_shared_encoders_equal_the_oracle(make_twins):
    """Law: the critic learns through the actor's encoder, which both optimizer entries step, as in the oracle."""
    with pytest.warns(UserWarning, match="duplicate parameters"):
        twins = make_twins(actor="cnn", share_cnn_encoders=True, schedule="fixed")
    assert twins.ours.critic.cnns is twins.ours.actor.cnns
    twins.assert_same_after(updates=2)
    ours, theirs = (alg.save()["optimizer_state_dict"] for alg in twins)
    assert ours["param_groups"] == theirs["param_groups"]


def skip_without_bfloat16(kind):
    """Skip where torch itself has no such layer: oneDNN held to an instruction set without bfloat16 has no LSTM."""
    with torch.autocast("cpu", torch.bfloat16):
        try:
            kind(2, 3)(torch.zeros(1, 1, 2))
        except RuntimeError as error:
            pytest.skip(f"torch has no {kind.__name__} in bfloat16 here: {error}")


@pytest.mark.parametrize("model", ["mlp", "cnn", "lstm", "gru"])
def test_mixed_precision_equals_the_oracle(make_twins, model):
    """Law: with bfloat16 forward and losses, an update agrees as closely; recurrent ones to bfloat16's rounding.

    The oracle's perceptron gets what follows the recurrent layer in another memory layout, for which torch rounds
    products once more before it adds the bias.
    """
    twins = make_twins(actor=model, use_mixed_precision=True, schedule="fixed")
    if model in ("lstm", "gru"):
        skip_without_bfloat16({"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[model])
        twins.bounds.gradient = BFLOAT16_GRADIENT
    twins.rollout()
    twins.share_advantages()
    twins.update()
    twins.assert_same_parameters()
