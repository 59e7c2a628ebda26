# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.storage import RolloutStorage

T, N, A = 5, 3, 2


def observe():
    """Random observations: a vector and an image."""
    return TensorDict(
        {"policy": torch.randn(N, 4), "image": torch.randint(0, 256, (N, 2, 3), dtype=torch.uint8)}, batch_size=[N]
    )


def make_storage(**keywords):
    """An empty storage."""
    return RolloutStorage("rl", N, T, observe(), [A], **keywords)


def make_transition(value=0.0):
    """A random transition whose rewards are all `value`."""
    transition = RolloutStorage.Transition()
    transition.observations = observe()
    transition.actions = torch.randn(N, A)
    transition.rewards = torch.full((N,), value)
    transition.dones = torch.tensor([False, True, False])
    transition.values = torch.randn(N, 1)
    transition.actions_log_prob = torch.randn(N)
    transition.distribution_params = (torch.randn(N, A), torch.rand(1, A).expand(N, A))
    return transition


def fill(storage):
    """Store T transitions, with the step as reward, and return them."""
    transitions = [make_transition(float(step)) for step in range(T)]
    for transition in transitions:
        storage.add_transition(transition)
    return transitions


def test_buffers_are_time_major_contiguous_and_of_native_dtype():
    """Law: [T, N, ...] contiguous, uint8 images stay uint8, flags are uint8."""
    storage = make_storage()
    fill(storage)
    assert storage.observations["image"].dtype == torch.uint8
    assert storage.observations["image"].shape == (T, N, 2, 3)
    assert storage.observations.batch_size == (T, N)
    assert storage.dones.dtype == torch.uint8
    assert [p.shape for p in storage.distribution_params] == [(T, N, A), (T, N, A)]
    for name in ("rewards", "dones", "values", "actions_log_prob", "returns", "advantages"):
        buffer = getattr(storage, name)
        assert buffer.shape == (T, N, 1) and buffer.is_contiguous()


def test_transitions_land_at_their_step():
    """Law: what step t stored is at index t."""
    storage = make_storage()
    for step, transition in enumerate(fill(storage)):
        assert torch.equal(storage.observations["image"][step], transition.observations["image"])
        assert torch.equal(storage.actions[step], transition.actions)
        assert storage.rewards[step].view(-1).tolist() == [step] * N
        assert storage.dones[step].view(-1).tolist() == [0, 1, 0]
        assert torch.equal(storage.distribution_params[1][step], transition.distribution_params[1])


def test_observations_may_be_stored_ahead():
    """Law: store_observations copies at once, and add_transition does not copy over it."""
    storage = make_storage()
    obs, transition = observe(), make_transition()
    expected = obs["policy"].clone()
    transition.observations = storage.store_observations(obs)
    obs["policy"].zero_()
    storage.add_transition(transition)
    assert torch.equal(storage.observations["policy"][0], expected)
    later = make_transition()
    storage.add_transition(later)
    assert torch.equal(storage.observations["policy"][1], later.observations["policy"])


def test_overflow_and_clear():
    """Law: more than T transitions are refused until the storage is cleared."""
    storage = make_storage()
    fill(storage)
    with pytest.raises(OverflowError, match="clear"):
        storage.add_transition(make_transition())
    storage.clear()
    storage.add_transition(make_transition(9.0))
    assert storage.rewards[0].view(-1).tolist() == [9.0] * N


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rewards", torch.zeros(1), r"`rewards` must be \[3, 1\], got \[1, 1\]"),
        ("actions", torch.zeros(N, 1), r"`actions` must be \[3, 2\], got \[3, 1\]"),
        ("values", torch.zeros(N), r"`values` must be \[3, 1\], got \[3\]"),
        ("dones", None, "must have `dones`, got None"),
    ],
)
def test_what_does_not_fit_is_refused(field, value, message):
    """Law: nothing is broadcast silently, and the step does not advance."""
    storage, transition = make_storage(), make_transition()
    setattr(transition, field, value)
    with pytest.raises(ValueError, match=message):
        storage.add_transition(transition)
    assert storage.step == 0


def test_transition_clear():
    """Law: a cleared transition is a new one."""
    transition = make_transition()
    transition.clear()
    assert transition == RolloutStorage.Transition()


