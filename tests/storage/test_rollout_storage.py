# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.storage import RolloutStorage
from rslcore.utils import unpad_trajectories

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


def test_what_is_written_into_the_slot_is_stored():
    """Law: fields that are the slot's own views are kept as they are, and slots are the same in every rollout."""
    storage = make_storage()
    storage.make_distribution_params(make_transition().distribution_params)
    seen = []
    for rollout in range(2):
        for step in range(T):
            slot, transition = storage.slot(), make_transition()
            assert slot is storage.slot()
            transition.observations = storage.store_observations(transition.observations)
            for name in ("actions", "rewards", "dones", "values", "actions_log_prob"):
                getattr(slot, name).fill_(rollout * T + step)
                setattr(transition, name, getattr(slot, name))
            transition.distribution_params = slot.distribution_params
            storage.add_transition(transition)
            seen.append(slot)
        for name in ("actions", "rewards", "dones", "values", "actions_log_prob"):
            assert getattr(storage, name)[:, 0, 0].tolist() == [rollout * T + step for step in range(T)]
        storage.clear()
    assert seen[:T] == seen[T:]
    with pytest.raises(OverflowError, match="clear"):
        storage.step = T
        storage.slot()


def test_slots_follow_replaced_buffers():
    """Law: a step that begins after a buffer was replaced is stored in the new one."""
    storage = make_storage()
    fill(storage)
    storage.clear()
    storage.values = torch.zeros(T, N, 1)
    storage.observations["policy"] = torch.zeros(T, N, 4)
    transition = make_transition()
    storage.add_transition(transition)
    assert torch.equal(storage.values[0], transition.values)
    assert torch.equal(storage.observations["policy"][0], transition.observations["policy"])


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


def test_the_default_seed_follows_torchs():
    """Law: seeding torch seeds the shuffling, whatever the seed, without drawing from torch's generator.

    Another storage is shuffled otherwise; what is stored settles the seed.
    """
    obs = observe()
    torch.manual_seed(-12)
    expected = torch.rand(1)
    torch.manual_seed(-12)
    storages = [RolloutStorage("rl", N, T, obs, [A]) for _ in range(3)]
    draws = [storage.draw_permutation(50) for storage in storages[:2]]
    assert not torch.equal(*draws)
    storages[2].store_observations(obs)
    assert torch.equal(torch.rand(1), expected)
    assert len({storage.seed for storage in storages}) == 3
    torch.manual_seed(13)
    late = RolloutStorage("rl", N, T, obs, [A])
    torch.manual_seed(-12)
    assert late.seed == storages[0].seed


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


def hidden(width, layers=2):
    """A hidden state of one model."""
    return torch.randn(layers, N, width)


def test_reshuffling_draws_a_permutation_every_epoch():
    """Law: epoch e has the rows in the e-th permutation from the storage's state on; without, all have the first."""
    storage, twin = make_storage(seed=3), make_storage(seed=3)
    fill(storage)
    rows = 14  # of 15, in 2 minibatches
    orders = [twin.draw_permutation(rows) for _ in range(3)]
    actions = storage.actions.flatten(0, 1)
    batches = storage.mini_batch_generator(2, 3, reshuffle=True)
    for number, batch in enumerate(batches):
        epoch, i = divmod(number, 2)
        assert torch.equal(batch.actions, actions[orders[epoch][i * 7 : (i + 1) * 7]])
    assert storage.offset == 3
    list(storage.mini_batch_generator(2, 3))
    assert storage.offset == 4


def test_recurrent_minibatches_share_memory_over_updates():
    """Law: padded observations are contiguous and made once for all epochs; the next update reuses their memory."""
    storage = make_storage()
    fill(storage)
    first = list(storage.recurrent_mini_batch_generator(3, 2))
    second = list(storage.recurrent_mini_batch_generator(3, 1))
    for a, b, c in zip(first[:3], first[3:], second, strict=True):
        for group in ("policy", "image"):
            assert a.observations[group].data_ptr() == b.observations[group].data_ptr()
            assert a.observations[group].data_ptr() == c.observations[group].data_ptr()
            assert a.observations[group].is_contiguous()
        assert a is not b  # an algorithm may replace the fields of a batch


@pytest.mark.parametrize("num_mini_batches", [1, 2, 3])
def test_recurrent_minibatches_unpad_to_their_environments(num_mini_batches):
    """Law: a batch's mask puts what is made of its observations at the places of its actions; a copy of it does too."""
    storage = make_storage()
    fill(storage)
    size = N // num_mini_batches
    for i, batch in enumerate(storage.recurrent_mini_batch_generator(num_mini_batches, 1)):
        envs = slice(i * size, (i + 1) * size)
        for masks in (batch.masks, batch.masks.clone()):
            unpadded = unpad_trajectories(batch.observations["policy"], masks)
            assert torch.equal(unpadded, storage.observations["policy"][:, envs])
        assert torch.equal(batch.actions, storage.actions[:, envs])


