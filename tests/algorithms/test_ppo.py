# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from rslcore.algorithms import PPO
from rslcore.algorithms import ppo as ppo_module
from rslcore.config import ENGINES, OnPolicyRunnerCfg, RndCfg, RNNModelCfg
from rslcore.engine import EagerEngine
from rslcore.models import ActorCritic, ActorCriticRecurrent, MLPModel
from rslcore.storage import RolloutStorage

N, T, A, D = 4, 3, 2, 5


def observe(n=N):
    """Random observations of one group."""
    return TensorDict({"policy": torch.randn(n, D)}, batch_size=[n])


def make_cfg(**algorithm):
    """A small configuration; keywords are settings of PPO."""
    cfg = OnPolicyRunnerCfg(num_steps_per_env=T).to_dict()
    for model in ("actor", "critic"):
        cfg[model]["hidden_dims"] = [8]
    cfg["algorithm"] |= {"num_mini_batches": 2, "num_learning_epochs": 2, **algorithm}
    return cfg


def make_recurrent_cfg(**algorithm):
    """The same with recurrent models."""
    cfg = make_cfg(**algorithm)
    for model in ("actor", "critic"):
        distribution = cfg[model]["distribution_cfg"]
        cfg[model] = RNNModelCfg(hidden_dims=(8,), rnn_hidden_dim=6).to_dict() | {"distribution_cfg": distribution}
    return cfg


def make_ppo(cfg=None, seed=0, **algorithm):
    """An algorithm in training mode."""
    torch.manual_seed(seed)
    env = SimpleNamespace(num_envs=N, num_actions=A, step_dt=0.02)
    ppo = PPO.construct_algorithm(observe(), env, cfg or make_cfg(**algorithm), "cpu")
    ppo.train_mode()
    return ppo


def rollout(ppo):
    """Fill the storage with random experience."""
    with torch.inference_mode():
        for _ in range(T):
            ppo.act(observe())
            ppo.process_env_step(observe(), torch.randn(N), torch.rand(N) < 0.3, {})
        ppo.compute_returns(observe())


def test_what_is_stored_is_a_copy():
    """Law: an environment may overwrite observations, actions and rewards in place after handing them over."""
    ppo = make_ppo()
    obs = observe()
    before = obs["policy"].clone()
    actions = ppo.act(obs)
    sampled = actions.clone()
    obs["policy"].zero_()
    actions.zero_()
    rewards = torch.ones(N)
    ppo.process_env_step(obs, rewards, torch.zeros(N), {"time_outs": torch.ones(N)})
    rewards.zero_()
    assert torch.equal(ppo.storage.observations["policy"][0], before)
    assert torch.equal(ppo.storage.actions[0], sampled)
    assert (ppo.storage.rewards[0] != 0).all()


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_time_outs_add_the_discounted_value_to_the_stored_reward(dtype):
    """Law: r + gamma * V(s_t) where the episode was cut off, r elsewhere; flags of any dtype."""
    ppo = make_ppo(gamma=0.9)
    obs = observe()
    ppo.act(obs)
    flags = torch.tensor([1, 0, 1, 0])
    given = torch.tensor([1.0, 2.0, 3.0, 4.0])
    ppo.process_env_step(obs, given, flags.to(dtype), {"time_outs": flags.to(dtype)})
    values = ppo.critic(obs).view(-1)
    torch.testing.assert_close(ppo.storage.rewards[0].view(-1), given + 0.9 * values * flags)
    assert given.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert ppo.storage.dones[0].view(-1).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("where", ["cpu", "elsewhere"])
@pytest.mark.parametrize("make", [make_cfg, make_recurrent_cfg])
def test_time_outs_can_add_the_value_of_the_true_final_observation(make, where, monkeypatch):
    """Law: r + gamma * V(s_T), s_T the last observation before the reset, of the episodes cut off and no others.

    A recurrent critic values it after what it has seen of that episode, and remembers nothing of it. Where the host
    does not ask which episodes those are, the other rows may be anything too.
    """
    if where == "elsewhere":
        monkeypatch.setattr(ppo_module, "_on_host", lambda tensor: False)
    ppo, twin = (make_ppo(make(gamma=0.9, bootstrap_final_obs=True)) for _ in range(2))
    first, second, final = observe(), observe(), observe()
    time_outs = torch.tensor([0.0, 1.0, 0.0, 1.0])
    given = final.clone()
    for group in given.values():
        group[[0, 2]] = torch.nan
    for step, obs in enumerate((first, second)):
        ppo.act(obs)
        extras = {"time_outs": time_outs, "final_obs": given} if step else {}
        ppo.process_env_step(observe(), torch.ones(N), time_outs * step, extras)
    with torch.no_grad():
        for obs in (first, second):
            twin.critic(obs)
        values = twin.critic(final).view(-1)
        torch.testing.assert_close(ppo.storage.rewards[1].view(-1), 1 + 0.9 * values * time_outs)
        # The next rollout step values what it would have without.
        if ppo.critic.is_recurrent:
            reference = make_ppo(make())
            for obs in (first, second):
                reference.critic(obs)
            reference.critic.reset(time_outs)
            torch.testing.assert_close(ppo.critic.get_hidden_state(), reference.critic.get_hidden_state())


