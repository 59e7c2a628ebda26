# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""A known model is exactly what its class says; whatever is changed about it makes it unknown, and says so."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rslcore.engine import describe_mlp
from rslcore.models import MLPModel, RNNModel
from rslcore.modules import GaussianDistribution

OBS = {"policy": torch.zeros(2, 5), "extra": torch.zeros(2, 3)}
GAUSSIAN = {"class_name": "GaussianDistribution"}


def make_model(model_class=MLPModel, **settings):
    """A model of two observation groups with everything that may be known."""
    settings = {"hidden_dims": [8, 7], "obs_normalization": True, "distribution_cfg": GAUSSIAN, **settings}
    return model_class(OBS, {"actor": ["policy", "extra"]}, "actor", 4, **settings)


def test_everything_that_is_known():
    """Law: a plain model is described by its own parameters and parts, and the description is kept."""
    model = make_model()
    known = describe_mlp(model)
    assert known.groups == ("policy", "extra") and known.activation == "elu"
    assert known.normalizer is model.obs_normalizer and known.distribution is model.distribution
    assert [weight.shape for weight in known.weights] == [(8, 8), (7, 8), (4, 7)]
    assert all(
        w is layer.weight and b is layer.bias
        for w, b, layer in zip(known.weights, known.biases, list(model.mlp)[::2], strict=True)
    )
    assert describe_mlp(model) is known
    assert describe_mlp(copy.deepcopy(model)) is not known


def test_known_without_parts():
    """Law: neither normalizer nor distribution nor hidden layers are needed."""
    known = describe_mlp(make_model(obs_normalization=False, distribution_cfg=None, hidden_dims=[]))
    assert known.normalizer is None and known.distribution is None and len(known.weights) == 1


class Subclass(MLPModel):
    """Does nothing else, but could."""


class OtherGaussian(GaussianDistribution):
    """Does nothing else, but could."""


def parametrize(model):
    """Weight normalization."""
    nn.utils.parametrizations.weight_norm(model.mlp[0])


def swap_forward(model):
    """The method of the class, but as an attribute of the layer."""
    model.mlp[0].forward = nn.Linear.forward.__get__(model.mlp[0])


def set_attribute(path, name, value):
    """A function that sets an attribute of a submodule."""

    def change(model):
        setattr(model.get_submodule(path), name, value)

    return change


