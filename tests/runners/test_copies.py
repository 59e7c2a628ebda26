# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of ``copy.deepcopy``: of a policy, an algorithm and a runner, at any time."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from test_default_device import JOBS, configuration, make_env

from rslcore.runners import OnPolicyRunner


def trained(job: str, log_dir: Path | None = None) -> OnPolicyRunner:
    """A runner that has learned."""
    torch.manual_seed(1)
    runner = OnPolicyRunner(make_env(), configuration(JOBS[job]), log_dir, "cpu", console="none")
    runner.learn(2)
    return runner


def tensors(alg: Any) -> list[torch.Tensor]:
    """All parameters and buffers of an algorithm."""
    return [tensor for module in alg.trained_modules().values() for tensor in module.state_dict().values()]


def learn_on(runner: OnPolicyRunner) -> list[torch.Tensor]:
    """Learn two iterations more, with torch's generator where it was for everybody."""
    torch.manual_seed(3)
    runner.learn(2)
    return tensors(runner.alg)


@pytest.mark.parametrize("job", JOBS)
def test_a_copy_of_a_runner_learns_on_as_the_runner_does(job: str) -> None:
    """Law: a runner can be copied after learning; the copy has everything for itself, and goes on bit for bit."""
    runner = trained(job)
    before = [tensor.clone() for tensor in tensors(runner.alg)]
    twin = copy.deepcopy(runner)
    actual = learn_on(twin)
    assert all(torch.equal(a, b) for a, b in zip(tensors(runner.alg), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(actual, learn_on(runner), strict=True))


def test_a_runner_with_a_folder_can_be_copied(tmp_path: Path) -> None:
    """Law: writers and console are no obstacle."""
    runner = trained("eager", tmp_path)
    assert copy.deepcopy(runner).logger.log_dir == runner.logger.log_dir


@pytest.mark.parametrize("job", JOBS)
def test_copies_of_policy_and_algorithm(job: str) -> None:
    """Law: policy and algorithm can be copied after learning, and after acting with gradients; the policy pickles."""
    runner = trained(job)
    obs = runner.env.get_observations()
    policy = runner.alg.get_policy()
    for _ in range(2):
        twin = copy.deepcopy(policy)
        alg = copy.deepcopy(runner.alg)
        assert torch.equal(twin.output_std, policy.output_std)
        assert alg.get_policy() is not policy
        with torch.no_grad():
            expected = policy(obs)
            assert torch.equal(twin(obs), expected)
        policy(obs, stochastic_output=True)  # leaves mean, standard deviation and hidden state with their graph
    with torch.no_grad():
        state = policy.get_hidden_state()
        loaded = pickle.loads(pickle.dumps(policy))
        assert torch.equal(loaded(obs), policy(obs)), state


@pytest.mark.parametrize("job", ["eager", "lstm", "gru", "beta", "categorical"])
def test_an_update_keeps_no_graph(job: str) -> None:
    """Law: the graph of the last minibatch, with all activations that it holds, ends with the update."""
    runner = trained(job)
    policy = runner.alg.get_policy()
    assert all(tensor.grad_fn is None for tensor in (policy.output_std, *policy.output_distribution_params))