@pytest.mark.parametrize("num_mini_batches", [1, 2, 4, 15])
def test_minibatches_are_the_permuted_rows(num_mini_batches):
    """Law: minibatch i of every epoch is rows permutation[i*b : (i+1)*b] of the buffers, remainder dropped."""
    storage = make_storage()
    fill(storage)
    size = T * N // num_mini_batches
    index = torch.randperm(num_mini_batches * size)
    batches = list(storage.mini_batch_generator(num_mini_batches, 2, permutation=index))
    assert len(batches) == 2 * num_mini_batches
    fields = {"actions": "actions", "values": "values", "advantages": "advantages", "returns": "returns"}
    for number, batch in enumerate(batches):
        i = number % num_mini_batches
        rows = index[i * size : (i + 1) * size]
        for name, buffer in (fields | {"old_actions_log_prob": "actions_log_prob"}).items():
            assert torch.equal(getattr(batch, name), getattr(storage, buffer).flatten(0, 1)[rows]), name
        for group, expected in storage.observations.flatten(0, 1)[rows].items():
            assert torch.equal(batch.observations[group], expected)
        for params, expected in zip(batch.old_distribution_params, storage.distribution_params, strict=True):
            assert torch.equal(params, expected.flatten(0, 1)[rows])
        assert batch.observations.batch_size == (size,)
        assert batch.hidden_states == (None, None) and batch.masks is None


def test_minibatches_share_one_set_of_buffers_over_epochs_and_updates():
    """Law: minibatches are contiguous views; no memory is allocated for them after the first update."""
    storage = make_storage()
    fill(storage)
    first = list(storage.mini_batch_generator(3, 2))
    second = list(storage.mini_batch_generator(3, 1))
    for a, b, c in zip(first[:3], first[3:], second, strict=True):
        assert a.actions.data_ptr() == b.actions.data_ptr() == c.actions.data_ptr()
        assert a.actions.is_contiguous()


def test_replaced_buffers_are_followed():
    """Law: a subclass may put another tensor, of another dtype or width, in place of a buffer."""
    storage = make_storage()
    fill(storage)
    list(storage.mini_batch_generator(3, 1))
    storage.advantages = torch.arange(T * N, dtype=torch.float64).view(T, N, 1)
    index = torch.arange(T * N).flip(0)
    (batch,) = storage.mini_batch_generator(1, 1, permutation=index)
    assert batch.advantages.view(-1).tolist() == index.tolist()
    assert batch.advantages.dtype == torch.float64


def test_shuffling_follows_from_seed_and_offset():
    """Law: every update draws another permutation, and a restored state draws the same ones again."""
    storage = make_storage(seed=3)
    draws = [storage.draw_permutation(50) for _ in range(3)]
    assert all(sorted(draw.tolist()) == list(range(50)) for draw in draws)
    assert not torch.equal(draws[0], draws[1])
    state = storage.state_dict()
    after = storage.draw_permutation(50)
    restored = make_storage(seed=4)
    restored.load_state_dict(state)
    assert torch.equal(restored.draw_permutation(50), after)
    assert not torch.equal(make_storage(seed=4).draw_permutation(50), draws[0])


def test_the_default_seed_is_torchs():
    """Law: seeding torch seeds the shuffling, whatever the seed, without drawing from torch's generator."""
    obs = observe()
    torch.manual_seed(-12)
    expected = torch.rand(1)
    torch.manual_seed(-12)
    storage = RolloutStorage("rl", N, T, obs, [A])
    storage.draw_permutation(5)
    assert torch.equal(torch.rand(1), expected)
    assert RolloutStorage("rl", N, T, obs, [A]).seed == storage.seed
    torch.manual_seed(13)
    assert RolloutStorage("rl", N, T, obs, [A]).seed == 13


@pytest.mark.parametrize("stored", [True, False])
def test_impossible_minibatches_are_refused(stored):
    """Law: more minibatches than rows, or no rows at all, is an error that says so."""
    storage = make_storage()
    if stored:
        fill(storage)
    with pytest.raises(ValueError, match="at most T \\* N = 15, got 16" if stored else "must be stored before"):
        next(storage.mini_batch_generator(16 if stored else 1, 1))


def test_other_training_types_are_refused():
    """Law: the storage says what it can hold."""
    with pytest.raises(ValueError, match="`training_type` must be 'rl' or 'distillation', got 'imitation'"):
        RolloutStorage("imitation", N, T, observe(), [A])


def test_filled_in_inference_mode_and_read_outside():
    """Law: buffers made during a rollout in inference mode can be written to and learned from afterwards."""
    storage = make_storage()
    with torch.inference_mode():
        fill(storage)
    assert not storage.distribution_params[0].is_inference()
    storage.distribution_params[0].add_(1)
    (batch,) = storage.mini_batch_generator(1, 1)
    weight = torch.ones(A, requires_grad=True)
    (batch.actions * weight).sum().backward()
    assert weight.grad is not None
