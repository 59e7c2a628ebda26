# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The runner's methods that export, called as scripts written for rsl_rl call them."""

from __future__ import annotations

import inspect

import pytest
import rsl_rl.runners
import torch

from rslcore.config import GaussianDistributionCfg, MLPModelCfg, OnPolicyRunnerCfg
from rslcore.runners import OnPolicyRunner


@pytest.fixture
def runner(make_env):
    """A runner after one iteration, which its normalizer has learned from."""
    model = {"hidden_dims": (8,), "obs_normalization": True}
    runner = OnPolicyRunner(
        make_env("Pendulum-v1"),
        OnPolicyRunnerCfg(
            num_steps_per_env=STEPS,
            obs_groups={"actor": ("first", "rest"), "critic": ("first", "rest")},
            actor=MLPModelCfg(distribution_cfg=GaussianDistributionCfg(), **model),
            critic=MLPModelCfg(**model),
        ),
    )
    runner.learn(1)
    return runner


STEPS = 8


@pytest.mark.parametrize("name", ["export_policy_to_jit", "export_policy_to_onnx"])
def test_signatures_are_those_of_rsl_rl(name):
    """Law: same names, order and defaults of the parameters."""
    ours, theirs = (
        [(p.name, p.default) for p in inspect.signature(getattr(runner, name)).parameters.values()]
        for runner in (OnPolicyRunner, rsl_rl.runners.OnPolicyRunner)
    )
    assert ours == theirs


def test_files_are_in_the_folder_under_their_names(runner, tmp_path):
    """Law: `path` is a folder, created if missing; the names are policy.pt and policy.onnx, or those given."""
    folder = tmp_path / "run" / "exported"
    runner.export_policy_to_jit(str(folder))
    runner.export_policy_to_onnx(folder)
    runner.export_policy_to_jit(path=folder, filename="other.pt")
    runner.export_policy_to_onnx(path=folder, filename="other.onnx", verbose=False)
    assert {file.name for file in folder.iterdir()} == {"policy.pt", "policy.onnx", "other.pt", "other.onnx"}


def test_export_between_iterations_gives_the_policy_of_that_moment(runner, tmp_path):
    """Law: the file acts as the policy did, normalizer included, and training goes on as if it had not been written."""
    observations = runner.env.get_observations()
    runner.export_policy_to_jit(tmp_path)
    with torch.inference_mode():
        before = runner.get_inference_policy()(observations)
    runner.learn(1)
    with torch.inference_mode():
        script = torch.jit.load(tmp_path / "policy.pt")
        exported = script(torch.cat([observations["first"], observations["rest"]], dim=-1))
        assert not torch.equal(runner.get_inference_policy()(observations), before)
    torch.testing.assert_close(exported, before, rtol=1e-5, atol=1e-5)