def test_only_episodes_cut_off_are_valued():
    """Law: the critic is asked for the rows with a time-out alone; rows of `final_obs` elsewhere may be anything."""
    ppo = make_ppo(bootstrap_final_obs=True)
    ppo.act(observe())
    final = observe()
    final["policy"][[0, 1, 3]] = torch.nan
    seen = []

    class Critic(SimpleNamespace):
        def __call__(self, obs):
            seen.append(obs["policy"].clone())
            return torch.full((len(seen[-1]), 1), 2.0)

    ppo.critic = Critic(get_hidden_state=lambda: None, reset=lambda *args, **kwargs: None)
    flags = torch.tensor([0, 0, 1, 0])
    ppo.process_env_step(observe(), torch.zeros(N), flags, {"time_outs": flags, "final_obs": final})
    assert len(seen) == 1 and torch.equal(seen[0], final["policy"][2:3])
    assert ppo.storage.rewards[0].view(-1).tolist() == pytest.approx([0, 0, 2 * ppo.gamma, 0])


def test_without_final_observations_the_last_value_stands_in():
    """Law: an environment that does not give them is bootstrapped as without the option, with a warning."""
    ppo, obs = make_ppo(bootstrap_final_obs=True), observe()
    ppo.act(obs)
    flags = torch.ones(N)
    with pytest.warns(UserWarning, match="gave no extras\\['final_obs'\\] at a time-out"):
        ppo.process_env_step(observe(), torch.zeros(N), flags, {"time_outs": flags})
    torch.testing.assert_close(ppo.storage.rewards[0], ppo.gamma * ppo.critic(obs))


@pytest.mark.parametrize("rnn_type", ["lstm", "gru"])
def test_rollouts_of_one_step_train_recurrent_models(rnn_type):
    """Law: before its first step a model has a state of zeros, also where no later step of the rollout has one."""
    cfg = make_recurrent_cfg() | {"num_steps_per_env": 1}
    for model in ("actor", "critic"):
        cfg[model]["rnn_type"] = rnn_type
    ppo = make_ppo(cfg)
    for first in (True, False):
        with torch.inference_mode():
            ppo.act(observe())
            ppo.process_env_step(observe(), torch.randn(N), torch.zeros(N), {})
            ppo.compute_returns(observe())
        saved = [*ppo.storage.saved_hidden_state_a, *ppo.storage.saved_hidden_state_c]
        assert all(bool((state == 0).all()) == first for state in saved)
        ppo.update()


def test_hand_computed_returns():
    """Law: with gamma = lambda = 1 and values of zero, returns sum rewards up to the end of the episode."""
    ppo = make_ppo(gamma=1.0, lam=1.0, normalize_advantage_per_mini_batch=True)
    for parameter in ppo.critic.parameters():
        parameter.data.zero_()
    ends = ([0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0])
    for step in range(T):
        ppo.act(observe())
        ppo.process_env_step(observe(), torch.full((N,), 10.0**step), torch.tensor(ends[step]), {})
    ppo.compute_returns(observe())
    assert ppo.storage.returns.squeeze(-1).T.tolist() == [
        [111, 110, 100],
        [11, 10, 100],
        [1, 110, 100],
        [111, 110, 100],
    ]
    assert torch.equal(ppo.storage.advantages, ppo.storage.returns)


def test_update_learns_clears_and_reports():
    """Law: an update changes the parameters, starts the next rollout, and reports finite means."""
    ppo = make_ppo()
    before = copy.deepcopy(ppo.get_policy().state_dict())
    rollout(ppo)
    losses = ppo.update()
    assert list(losses) == ["value", "surrogate", "entropy"]
    assert all(isinstance(loss, float) and loss == loss for loss in losses.values())
    assert all(not torch.equal(value, before[name]) for name, value in ppo.get_policy().state_dict().items())
    assert ppo.storage.step == 0
    rollout(ppo)