def test_a_step_without_hidden_state_is_one_of_zeros():
    """Law: None means zeros, also where the buffer holds something of an earlier rollout."""
    storage = make_storage()
    for rollout in range(2):
        for step in range(T):
            transition = make_transition()
            transition.hidden_states = (None if rollout and step == 0 else hidden(4), None)
            storage.add_transition(transition)
        storage.clear()
    assert not storage.saved_hidden_state_a[0][0].any()
    assert storage.saved_hidden_state_a[0][1].all()
    assert storage.saved_hidden_state_c is None


def test_hidden_states_are_copied_in_inference_mode_too():
    """Law: what was stored does not change with the state it came from, and can be learned from."""
    storage = make_storage()
    state = hidden(4)
    with torch.inference_mode():
        for _ in range(T):
            transition = make_transition()
            transition.hidden_states = ((state, state * 2), None)
            storage.add_transition(transition)
    expected = state[:, :1].clone()
    state.zero_()
    batch = next(storage.recurrent_mini_batch_generator(3, 1))
    h, c = batch.hidden_states[0]
    assert torch.equal(h[:, :1], expected) and torch.equal(c[:, :1], 2 * expected)
    assert not h.is_inference() and h.is_contiguous()
    assert batch.masks.sum() == T


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_states", (torch.zeros(2, N, 5), None), r"`hidden_states` must be \[2, 3, 4\], got \[2, 3, 5\]"),
        ("hidden_states", ((torch.zeros(2, N, 4),) * 2, None), "`hidden_states` must have 1 tensors, got 2"),
        ("distribution_params", (torch.zeros(N, A),), "`distribution_params` must be 2 tensors as at the first"),
    ],
)
def test_later_transitions_must_be_like_the_first(field, value, message):
    """Law: the first transition decides on shapes and numbers."""
    storage, transition = make_storage(), make_transition()
    transition.hidden_states = (hidden(4), None)
    storage.add_transition(transition)
    setattr(transition, field, value)
    with pytest.raises(ValueError, match=message):
        storage.add_transition(transition)
    assert storage.step == 1


def test_distillation_needs_the_teachers_actions():
    """Law: fields of the training type are required, those of the other are not."""
    storage = RolloutStorage("distillation", N, T, observe(), [A])
    transition = RolloutStorage.Transition(
        observations=observe(), actions=torch.zeros(N, A), rewards=torch.zeros(N), dones=torch.zeros(N)
    )
    with pytest.raises(ValueError, match="must have `privileged_actions`, got None"):
        storage.add_transition(transition)
    transition.privileged_actions = torch.ones(N, A)
    storage.add_transition(transition)
    assert next(storage.generator()).privileged_actions.sum() == N * A


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.mini_batch_generator(0, 1), r"at least 1 and at most T \* N = 15, got 0"),
        (lambda s: s.recurrent_mini_batch_generator(4, 1), r"`num_mini_batches` must be .* at most N = 3, got 4"),
        (lambda s: s.generator(), r"`training_type` must be 'distillation' for generator\(\), got 'rl'"),
        (lambda s: s.mini_batch_generator(2, 1, torch.arange(15)), r"`permutation` must be \[14\], got \[15\]"),
        (lambda s: s.mini_batch_generator(1, 1, torch.arange(15), reshuffle=True), "must be None with `reshuffle`"),
    ],
)
def test_batches_that_cannot_be_are_refused(call, message):
    """Law: each is one clear error."""
    storage = make_storage()
    fill(storage)
    with pytest.raises(ValueError, match=message):
        next(call(storage))


@pytest.mark.parametrize("method", ["mini_batch_generator", "recurrent_mini_batch_generator"])
def test_distillation_has_no_minibatches(method):
    """Law: a storage gives the batches of its training type only, as in rsl_rl."""
    storage = RolloutStorage("distillation", N, T, observe(), [A])
    with pytest.raises(ValueError, match=f"`training_type` must be 'rl' for {method}"):
        next(getattr(storage, method)(1, 1))


def test_what_is_stored_has_no_gradient():
    """Law: a transition made outside of no_grad does not tie the buffers to its graph."""
    storage, transition = make_storage(), make_transition()
    transition.actions = transition.actions.requires_grad_() * 2
    storage.add_transition(transition)
    assert not storage.actions.requires_grad
