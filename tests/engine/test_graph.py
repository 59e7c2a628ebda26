# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a CUDA graph would capture, run uncaptured on the CPU: it agrees with eager, and it never asks the host."""

from __future__ import annotations

import contextlib
import copy
from types import SimpleNamespace

import pytest
import torch
from rounding import BFLOAT16_GRADIENT
from torch.utils._python_dispatch import TorchDispatchMode

from rslcore.engine import describe_mlp
from rslcore.engine.graph_conditions import differences, fingerprint, refusal
from rslcore.engine.graph_rollout import StaticPolicyStep, refuses_steps
from rslcore.engine.graph_update import StaticUpdate
from rslcore.models import MLPModel
from rslcore.modules.distribution import base, beta, gaussian
from rslcore.storage import RolloutStorage
from rslcore.utils import JointRead

CPU = torch.device("cpu")


class Uncaptured:
    """Runs what the graph engine captures."""

    name = "graph"
    needs_fixed_shapes = True

    def __init__(self, watch=contextlib.nullcontext):
        self.update = None
        self.pauses = 0
        self.watch = watch

    def run(self, learner, batches):
        """As an engine does."""
        storage = learner.storage
        storage.counter = torch.tensor(storage.offset)
        self.update = self.update or StaticUpdate(learner, CPU)
        self.update.load()
        with self.watch():
            for _ in self.update.body(batches):
                self.pauses += 1
                self.update.between()
        assert int(storage.counter) == storage.offset
        storage.counter = None
        return self.update.read(JointRead())


@pytest.fixture
def on_graph(make_pair):
    """A function that makes a pair, the first of it on what a graph would capture."""

    def make(watch=contextlib.nullcontext, **settings):
        pair = make_pair(**settings)
        engine = pair.tested.engine = Uncaptured(watch)
        pair.tested.select_engine = lambda: engine
        return pair

    return make


SETTINGS = {
    "default": {},
    "reshuffled": {"reshuffle_each_epoch": True},
    "beta": {"distribution__class_name": "BetaDistribution"},
    "heteroscedastic": {"distribution__class_name": "HeteroscedasticGaussianDistribution"},
    "rnd": {"rnd_cfg": {"weight": 1.0, "num_outputs": 3}},
    "lstm": {"models__class_name": "RNNModel", "models__rnn_hidden_dim": 8},
}


@pytest.mark.parametrize("settings", SETTINGS)
def test_updates_agree_with_eager(on_graph, settings):
    """Law: parameters, optimizer, losses and learning rate are those of the eager engine, with its own permutations."""
    on_graph(**SETTINGS[settings]).assert_same_after(updates=2)