def test_normalizers_learn_once_after_the_update():
    """Law: while a rollout is learned from, observations are normalized as they were when it was collected."""
    cfg = make_cfg()
    cfg["actor"]["obs_normalization"] = True
    ppo = make_ppo(cfg)
    rollout(ppo)
    assert ppo.actor.obs_normalizer.count.item() == 0
    stored = ppo.storage.observations["policy"].flatten(0, 1).clone()
    ppo.update()
    assert ppo.actor.obs_normalizer.count.item() == T * N
    torch.testing.assert_close(ppo.actor.obs_normalizer.mean, stored.mean(dim=0))


@pytest.mark.parametrize(("reshuffle", "permutations"), [(False, 1), (True, 2)])
def test_rows_can_be_reshuffled_each_epoch(reshuffle, permutations):
    """Law: one permutation per update, as rsl_rl does, or one per epoch."""
    ppo = make_ppo(reshuffle_each_epoch=reshuffle)
    rollout(ppo)
    offset = ppo.storage.offset
    ppo.update()
    assert ppo.storage.offset - offset == permutations


@pytest.mark.parametrize("kind", [ActorCritic, ActorCriticRecurrent])
def test_a_policy_with_both_models_is_accepted(kind):
    """Law: PPO(policy, storage=...) learns with the policy's own parameters, gives it back, and saves both layouts."""
    torch.manual_seed(0)
    groups = {"policy": ["policy"], "critic": ["policy"]}
    policies = [kind(observe(), groups, A, actor_hidden_dims=[8], critic_hidden_dims=[8]) for _ in range(2)]
    storages = [RolloutStorage("rl", N, T, observe(), [A]) for _ in policies]
    ppo = PPO(policies[0], storage=storages[0], num_mini_batches=2)
    other = PPO(policies[1], storages[1], num_mini_batches=2)
    assert ppo.policy is policies[0] and ppo.get_policy() is policies[0].actor_model
    before = copy.deepcopy(policies[0].state_dict())
    rollout(ppo)
    ppo.update()
    after = policies[0].state_dict()
    assert all(not torch.equal(after[name], value) for name, value in before.items())
    for layout in ("actor_state_dict", "model_state_dict"):
        for parameter in policies[1].parameters():
            parameter.data.zero_()
        saved = copy.deepcopy(ppo.save())
        if layout == "model_state_dict":
            del saved["actor_state_dict"], saved["critic_state_dict"]
        other.load(saved, None, True)
        assert all(torch.equal(policies[1].state_dict()[name], value) for name, value in after.items())


def test_missing_parts_are_named():
    """Law: a model alone is no algorithm."""
    ppo = make_ppo()
    with pytest.raises(TypeError, match="PPO: `critic` must be given, got None"):
        PPO(ppo.actor, storage=ppo.storage)
    with pytest.raises(TypeError, match="PPO: `storage` must be given, got None"):
        PPO(ppo.actor, ppo.critic)


def test_the_engine_is_told_with_its_reason():
    """Law: which engine runs, and why, can be read off."""
    ppo = make_ppo()
    assert ppo.engine.name in ENGINES
    assert ppo.engine_reason
    assert isinstance(make_ppo(engine="eager").engine, EagerEngine)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"share_cnn_encoders": True}, "`share_cnn_encoders` must be False for an actor without CNN.*MLPModel"),
        (
            {"rnd_cfg": {"wait": 1.0}},
            "RandomNetworkDistillation: unknown key 'wait' in `rnd_cfg`; did you mean 'weight'",
        ),
        ({"symmetry_cfg": {"use_mirror_loss": True}}, "Symmetry: `symmetry_cfg` must have a `data_augmentation_func`"),
        ({"num_mini_batches": 13}, "`num_mini_batches` must be at most 12, the rows of a rollout"),
        ({"schedule": "adaptiv"}, "`schedule` 'adaptiv'.*did you mean 'adaptive'"),
        ({"optimizer": "adamm"}, "'adamm'.*did you mean 'adam"),
        ({"clip_parm": 0.1}, "PPO: unknown key 'clip_parm' in `algorithm`; did you mean 'clip_param'"),
        ({"class_name": "PPPO"}, "no class 'PPPO'.*did you mean 'PPO'"),
    ],
)
def test_bad_settings_are_named(setting, message):
    """Law: a setting that is unknown, or does not fit the models, is one clear error."""
    with pytest.raises(ValueError, match=message):
        make_ppo(**setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"symmetry_cfg": {"data_augmentation_func": "torch:cat"}}, "`symmetry_cfg` must be None for recurrent models"),
        ({"reshuffle_each_epoch": True}, "`reshuffle_each_epoch` must be False for recurrent models, got True"),
        ({"num_mini_batches": 5}, "`num_mini_batches` must be at most 4, the environments"),
    ],
)
def test_what_recurrent_models_cannot_do_is_named(setting, message):
    """Law: settings that do not go together with hidden states are one clear error."""
    with pytest.raises(ValueError, match=f"PPO: {message}"):
        make_ppo(make_recurrent_cfg(**setting))


