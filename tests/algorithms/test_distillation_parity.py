# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Distillation learns what rsl-rl-lib 5.5.1 learns: same weights and rollouts, same student after whole updates."""

from __future__ import annotations

import copy
import io
from types import SimpleNamespace
from typing import Any

import pytest
import rsl_rl.algorithms
import torch
from limits import THREADS
from rounding import Bounds, make_lipschitz
from tensordict import TensorDict

import rslcore.algorithms

NUM_ENVS = 6
NUM_ACTIONS = 3
GROUPS = {"policy": 5, "privileged": 4}
"""Width of each observation group; the teacher sees both."""

MLP = {"class_name": "MLPModel"}
LSTM = {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": 8, "rnn_num_layers": 2}
GRU = {"class_name": "RNNModel", "rnn_type": "gru", "rnn_hidden_dim": 8}


def make_cfg(num_steps: int, student: dict[str, Any], teacher: dict[str, Any], **algorithm: Any) -> dict[str, Any]:
    """A runner configuration that both libraries take."""
    common = {
        "hidden_dims": [16],
        "obs_normalization": True,
        "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.3},
    }
    return {
        "num_steps_per_env": num_steps,
        "obs_groups": {"student": ["policy"], "teacher": ["policy", "privileged"]},
        "student": {**common, **student},
        "teacher": {**common, **teacher},
        "algorithm": {"class_name": "Distillation", **algorithm},
        "multi_gpu": None,
    }


class Twins:
    """The same distillation in both libraries, and experience to feed it."""

    def __init__(
        self,
        student: dict[str, Any] | None = None,
        teacher: dict[str, Any] | None = None,
        num_steps: int = 12,
        seed: int = 0,
        **algorithm: Any,
    ) -> None:
        torch.set_num_threads(THREADS)
        self.num_steps = num_steps
        self.bounds = Bounds()
        self.generator = torch.Generator().manual_seed(seed)
        self.obs = self.observe()
        env = SimpleNamespace(num_envs=NUM_ENVS, num_actions=NUM_ACTIONS)
        cfg = make_cfg(num_steps, student or MLP, teacher or MLP, **algorithm)
        self.ours, self.theirs = (
            self._construct(library, env, copy.deepcopy(cfg), seed)
            for library in (rslcore.algorithms, rsl_rl.algorithms)
        )

    def _construct(self, library: Any, env: Any, cfg: dict[str, Any], seed: int) -> Any:
        torch.manual_seed(seed)
        if library is rsl_rl.algorithms:
            cfg["algorithm"].pop("keep_teacher_state", None)
        alg = library.Distillation.construct_algorithm(self.obs, env, cfg, "cpu")
        alg.train_mode()
        make_lipschitz([alg.optimizer])
        return alg

    def observe(self) -> TensorDict:
        """Random observations."""
        groups = {
            name: 2 * torch.randn(NUM_ENVS, width, generator=self.generator) + 1 for name, width in GROUPS.items()
        }
        return TensorDict(groups, batch_size=[NUM_ENVS])

    def rollout(self) -> None:
        """Fill both storages: the same observations, the same seed of torch's generator at every step."""
        for _ in range(self.num_steps):
            seed = int(torch.randint(2**31, (), generator=self.generator))
            actions = []
            for alg in (self.ours, self.theirs):
                torch.manual_seed(seed)
                with torch.inference_mode():
                    actions.append(alg.act(self.obs.clone()))
            torch.testing.assert_close(actions[0], actions[1], rtol=1e-4, atol=1e-5)
            dones = torch.rand(NUM_ENVS, generator=self.generator) < 0.1
            rewards = torch.randn(NUM_ENVS, generator=self.generator)
            self.obs = self.observe()
            for alg in (self.ours, self.theirs):
                with torch.inference_mode():
                    alg.process_env_step(self.obs.clone(), rewards, dones.long(), {})
        for alg in (self.ours, self.theirs):
            alg.compute_returns(self.obs.clone())

    def assert_same_after(self, updates: int) -> None:
        """Rollouts and updates of both, and compare."""
        for _ in range(updates):
            self.rollout()
            torch.testing.assert_close(
                self.ours.storage.privileged_actions, self.theirs.storage.privileged_actions, rtol=1e-5, atol=1e-6
            )
            with self.bounds.watch([self.theirs.optimizer]):
                losses = self.ours.update(), self.theirs.update()
            assert list(losses[0]) == ["behavior"]
            self.bounds.assert_same_losses(*losses)
            self.assert_same_parameters()
            self.assert_same_hidden_states()

    def assert_same_parameters(self) -> None:
        """Every parameter and statistic, and what the optimizers keep, agrees by name."""
        for role in ("student", "teacher"):
            self.bounds.assert_same_model(getattr(self.ours, role), getattr(self.theirs, role), role)
        self.bounds.assert_same_moments(self.ours.optimizer, self.theirs.optimizer)

    def assert_same_hidden_states(self) -> None:
        """The students remember the same."""
        ours, theirs = (alg.student.get_hidden_state() for alg in (self.ours, self.theirs))
        assert type(ours) is type(theirs)
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*gradient_length")
@pytest.mark.parametrize("loss_type", ["mse", "huber"])
@pytest.mark.parametrize("gradient_length", [1, 4, 5, 12, 24])
@pytest.mark.parametrize("student", [MLP, LSTM, GRU], ids=["mlp", "lstm", "gru"])
def test_updates_equal_the_oracle(student, gradient_length, loss_type):
    """Law: three rollouts and updates of two epochs give the oracle's student, statistics, losses and hidden state.

    The gradient lengths divide a rollout, span the border of the epochs, or leave steps over.
    """
    Twins(
        student, num_learning_epochs=2, gradient_length=gradient_length, loss_type=loss_type, learning_rate=3e-3
    ).assert_same_after(updates=3)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"max_grad_norm": 0.05}, id="gradient_limit"),
        pytest.param({"max_grad_norm": 0}, id="no_limit_by_zero"),
        pytest.param({"optimizer": "sgd", "learning_rate": 0.1}, id="sgd"),
        pytest.param({"optimizer": "adamw"}, id="adamw"),
        pytest.param({"use_mixed_precision": True}, id="mixed_precision"),
        pytest.param({"num_learning_epochs": 3}, id="epochs"),
    ],
)
def test_settings_mean_what_they_mean_in_the_oracle(settings):
    """Law: limits, optimizers, mixed precision and epochs give the oracle's parameters."""
    Twins(GRU, gradient_length=6, **settings).assert_same_after(updates=2)


