# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import dataclasses
import inspect

import pytest
import rsl_rl.algorithms
import rsl_rl.models
import rsl_rl.modules

from rslcore.algorithms import PPO
from rslcore.config import (
    BetaDistributionCfg,
    CNNCfg,
    CNNModelCfg,
    GaussianDistributionCfg,
    HeteroscedasticGaussianDistributionCfg,
    MLPModelCfg,
    OnPolicyRunnerCfg,
    PPOCfg,
    RNNModelCfg,
)
from rslcore.models import CNNModel, MLPModel, RNNModel
from rslcore.modules import CNN, BetaDistribution, GaussianDistribution, HeteroscedasticGaussianDistribution

ORACLES = [
    (PPOCfg, PPO, rsl_rl.algorithms.PPO),
    (MLPModelCfg, MLPModel, rsl_rl.models.MLPModel),
    (RNNModelCfg, RNNModel, rsl_rl.models.RNNModel),
    (CNNModelCfg, CNNModel, rsl_rl.models.CNNModel),
    (GaussianDistributionCfg, GaussianDistribution, rsl_rl.modules.GaussianDistribution),
    (
        HeteroscedasticGaussianDistributionCfg,
        HeteroscedasticGaussianDistribution,
        rsl_rl.modules.HeteroscedasticGaussianDistribution,
    ),
    (BetaDistributionCfg, BetaDistribution, rsl_rl.modules.BetaDistribution),
]


def parameters(cls):
    """Parameters of a constructor."""
    return inspect.signature(cls.__init__).parameters


@pytest.mark.parametrize(("cfg", "ours", "oracle"), ORACLES)
def test_defaults_are_the_oracles(cfg, ours, oracle):
    """Law: every setting of rsl-rl-lib 5.5.1 is in configuration and signature, at its place, with its default."""
    defaults = cfg().to_dict()
    surplus = list(parameters(ours))[len(parameters(oracle)) :]
    assert list(parameters(ours)) == [*parameters(oracle), *surplus]
    assert set(surplus) == set(cfg.own_keys), "what rsl_rl does not have comes last"
    for name, parameter in parameters(oracle).items():
        assert parameter.default in (parameters(ours)[name].default, inspect.Parameter.empty), name
        if name in defaults and name != "class_name":
            expected = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert defaults.pop(name) == expected, name
    assert set(defaults) <= {"class_name", "share_cnn_encoders"}
    assert defaults["class_name"] == ours.__name__ == oracle.__name__


def test_the_encoder_has_the_oracles_defaults():
    """Law: every setting of rsl-rl-lib's CNN is in configuration and signature, with its default or required."""
    ours, oracle = parameters(CNN), parameters(rsl_rl.modules.CNN)
    assert {name: p.default for name, p in ours.items()} == {name: p.default for name, p in oracle.items()}
    settings = {name: p for name, p in ours.items() if name not in ("self", "input_dim", "input_channels")}
    fields = {field.name: field.default for field in dataclasses.fields(CNNCfg)}
    assert list(settings) == list(fields)
    for name, parameter in settings.items():
        required = parameter.default is inspect.Parameter.empty
        assert fields[name] is dataclasses.MISSING if required else fields[name] == parameter.default, name


@pytest.mark.parametrize("cnn_cfg", [CNNCfg((4, 8), 3), {"left": CNNCfg((4,), (3,), max_pool=(True,))}])
def test_the_class_name_picks_the_configuration(cnn_cfg):
    """Law: models of all kinds go through plain dictionaries and back, by simple names and by "module:Class"."""
    cfg = OnPolicyRunnerCfg(actor=CNNModelCfg(cnn_cfg=cnn_cfg), critic=RNNModelCfg(rnn_type="gru"))
    plain = cfg.to_dict()
    assert OnPolicyRunnerCfg.from_dict(plain) == cfg
    plain["critic"]["class_name"] = "rsl_rl.models:RNNModel"
    assert type(OnPolicyRunnerCfg.from_dict(plain).critic) is RNNModelCfg


def test_round_trip():
    """Law: to_dict gives plain, independent containers, and from_dict gives the same configuration back."""
    cfg = OnPolicyRunnerCfg(seed=7, algorithm=PPOCfg(gamma=0.9), actor=MLPModelCfg(hidden_dims=(3, -1)))
    plain = cfg.to_dict()
    assert plain["actor"]["hidden_dims"] == [3, -1] and plain["actor"]["distribution_cfg"] is None
    assert OnPolicyRunnerCfg.from_dict(plain) == cfg
    plain["obs_groups"]["actor"].append("other")
    assert cfg.obs_groups["actor"] == ["policy"]
    assert OnPolicyRunnerCfg().actor.distribution_cfg == GaussianDistributionCfg()


def test_what_a_runner_writes_is_skipped():
    """Law: a configuration that a runner has been given, and saved, can be read again."""
    assert OnPolicyRunnerCfg.from_dict({"multi_gpu": None, "seed": 3}) == OnPolicyRunnerCfg(seed=3)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"sed": 1}, ValueError, "OnPolicyRunnerCfg: unknown key 'sed'; did you mean 'seed'"),
        ({"algorithm": {"gama": 1}}, ValueError, "PPOCfg: unknown key 'algorithm.gama'; did you mean 'gamma'"),
        (
            {"actor": {"distribution_cfg": {"init_sdt": 1}}},
            ValueError,
            "unknown key 'actor.distribution_cfg.init_sdt'; did you mean 'init_std'",
        ),
        ({"zzz": 1}, ValueError, "unknown key 'zzz'; valid: class_name, seed,"),
        (
            {"algorithm": {"learning_rate": "1e-3"}},
            ValueError,
            "PPOCfg: `algorithm.learning_rate` must be a number, got '1e-3'",
        ),
        (
            {"actor": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [4]}}},
            ValueError,
            "CNNCfg: the key 'actor.cnn_cfg.kernel_size' is missing",
        ),
        (
            {"actor": {"class_name": "CNNModel", "cnn_cfg": {"left": {"output_channels": [4], "kernel": 3}}}},
            ValueError,
            "CNNCfg: unknown key 'actor.cnn_cfg.left.kernel'; did you mean 'kernel_size'",
        ),
        (
            {"actor": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": [4], "kernel_size": [3, "5"]}}},
            ValueError,
            r"CNNCfg: `actor.cnn_cfg.kernel_size\[1\]` must be an integer, got '5'",
        ),
        ({"num_steps_per_env": 2.5}, ValueError, "`num_steps_per_env` must be an integer, got 2.5"),
        ({"seed": True}, ValueError, "`seed` must be an integer, got True"),
        ({"check_for_nan": "no"}, ValueError, "`check_for_nan` must be true or false, got 'no'"),
        ({"critic": {"hidden_dims": 64}}, ValueError, "`critic.hidden_dims` must be a sequence of numbers, got 64"),
        ({"critic": {"hidden_dims": [64, "x"]}}, ValueError, r"`critic.hidden_dims\[1\]` must be an integer, got 'x'"),
        (
            {"actor": {"distribution_cfg": {"std_range": [1]}}},
            ValueError,
            "`actor.distribution_cfg.std_range` must have 2 numbers, got",
        ),
        ({"algorithm": 3}, TypeError, "PPOCfg: `algorithm` must be a dict, got int"),
    ],
)
def test_wrong_keys_and_types_are_named(values, error, message):
    """Law: the message has the whole path of the key, and the nearest valid key, or what is expected and got."""
    with pytest.raises(error, match=message):
        OnPolicyRunnerCfg.from_dict(values)
