# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a program changes in the middle of a run has the same effect on every engine."""

from __future__ import annotations

import types

import pytest
import torch

from rslcore.algorithms import PPO
from rslcore.engine.minibatch_kernel import missing_kernel
from rslcore.storage import RolloutStorage

pytestmark = pytest.mark.skipif(missing_kernel() is not None, reason="needs the compiled operators")

LSTM = {"models__class_name": "RNNModel", "models__rnn_type": "lstm", "models__rnn_hidden_dim": 8}


@pytest.mark.parametrize("models", [{}, LSTM], ids=["mlp", "lstm"])
def test_frozen_noise_stays(make_pair, models):
    """Law: a standard deviation that is frozen after an update does not move by the gradients of before."""
    pair = make_pair(schedule="fixed", **models)
    pair.assert_same_after(updates=1, engine="fused")
    for alg in pair:
        alg.actor.distribution.std_param.requires_grad_(False)
    frozen = pair.tested.actor.distribution.std_param.clone()
    pair.assert_same_after(updates=2, engine="fused")
    assert torch.equal(pair.tested.actor.distribution.std_param, frozen)


class Weighted(RolloutStorage):
    """A storage of one's own: later epochs count less."""

    def mini_batch_generator(self, num_mini_batches, num_epochs=8, permutation=None, *, reshuffle=False):
        """Scale the advantages."""
        batches = super().mini_batch_generator(num_mini_batches, num_epochs, permutation, reshuffle=reshuffle)
        for i, batch in enumerate(batches):
            batch.advantages = batch.advantages * 0.5 ** (i // num_mini_batches)
            yield batch


def set_class(alg):
    """Another class of storage."""
    alg.storage.__class__ = Weighted


BATCHES = {
    "class": (set_class, "the storage is a subclass of RolloutStorage: Weighted"),
    "batches": (
        lambda alg: setattr(alg, "_mini_batches", types.MethodType(PPO._mini_batches, alg)),
        "the algorithm has a replaced method: _mini_batches",
    ),
    "shuffled": (
        lambda alg: setattr(alg.storage, "_shuffled", types.MethodType(RolloutStorage._shuffled, alg.storage)),
        "the storage has a replaced method: _shuffled",
    ),
}


@pytest.mark.parametrize("case", BATCHES)
def test_batches_of_ones_own_are_learned_from(make_pair, case):
    """Law: where minibatches may be others than the storage's own, they are looked at one by one."""
    change, reason = BATCHES[case]
    pair = make_pair(schedule="fixed")
    for alg in pair:
        change(alg)
    with pytest.warns(RuntimeWarning, match=reason):
        pair.assert_same_after(updates=2, engine="eager")


def test_reported_std_is_that_of_the_last_minibatch(make_pair):
    """Law: after an update a policy's standard deviation is the one that its last gradients were made with."""
    for settings in ({}, {"reshuffle_each_epoch": True}):
        pair = make_pair(schedule="fixed", **settings)
        pair.assert_same_after(updates=1, engine="fused")
        tested, eager = (alg.actor.output_std for alg in pair)
        torch.testing.assert_close(tested[0], eager[0], rtol=1e-5, atol=0)
        assert not torch.equal(tested[0], pair.tested.actor.distribution.current_std())


def test_setting_the_learning_rate_may_be_replaced(make_pair):
    """Law: what stands in the place of set_learning_rate is asked in every step."""
    pair = make_pair(desired_kl=0.001)
    for alg in pair:
        own = alg.set_learning_rate
        alg.set_learning_rate = lambda rate, own=own: own(max(rate, 5e-4))
    pair.assert_same_after(updates=2, engine="fused")
    assert pair.tested.learning_rate >= 5e-4


def test_parameters_in_one_memory_fall_back(make_pair):
    """Law: two parameters of one memory are stepped by torch, which does so one after the other."""
    pair = make_pair(models__hidden_dims=[8, 8])
    for alg in pair:
        alg.critic.mlp[2].weight.data = alg.actor.mlp[2].weight.data
    pair.rollout(0)
    with pytest.warns(RuntimeWarning, match="parameters share memory"):
        pair.update(0)


def test_a_replaced_method_of_adam_is_called(make_pair, monkeypatch):
    """Law: where somebody gave torch.optim.Adam another step, every step is that one."""
    pair = make_pair(schedule="fixed")
    calls = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self, *args: calls.append(1) or step(self, *args))
    pair.assert_same_after(updates=1, engine="fused")
    assert len(calls) == 2 * 3 * pair.tested.num_mini_batches


def test_a_replaced_zero_grad_is_called(make_pair):
    """Law: an optimizer that keeps its gradients adds up those of all minibatches."""
    pair = make_pair(schedule="fixed")
    for alg in pair:
        alg.optimizer.zero_grad = lambda set_to_none=True: None
    with pytest.warns(RuntimeWarning, match="the optimizer has a zero_grad of its own"):
        pair.assert_same_after(updates=1, engine="eager")
