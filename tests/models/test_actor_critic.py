# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Laws of the policies that hold actor and critic; names as in rsl_rl 3.3 (checked by hand)."""

from __future__ import annotations

import copy
import inspect
import io

import pytest
import torch
from tensordict import TensorDict

from rslcore.algorithms import PPO
from rslcore.config import ActorCriticCfg, ActorCriticCNNCfg, ActorCriticRecurrentCfg
from rslcore.models import ActorCritic, ActorCriticCNN, ActorCriticRecurrent, CNNModel, MLPModel, RNNModel
from rslcore.storage import RolloutStorage

N = 4
SETS = {"policy": ["proprio"], "critic": ["proprio", "privileged"]}
IMAGE_SETS = {"policy": ["proprio", "camera"], "critic": ["proprio", "privileged"]}
SMALL = {"actor_hidden_dims": [8], "critic_hidden_dims": [6]}
NORMALIZED = {"actor_obs_normalization": True, "critic_obs_normalization": True}
CNN = {"output_channels": [4], "kernel_size": 3}
STATISTICS = ["_mean", "_var", "_std", "count"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def observe(generator=None):
    """Two vectors and an image."""
    shapes = {"proprio": (5,), "privileged": (2,), "camera": (3, 8, 8)}
    obs = {name: torch.randn(N, *shape, generator=generator) for name, shape in shapes.items()}
    return TensorDict(obs, batch_size=[N])


def linear(name, *layers):
    """Keys of linear layers."""
    return [f"{name}.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


def recurrent(name):
    """Keys of one recurrent layer."""
    return [f"{name}.rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def statistics(name):
    """Keys of a normalizer."""
    return [f"{name}.{entry}" for entry in STATISTICS]


KEYS = {
    "plain": (ActorCritic, SMALL, ["std", *linear("actor", 0, 2), *linear("critic", 0, 2)]),
    "log": (
        ActorCritic,
        {**SMALL, "noise_std_type": "log"},
        ["log_std", *linear("actor", 0, 2), *linear("critic", 0, 2)],
    ),
    "state_dependent": (
        ActorCritic,
        {**SMALL, "state_dependent_std": True},
        [*linear("actor", 0, 2), *linear("critic", 0, 2)],
    ),
    "normalized": (
        ActorCritic,
        {**SMALL, **NORMALIZED},
        [
            "std",
            *linear("actor", 0, 2),
            *statistics("actor_obs_normalizer"),
            *linear("critic", 0, 2),
            *statistics("critic_obs_normalizer"),
        ],
    ),
    "gru": (
        ActorCriticRecurrent,
        {**SMALL, **NORMALIZED, "rnn_type": "gru", "rnn_hidden_dim": 7},
        [
            "std",
            *recurrent("memory_a"),
            *linear("actor", 0, 2),
            *statistics("actor_obs_normalizer"),
            *recurrent("memory_c"),
            *linear("critic", 0, 2),
            *statistics("critic_obs_normalizer"),
        ],
    ),
    "cnn": (
        ActorCriticCNN,
        {**SMALL, "actor_cnn_cfg": CNN},
        ["std", *linear("actor_cnns.camera", 0), *linear("actor", 0, 2), *linear("critic", 0, 2)],
    ),
}


def make(name):
    """One of the policies, for three actions."""
    kind, settings, _ = KEYS[name]
    return kind(observe(), IMAGE_SETS if kind is ActorCriticCNN else SETS, 3, **settings)


@pytest.mark.parametrize("name", KEYS)
def test_state_dict_has_the_names_and_the_order_of_3x(name):
    """Law: names and order of the entries are those of rsl_rl 3.3, and of the parameters too."""
    policy = make(name)
    keys = KEYS[name][2]
    assert list(policy.state_dict()) == keys
    assert [key for key, _ in policy.named_parameters()] == [key for key in keys if "normalizer" not in key]


@pytest.mark.parametrize("name", KEYS)
def test_methods_are_those_of_the_two_models(name):
    """Law: act, act_inference, evaluate and what follows from them are the models' own, to the last bit."""
    policy, obs = make(name), observe()
    twin = copy.deepcopy(policy)
    actor, critic = twin.actor_model, twin.critic_model
    torch.manual_seed(1)
    actions = policy.act(obs)
    torch.manual_seed(1)
    assert torch.equal(actions, actor(obs, stochastic_output=True))
    assert torch.equal(policy.action_mean, actor.output_mean)
    assert torch.equal(policy.action_std, actor.output_std)
    assert torch.equal(policy.entropy, actor.output_entropy)
    assert torch.equal(policy.get_actions_log_prob(actions), actor.get_output_log_prob(actions))
    assert torch.equal(policy.evaluate(obs), critic(obs))
    assert torch.equal(policy.act_inference(obs), actor(obs))
    assert policy.evaluate(obs).shape == (N, 1) and actions.shape == (N, 3)
    with pytest.raises(NotImplementedError, match="act_inference"):
        policy(obs)


@pytest.mark.parametrize("name", KEYS)
def test_a_checkpoint_through_a_file(name):
    """Law: load_state_dict returns True, reaches the models, and refuses other names; a copy is independent."""
    source, policy, obs = make(name), make(name), observe()
    file = io.BytesIO()
    torch.save({"model_state_dict": source.state_dict()}, file)
    file.seek(0)
    assert policy.load_state_dict(torch.load(file, weights_only=True)["model_state_dict"]) is True
    for mine, other in ((policy.actor_model, source.actor_model), (policy.critic_model, source.critic_model)):
        assert all(torch.equal(tensor, other.state_dict()[key]) for key, tensor in mine.state_dict().items())
    with torch.no_grad():
        assert torch.equal(policy.act_inference(obs), source.act_inference(obs))
    with pytest.raises(RuntimeError, match=r"other\.0"):
        policy.load_state_dict({**source.state_dict(), "other.0": torch.zeros(1)})
    twin = copy.deepcopy(policy)
    with torch.no_grad():
        next(twin.actor_model.mlp.parameters()).add_(1.0)
    assert twin.actor_model.mlp is twin.actor
    assert not torch.equal(next(twin.parameters()), next(policy.actor_model.mlp.parameters()))


@pytest.mark.parametrize(("kind", "by_name"), [(ActorCritic, False), (ActorCritic, True), (ActorCriticRecurrent, True)])
def test_the_constructor_of_2x_takes_widths_and_its_methods_tensors(kind, by_name):
    """Law: widths in place of observations give a policy on the groups "policy" and "critic", and on tensors alone."""
    widths = {"num_actor_obs": 5, "num_critic_obs": 7, "num_actions": 3}
    policy = kind(**widths, **SMALL) if by_name else kind(*widths.values(), **SMALL)
    actor_obs, critic_obs = torch.randn(N, 5), torch.randn(N, 7)
    obs = TensorDict({"policy": actor_obs, "critic": critic_obs}, batch_size=[N])
    assert policy.act(actor_obs).shape == (N, 3)
    policy.reset()
    from_tensors = policy.act_inference(actor_obs), policy.evaluate(critic_obs)
    policy.reset()
    assert torch.equal(from_tensors[0], policy.act_inference(obs))
    assert torch.equal(from_tensors[1], policy.evaluate(obs))


def test_attributes_of_old_play_scripts_and_exporters():
    """Law: the parts are where scripts for 2.x and 3.x look for them, and are the models' parts."""
    policy = make("gru")
    assert policy.is_recurrent and not make("plain").is_recurrent
    assert policy.actor is policy.actor_model.mlp and policy.actor[0].in_features == 7
    assert policy.critic is policy.critic_model.mlp
    assert policy.memory_a.rnn is policy.actor_model.rnn.rnn and policy.memory_c is policy.critic_model.rnn
    assert policy.actor_obs_normalizer is policy.actor_model.obs_normalizer
    assert policy.actor_obs_normalization and policy.critic_obs_normalization
    assert policy.std is policy.actor_model.distribution.std_param
    assert isinstance(policy.actor_model, RNNModel) and isinstance(policy.critic_model, RNNModel)
    seeing = make("cnn")
    assert isinstance(seeing.actor_model, CNNModel) and type(seeing.critic_model) is MLPModel
    assert seeing.actor_cnns is seeing.actor_model.cnns and seeing.critic_cnns is None


def test_observations_are_concatenated_in_the_order_of_the_set():
    """Law: get_actor_obs and get_critic_obs return what the models see; with images, those beside."""
    obs = observe()
    assert torch.equal(make("plain").get_critic_obs(obs), torch.cat((obs["proprio"], obs["privileged"]), 1))
    vectors, images = make("cnn").get_actor_obs(obs)
    assert torch.equal(vectors, obs["proprio"]) and torch.equal(images["camera"], obs["camera"])


def test_update_distribution_takes_the_input_of_the_mlp():
    """Law: as in 2.x, update_distribution(x) makes the MLP's output of x the mean."""
    policy, latent = make("plain"), torch.randn(N, 5)
    policy.update_distribution(latent)
    assert torch.equal(policy.action_mean, policy.actor(latent))
    assert torch.equal(policy.action_std, torch.ones(N, 3))


def test_statistics_and_modes_reach_both_models():
    """Law: update_normalization, train and eval act on both models."""
    policy = make("normalized")
    policy.update_normalization(observe())
    assert policy.actor_obs_normalizer.count == policy.critic_obs_normalizer.count == N
    assert policy.eval() is policy
    assert not policy.actor_model.training and not policy.critic_model.mlp.training
    assert policy.train().critic_model.training


def test_hidden_states_of_ended_episodes_are_forgotten():
    """Law: reset(dones) zeroes the rows that ended in both memories and keeps the others; reset() forgets all."""
    policy = make("gru")
    policy.act(observe()), policy.evaluate(observe())
    before = [state.clone() for state in policy.get_hidden_states()]
    policy.reset(torch.tensor([1, 0, 0, 1]))
    for old, new in zip(before, policy.get_hidden_states(), strict=True):
        assert torch.equal(new[:, 1:3], old[:, 1:3]) and not new[:, [0, 3]].any()
    policy.reset()
    assert policy.get_hidden_states() == (None, None)
    policy.reset(hidden_states=tuple(before))
    assert torch.equal(policy.get_hidden_states()[1], before[1])


def rollout(alg, generator, steps):
    """Fill the storage."""
    obs = observe(generator)
    for _ in range(steps):
        alg.act(obs)
        obs = observe(generator)
        dones = torch.rand(N, generator=generator) < 0.3
        alg.process_env_step(obs, torch.randn(N, generator=generator), dones, {"time_outs": dones})
    alg.compute_returns(obs)


@pytest.mark.parametrize("name", ["normalized", "state_dependent", "gru", "cnn"])
def test_ppo_on_a_policy_is_ppo_on_its_models(name):
    """Law: PPO(policy, storage=...) makes the same updates as PPO(actor, critic, ...), and `policy` sees them."""
    policy = make(name)
    twin = copy.deepcopy(policy)
    runs = []
    for models in ((policy,), (twin.actor_model, twin.critic_model)):
        torch.manual_seed(2)
        generator = torch.Generator().manual_seed(3)
        storage = RolloutStorage("rl", N, 6, observe(), [3], seed=4)
        alg = PPO(*models, storage=storage, num_learning_epochs=2, num_mini_batches=2)
        alg.train_mode()
        before = {key: tensor.clone() for key, tensor in policy.state_dict().items()}
        losses = []
        for _ in range(2):
            rollout(alg, generator, steps=6)
            losses.append(alg.update())
        runs.append(losses)
        if len(models) == 1:
            assert alg.policy is policy and alg.actor is policy.actor_model
            assert all(not torch.equal(tensor, before[key]) for key, tensor in policy.state_dict().items())
    assert runs[0] == runs[1]
    assert all(torch.equal(tensor, twin.state_dict()[key]) for key, tensor in policy.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "cfg"),
    [
        (ActorCritic, ActorCriticCfg),
        (ActorCriticRecurrent, ActorCriticRecurrentCfg),
        (ActorCriticCNN, ActorCriticCNNCfg),
    ],
)
def test_settings_and_constructor_agree(kind, cfg):
    """Law: every setting is a keyword with the same default."""
    parameters = inspect.signature(kind.__init__).parameters
    defaults = {name: value for name, value in vars(cfg()).items() if name != "class_name"}
    assert cfg().class_name == kind.__name__
    assert {name: parameters[name].default for name in defaults} == defaults
    assert set(parameters) - set(defaults) == {"self", "obs", "obs_groups", "num_actions", "kwargs"}


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ((), {}, TypeError, "`obs` and `obs_groups` must be"),
        ((5, SETS, 3), {}, TypeError, "got int and dict"),
        ((5, 7), {}, TypeError, "`num_actions` must be an integer, got None"),
        ((observe(), {"policy": ["proprio"]}, 3), {}, ValueError, "must have the set 'critic'"),
        ((5, 7, 3), {"noise_std_type": "cubic"}, ValueError, "must be 'scalar' or 'log', got 'cubic'"),
    ],
)
def test_bad_arguments_are_named(arguments, settings, error, message):
    """Law: an error says which argument is wrong, and what came."""
    with pytest.raises(error, match=message):
        ActorCritic(*arguments, **settings)


