# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import rsl_rl.extensions
import torch
from tensordict import TensorDict

from rslcore.algorithms import PPO
from rslcore.config import OnPolicyRunnerCfg, PPOCfg, SymmetryCfg
from rslcore.extensions import Symmetry, resolve_symmetry_config
from rslcore.storage import RolloutStorage

N, T, A, D = 4, 3, 2, 5
calls = []


def observe(n=N):
    """Random observations."""
    return TensorDict({"policy": torch.randn(n, D)}, batch_size=[n])


def flip(env, obs, actions):
    """One mirror image: all signs flipped. Writes into what it was given, and counts its calls."""
    calls.append((obs is not None, actions is not None))
    if obs is not None:
        original = obs.clone()
        obs["policy"].neg_()
        obs = torch.cat([original, obs])
    if actions is not None:
        actions = torch.cat([actions.clone(), actions.neg_()])
    return obs, actions


def make_ppo(func=flip, epochs=3, **use):
    """An algorithm with two minibatches per epoch and a filled storage."""
    torch.manual_seed(0)
    symmetry = SymmetryCfg(data_augmentation_func=func, **use)
    cfg = OnPolicyRunnerCfg(
        num_steps_per_env=T,
        algorithm=PPOCfg(symmetry_cfg=symmetry, num_mini_batches=2, num_learning_epochs=epochs),
    ).to_dict()
    ppo = PPO.construct_algorithm(observe(), SimpleNamespace(num_envs=N, num_actions=A), cfg, "cpu")
    ppo.train_mode()
    for _ in range(T):
        ppo.act(observe())
        ppo.process_env_step(observe(), torch.randn(N), torch.zeros(N), {})
    ppo.compute_returns(observe())
    calls.clear()
    return ppo


@pytest.mark.parametrize("use_data_augmentation", [True, False])
def test_samples_are_mirrored_once_per_update(use_data_augmentation):
    """Law: observations are mirrored once for every minibatch, not once for every epoch; the rollout is not touched."""
    ppo = make_ppo(use_data_augmentation=use_data_augmentation, use_mirror_loss=True, mirror_loss_coeff=1.0)
    stored = copy.deepcopy((ppo.storage.observations, ppo.storage.actions))
    ppo.update()
    assert sum(has_obs for has_obs, _ in calls) == 2
    assert sum(not has_obs for has_obs, _ in calls) == 6, "means of the actor, in every minibatch of every epoch"
    assert torch.equal(stored[0]["policy"], ppo.storage.observations["policy"])
    assert torch.equal(stored[1], ppo.storage.actions)


def test_with_a_new_order_in_every_epoch_nothing_is_kept():
    """Law: minibatches that are drawn anew are mirrored anew."""
    ppo = make_ppo(use_data_augmentation=True)
    ppo.reshuffle_each_epoch = True
    ppo.update()
    assert sum(has_obs for has_obs, _ in calls) == 6


def test_augmented_batches():
    """Law: originals come first; what belongs to a sample is repeated for its images, but for the old distribution."""
    batch = RolloutStorage.Batch(
        observations=observe(),
        actions=torch.randn(N, A),
        values=torch.randn(N, 1),
        advantages=torch.randn(N, 1),
        returns=torch.randn(N, 1),
        old_actions_log_prob=torch.randn(N, 1),
        old_distribution_params=(torch.randn(N, A),),
    )
    before = copy.deepcopy(batch)
    Symmetry(None, flip, use_data_augmentation=True).augment_batch(batch, N)
    assert torch.equal(
        batch.observations["policy"], torch.cat([before.observations["policy"], -before.observations["policy"]])
    )
    assert torch.equal(batch.actions, torch.cat([before.actions, -before.actions]))
    for name in ("values", "advantages", "returns", "old_actions_log_prob"):
        assert torch.equal(getattr(batch, name), torch.cat([getattr(before, name)] * 2))
    assert batch.old_distribution_params[0].shape == (N, A)


