# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import collections

import pytest
import torch

from rslcore.algorithms import PPO
from rslcore.models import ActorCritic, MLPModel, StudentTeacherRecurrent
from rslcore.modules import MLP
from rslcore.utils import (
    check_keywords,
    resolve_callable,
    resolve_class,
    resolve_nn_activation,
    resolve_obs_groups,
    resolve_optimizer,
)

OBS = {"policy": torch.zeros(2, 3), "critic": torch.zeros(2, 4)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PPO", PPO),
        ("MLPModel", MLPModel),
        (PPO, PPO),
        ("rslcore.algorithms:PPO", PPO),
        ("rslcore.algorithms.ppo.PPO", PPO),
        ("rsl_rl.algorithms:PPO", PPO),
        ("rsl_rl.algorithms.ppo:PPO", PPO),
        ("rsl_rl.models.MLPModel", MLPModel),
        ("rsl_rl.modules:ActorCritic", ActorCritic),
        ("rsl_rl.modules.student_teacher_recurrent.StudentTeacherRecurrent", StudentTeacherRecurrent),
        ("rsl_rl.networks:MLP", MLP),
        ("collections:OrderedDict", collections.OrderedDict),
        ("collections.OrderedDict.fromkeys", collections.OrderedDict.fromkeys),
        ("collections:OrderedDict.fromkeys", collections.OrderedDict.fromkeys),
    ],
)
def test_names_become_objects(name, expected):
    """Law: simple names and names within rsl_rl mean our classes; qualified names mean what they say."""
    assert resolve_callable(name) == expected


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("MLPModl", ValueError, "did you mean 'MLPModel'"),
        ("nowhere_at_all:Class", ModuleNotFoundError, "nowhere_at_all"),
        ("nowhere_at_all.Class", ImportError, "nowhere_at_all"),
        ("collections:Nothing", AttributeError, "Nothing"),
        ("collections.Nothing", AttributeError, "Nothing"),
        (3, TypeError, "got int"),
    ],
)
def test_names_that_lead_nowhere(name, error, message):
    """Law: each kind of failure has its own error, which names the culprit."""
    with pytest.raises(error, match=message):
        resolve_callable(name)


def test_an_error_inside_an_imported_module_is_not_hidden(tmp_path, monkeypatch):
    """Law: a module that exists but fails to import something tells what it failed to import."""
    (tmp_path / "broken_module_for_test.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        resolve_callable("broken_module_for_test.Class")


def test_log_writers_of_the_original_are_ours():
    """Law: a log writer named by its place in the original's utilities is the one of our logging package."""
    from rslcore.logging import LogWriter, WandbLogWriter

    assert resolve_callable("rsl_rl.utils:WandbLogWriter") is WandbLogWriter
    assert resolve_callable("rsl_rl.utils.wandb_log_writer.WandbLogWriter") is WandbLogWriter
    assert resolve_callable("rsl_rl.utils:LogWriter") is LogWriter


def test_resolve_class_leaves_the_configuration_alone():
    """Law: the arguments are a deep copy without class_name."""
    cfg = {"class_name": "PPO", "nested": {"list": [1]}}
    cls, arguments = resolve_class(cfg)
    arguments["nested"]["list"].append(2)
    assert cls is PPO and list(arguments) == ["nested"]
    assert cfg == {"class_name": "PPO", "nested": {"list": [1]}}
    with pytest.raises(KeyError, match="class_name"):
        resolve_class({"gamma": 1})


def test_check_keywords():
    """Law: unknown keywords are refused, unless the function takes any."""
    check_keywords(PPO, ["gamma", "lam"], "algorithm")
    check_keywords(lambda **anything: anything, ["gama"], "algorithm")
    with pytest.raises(ValueError, match="PPO: unknown key 'gama' in `algorithm`; did you mean 'gamma'"):
        check_keywords(PPO, ["gama"], "algorithm")


def test_activations_are_new_modules_and_optimizers_classes():
    """Law: names in any case; two activations share no module."""
    assert isinstance(resolve_nn_activation("CReLU"), torch.nn.CELU)
    assert resolve_nn_activation("elu") is not resolve_nn_activation("elu")
    assert resolve_optimizer("AdamW") is torch.optim.AdamW
    with pytest.raises(ValueError, match="'rmspropp' is unknown; did you mean 'rmsprop'"):
        resolve_optimizer("rmspropp")


def test_observation_sets_are_checked_and_filled_in(capsys):
    """Law: a missing set is the group of its name, else "policy"; the input stays as it is; the result is printed."""
    given = {"actor": ("policy",)}
    with pytest.warns(UserWarning, match="'critic'"):
        resolved = resolve_obs_groups(OBS, given, ["actor", "critic"])
    assert resolved == {"actor": ["policy"], "critic": ["critic"]}
    assert given == {"actor": ("policy",)}
    assert "Resolved observation sets" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="'policy'"):
        assert resolve_obs_groups(OBS, {}, ["teacher"]) == {"teacher": ["policy"]}


@pytest.mark.parametrize(
    ("groups", "obs", "message"),
    [
        ({"actor": []}, OBS, "'actor' must name at least one"),
        ({"actor": ["polcy"]}, OBS, "'polcy'.*did you mean 'policy'"),
        ({}, {"camera": torch.zeros(2, 3)}, "'actor' is missing.*neither"),
    ],
)
def test_wrong_observation_sets(groups, obs, message):
    """Law: empty sets, unknown groups and sets that cannot be filled in are refused."""
    with pytest.raises(ValueError, match=message):
        resolve_obs_groups(obs, groups, ["actor"])
