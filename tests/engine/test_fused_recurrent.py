# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Updates of models with memory: whole rollouts instead of padded trajectories, and what cannot be run so."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rslcore.engine import refuses_whole_rollouts
from rslcore.models import RNNModel
from rslcore.modules import GaussianDistribution
from rslcore.utils import dones_of

RNN = {"models__class_name": "RNNModel", "models__rnn_hidden_dim": 8}
KINDS = {
    "lstm": {**RNN, "models__rnn_type": "lstm"},
    "gru": {**RNN, "models__rnn_type": "gru"},
    "two_layers": {**RNN, "models__rnn_num_layers": 2},
    "actor_only": {"actor__class_name": "RNNModel", "actor__rnn_hidden_dim": 8},
    "critic_only": {"critic__class_name": "RNNModel", "critic__rnn_type": "gru", "critic__rnn_hidden_dim": 20},
}
SETTINGS = {
    "fixed": {"schedule": "fixed"},
    "advantages": {"schedule": "fixed", "normalize_advantage_per_mini_batch": True},
    "log_std": {"schedule": "fixed", "distribution__std_type": "log"},
    "plain_value_loss": {"schedule": "fixed", "use_clipped_value_loss": False, "models__obs_normalization": False},
    "one_minibatch": {"schedule": "fixed", "num_mini_batches": 1, "max_grad_norm": 0.05},
    "adaptive": {"learning_rate": 1e-2, "desired_kl": 0.003},
    "adamw": {"schedule": "fixed", "optimizer": "adamw"},
    "sgd": {"schedule": "fixed", "optimizer": "sgd"},
    "tanh": {"schedule": "fixed", "models__activation": "tanh"},
    "one_environment": {"schedule": "fixed", "num_mini_batches": 13},
}


class Subclass(RNNModel):
    """Does nothing else, but could."""


class OtherGaussian(GaussianDistribution):
    """Does nothing else, but could."""


def hook(alg):
    """Somebody looks at what the recurrent layers get."""
    alg.critic.rnn.rnn.register_forward_hook(lambda *_: None)


def hook_on_model(alg):
    """Somebody looks at the output."""
    alg.critic.register_forward_hook(lambda *_: None)


def freeze(alg):
    """A parameter that does not learn."""
    alg.critic.rnn.rnn.weight_hh_l0.requires_grad_(False)


def freeze_head(alg):
    """A parameter of the MLP that does not learn."""
    alg.critic.mlp[0].weight.requires_grad_(False)


def subclass(alg):
    """A class of one's own."""
    alg.critic.__class__ = Subclass


def replace_method(alg):
    """A method of one's own."""
    forward = alg.critic.rnn.forward
    alg.critic.rnn.forward = lambda *args, **kwargs: forward(*args, **kwargs)


def other_distribution(alg):
    """A distribution of one's own."""
    alg.actor.distribution.__class__ = OtherGaussian


def own_rule(alg):
    """A rule of one's own."""
    rule = alg.evaluate_mini_batch
    alg.evaluate_mini_batch = lambda batch: rule(batch)


FALLBACKS = {
    "hook": (hook, "the critic has a hook on rnn.rnn", True),
    "hook_on_model": (hook_on_model, "the critic has a hook", True),
    "frozen": (freeze, "the critic has a frozen parameter: rnn.rnn.weight_hh_l0", False),
    "frozen_head": (freeze_head, "the critic has a frozen parameter: mlp.0.weight", False),
    "subclass": (subclass, "the critic is no RNNModel: Subclass", True),
    "replaced_method": (replace_method, "the critic has a replaced method on rnn: forward", True),
    "distribution": (other_distribution, "the actor has another distribution: OtherGaussian", False),
    "rule": (own_rule, "the algorithm has a replaced method: evaluate_mini_batch", True),
}
"""What is done to an algorithm, why the engine refuses it, and whether minibatches must be padded too."""


def pad_always(alg):
    """Make an algorithm split and pad, as rsl_rl does."""
    alg.needs_padding = lambda *, anywhere=False: True


@pytest.mark.parametrize("kind", KINDS)
def test_updates_are_those_of_padded_trajectories(make_pair, kind):
    """Law: every kind of model, alone or beside a perceptron, learns what split and padded trajectories teach it."""
    pair = make_pair(schedule="fixed", **KINDS[kind])
    pad_always(pair.eager)
    pair.assert_same_after(updates=3, engine="fused")
    assert "recurrent" in pair.tested.engine_reason


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting(make_pair, settings):
    """Law: the settings of PPO mean the same."""
    pair = make_pair(**{**KINDS["lstm"], **SETTINGS[settings]})
    pad_always(pair.eager)
    pair.assert_same_after(updates=2, engine="fused")


