# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A whole update in one call does what its minibatches do one by one."""

from __future__ import annotations

import types

import pytest
import torch

from rslcore.algorithms import PPO
from rslcore.engine.minibatch_kernel import MinibatchKernel, missing_kernel

pytestmark = pytest.mark.skipif(missing_kernel() is not None, reason="needs the compiled operators")

SETTINGS = {
    "defaults": {},
    "fixed_learning_rate": {"schedule": "fixed"},
    "adamw": {"optimizer": "adamw"},
    "log_std": {"distribution__std_type": "log"},
    "fixed_std": {"distribution__learn_std": False},
    "advantages_by_minibatch": {"normalize_advantage_per_mini_batch": True},
    "several_groups": {"obs_groups__actor": ["critic", "policy"], "obs_groups__critic": ["critic"]},
}


@pytest.fixture
def whole_updates(monkeypatch):
    """Number of updates that were taken in one call."""
    calls = []
    update = MinibatchKernel.update
    monkeypatch.setattr(MinibatchKernel, "update", lambda self, *args: calls.append(1) or update(self, *args))
    return calls


def step_by_step(alg):
    """A method of one's own, even one that does the same, must run between the minibatches."""
    alg.adapt_learning_rate = types.MethodType(PPO.adapt_learning_rate, alg)


def parameters(alg):
    """All that an update learns, and the normalizers."""
    return [*alg.actor.state_dict().values(), *alg.critic.state_dict().values()]


@pytest.mark.parametrize("name", SETTINGS)
def test_one_call_learns_what_single_steps_do(make_pair, whole_updates, name):
    """Law: parameters, learning rate and the optimizer's steps after two updates are the same bits either way."""
    whole, single = (make_pair(engine="fused", **SETTINGS[name]) for _ in range(2))
    for seed in range(2):
        for pair in (whole, single):
            if pair is single:
                if whole.tested.schedule == "fixed":
                    single.tested.optimizer.register_step_post_hook(lambda *_: None)
                else:
                    step_by_step(single.tested)
            pair.rollout(seed)
        losses = [pair.update(seed)[0] for pair in (whole, single)]
        assert losses[0].keys() == losses[1].keys()
        assert whole.tested.learning_rate == single.tested.learning_rate
        assert len(whole_updates) == seed + 1
        if name in ("fixed_learning_rate", "log_std"):
            # torch's own Adam, and its exponential of a logarithm, round in another way.
            for pair in (whole, single):
                pair.assert_same_state()
        else:
            assert all(map(torch.equal, parameters(whole.tested), parameters(single.tested)))
    states = [pair.tested.optimizer.state_dict()["state"] for pair in (whole, single)]
    assert all(torch.equal(states[0][i]["step"], states[1][i]["step"]) for i in states[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"reshuffle_each_epoch": True},
        {"optimizer": "sgd", "learning_rate": 0.01},
        {"rnd_cfg": {"num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}},
    ],
    ids=["reshuffled", "sgd", "rnd"],
)
def test_what_happens_between_steps_prevents_it(make_pair, whole_updates, settings):
    """Law: other minibatches per epoch, other optimizers and RND are stepped one by one."""
    make_pair(engine="fused", **settings).assert_same_after(updates=1, engine="fused")
    assert not whole_updates


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_do_not_change_results(make_pair, threads):
    """Law: the same bits with any number of threads, also more of them than processors."""
    results = []
    for count in (1, threads):
        pair = make_pair(models__hidden_dims=[200, 100], num_mini_batches=2)
        pair.rollout(0)
        torch.set_num_threads(count)
        try:
            pair.tested.update()
        finally:
            torch.set_num_threads(1)
        results.append(parameters(pair.tested))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_an_empty_order_is_no_step(make_pair, monkeypatch):
    """Law: the raw operator reads nothing of a step that there is not."""

    class CalledError(Exception):
        pass

    def without_steps(*arguments):
        arguments = list(arguments)
        order = next(i for i, x in enumerate(arguments) if isinstance(x, list) and x and isinstance(x[0], int))
        arguments[order], arguments[-1] = [], arguments[-1][:0]
        operator(*arguments)
        raise CalledError

    pair = make_pair(engine="fused")
    pair.rollout(0)
    before = [x.clone() for x in parameters(pair.tested)]
    operator = torch.ops.rslcore.ppo_update.default
    monkeypatch.setattr(torch.ops.rslcore, "ppo_update", types.SimpleNamespace(default=without_steps))
    with pytest.raises(CalledError):
        pair.tested.update()
    assert all(map(torch.equal, parameters(pair.tested), before))


def test_parameters_count_as_changed(make_pair):
    """Law: autograd learns that the parameters were written to."""
    pair = make_pair(engine="fused")
    before = [p._version for p in pair.tested.actor.parameters()]
    pair.rollout(0)
    pair.tested.update()
    assert all(p._version > version for p, version in zip(pair.tested.actor.parameters(), before, strict=True))


def test_nan_in_the_standard_deviation_is_seen(make_pair, whole_updates):
    """Law: a parameter of the noise that is NaN makes what is reported NaN, as in single steps, not the lower bound."""
    reported = []
    for change in (lambda alg: None, step_by_step):
        pair = make_pair(engine="fused")
        pair.rollout(0)
        change(pair.tested)
        with torch.no_grad():
            pair.tested.actor.distribution.std_param[0] = torch.nan
        reported.append(pair.tested.update())
    assert len(whole_updates) == 1
    for losses in reported:
        assert torch.tensor([losses["surrogate"], losses["entropy"]]).isnan().all()


def raw_arguments(pair, monkeypatch):
    """What the engine calls the raw operator with."""
    caught = []
    pair.rollout(0)
    packet = torch.ops.rslcore.ppo_update
    with monkeypatch.context() as patch:
        patch.setattr(torch.ops.rslcore, "ppo_update", types.SimpleNamespace(default=lambda *a: caught.append(a)))
        pair.tested.update()
    assert torch.ops.rslcore.ppo_update is packet
    return list(caught[0])


def test_guards_of_the_raw_operator(make_pair, monkeypatch):
    """Law: a list that is too short, a tensor of another dtype or an order out of range is refused, nothing written."""
    arguments = raw_arguments(make_pair(engine="fused"), monkeypatch)
    op = torch.ops.rslcore.ppo_update.default
    op(*arguments)
    tensors = [x for a in arguments for x in (a if isinstance(a, list) else [a]) if isinstance(x, torch.Tensor)]
    before = [x.detach().clone() for x in tensors]
    for place, argument in enumerate(arguments):
        if isinstance(argument, torch.Tensor):
            wrongs = [argument.detach().to(torch.int32), argument.detach().flatten()[:0]]
        elif isinstance(argument, list) and isinstance(argument[0], torch.Tensor):
            wrongs = [argument[:-1], [*argument[:-1], argument[-1].detach().to(torch.int32)]]
        elif isinstance(argument, list):
            wrongs = [[*argument[:-1], 99], [*argument[:-1], -1]]
        else:
            continue
        for wrong in wrongs:
            with pytest.raises(RuntimeError, match="ppo_update: "):
                op(*arguments[:place], wrong, *arguments[place + 1 :])
    assert all(torch.equal(a, b) for a, b in zip(before, tensors, strict=True))