def test_unknown_keywords_are_ignored_with_the_nearest_name():
    """Law: as in 2.x and 3.x, settings of another version do not stop a run, but are told."""
    with pytest.warns(UserWarning, match="'actor_hidden_dim' is unknown and ignored; did you mean 'actor_hidden_dims'"):
        ActorCritic(5, 7, 3, actor_hidden_dim=[4])
    with pytest.warns(DeprecationWarning, match="rnn_hidden_dim"):
        policy = ActorCriticRecurrent(5, 7, 3, rnn_hidden_size=11)
    assert policy.memory_a.rnn.hidden_size == 11


def test_several_groups_cannot_come_as_one_tensor():
    """Law: a tensor stands for a single group; for several it is refused."""
    with pytest.raises(ValueError, match="must be a dict of the groups"):
        make("plain").evaluate(torch.zeros(N, 7))


def test_images_are_needed():
    """Law: without any image group, the error names the class to take."""
    with pytest.raises(ValueError, match="take ActorCritic"):
        ActorCriticCNN(observe(), SETS, 3)


def test_a_replaced_part_is_the_one_that_acts():
    """Law: what a subclass or a program puts in place of a part acts, is saved, and is copied with the policy."""
    policy = ActorCritic(observe(), SETS, 2, **SMALL)
    policy.actor = torch.nn.Sequential(torch.nn.Linear(observe()["proprio"].shape[-1], 2))
    policy.std = torch.nn.Parameter(torch.full((2,), 0.7))
    obs = observe()
    for owner in (policy, copy.deepcopy(policy)):
        owner.act(obs)
        assert owner.action_std[0].tolist() == pytest.approx([0.7, 0.7])
        assert torch.equal(owner.act_inference(obs), owner.actor(obs["proprio"]))
        assert owner.actor_model.mlp is owner.actor
        assert owner.actor_model.distribution.std_param is owner.std
