# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from limits import THREADS
from rounding import GRADIENT, make_lipschitz

FOLDER = Path(__file__).parents[2] / "examples" / "kernels"

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COMPARED = {
    "cleanrl_ppo": {"normalized observations", "returns", "advantages", "minibatches"},
    "sb3_rollout_buffer": {"returns", "advantages", "minibatches"},
    "skrl_agent": {"returns", "advantages", "minibatches", "standardized observations", "running variance"},
}


@pytest.fixture
def load(monkeypatch):
    """A function that imports an example by name."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(f"kernels_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    torch.set_num_threads(THREADS)
    yield load
    sys.modules.pop("_measure", None)


def assert_same_weights(ours, theirs):
    """Parameters agree: no step amplified the roundings of their gradients."""
    assert list(ours) == list(theirs)
    for name, expected in theirs.items():
        atol = GRADIENT * expected.abs().max().item()
        torch.testing.assert_close(ours[name], expected, rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("name", COMPARED)
def test_short_run(name, load, monkeypatch, capsys):
    """Law: the example runs, its comparisons agree to 1e-5, and its JSON has a time for each version of each piece."""
    example = load(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--short", "--json"])
    example.main()
    report = json.loads(capsys.readouterr().out)
    assert set(report["equal"]) == COMPARED[name]
    assert all(difference <= 1e-5 for difference in report["equal"].values())
    assert report["equal"]["minibatches"] == 0
    assert "one iteration of training" in report["times"] and len(report["times"]) >= 3
    assert all(row["library_ms"] > 0 and row["rslcore_ms"] > 0 for row in report["times"].values())


@pytest.mark.parametrize("name", COMPARED)
def test_committed_results_are_of_the_full_run(name):
    """Law: the figures in the documents come from a run that is not the short one, with the comparisons of today."""
    report = json.loads(
        (FOLDER.parents[1] / "benchmarks" / "results" / "examples" / f"kernels_{name}.json").read_text()
    )
    assert set(report["equal"]) == COMPARED[name]
    assert report["num_envs"] * report["num_steps"] >= 8192


def test_a_different_result_is_refused(load, monkeypatch):
    """Law: the comparison fails where a difference is beyond the tolerance."""
    monkeypatch.setattr(sys, "argv", ["example"])
    report = load("_measure").Report("")
    with pytest.raises(AssertionError, match="returns"):
        report.equal("returns", torch.ones(3), torch.tensor([1.0, 1.0, 1.0 + 1e-4]))


def test_cleanrl_style_training_is_the_same(load):
    """Law: with the same order of rows, two iterations give the same weights with plain torch and with operators."""
    example = load("cleanrl_ppo")

    class SameOrder(example.WithRslcore):
        order = example.PlainTorch.order

    weights = []
    for steps in (SameOrder, example.PlainTorch):
        training = example.Training(steps, num_envs=16, num_steps=8)
        make_lipschitz([training.optimizer])
        for _ in range(2):
            training.iterate()
        weights.append(training.actor.state_dict())
    assert_same_weights(*weights)


def test_stable_baselines3_trains_the_same(load, monkeypatch):
    """Law: with Stable-Baselines3's order of rows, two rollouts give the same weights with either buffer."""
    example = load("sb3_rollout_buffer")

    class SameOrder(example.RslcoreRolloutBuffer):
        draw_order = example.ComparedRolloutBuffer.draw_order

    weights = []
    for buffer_class in (SameOrder, example.RolloutBuffer):
        agent = example.make_ppo(buffer_class, num_envs=4, num_steps=32)
        make_lipschitz([agent.policy.optimizer])
        agent.learn(2 * 4 * 32)
        weights.append(agent.policy.state_dict())
    assert_same_weights(*weights)


def test_skrl_trains_the_same(load, tmp_path):
    """Law: under the same seed, two iterations give the same weights and statistics with either agent."""
    example = load("skrl_agent")
    example.skrl.logger.setLevel("WARNING")
    weights = []
    for classes in (
        (example.RslcorePPO, example.RslcoreMemory, example.RslcoreScaler),
        (example.PPO, example.RandomMemory, example.RunningStandardScaler),
    ):
        training = example.Training(*classes, num_envs=4, num_steps=16, directory=str(tmp_path))
        make_lipschitz([training.trainer.agents.optimizer])
        for _ in range(2):
            training.iterate()
        agent = training.trainer.agents
        modules = {"policy": agent.policy, "value": agent.value, "scaler": agent._observation_preprocessor}
        weights.append({f"{key}.{name}": x for key, m in modules.items() for name, x in m.state_dict().items()})
    assert_same_weights(*weights)