@pytest.mark.parametrize("teacher", [LSTM, GRU], ids=["lstm", "gru"])
def test_a_recurrent_teacher_equals_the_oracle(teacher):
    """Law: one update with a recurrent teacher is the oracle's; more are, if the teacher forgets as it does there."""
    Twins(LSTM, teacher, gradient_length=4).assert_same_after(updates=1)
    Twins(LSTM, teacher, gradient_length=4, keep_teacher_state=False).assert_same_after(updates=3)


def through_file(content: Any) -> Any:
    """Save and load, as a runner does."""
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("writer", ["ours", "theirs"])
@pytest.mark.parametrize("student", [MLP, LSTM], ids=["mlp", "lstm"])
def test_a_checkpoint_of_either_library_continues_in_the_other(student, writer):
    """Law: student, teacher and optimizer cross over in both directions, and training goes on the same."""
    source = Twins(student, gradient_length=4)
    source.assert_same_after(updates=2)
    content = through_file(getattr(source, writer).save())
    assert list(content) == ["student_state_dict", "teacher_state_dict", "optimizer_state_dict"]

    twins = Twins(student, gradient_length=4, seed=1)
    for alg in (twins.ours, twins.theirs):
        # A state that is loaded shares its tensors with the file's content: give each its own.
        assert alg.load(through_file(content), None, True) is True
        assert alg.teacher_loaded
    twins.assert_same_parameters()
    twins.assert_same_after(updates=2)


def test_construction_draws_the_oracles_initial_weights():
    """Law: the same seed gives the same initial weights."""
    twins = Twins(LSTM, gradient_length=4)
    for role in ("student", "teacher"):
        ours, theirs = (getattr(alg, role).state_dict() for alg in (twins.ours, twins.theirs))
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