def test_observation_groups_and_sizes_that_do_not_fit_are_named():
    """Law: an unknown observation group, an image as vector, and an actor of other width than the storage's actions."""
    cfg = make_cfg()
    cfg["obs_groups"]["critic"] = ["privileged"]
    with pytest.raises(ValueError, match=r"the set 'critic' names the group 'privileged'.*returns \['policy'\]"):
        make_ppo(cfg)
    groups = {"actor": ["policy"], "critic": ["policy"]}
    actor = MLPModel(observe(), groups, "actor", A + 1, distribution_cfg={"class_name": "GaussianDistribution"})
    critic = MLPModel(observe(), groups, "critic", 1)
    ppo = PPO(actor, critic, RolloutStorage("rl", N, T, observe(), [A]))
    with pytest.raises(ValueError, match=r"`actions` must be \[4, 2\], got \[4, 3\]"):
        rollout(ppo)
    image = TensorDict({"policy": torch.zeros(N, 3, 8, 8)}, batch_size=[N])
    with pytest.raises(ValueError, match=r"group 'policy' must be \[num_envs, D\], got \[4, 3, 8, 8\]"):
        MLPModel(image, groups, "critic", 1)


@pytest.mark.parametrize("engine", ["auto", "eager", "fused"])
@pytest.mark.parametrize(
    ("sizes", "settings", "got"),
    [
        ((1, 1), {"num_mini_batches": 1}, "got 1 x 1"),
        ((1, 3), {"num_mini_batches": 3, "normalize_advantage_per_mini_batch": True}, "got 1 x 3 in 3 minibatches"),
        ((3, 1), {"num_mini_batches": 2, "normalize_advantage_per_mini_batch": True}, "got 3 x 1 in 2 minibatches"),
    ],
)
def test_one_sample_is_not_normalized(sizes, settings, got, engine):
    """Law: where one sample would be normalized, learning is refused when it starts, by the names of the sizes."""
    steps, envs = sizes
    cfg = make_cfg(engine=engine, **settings) | {"num_steps_per_env": steps}
    env = SimpleNamespace(num_envs=envs, num_actions=A, step_dt=0.02)
    ppo = PPO.construct_algorithm(observe(envs), env, cfg, "cpu")
    with pytest.raises(ValueError, match=f"PPO: `num_steps_per_env` x `num_envs` must give two samples .*{got}"):
        ppo.select_engine()


def test_two_samples_are_normalized():
    """Law: two samples are enough."""
    env = SimpleNamespace(num_envs=2, num_actions=A, step_dt=0.02)
    cfg = make_cfg(num_mini_batches=1, normalize_advantage_per_mini_batch=True) | {"num_steps_per_env": 1}
    ppo = PPO.construct_algorithm(observe(2), env, cfg, "cpu")
    ppo.train_mode()
    ppo.act(observe(2))
    ppo.process_env_step(observe(2), torch.randn(2), torch.zeros(2), {})
    ppo.compute_returns(observe(2))
    assert all(math.isfinite(loss) for loss in ppo.update().values())


def test_an_infinite_gradient_norm_limits_nothing():
    """Law: max_grad_norm = inf, the usual way to say "no limit", is accepted as rsl_rl accepts it."""
    ppo = make_ppo(max_grad_norm=float("inf"))
    rollout(ppo)
    ppo.update()


