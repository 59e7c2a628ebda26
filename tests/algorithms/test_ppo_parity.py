# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO learns what rsl-rl-lib 5.5.1 learns: same weights, experience, permutation and noise, same parameters after."""

from __future__ import annotations

import io

import pytest
import torch


@pytest.mark.parametrize("per_mini_batch", [False, True], ids=["whole_rollout", "per_mini_batch"])
@pytest.mark.parametrize("clipped", [True, False], ids=["clipped_value", "unclipped_value"])
@pytest.mark.parametrize("schedule", ["adaptive", "fixed"])
def test_one_update_equals_the_oracle(make_twins, schedule, clipped, per_mini_batch):
    """Law: one whole update (3 epochs of 4 minibatches, 77 rows with remainder 1) gives the oracle's parameters."""
    make_twins(
        schedule=schedule,
        use_clipped_value_loss=clipped,
        normalize_advantage_per_mini_batch=per_mini_batch,
        clip_param=0.05,
    ).assert_same_after()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"num_envs": 13, "num_steps": 5, "num_mini_batches": 7}, id="65_rows_in_7"),
        pytest.param({"num_envs": 1, "num_steps": 9, "num_mini_batches": 2}, id="one_environment"),
        pytest.param({"num_envs": 17, "num_steps": 1, "num_mini_batches": 1}, id="one_step_one_minibatch"),
        pytest.param({"optimizer": "adamw"}, id="adamw"),
        pytest.param({"optimizer": "sgd"}, id="sgd"),
        pytest.param({"optimizer": "RMSprop"}, id="rmsprop_in_capitals"),
        pytest.param({"distribution": {"std_type": "log", "init_std": 0.6}}, id="log_std"),
        pytest.param({"distribution": {"init_std": 0.3, "std_range": (0.2, 0.31)}}, id="std_range"),
        pytest.param({"distribution": {"learn_std": False}}, id="fixed_std"),
        pytest.param({"obs_normalization": True}, id="obs_normalization"),
        pytest.param({"desired_kl": None}, id="no_desired_kl"),
        pytest.param({"desired_kl": 1e-7}, id="learning_rate_falls"),
        pytest.param({"desired_kl": 10.0, "learning_rate": 3e-3}, id="learning_rate_rises"),
        pytest.param({"max_grad_norm": float("inf")}, id="no_limit_of_the_norm"),
        pytest.param({"max_grad_norm": 0.01, "entropy_coef": 0.3, "value_loss_coef": 0.1}, id="coefficients"),
    ],
)
def test_several_updates_in_a_row_equal_the_oracle(make_twins, settings):
    """Law: rollouts and updates alternate without drifting from the oracle, whatever the settings."""
    make_twins(**settings).assert_same_after(updates=3)


def assert_same_rollouts(twins, **tolerance):
    """What both have stored agrees."""
    ours, theirs = (alg.storage for alg in twins)
    for name in ("actions", "values", "rewards", "dones"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), **tolerance)
    for group, expected in theirs.observations.items():
        assert torch.equal(ours.observations[group], expected)
    for mine, expected in zip(ours.distribution_params, theirs.distribution_params, strict=True):
        torch.testing.assert_close(mine, expected, **tolerance)
    torch.testing.assert_close(ours.actions_log_prob, theirs.actions_log_prob, rtol=1e-5, atol=1e-5)


def test_one_rollout_equals_the_oracle_bit_for_bit(make_twins):
    """Law: under one seed of torch's generator, actions, values, rewards (bootstrapped) and dones are the same bits."""
    twins = make_twins()
    twins.rollout()
    assert_same_rollouts(twins, rtol=0, atol=0)


def test_one_rollout_with_normalized_observations_equals_the_oracle_but_for_rounding(make_twins):
    """Law: the kernel multiplies by 1 / (std + eps) where the oracle divides; no more than that rounding differs."""
    twins = make_twins(obs_normalization=True)
    for _ in range(2):  # the second rollout is normalized by statistics that the first update learned
        twins.rollout()
        assert_same_rollouts(twins, rtol=1e-5, atol=1e-5)
        twins.update()


@pytest.mark.parametrize("per_mini_batch", [False, True])
@pytest.mark.parametrize("time_outs", [False, True])
def test_returns_and_advantages_equal_the_oracle(make_twins, time_outs, per_mini_batch):
    """Law: GAE over dones and time-outs, normalized over the rollout or not at all, is the oracle's."""
    twins = make_twins(num_envs=23, normalize_advantage_per_mini_batch=per_mini_batch)
    twins.rollout(time_outs)
    ours, theirs = (alg.storage for alg in twins)
    for name in ("returns", "advantages"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-6)


def through_file(content, *, weights_only):
    """Save and load, as a runner does."""
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


@pytest.mark.parametrize("writer", ["ours", "theirs"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_checkpoint_of_either_library_continues_in_the_other(make_twins, writer, optimizer):
    """Law: models, optimizer and learning rate cross over in both directions, and training goes on the same."""
    source = make_twins(obs_normalization=True, optimizer=optimizer)
    for _ in range(2):
        source.rollout()
        source.update()
    content = through_file(getattr(source, writer).save(), weights_only=True)

    twins = make_twins(obs_normalization=True, optimizer=optimizer, seed=1)
    for alg in twins:
        # A state that is loaded shares its tensors with the file's content: give each its own.
        assert alg.load(through_file(content, weights_only=True), None, True) is True
    assert twins.ours.learning_rate == getattr(source, writer).learning_rate
    twins.assert_same_parameters()
    twins.assert_same_after(updates=2)


def test_a_checkpoint_has_the_oracles_layout(make_twins):
    """Law: keys, parameter order (std first) and optimizer entries are the oracle's, and say nothing of our kernels."""
    twins = make_twins(obs_normalization=True)
    twins.assert_same_after()
    ours, theirs = (alg.save() for alg in twins)
    assert list(ours)[: len(theirs)] == list(theirs)
    assert list(ours)[len(theirs) :] == ["shuffle_state"]
    assert ours["optimizer_state_dict"]["param_groups"] == theirs["optimizer_state_dict"]["param_groups"]


def test_construction_draws_the_oracles_initial_weights(make_twins):
    """Law: the same seed gives the same initial weights, so whole training runs can be compared."""
    twins = make_twins()
    for role in ("actor", "critic"):
        ours, theirs = (getattr(alg, role).state_dict() for alg in twins)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