class NoHostReads(TorchDispatchMode):
    """Fails where a number or a shape goes from a tensor to the host."""

    reading = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Every operator comes by."""
        name = func.overloadpacket.__name__
        assert name.removesuffix(".default") not in self.reading, f"the host reads by {name}"
        return func(*args, **(kwargs or {}))


def test_bfloat16_agrees_with_eager(on_graph):
    """Law: mixed precision is that of the eager engine; what rounds otherwise in float32 may cost a bit of bfloat16."""
    pair = on_graph(use_mixed_precision=True)
    pair.bounds.gradient = BFLOAT16_GRADIENT
    pair.rollout(0)
    pair.update(0)
    pair.assert_same_state()


SETTINGS_OF_READS = {**SETTINGS, "bfloat16": {"use_mixed_precision": True}}


@pytest.mark.parametrize("settings", SETTINGS_OF_READS)
def test_update_never_asks_the_host(on_graph, monkeypatch, settings):
    """Law: from the shuffle to the last step nothing is read, of what would not be looked at on a GPU either."""
    for module in (base, beta, gaussian):
        monkeypatch.setattr(module, "can_inspect", lambda tensor: False, raising=False)
    pair = on_graph(NoHostReads, **SETTINGS_OF_READS[settings])
    pair.rollout(0)
    pair.tested.update()


def test_the_watch_sees_reads():
    """Law: the watch of the test above finds what it is to find."""
    with pytest.raises(AssertionError, match="host reads"), NoHostReads():
        torch.ones(()).item()


def test_processes_average_between_backward_and_step(on_graph, monkeypatch):
    """Law: with several processes the body pauses once per minibatch, with gradients where they stay."""
    pair = on_graph()
    ppo, places = pair.tested, []
    ppo.is_multi_gpu = True
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: None)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 1)
    monkeypatch.setattr(ppo, "adapt_learning_rate", None)
    ppo.reduce_parameters = lambda: places.append([p.grad.data_ptr() for p in ppo.actor.parameters()])
    pair.rollout(0)
    pair.update(0)
    assert ppo.engine.pauses == 3 * 4 and places == [places[0]] * 12
    pair.assert_same_state()


def test_learning_rate_changed_from_outside(on_graph):
    """Law: the rate that the host sets before an update is the one the update starts from."""
    pair = on_graph(schedule="fixed")
    for learning_rate in (1e-3, 3e-4):
        for alg in pair:
            for group in alg.optimizer.param_groups:
                group["lr"] = learning_rate
        pair.rollout(0)
        pair.update(0)
        assert pair.tested.optimizer.param_groups[0]["lr"] == learning_rate
    pair.assert_same_state()


def test_diverged_models_leave_the_learning_rate(on_graph):
    """Law: a KL divergence that is NaN changes nothing, as on the host."""
    pair = on_graph()
    pair.rollout(0)
    with torch.no_grad():
        pair.tested.actor.mlp[0].weight.fill_(float("nan"))
    before = pair.tested.learning_rate
    losses = pair.tested.update()
    assert pair.tested.learning_rate == before and losses["surrogate"] != losses["surrogate"]


def test_checkpoints_do_not_tell_the_engine(on_graph):
    """Law: what is saved has numbers for learning rates, and loads into the other engine."""
    pair = on_graph()
    pair.rollout(0)
    pair.update(0)
    saved = pair.tested.save()
    group = saved["optimizer_state_dict"]["param_groups"][0]
    assert type(group["lr"]) is float and group["capturable"] is False
    assert pair.eager.load(copy.deepcopy(saved), None, True)
    pair.assert_same_after(updates=1)


class Subclass(MLPModel):
    """Might do anything."""


def _set(path, name, value):
    return lambda ppo: setattr(ppo.actor.get_submodule(path), name, value)


REFUSED = {
    "on_the_cpu": (lambda ppo: None, "not on a CUDA device", "cuda"),
    "hook": (lambda ppo: ppo.actor.mlp[0].register_forward_hook(lambda *_: None), "actor has a hook on mlp.0", "cpu"),
    "hook_on_parameter": (lambda ppo: ppo.critic.mlp[0].bias.register_hook(lambda g: g), "hook on the param", "cpu"),
    "replaced_method": (_set("", "get_latent", lambda *_: None), "replaced method: get_latent", "cpu"),
    "subclass": (lambda ppo: setattr(ppo.critic, "__class__", Subclass), "code of its own: Subclass", "cpu"),
    "compiled": (lambda ppo: ppo.compile("default"), "code of its own: OptimizedModule", "cpu"),
    "rule": (lambda ppo: setattr(ppo, "evaluate_mini_batch", None), "replaced method: evaluate_mini_batch", "cpu"),
    "storage": (lambda ppo: setattr(ppo.storage, "draw_permutation", None), "the storage has code", "cpu"),
    "optimizer": (
        lambda ppo: setattr(ppo, "optimizer", torch.optim.RMSprop(ppo.actor.parameters())),
        "RMSprop cannot be captured",
        "cpu",
    ),
    "foreach": (
        lambda ppo: setattr(ppo, "optimizer", torch.optim.Adam(ppo.actor.parameters(), foreach=True)),
        "not torch's fused one",
        "cpu",
    ),
    "step_hook": (
        lambda ppo: ppo.optimizer.register_step_post_hook(lambda *_: None),
        "Adam has a hook",
        "cpu",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_is_not_captured(make_pair, change):
    """Law: whatever a graph would not repeat is refused, and named; without the change it is not."""
    ppo = make_pair().tested
    assert refusal(ppo, "cpu") is None
    apply, reason, device_type = REFUSED[change]
    apply(ppo)
    assert reason in str(refusal(ppo, device_type))


def test_graph_cannot_be_forced_on_the_cpu(make_pair):
    """Law: who insists on graphs is told why there are none."""
    with pytest.raises(ValueError, match="`engine` 'graph' cannot run this job: the models are not on a CUDA device"):
        make_pair(engine="graph")


def test_recurrent_models_with_rnd_are_refused(make_pair):
    """Law: trajectories that must be padded have shapes that change."""
    ppo = make_pair(models__class_name="RNNModel", rnd_cfg={"weight": 1.0, "num_outputs": 3}).tested
    assert "padded trajectories" in str(refusal(ppo, "cpu"))


FROZEN = {
    "setting": (lambda ppo: setattr(ppo, "entropy_coef", 0.5), "algorithm"),
    "mode": (lambda ppo: ppo.eval_mode(), "the actor, the critic"),
    "replaced_parameter": (
        lambda ppo: setattr(ppo.actor.mlp[0], "bias", torch.nn.Parameter(torch.zeros(16))),
        "the actor",
    ),
    "moved_data": (lambda ppo: setattr(ppo.critic.mlp[0].bias, "data", torch.zeros(40)), "the critic, optimizer 0"),
    "frozen_parameter": (lambda ppo: ppo.actor.mlp[0].bias.requires_grad_(False), "the actor"),
    "loaded_optimizer": (
        lambda ppo: ppo.optimizer.load_state_dict(copy.deepcopy(ppo.optimizer.state_dict())),
        "optimizer 0",
    ),
    "weight_decay": (lambda ppo: ppo.optimizer.param_groups[0].update(weight_decay=0.1), "optimizer 0"),
    "activation": (lambda ppo: setattr(ppo.actor.mlp[1], "alpha", 0.5), "the actor"),
    "std_range": (lambda ppo: setattr(ppo.actor.distribution, "std_range", [0.1, 1.0]), "the actor"),
    "buffers": (lambda ppo: setattr(ppo.storage, "rewards", ppo.storage.rewards.clone()), "the storage"),
    "seed": (lambda ppo: setattr(ppo.storage, "seed", 99), "the storage"),
}
FREE = {
    "learning_rate": lambda ppo: setattr(ppo, "learning_rate", 0.5),
    "rate_of_the_optimizer": lambda ppo: ppo.optimizer.param_groups[0].update(lr=0.5),
    "next_rollout": lambda ppo: setattr(ppo.storage, "step", 1),
    "next_permutation": lambda ppo: setattr(ppo.storage, "offset", 17),
    "loaded_weights": lambda ppo: ppo.actor.load_state_dict(ppo.actor.state_dict()),
    "gradients": lambda ppo: ppo.optimizer.zero_grad(),
}


@pytest.mark.parametrize("change", {**FROZEN, **FREE})
def test_what_makes_a_capture_stale(make_pair, change):
    """Law: what a graph has frozen is seen when it changes, and named; what it reads anew is not."""
    pair = make_pair(engine="eager")
    pair.rollout(0)
    pair.update(0)
    ppo = pair.tested
    before = fingerprint(ppo)
    assert fingerprint(ppo) == before
    (FROZEN[change][0] if change in FROZEN else FREE[change])(ppo)
    now = fingerprint(ppo)
    if change in FREE:
        assert now == before
    else:
        assert differences(before, now).endswith(FROZEN[change][1])


def test_next_rollout_changes_nothing_frozen(make_pair):
    """Law: rollouts and updates by themselves never make a capture stale, with RND either."""
    pair = make_pair(engine="eager", rnd_cfg={"weight": 1.0, "num_outputs": 3, "state_normalization": True})
    prints = []
    for seed in range(3):
        pair.rollout(seed)
        pair.update(seed)
        prints.append(fingerprint(pair.tested))
    assert prints[1] == prints[2] == prints[0]


def test_policy_steps_agree_with_eager(make_pair):
    """Law: one step, from the storage into the storage, gives what the models themselves give, draw after draw."""
    pair = make_pair(engine="eager")
    pair.rollout(0)
    pair.update(0)
    ppo, eager = pair
    step = StaticPolicyStep(ppo.actor, ppo.critic, ppo.sampler.seed, CPU)
    obs = ppo.storage.observations[3].clone()
    for _ in range(2):
        eager.act(obs)
        ppo.storage.store_observations(obs)
        step.load(ppo.sampler.next_offset())
        slot = ppo.storage.slot()
        step.work(slot)
        ppo.sampler.offset += 1
        expected = eager.transition
        torch.testing.assert_close(slot.actions, expected.actions, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(slot.actions_log_prob, expected.actions_log_prob, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(slot.values, expected.values, rtol=1e-5, atol=1e-6)
        for ours, theirs in zip(slot.distribution_params, expected.distribution_params, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_policy_step_never_asks_the_host(make_pair):
    """Law: neither models nor noise are read by the host."""
    pair = make_pair(engine="eager")
    pair.rollout(0)
    pair.update(0)
    ppo = pair.tested
    step = StaticPolicyStep(ppo.actor, ppo.critic, 1, CPU)
    step.load(7)
    with NoHostReads():
        step.work(ppo.storage.slot())


def test_which_policy_steps_are_captured(make_pair):
    """Law: models that are not known, other samplers and other storages act by themselves, and the reason is named."""
    ppo = make_pair().tested
    actor, critic = describe_mlp(ppo.actor), describe_mlp(ppo.critic)
    assert refuses_steps(actor, critic, ppo.sampler, ppo.storage) is None
    assert refuses_steps("is compiled", critic, ppo.sampler, ppo.storage) == "the actor is compiled"
    assert refuses_steps(actor, "has a hook", ppo.sampler, ppo.storage) == "the critic has a hook"
    assert "drawn otherwise" in str(refuses_steps(actor, critic, None, ppo.storage))
    assert "drawn otherwise" in str(refuses_steps(actor, critic, SimpleNamespace(act=print), ppo.storage))
    other = type("Other", (RolloutStorage,), {})
    assert "storage" in str(refuses_steps(actor, critic, ppo.sampler, other.__new__(other)))