CHANGES = {
    "module_hook": (lambda m: m.register_forward_hook(lambda *_: None), "hook"),
    "hook_of_a_layer": (lambda m: m.mlp[2].register_forward_pre_hook(lambda *_: None), "hook on mlp.2"),
    "backward_hook": (lambda m: m.mlp.register_full_backward_hook(lambda *_: None), "hook on mlp"),
    "hook_of_the_distribution": (lambda m: m.distribution.register_forward_hook(lambda *_: None), "hook"),
    "tensor_hook": (lambda m: m.mlp[0].weight.register_hook(lambda g: g), "hook on the parameter mlp.0.weight"),
    "accumulate_hook": (
        lambda m: m.mlp[4].bias.register_post_accumulate_grad_hook(lambda p: None),
        "hook on the parameter mlp.4.bias",
    ),
    "hook_of_the_noise": (lambda m: m.distribution.std_param.register_hook(lambda g: g), "hook on the parameter"),
    "frozen": (lambda m: m.mlp[0].bias.requires_grad_(False), "frozen parameter: mlp.0.bias"),
    "replaced_method": (set_attribute("", "get_latent", lambda obs: obs), "replaced method: get_latent"),
    "replaced_forward": (swap_forward, "replaced method on mlp.0: forward"),
    "replaced_method_of_the_distribution": (set_attribute("distribution", "log_prob", lambda x: x), "distribution"),
    "replaced_method_of_the_normalizer": (set_attribute("obs_normalizer", "update", lambda x: x), "normalizer"),
    "parametrization": (parametrize, "ParametrizedLinear"),
    "another_layer": (set_attribute("mlp", "2", nn.Identity()), "Identity at mlp.2"),
    "several_activations": (set_attribute("mlp", "3", nn.Tanh()), "several kinds of activations"),
    "activation_settings": (set_attribute("mlp.1", "alpha", 0.5), "ELU with alpha 0.5"),
    "no_bias": (set_attribute("mlp.0", "bias", None), "without weight and bias"),
    "float64": (lambda m: m.double(), "is not float32"),
    "another_normalizer": (set_attribute("", "obs_normalizer", nn.LayerNorm(8)), "another normalizer: LayerNorm"),
    "another_distribution": (set_attribute("", "distribution", OtherGaussian(4)), "OtherGaussian"),
    "another_part": (set_attribute("", "encoder", nn.Identity()), "encoder"),
    "shared_parameter": (lambda m: setattr(m.mlp[2], "weight", m.mlp[0].weight), "share a parameter"),
    "compiled_in_place": (lambda m: m.compile(), "compiled"),
    "not_contiguous": (
        lambda m: setattr(m.mlp[0].weight, "data", torch.zeros(8, 8).t()),
        "not contiguous: mlp.0.weight",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("described", [False, True], ids=["at_once", "later"])
def test_changes_make_a_model_unknown(change, described):
    """Law: each change is seen, in a new model as in one that was described before, and named."""
    apply, reason = CHANGES[change]
    model = make_model()
    if described:
        assert not isinstance(describe_mlp(model), str)
    apply(model)
    assert reason in str(describe_mlp(model))


def test_a_layer_of_the_same_kind_is_described_anew():
    """Law: a replaced layer is no obstacle, and the parameters are its own."""
    model = make_model()
    before = describe_mlp(model)
    model.mlp[2] = nn.Linear(8, 7)
    after = describe_mlp(model)
    assert after is not before and after.weights[1] is model.mlp[2].weight
    model.mlp[2].weight = nn.Parameter(torch.zeros(7, 8))
    assert describe_mlp(model).weights[1] is model.mlp[2].weight
    model.obs_groups = ["extra", "policy"]
    assert describe_mlp(model).groups == ("extra", "policy")


def test_a_removed_hook_is_no_hook():
    """Law: a model is known again when what made it unknown is gone."""
    model = make_model()
    handles = [model.register_forward_hook(lambda *_: None), model.mlp[0].weight.register_hook(lambda g: g)]
    assert "hook" in describe_mlp(model)
    for handle in handles:
        handle.remove()
    assert not isinstance(describe_mlp(model), str)


def test_hooks_on_all_modules_and_autocast():
    """Law: what changes every module is seen."""
    model = make_model()
    assert not isinstance(describe_mlp(model), str)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert "hooks on all modules" in describe_mlp(model)
    finally:
        handle.remove()
    with torch.autocast("cpu", torch.bfloat16):
        assert "autocast" in describe_mlp(model)
    assert not isinstance(describe_mlp(model), str)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(MLPModel, "get_latent"), (GaussianDistribution, "entropy"), (nn.Linear, "forward"), (nn.ELU, "forward")],
)
def test_a_replaced_method_of_a_class(monkeypatch, owner, name):
    """Law: a method replaced in the class itself is seen."""
    model = make_model()
    assert not isinstance(describe_mlp(model), str)
    monkeypatch.setattr(owner, name, lambda self, *args: None)
    assert owner.__name__ in describe_mlp(model)


def test_other_models_are_not_known():
    """Law: subclasses, other models and compiled ones are named."""
    assert describe_mlp(make_model(Subclass)) == "is a subclass of MLPModel: Subclass"
    assert "RNNModel" in describe_mlp(make_model(RNNModel))
    assert describe_mlp(torch.compile(make_model())) == "is no MLPModel: OptimizedModule"
    assert describe_mlp(None) == "is no MLPModel: NoneType"
    beta = make_model(distribution_cfg={"class_name": "BetaDistribution"})
    assert "BetaDistribution" in describe_mlp(beta) or "Unflatten" in describe_mlp(beta)
