# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import rsl_rl.models
import torch
from tensordict import TensorDict

from rslcore.models import MLPModel
from rslcore.modules import GaussianDistribution

GROUPS = {"actor": ["policy", "extra"], "critic": ["policy"]}
OBS = TensorDict({"policy": torch.randn(6, 4), "extra": torch.randn(6, 2)}, batch_size=[6])
GAUSSIAN = {"class_name": "GaussianDistribution", "init_std": 0.4}


def make(model_class=MLPModel, **keywords):
    """A model with the same initial weights every time."""
    torch.manual_seed(0)
    return model_class(OBS, GROUPS, "actor", 3, hidden_dims=[8, 5], **keywords)


@pytest.mark.parametrize("distribution_cfg", [None, GAUSSIAN])
@pytest.mark.parametrize("obs_normalization", [False, True])
def test_equals_the_oracle(obs_normalization, distribution_cfg):
    """Law: same seed, same initial weights, same order of parameters and buffers, same outputs as rsl-rl-lib."""
    ours, oracle = (
        make(c, obs_normalization=obs_normalization, distribution_cfg=distribution_cfg)
        for c in (MLPModel, rsl_rl.models.MLPModel)
    )
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in oracle.named_parameters()]
    for model in (ours, oracle):
        model.update_normalization(OBS)
    assert list(ours.state_dict()) == list(oracle.state_dict())
    assert torch.equal(ours.mlp[0].weight, oracle.mlp[0].weight)
    torch.testing.assert_close(ours(OBS), oracle(OBS), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.get_latent(OBS), oracle.get_latent(OBS), rtol=1e-5, atol=1e-6)
    if distribution_cfg is not None:
        samples = []
        for model in (ours, oracle):
            torch.manual_seed(3)
            samples.append(model(OBS, stochastic_output=True))
        torch.testing.assert_close(samples[0], samples[1], rtol=1e-5, atol=1e-6)
        for name in ("output_mean", "output_std", "output_entropy"):
            torch.testing.assert_close(getattr(ours, name), getattr(oracle, name), rtol=1e-5, atol=1e-6)
        for mine, expected in zip(ours.output_distribution_params, oracle.output_distribution_params, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours.get_output_log_prob(samples[1]), oracle.get_output_log_prob(samples[1]))


def test_groups_are_concatenated_in_the_order_given():
    """Law: the latent is the groups of the set, in their order."""
    model = make()
    assert model.obs_groups == ["policy", "extra"] and model.obs_dim == 6
    assert torch.equal(model.get_latent(OBS), torch.cat([OBS["policy"], OBS["extra"]], dim=-1))


def test_a_plain_dictionary_of_single_observations_will_do():
    """Law: inference takes unbatched 1-D tensors in a dict, as programs that play a policy give them."""
    model = make(obs_normalization=True, distribution_cfg=GAUSSIAN)
    single = {name: value[0] for name, value in OBS.items()}
    torch.testing.assert_close(model(single), model(OBS)[0])


def test_normalization_is_off_unless_asked_for():
    """Law: without obs_normalization, update_normalization does nothing and the state dict has no statistics."""
    model = make()
    model.update_normalization(OBS)
    assert not any(name.startswith("obs_normalizer") for name in model.state_dict())


def test_subclasses_may_replace_the_latent_and_the_mlp():
    """Law: what downstream models override is used."""

    class Half(MLPModel):
        def _get_latent_dim(self):
            return 2

        def get_latent(self, obs, masks=None, hidden_state=None):
            return super().get_latent(obs)[:, :2]

    model = make(Half)
    assert model(OBS).shape == (6, 3)
    del model.mlp
    model.mlp = torch.nn.Linear(2, 1)
    assert model(OBS).shape == (6, 1)


def test_the_interface_of_recurrent_models_is_there():
    """Law: code written for any model may reset it and ask for its hidden state."""
    model = make()
    model.reset(torch.ones(6))
    model.detach_hidden_state()
    assert model.get_hidden_state() is None and model.is_recurrent is False


def test_a_class_of_ones_own_as_distribution():
    """Law: `class_name` takes a class, "module:Class", and names of rsl_rl."""
    for name in (GaussianDistribution, "rslcore.modules:GaussianDistribution", "rsl_rl.modules:GaussianDistribution"):
        assert type(make(distribution_cfg={"class_name": name}).distribution) is GaussianDistribution


def test_clear_errors():
    """Law: image groups and questions to a distribution that is not there say so."""
    image = TensorDict({"policy": torch.zeros(6, 4, 4), "extra": torch.zeros(6, 2)}, batch_size=[6])
    with pytest.raises(
        ValueError, match=r"MLPModel: the observation group 'policy' must be \[num_envs, D\], got \[6, 4"
    ):
        MLPModel(image, GROUPS, "actor", 3)
    with pytest.raises(RuntimeError, match="deterministic"):
        _ = make().output_std
    with pytest.raises(ValueError, match="MLPModel: `obs_groups` has no set 'acter'; did you mean 'actor'"):
        MLPModel(OBS, GROUPS, "acter", 3)
    with pytest.raises(ValueError, match="no group 'polcy' of the set 'actor'; did you mean 'policy'"):
        MLPModel(OBS, {"actor": ["polcy"]}, "actor", 3)
    wide = TensorDict({"policy": torch.zeros(6, 5), "extra": torch.zeros(6, 2)}, batch_size=[6])
    with pytest.raises(ValueError, match=r"must be 6 wide together, got {'policy': \[6, 5\], 'extra': \[6, 2\]}"):
        make()(wide)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_exported_copies_compute_the_same():
    """Law: the TorchScript and the ONNX copy take concatenated observations and return the deterministic output."""
    model = make(obs_normalization=True, distribution_cfg=GAUSSIAN)
    model.update_normalization(OBS)
    x = torch.cat([OBS["policy"], OBS["extra"]], dim=-1)
    script = torch.jit.script(model.as_jit())
    script.reset()
    torch.testing.assert_close(script(x), model(OBS))
    onnx = model.as_onnx(verbose=False)
    torch.testing.assert_close(onnx(x), model(OBS))
    assert onnx.get_dummy_inputs()[0].shape == (1, 6)
    assert (onnx.input_names, onnx.output_names, onnx.input_size) == (["obs"], ["actions"], 6)
