# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import inspect

import pytest
import rsl_rl.algorithms
import rsl_rl.models
import rsl_rl.modules

from rslcore.algorithms import PPO
from rslcore.config import GaussianDistributionCfg, MLPModelCfg, OnPolicyRunnerCfg, PPOCfg
from rslcore.models import MLPModel
from rslcore.modules import GaussianDistribution

ORACLES = [
    (PPOCfg, PPO, rsl_rl.algorithms.PPO),
    (MLPModelCfg, MLPModel, rsl_rl.models.MLPModel),
    (GaussianDistributionCfg, GaussianDistribution, rsl_rl.modules.GaussianDistribution),
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