@pytest.mark.parametrize("kind", KINDS)
def test_the_eager_engine_pads_no_more(make_pair, kind):
    """Law: with whole rollouts the eager engine learns the same as with padded trajectories."""
    pair = make_pair(engine="eager", schedule="fixed", **KINDS[kind])
    pad_always(pair.eager)
    assert not pair.tested.needs_padding()
    pair.assert_same_after(updates=2, engine="eager")


@pytest.mark.parametrize("change", FALLBACKS)
def test_what_is_not_known_runs_as_it_is(make_pair, change):
    """Law: a hook, a frozen parameter, a subclass, ... falls back with its reason, and learns the same."""
    pair = make_pair(schedule="fixed", **KINDS["lstm"])
    pad_always(pair.eager)
    alter, reason, padded = FALLBACKS[change]
    for alg in pair:
        alter(alg)
    pair.rollout(0)
    with pytest.warns(RuntimeWarning, match="engine eager takes over from fused"):
        pair.update(0)
    assert pair.tested.engine.name == "eager" and reason in pair.tested.engine_reason
    assert pair.tested.needs_padding() == padded
    pair.assert_same_state()


def test_hooks_see_padded_trajectories(make_pair):
    """Law: who looks into a model finds there what rsl_rl would show."""
    pair = make_pair(schedule="fixed", **KINDS["lstm"])
    seen = []
    pair.tested.critic.register_forward_hook(lambda _, args, kwargs, __: seen.append(kwargs), with_kwargs=True)
    pair.rollout(0)
    seen.clear()
    with pytest.warns(RuntimeWarning, match="takes over"):
        pair.update(0)
    assert all(dones_of(kwargs["masks"]) is None and not kwargs["masks"].all() for kwargs in seen)


def test_distillation_of_rewards_sees_the_padding(make_pair):
    """Law: random network distillation learns from the same padded observations as in rsl_rl."""
    rnd = {"weight": 0.5, "num_outputs": 3, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}
    pair = make_pair(schedule="fixed", **KINDS["lstm"], rnd_cfg=rnd)
    assert pair.tested.engine.name == "eager" and pair.tested.needs_padding()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: model.double(), "without a kernel: float64"),
        (
            lambda model: nn.utils.parametrizations.weight_norm(model.rnn.rnn, "weight_hh_l0"),
            "another recurrent network",
        ),
        (lambda model: setattr(model, "reset", lambda *_: None), "replaced method: reset"),
        (lambda model: setattr(model.rnn, "rnn", nn.LSTM(5, 8, bidirectional=True)), "settings of its own"),
        (lambda model: setattr(model, "obs_normalizer", nn.BatchNorm1d(5)), "another normalizer"),
    ],
)
def test_refusals(make_pair, change, reason):
    """Law: what a model must be to see whole rollouts is said in words."""
    model = make_pair(**KINDS["lstm"]).tested.actor
    assert refuses_whole_rollouts(model) is None
    change(model)
    assert reason in refuses_whole_rollouts(model)


def test_whole_rollouts_hold_no_copies(make_pair):
    """Law: minibatches that are not padded are views of the storage."""
    pair = make_pair(**KINDS["lstm"])
    pair.rollout(0)
    storage = pair.tested.storage
    memory = {x.untyped_storage().data_ptr() for x in storage.observations.values()}
    batches = list(storage.recurrent_mini_batch_generator(4, 2, padded=False))
    assert len(batches) == 8
    for number, batch in enumerate(batches):
        envs = slice(number % 4 * 3, number % 4 * 3 + 3)
        assert {x.untyped_storage().data_ptr() for x in batch.observations.values()} == memory
        assert torch.equal(dones_of(batch.masks), storage.dones[:, envs, 0]) and batch.masks.all()
        assert torch.equal(batch.hidden_states[0][1], storage.saved_hidden_state_a[1][0][:, envs])


def test_checkpoints_continue_on_either_engine(make_pair):
    """Law: the optimizer state that one engine leaves is continued by the other."""
    pair = make_pair(schedule="fixed", **KINDS["gru"])
    pair.assert_same_after(updates=1, engine="fused")
    other = make_pair(schedule="fixed", **KINDS["gru"])
    other.tested.load(pair.eager.save(), None, True)
    other.eager.load(pair.tested.save(), None, True)
    other.assert_same_after(updates=1, engine="fused")
