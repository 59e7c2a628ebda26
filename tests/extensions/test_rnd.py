# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict

from rslcore.extensions import RandomNetworkDistillation, resolve_rnd_config

GROUPS = {"rnd_state": ["b", "a"]}


def observe(n=6, offset=0.0):
    """Two groups of observations."""
    return TensorDict({"a": torch.randn(n, 2) + offset, "b": torch.randn(n, 1) + offset}, batch_size=[n])


def make_rnd(seed=0, **settings):
    """An extension in training mode."""
    torch.manual_seed(seed)
    networks = {"num_outputs": 2, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}
    return RandomNetworkDistillation(3, GROUPS, **networks, **settings).train()


def test_reward_is_the_weighted_distance_of_both_embeddings():
    """Law: weight * ||target(s) - predictor(s)||, s being the groups of "rnd_state" in their order."""
    rnd, obs = make_rnd(weight=0.3), observe()
    state = torch.cat([obs["b"], obs["a"]], dim=-1)
    assert torch.equal(rnd.get_rnd_state(obs), state)
    expected = 0.3 * (rnd.target(state) - rnd.predictor(state)).pow(2).sum(dim=1).sqrt()
    torch.testing.assert_close(rnd.get_intrinsic_reward(obs), expected)
    assert rnd.compute_loss(obs).item() == pytest.approx((expected / 0.3).pow(2).sum().item() / 12, rel=1e-5)


def test_what_was_learned_is_rewarded_less_than_what_was_not():
    """Law: the predictor learns the states it is shown, the target stays as it is, elsewhere the reward remains."""
    left = []
    for seed in range(5):
        rnd, seen, unseen = make_rnd(seed, weight=1.0), observe(64), observe(64, offset=4.0)
        target = copy.deepcopy(rnd.target.state_dict())
        before = rnd.get_intrinsic_reward(seen).mean()
        for _ in range(200):
            rnd.optimizer.zero_grad()
            rnd.compute_loss(seen).backward()
            rnd.optimizer.step()
        after = rnd.get_intrinsic_reward(seen).mean()
        left.append(torch.stack([after / before, after / rnd.get_intrinsic_reward(unseen).mean()]))
        assert all(torch.equal(rnd.target.state_dict()[name], value) for name, value in target.items())
    # Of 30 seeds: 0.11 to 0.32 of what it was, 0.04 to 0.49 (most below 0.25) of what it is elsewhere.
    assert (torch.stack(left).mean(dim=0) < 0.5).all(), left


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        (None, [2.0] * 6),
        ({"mode": "constant"}, [2.0] * 6),
        ({"mode": "step", "final_step": 4, "final_value": 1.0}, [2.0, 2.0, 2.0, 1.0, 1.0, 1.0]),
        ({"mode": "linear", "initial_step": 2, "final_step": 4, "final_value": 1.0}, [2.0, 2.0, 1.5, 1.0, 1.0, 1.0]),
        ({"mode": "linear", "initial_step": 3, "final_step": 3, "final_value": 0.0}, [2.0, 2.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_weight_schedules(schedule, weights):
    """Law: the weight follows its schedule, counted in env steps; a linear one may have no length."""
    rnd = make_rnd(weight=2.0, weight_schedule=schedule)
    assert rnd.weight == 2.0
    seen = []
    for _ in weights:
        rnd.get_intrinsic_reward(observe())
        seen.append(rnd.weight)
    assert seen == weights


def test_a_loaded_extension_continues_bit_for_bit():
    """Law: with its counters, rewards go on as if the run had not stopped: weight and reward normalization included."""
    settings = {
        "weight": 2.0,
        "weight_schedule": {"mode": "linear", "initial_step": 0, "final_step": 10, "final_value": 0.0},
        "reward_normalization": True,
        "state_normalization": True,
    }
    first = make_rnd(**settings)
    for _ in range(4):
        first.get_intrinsic_reward(observe())
        first.update_normalization(observe())
    second = make_rnd(seed=1, **settings)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.load_progress_state(copy.deepcopy(first.progress_state()))
    assert second.weight == first.weight
    for _ in range(3):
        obs = observe()
        assert torch.equal(first.get_intrinsic_reward(obs), second.get_intrinsic_reward(obs))
    assert second.get_intrinsic_reward(observe(9)).shape == (9,), "with more environments the average starts anew"


def test_modes():
    """Law: the target never leaves evaluation mode; normalizers follow the mode."""
    rnd = make_rnd(state_normalization=True)
    assert rnd.predictor.training and rnd.state_normalizer.training and not rnd.target.training
    rnd.eval()
    assert not rnd.predictor.training and not rnd.state_normalizer.training
    with pytest.raises(RuntimeError, match="call get_intrinsic_reward"):
        rnd(observe())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight_schedule": {"mode": "lineer"}}, "mode 'lineer' is unknown; did you mean 'linear'"),
        ({"weight_schedule": {"mode": "step", "final_step": 3}}, r"must have the keys \['final_step', 'final_value'\]"),
        ({"weight": float("nan")}, "`weight` must be a finite number, got nan"),
    ],
)
def test_bad_settings_are_named(settings, message):
    """Law: what a schedule lacks, or a number that makes no sense, is one clear error."""
    with pytest.raises(ValueError, match=f"RandomNetworkDistillation: .*{message}"):
        make_rnd(**settings)


def resolve(env, obs=None, **rnd_cfg):
    """The configuration that PPO hands to the extension."""
    return resolve_rnd_config({"rnd_cfg": rnd_cfg}, observe() if obs is None else obs, GROUPS, env)["rnd_cfg"]


@pytest.mark.parametrize(
    "env", [SimpleNamespace(unwrapped=SimpleNamespace(step_dt=0.02)), SimpleNamespace(step_dt=0.02)]
)
def test_weight_per_second_becomes_weight_per_step(env):
    """Law: the weight is multiplied by the environment's step, wrapped or not; the width of the state is filled in."""
    cfg = resolve(env, weight=50.0)
    assert cfg == {"weight": 1.0, "num_states": 3, "obs_groups": GROUPS}
    assert resolve_rnd_config({"rnd_cfg": None}, observe(), {}, None) == {"rnd_cfg": None}


def test_what_does_not_fit_the_environment_is_named():
    """Law: no step_dt, an image as state, and an unknown key are one clear error each."""
    with pytest.raises(ValueError, match=r"must have `env.unwrapped.step_dt` .* got none from SimpleNamespace"):
        resolve(SimpleNamespace(), weight=1.0)
    env = SimpleNamespace(step_dt=0.02)
    image = TensorDict({"a": torch.zeros(6, 2), "b": torch.zeros(6, 3, 4, 4)}, batch_size=[6])
    with pytest.raises(ValueError, match=r"group 'b' must be \[num_envs, D\], got \[6, 3, 4, 4\]"):
        resolve(env, image, weight=1.0)
    with pytest.raises(ValueError, match="unknown key 'wait' in `rnd_cfg`; did you mean 'weight'"):
        resolve(env, wait=1.0)
