# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""PPO with RND and symmetry learns what rsl-rl-lib 5.5.1 learns."""

from __future__ import annotations

import copy

import pytest
import torch

RND = {"num_outputs": 3, "predictor_hidden_dims": [8], "target_hidden_dims": [-1], "weight": 30.0}


def mirror(env, obs, actions):
    """Two mirror images behind the originals: all signs flipped, and actions in reverse order."""
    if obs is not None:
        images = {name: [value, -value, value.flip(-1)] for name, value in obs.items()}
        obs = type(obs)({name: torch.cat(value) for name, value in images.items()}, batch_size=[3 * len(obs)])
    if actions is not None:
        actions = torch.cat([actions, -actions, actions.flip(-1)])
    return obs, actions


@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "normalized"])
@pytest.mark.parametrize(
    "schedule",
    [
        None,
        {"mode": "constant"},
        {"mode": "step", "final_step": 9, "final_value": 0.1},
        {"mode": "linear", "initial_step": 3, "final_step": 11, "final_value": 0.1},
    ],
    ids=["none", "constant", "step", "linear"],
)
def test_rnd_equals_the_oracle(make_twins, schedule, normalized):
    """Law: intrinsic rewards, their weight, predictor and normalizers are the oracle's, update after update."""
    rnd_cfg = {
        **RND,
        "weight_schedule": schedule,
        "state_normalization": normalized,
        "reward_normalization": normalized,
    }
    twins = make_twins(rnd_cfg=rnd_cfg)
    assert twins.ours.rnd.initial_weight == pytest.approx(twins.theirs.rnd.initial_weight)
    for _ in range(3):
        twins.assert_same_after()
        torch.testing.assert_close(twins.ours.intrinsic_rewards, twins.theirs.intrinsic_rewards, rtol=1e-4, atol=1e-5)
        assert twins.ours.rnd.weight == pytest.approx(twins.theirs.rnd.weight)
        assert twins.ours.rnd.update_counter == twins.theirs.rnd.update_counter


@pytest.mark.parametrize("model", ["lstm", "cnn"])
def test_rnd_with_other_models_equals_the_oracle(make_twins, model):
    """Law: the same with recurrent and convolutional models (padded steps count in the oracle's loss, and here)."""
    make_twins(actor=model, rnd_cfg=RND, schedule="fixed").assert_same_after(updates=2)


@pytest.mark.parametrize("writer", ["ours", "theirs"])
def test_a_checkpoint_with_rnd_continues_in_the_other_library(make_twins, writer):
    """Law: networks, normalizers and optimizer of the extension cross over; training goes on the same."""
    rnd_cfg = {**RND, "state_normalization": True}
    source = make_twins(rnd_cfg=rnd_cfg)
    source.assert_same_after(updates=2)
    twins = make_twins(rnd_cfg=rnd_cfg, seed=1)
    for alg in twins:
        alg.load(copy.deepcopy(getattr(source, writer).save()), None, True)
    twins.assert_same_after(updates=2)


@pytest.mark.parametrize("per_mini_batch", [False, True], ids=["whole_rollout", "per_mini_batch"])
@pytest.mark.parametrize(
    "use",
    [
        {"use_data_augmentation": True},
        {"use_mirror_loss": True, "mirror_loss_coeff": 0.7},
        {"use_data_augmentation": True, "use_mirror_loss": True, "mirror_loss_coeff": 0.7},
        {},
    ],
    ids=["augmentation", "mirror_loss", "both", "neither"],
)
def test_symmetry_equals_the_oracle(make_twins, use, per_mini_batch):
    """Law: augmentation, mirror loss, both and neither (the error is reported) give the oracle's parameters."""
    twins = make_twins(
        symmetry_cfg={"data_augmentation_func": mirror, **use},
        normalize_advantage_per_mini_batch=per_mini_batch,
        obs_normalization=True,
    )
    twins.assert_same_after(updates=2)


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("cnn", {}),
        ("mlp", {"rnd_cfg": RND}),
        ("mlp", {"distribution": {"class_name": "BetaDistribution"}}),
    ],
    ids=["cnn", "rnd", "beta"],
)
def test_symmetry_with_other_settings_equals_the_oracle(make_twins, model, more):
    """Law: symmetry goes together with images, intrinsic rewards and other distributions."""
    symmetry = {"data_augmentation_func": mirror, "use_data_augmentation": True, "use_mirror_loss": True}
    twins = make_twins(actor=model, symmetry_cfg={**symmetry, "mirror_loss_coeff": 0.5}, schedule="fixed", **more)
    twins.assert_same_after(updates=2)


def test_extensions_in_mixed_precision_equal_the_oracle(make_twins):
    """Law: with bfloat16 too, one update agrees, as closely as with float32."""
    symmetry = {"data_augmentation_func": mirror, "use_data_augmentation": True, "use_mirror_loss": True}
    twins = make_twins(symmetry_cfg={**symmetry, "mirror_loss_coeff": 0.5}, rnd_cfg=RND, use_mixed_precision=True)
    twins.rollout()
    twins.share_advantages()
    twins.update()
    twins.assert_same_parameters()