@pytest.mark.parametrize("use_mirror_loss", [True, False])
def test_mirror_loss_of_an_odd_policy_is_zero(use_mirror_loss):
    """Law: a policy that commutes with the symmetry has no loss; a shifted one has the square of twice the shift."""
    symmetry = Symmetry(None, flip, use_mirror_loss=use_mirror_loss)
    shift = torch.nn.Parameter(torch.tensor(0.0))
    weight = torch.randn(D, A)

    class Policy(torch.nn.Module):
        def forward(self, obs):
            return obs["policy"] @ weight + shift

    loss = symmetry.compute_loss(Policy(), SimpleNamespace(observations=observe()), N)
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    shift.data += 0.5
    loss = symmetry.compute_loss(Policy(), SimpleNamespace(observations=observe()), N)
    assert loss.item() == pytest.approx(1.0, rel=1e-5)
    assert loss.requires_grad is use_mirror_loss
    if use_mirror_loss:
        loss.backward()
        assert shift.grad.item() == pytest.approx(2.0, rel=1e-5), "the target has no gradient: 2 (2 shift), not 4"


def test_where_rows_depend_on_each_other_the_loss_is_the_oracles():
    """Law: with batch normalization, originals and images go through the actor together, as in rsl-rl-lib."""
    torch.manual_seed(0)
    actor = torch.nn.Sequential(torch.nn.BatchNorm1d(D), torch.nn.Linear(D, A), torch.nn.ELU())

    class Policy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = copy.deepcopy(actor)

        def forward(self, obs):
            return self.body(obs["policy"])

    obs, policies = observe(), (Policy(), Policy())
    for policy, symmetry in zip(policies, (Symmetry, rsl_rl.extensions.Symmetry), strict=True):
        batch = SimpleNamespace(observations=obs.clone())
        symmetry(None, flip, use_mirror_loss=True).compute_loss(policy, batch, N).backward()
    for mine, expected in zip(policies[0].parameters(), policies[1].parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad)
    torch.testing.assert_close(policies[0].state_dict(), policies[1].state_dict())


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (lambda env, obs, actions: (torch.cat([obs, obs[:1]]), actions), "return `obs` with the 6 rows .* got 7 rows"),
        (lambda env, obs, actions: (obs, actions), "return `obs` with the 6 rows .* got 6 rows"),
        (lambda env, obs, actions: (torch.cat([obs, obs]), actions), "return `actions` with the 6 rows .* got 6 rows"),
        (lambda env, obs, actions: (None, None), "return `obs` with the 6 rows .* got NoneType"),
        (lambda env, obs, actions: ({"policy": torch.cat([obs["policy"]] * 2)}, actions), "return `obs` .* got dict"),
        (
            lambda env, obs, actions: (torch.cat([obs, obs]), torch.cat([actions, actions])[:, :1]),
            r"return actions \[12, 2\], got \[12, 1\]",
        ),
        (lambda env, obs, actions: obs, r"return a tuple \(obs, actions\), got TensorDict"),
        (
            lambda env, obs, actions: (torch.cat([obs, obs]), torch.cat([actions] * 3)),
            "as many actions as observations",
        ),
    ],
)
def test_a_result_that_does_not_fit_is_named(func, message):
    """Law: a symmetry function that returns other rows or widths is one clear error, before anything is learned."""
    ppo = make_ppo(func, use_data_augmentation=True)
    before = copy.deepcopy(ppo.actor.state_dict())
    with pytest.raises(ValueError, match=f"Symmetry: `data_augmentation_func` must .*{message}"):
        ppo.update()
    assert all(torch.equal(ppo.actor.state_dict()[name], value) for name, value in before.items())


def test_functions_are_found_by_name_and_the_configuration_is_checked(capsys):
    """Law: "module:function" works; without a use the user is told; no function and unknown keys are named."""
    assert Symmetry(None, "torch:cat").data_augmentation_func is torch.cat
    assert "only reported" in capsys.readouterr().out
    env = object()
    cfg = {"symmetry_cfg": {"data_augmentation_func": flip}}
    assert resolve_symmetry_config(cfg, env)["symmetry_cfg"]["env"] is env
    assert resolve_symmetry_config({}, env) == {"symmetry_cfg": None}
    with pytest.raises(ValueError, match="must have a `data_augmentation_func`, got None"):
        resolve_symmetry_config({"symmetry_cfg": {"use_mirror_loss": True}}, env)
    with pytest.raises(ValueError, match="unknown key 'mirror' in `symmetry_cfg`"):
        resolve_symmetry_config({"symmetry_cfg": {"mirror": True}}, env)
