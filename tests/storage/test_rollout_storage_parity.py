# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Every generator of `RolloutStorage` yields what that of rsl_rl 5.5.1 yields, after two rollouts each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch
from rsl_rl.storage import RolloutStorage as Theirs
from tensordict import TensorDict

from rslcore.storage import RolloutStorage

A = 3
LAYERS = 2
HIDDEN = {
    "lstm": lambda n: (torch.randn(LAYERS, n, 5), torch.randn(LAYERS, n, 5)),
    "gru": lambda n: torch.randn(1, n, 4),
    "none": lambda n: None,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tests are about values."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def observe(num_envs: int) -> TensorDict:
    """A vector, an image of bytes and a number in float64."""
    return TensorDict(
        {
            "policy": torch.randn(num_envs, 4),
            "image": torch.randint(0, 256, (num_envs, 2, 3), dtype=torch.uint8),
            "wide": torch.randn(num_envs, 1, dtype=torch.float64),
        },
        batch_size=[num_envs],
    )


def fill(storages, actor: str, critic: str, probability: float, first: bool) -> None:
    """The same T random transitions into each storage; before the first step of all there is no hidden state."""
    num_steps, num_envs = storages[0].num_transitions_per_env, storages[0].num_envs
    for step in range(num_steps):
        fields = {
            "observations": observe(num_envs),
            "actions": torch.randn(num_envs, A),
            "rewards": torch.randn(num_envs),
            "dones": torch.rand(num_envs) < probability,
            "values": torch.randn(num_envs, 1),
            "actions_log_prob": torch.randn(num_envs),
            "distribution_params": (torch.randn(num_envs, A), torch.rand(num_envs, A), torch.rand(num_envs, 2, 3)),
            "privileged_actions": torch.randn(num_envs, A),
        }
        states = (None, None) if first and step == 0 else (HIDDEN[actor](num_envs), HIDDEN[critic](num_envs))
        for storage in storages:
            transition = storage.Transition()
            for name, value in fields.items():
                setattr(transition, name, value)
            transition.hidden_states = states
            storage.add_transition(transition)
    for storage in storages:
        if storage.training_type == "rl":
            storage.returns.copy_(storage.rewards * 2)
            storage.advantages.copy_(storage.values - storage.rewards)


def pair(num_steps: int, num_envs: int, training_type: str = "rl"):
    """A storage of ours and one of rsl_rl, empty."""
    arguments = (training_type, num_envs, num_steps, observe(num_envs), [A])
    return RolloutStorage(*arguments), Theirs(*arguments)


def assert_same(got, expected) -> None:
    """Equal values, dtypes, shapes and containers."""
    assert type(got) is type(expected)
    if isinstance(expected, tuple):
        for a, b in zip(got, expected, strict=True):
            assert_same(a, b)
    elif isinstance(expected, TensorDict):
        assert (got.batch_size, got.device, set(got.keys())) == (
            expected.batch_size,
            expected.device,
            set(expected.keys()),
        )
        for group, value in expected.items():
            assert_same(got[group], value)
    elif isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)
    else:
        assert got == expected


def assert_same_batches(got, expected) -> None:
    """All fields of all batches."""
    for ours, theirs in zip(got, expected, strict=True):
        assert set(vars(ours)) == set(vars(theirs))
        for name, value in vars(theirs).items():
            assert_same(getattr(ours, name), value)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("actor", "critic"), [("lstm", "lstm"), ("gru", "none"), ("none", "gru"), ("lstm", "gru")])
@pytest.mark.parametrize(
    ("num_steps", "num_envs", "num_mini_batches"), [(7, 11, 3), (1, 5, 2), (9, 1, 1), (5, 6, 6), (24, 10, 4)]
)
def test_recurrent_minibatches(
    num_steps: int, num_envs: int, num_mini_batches: int, actor: str, critic: str, probability: float
) -> None:
    """LSTM, GRU and no memory on either side; environments that fill no minibatch are dropped."""
    storages = pair(num_steps, num_envs)
    for first in (num_steps > 1, False):
        fill(storages, actor, critic, probability, first)
        ours, theirs = (storage.recurrent_mini_batch_generator(num_mini_batches, 2) for storage in storages)
        assert_same_batches(ours, theirs)
        for storage in storages:
            storage.clear()


@pytest.mark.parametrize(
    ("num_steps", "num_envs", "num_mini_batches"), [(7, 11, 3), (1, 5, 2), (9, 1, 1), (5, 6, 30), (24, 10, 7)]
)
def test_minibatches(num_steps: int, num_envs: int, num_mini_batches: int) -> None:
    """The same rows under the permutation that rsl_rl draws, the rest dropped."""
    storages = pair(num_steps, num_envs)
    ours, theirs = storages
    for _ in range(2):
        fill(storages, "none", "none", 0.3, first=False)
        torch.manual_seed(5)
        index = torch.randperm(num_mini_batches * (num_steps * num_envs // num_mini_batches))
        torch.manual_seed(5)
        expected = theirs.mini_batch_generator(num_mini_batches, 2)
        assert_same_batches(ours.mini_batch_generator(num_mini_batches, 2, index), expected)
        for storage in storages:
            storage.clear()


@pytest.mark.parametrize(("num_steps", "num_envs"), [(7, 11), (1, 1)])
def test_distillation(num_steps: int, num_envs: int) -> None:
    """One batch per step, with observations, the teacher's actions and dones."""
    storages = pair(num_steps, num_envs, "distillation")
    for _ in range(2):
        fill(storages, "none", "none", 0.3, first=False)
        ours, theirs = (storage.generator() for storage in storages)
        assert_same_batches(ours, theirs)
        for storage in storages:
            storage.clear()


@pytest.mark.parametrize("training_type", ["rl", "distillation"])
def test_interface(training_type: str) -> None:
    """Arguments in rsl_rl's order and with its defaults, and every attribute that its storage and records have."""
    for method in ("__init__", "mini_batch_generator", "recurrent_mini_batch_generator", "generator"):
        ours, theirs = (inspect.signature(getattr(cls, method)).parameters for cls in (RolloutStorage, Theirs))
        assert list(ours)[: len(theirs)] == list(theirs)
        assert all(ours[name].default == parameter.default for name, parameter in theirs.items())
    storage, reference = pair(4, 3, training_type)
    for name, value in vars(reference).items():
        assert_same(getattr(storage, name), value)
    for record in ("Transition", "Batch"):
        assert vars(getattr(storage, record)()) == vars(getattr(reference, record)())
    fields = [f"field {number}" for number in range(11)]
    assert vars(storage.Batch(*fields)) == vars(reference.Batch(*fields))
