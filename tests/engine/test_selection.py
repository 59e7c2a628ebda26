# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The engine is chosen anew for every update, and what it cannot run falls back to the eager engine by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rslcore.algorithms import PPO
from rslcore.engine.minibatch_kernel import missing_kernel
from rslcore.models import MLPModel
from rslcore.modules import GaussianDistribution

pytestmark = pytest.mark.skipif(missing_kernel() is not None, reason="needs the compiled operators")


def mirror(env, obs, actions):
    """A symmetry: everything changes its sign."""
    if obs is not None:
        obs = torch.cat([obs, obs.apply(torch.neg)])
    return obs, None if actions is None else torch.cat([actions, -actions])


class OwnModel(MLPModel):
    """A policy of one's own: it sees half of everything."""

    def get_latent(self, obs, masks=None, hidden_state=None):
        """Halve the input."""
        return super().get_latent(obs, masks, hidden_state) / 2


class OwnDistribution(GaussianDistribution):
    """A distribution of one's own: without entropy."""

    @property
    def entropy(self):
        """Nothing."""
        return 0 * super().entropy


class OwnPPO(PPO):
    """An algorithm of one's own: half the loss."""

    def evaluate_mini_batch(self, batch):
        """Halve the loss."""
        result = super().evaluate_mini_batch(batch)
        return result._replace(loss=result.loss / 2)


MODELS = {
    "subclass": ({"actor__class_name": OwnModel}, "the actor is a subclass of MLPModel: OwnModel"),
    "distribution": ({"distribution__class_name": OwnDistribution}, "the actor has another distribution: OwnDistri"),
    "beta": ({"distribution__class_name": "BetaDistribution"}, "the actor has"),
    "algorithm": ({"class_name": OwnPPO}, "the algorithm is a subclass of PPO: OwnPPO"),
    "symmetry": (
        {"symmetry_cfg": {"data_augmentation_func": mirror, "use_data_augmentation": True, "use_mirror_loss": True}},
        "symmetry is used",
    ),
    "convolution": (
        {
            "actor__class_name": "CNNModel",
            "actor__cnn_cfg": {"output_channels": [3], "kernel_size": 3},
            "obs_groups__actor": ["policy", "image"],
        },
        "the actor is a subclass of MLPModel: CNNModel",
    ),
}


def freeze(alg):
    """The first layer does not learn."""
    alg.actor.mlp[0].weight.requires_grad_(False)


def add_layer_norm(alg):
    """Another kind of layer."""
    alg.critic.mlp[1] = nn.Sequential(nn.LayerNorm(40), nn.ELU())


def share_layer(alg):
    """Actor and critic share a parameter."""
    alg.critic.mlp[-1].bias = alg.actor.mlp[0].bias = nn.Parameter(torch.zeros(1))


CHANGES = {
    "hook": (
        lambda alg: alg.actor.mlp[1].register_forward_hook(lambda m, x, y: y / 2),
        "the actor has a hook on mlp.1",
    ),
    "tensor_hook": (
        lambda alg: alg.critic.mlp[0].weight.register_hook(lambda g: g / 2),
        "the critic has a hook on the parameter mlp.0.weight",
    ),
    "frozen": (freeze, "the actor has a frozen parameter: mlp.0.weight"),
    "layer": (add_layer_norm, "the critic has several kinds of activations|the critic has another activation"),
    "replaced_method": (
        lambda alg: setattr(alg.actor, "get_latent", lambda obs, *_: 0.5 * obs["policy"]),
        "the actor has a replaced method: get_latent",
    ),
    "replaced_rule": (
        lambda alg: setattr(alg, "evaluate_mini_batch", lambda batch: PPO.evaluate_mini_batch(alg, batch)),
        "the algorithm has a replaced method: evaluate_mini_batch",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_other_models_and_algorithms_fall_back(make_pair, case):
    """Law: what is not exactly known runs on the eager engine, with the reason in words and its own results."""
    settings, reason = MODELS[case]
    pair = make_pair(**settings)
    assert pair.tested.engine.name == "eager"
    assert reason in pair.tested.engine_reason
    pair.assert_same_after(engine="eager")


@pytest.mark.parametrize("case", CHANGES)
def test_changes_fall_back(make_pair, case):
    """Law: a hook, a frozen parameter, a replaced part or method is seen before the next update, and has its effect."""
    change, reason = CHANGES[case]
    pair = make_pair()
    assert pair.tested.engine.name == "fused"
    for alg in pair:
        change(alg)
    with pytest.warns(RuntimeWarning, match=f"PPO: engine eager takes over from fused .({reason})"):
        pair.assert_same_after(engine="eager")


def test_the_change_is_told_once(make_pair, recwarn):
    """Law: an engine that takes over says so at its first update only."""
    pair = make_pair()
    pair.tested.critic.mlp[0].bias.requires_grad_(False)
    for seed in range(2):
        pair.rollout(seed)
        pair.update(seed)
    assert len([w for w in recwarn if "takes over" in str(w.message)]) == 1


@pytest.mark.parametrize(("engine", "reason"), [("fused", "the actor is a subclass of MLPModel: OwnModel")])
def test_an_engine_that_is_insisted_on_says_why_it_cannot(make_pair, engine, reason):
    """Law: an engine asked for by name runs, or the error names the reason."""
    assert make_pair(engine=engine).tested.engine_reason.startswith("as asked for")
    with pytest.raises(ValueError, match=f"PPO: `engine` '{engine}' cannot run this job: {reason}"):
        make_pair(engine=engine, actor__class_name=OwnModel)


def test_an_engine_that_becomes_impossible_stops_the_update(make_pair):
    """Law: an engine asked for by name is not replaced silently when a hook comes."""
    pair = make_pair(engine="fused")
    pair.rollout(0)
    pair.tested.critic.register_forward_hook(lambda *_: None)
    before = [parameter.detach().clone() for parameter in pair.tested.actor.parameters()]
    with pytest.raises(ValueError, match="`engine` 'fused' cannot run this job: the critic has a hook"):
        pair.tested.update()
    assert all(torch.equal(a, b) for a, b in zip(before, pair.tested.actor.parameters(), strict=True))


def test_unknown_names_are_corrected(make_pair):
    """Law: an engine that does not exist is refused with the nearest one."""
    with pytest.raises(ValueError, match="PPO: `engine` 'fusd' is unknown; did you mean 'fused'"):
        make_pair(engine="fusd")


def test_mixed_precision_falls_back(make_pair):
    """Law: bfloat16 is torch's business."""
    assert "mixed precision is used" in make_pair(use_mixed_precision=True).tested.engine_reason


def test_compiled_models_run_as_compiled(make_pair):
    """Law: a model that was given to torch.compile is not taken apart."""
    pair = make_pair()
    pair.tested.compile("default")
    with pytest.warns(RuntimeWarning, match="the actor is no MLPModel: OptimizedModule"):
        assert pair.tested.select_engine().name == "eager"