def test_bad_model_keys_are_named():
    """Law: keys of models and distributions are checked like those of the algorithm."""
    cfg = make_cfg()
    cfg["critic"]["hidden_dim"] = [3]
    with pytest.raises(ValueError, match=r"MLPModel: unknown key 'hidden_dim' in `critic`; did you mean 'hidden_dims'"):
        make_ppo(cfg)
    cfg = make_cfg()
    cfg["actor"]["distribution_cfg"]["std_typ"] = "log"
    with pytest.raises(ValueError, match=r"unknown key 'std_typ' in `distribution_cfg`; did you mean 'std_type'"):
        make_ppo(cfg)


def test_the_configuration_is_left_alone_but_for_the_observation_sets():
    """Law: a configuration can be used again, logged and saved; only `obs_groups` is filled in."""
    cfg = make_cfg()
    del cfg["obs_groups"]["critic"]
    before = copy.deepcopy(cfg)
    with pytest.warns(UserWarning, match="'critic' is missing"):
        make_ppo(cfg)
    assert cfg.pop("obs_groups") == {"actor": ["policy"], "critic": ["policy"]}
    before.pop("obs_groups")
    assert cfg == before


def test_a_step_without_an_action_is_refused():
    """Law: process_env_step belongs to an act."""
    ppo = make_ppo()
    with pytest.raises(RuntimeError, match=r"act\(\) must be called"):
        ppo.process_env_step(observe(), torch.zeros(N), torch.zeros(N), {})


RND = RndCfg(weight=50.0, state_normalization=True, reward_normalization=True).to_dict()


@pytest.mark.parametrize("settings", [{}, {"rnd_cfg": RND}], ids=["plain", "rnd"])
def test_a_loaded_algorithm_continues_bit_for_bit(settings):
    """Law: models, optimizers, learning rate, shuffling and counters restored, the next update gives the same bits."""
    first = make_ppo(**settings)
    rollout(first)
    first.update()
    content = copy.deepcopy(first.save())
    second = make_ppo(seed=5, **settings)
    assert second.load(content, None, True) is True
    for ppo in (first, second):
        torch.manual_seed(7)
        rollout(ppo)
        ppo.update()
    for name, value in first.get_policy().state_dict().items():
        assert torch.equal(second.get_policy().state_dict()[name], value)
    assert second.learning_rate == first.learning_rate
    if first.rnd is not None:
        assert torch.equal(first.intrinsic_rewards, second.intrinsic_rewards)
        for name, value in first.rnd.state_dict().items():
            assert torch.equal(second.rnd.state_dict()[name], value)


def test_load_cfg_chooses_what_is_loaded():
    """Law: what is not asked for stays as it is, and the return value tells whether the iteration is."""
    source, target = make_ppo(), make_ppo(seed=1)
    rollout(source)
    source.update()
    critic = copy.deepcopy(target.critic.state_dict())
    offset = target.storage.offset
    assert target.load(source.save(), {"actor": True}, True) is False
    assert all(torch.equal(target.actor.state_dict()[name], value) for name, value in source.actor.state_dict().items())
    assert all(torch.equal(target.critic.state_dict()[name], value) for name, value in critic.items())
    assert not target.optimizer.state_dict()["state"]
    assert target.storage.offset == offset


def test_a_subclass_may_change_advantages_and_losses():
    """Law: overriding compute_returns and update, as downstream projects do, takes effect."""

    class Balanced(PPO):
        def compute_returns(self, obs):
            super().compute_returns(obs)
            self.storage.advantages = torch.zeros_like(self.storage.advantages)

        def update(self):
            return {**super().update(), "extra": 1.0}

    ppo = make_ppo(make_cfg() | {"algorithm": {"class_name": Balanced, "schedule": "fixed"}})
    rollout(ppo)
    losses = ppo.update()
    assert losses["surrogate"] == 0.0 and losses["extra"] == 1.0


def test_train_and_eval_mode_reach_both_models():
    """Law: modes are set on actor, critic and extension alike."""
    ppo = make_ppo(rnd_cfg=RND)
    ppo.eval_mode()
    assert not any(module.training for module in (ppo.actor, ppo.critic, ppo.rnd))
    ppo.train_mode()
    assert all(module.training for module in (ppo.actor, ppo.critic, ppo.rnd))


def test_compiled_models_leave_the_raw_ones_in_reach():
    """Law: get_policy returns the model itself; modes that capture CUDA graphs are refused."""
    ppo = make_ppo()
    raw = ppo.get_policy()
    with pytest.raises(ValueError, match="CUDA graphs"):
        ppo.compile("reduce-overhead")
    ppo.compile("default")
    assert ppo.actor is not raw and ppo.get_policy() is raw
    ppo.compile(None)
    assert ppo.actor is raw
