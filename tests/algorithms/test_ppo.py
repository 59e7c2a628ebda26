# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from rslcore.algorithms import PPO
from rslcore.config import OnPolicyRunnerCfg
from rslcore.engine import EagerEngine

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


def make_ppo(cfg=None, seed=0, **algorithm):
    """An algorithm in training mode."""
    torch.manual_seed(seed)
    env = SimpleNamespace(num_envs=N, num_actions=A)
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


def test_the_engine_is_told_with_its_reason():
    """Law: which engine runs, and why, can be read off."""
    ppo = make_ppo()
    assert isinstance(ppo.engine, EagerEngine)
    assert ppo.engine_reason


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"share_cnn_encoders": True}, "`share_cnn_encoders` must be False for an actor without CNN.*MLPModel"),
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


def test_a_loaded_algorithm_continues_bit_for_bit():
    """Law: models, optimizer, learning rate and shuffling restored, the next update gives the same bits."""
    first = make_ppo()
    rollout(first)
    first.update()
    content = copy.deepcopy(first.save())
    second = make_ppo(seed=5)
    assert second.load(content, None, True) is True
    for ppo in (first, second):
        torch.manual_seed(7)
        rollout(ppo)
        ppo.update()
    for name, value in first.get_policy().state_dict().items():
        assert torch.equal(second.get_policy().state_dict()[name], value)
    assert second.learning_rate == first.learning_rate


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
    """Law: modes are set on actor and critic alike."""
    ppo = make_ppo()
    ppo.eval_mode()
    assert not ppo.actor.training and not ppo.critic.training
    ppo.train_mode()
    assert ppo.actor.training and ppo.critic.training


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
