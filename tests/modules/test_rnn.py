# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import rsl_rl.modules
import rsl_rl.utils
import torch

from rslcore.modules import RNN

KINDS = [("lstm", 1), ("lstm", 2), ("gru", 1), ("gru", 3)]
STEPS, ENVS, INPUTS, HIDDEN = 9, 5, 4, 6


def make(rnn_class, kind="lstm", layers=1):
    """A network with the same initial weights every time."""
    torch.manual_seed(0)
    return rnn_class(INPUTS, HIDDEN, layers, kind)


def states(rnn):
    """The hidden state as a list of tensors."""
    state = rnn.hidden_state
    return [] if state is None else list(state) if isinstance(state, tuple) else [state]


def rollout(rnn, x, dones):
    """Outputs [T, N, H] of a rollout with resets, and the hidden state before every step."""
    outputs, before = [], []
    for step, done in zip(x, dones, strict=True):
        before.append([state.clone() for state in states(rnn)])
        outputs.append(rnn(step).squeeze(0))
        rnn.reset(done)
    return torch.stack(outputs), before


@pytest.fixture
def data():
    """A rollout and its dones."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(STEPS, ENVS, INPUTS, generator=generator)
    return x, (torch.rand(STEPS, ENVS, generator=generator) < 0.3).float()


def trajectories(x, dones, kind, layers):
    """Padded trajectories, masks and the hidden state at the start of each, as a storage gives them."""
    padded, masks = rsl_rl.utils.split_and_pad_trajectories(x, dones.unsqueeze(-1))
    generator = torch.Generator().manual_seed(2)
    shape = (layers, padded.shape[1], HIDDEN)
    start = [torch.randn(shape, generator=generator, requires_grad=True) for _ in range(2 if kind == "lstm" else 1)]
    return padded, masks, tuple(start) if kind == "lstm" else start[0]


@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_a_rollout_equals_the_oracle(kind, layers, data):
    """Law: same names, weights, outputs and hidden states as rsl-rl-lib, step by step with resets at dones."""
    ours, oracle = make(RNN, kind, layers), make(rsl_rl.modules.RNN, kind, layers)
    assert list(ours.state_dict()) == list(oracle.state_dict())
    assert ours.hidden_state is None
    with torch.no_grad():
        (outputs, before), (expected, expected_before) = rollout(ours, *data), rollout(oracle, *data)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(before, expected_before)
    torch.testing.assert_close(states(ours), states(oracle))
    for state in states(ours):
        assert state.shape == (layers, ENVS, HIDDEN) and not state[:, data[1][-1] == 1].any()


@pytest.mark.parametrize(("kind", "layers"), KINDS)
def test_trajectories_equal_the_oracle(kind, layers, data):
    """Law: batch mode gives the outputs and all gradients of rsl-rl-lib, and leaves the hidden state alone."""
    results = []
    for rnn_class in (RNN, rsl_rl.modules.RNN):
        rnn = make(rnn_class, kind, layers)
        padded, masks, start = trajectories(*data, kind, layers)
        output = rnn(padded.requires_grad_(), masks, start)
        output.square().sum().backward()
        assert rnn.hidden_state is None
        leaves = [*rnn.parameters(), padded, *(start if kind == "lstm" else [start])]
        results.append([output.detach(), *(leaf.grad for leaf in leaves)])
    assert results[0][0].shape == (STEPS, ENVS, HIDDEN)
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_trajectories_repeat_the_rollout(kind, data):
    """Law: over trajectories cut at dones, from the hidden states saved at their starts, outputs are the rollout's."""
    x, dones = data
    rnn = make(RNN, kind)
    with torch.no_grad():
        rnn(torch.randn(ENVS, INPUTS))  # the rollout starts in the middle of episodes
        outputs, before = rollout(rnn, x, dones)
        starts = torch.cat([torch.ones(1, ENVS, dtype=torch.bool), dones[:-1] == 1]).T
        padded, masks = rsl_rl.utils.split_and_pad_trajectories(x, dones.unsqueeze(-1))
        saved = [torch.stack(tensors) for tensors in zip(*before, strict=True)]
        start = [state.permute(2, 0, 1, 3)[starts].transpose(0, 1).contiguous() for state in saved]
        again = rnn(padded, masks, tuple(start) if kind == "lstm" else start[0])
    torch.testing.assert_close(again, outputs)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_gradients_stop_where_detached(kind, everywhere, data):
    """Law: detach_hidden_state cuts gradients of ended episodes only, or of all, as rsl-rl-lib does."""
    x, dones = data
    gradients = []
    for rnn_class in (RNN, rsl_rl.modules.RNN):
        rnn = make(rnn_class, kind)
        inputs = x.clone().requires_grad_()
        rnn(inputs[0])
        rnn.detach_hidden_state(None if everywhere else dones[0])
        rnn(inputs[1]).sum().backward()
        gradients.append([inputs.grad, *(parameter.grad for parameter in rnn.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])
    ended = torch.ones(ENVS, dtype=torch.bool) if everywhere else dones[0] == 1
    assert not gradients[0][0][0, ended].any()
    assert everywhere or gradients[0][0][0, ~ended].all(dim=-1).all()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_hidden_state_is_replaced_not_written_to(kind):
    """Law: who holds a hidden state keeps it; states made in inference mode may be reset outside of it."""
    rnn = make(RNN, kind)
    with torch.inference_mode():
        rnn(torch.randn(ENVS, INPUTS))
    held = [(state, state.clone()) for state in states(rnn)]
    rnn.reset(torch.tensor([1, 0, 1, 0, 0]))
    for now, (state, copy) in zip(states(rnn), held, strict=True):
        assert torch.equal(state, copy)
        assert not now[:, [0, 2]].any() and torch.equal(now[:, [1, 3, 4]], copy[:, [1, 3, 4]])


def test_reset_without_dones_sets_the_state():
    """Law: reset() forgets all; reset(hidden_state=...) restores a state; dones may be of any dtype and shape."""
    rnn = make(RNN)
    x = torch.randn(ENVS, INPUTS)
    first = rnn(x)
    state = rnn.hidden_state
    second = rnn(x)
    rnn.reset(hidden_state=state)
    assert torch.equal(rnn(x), second)
    rnn.reset()
    assert rnn.hidden_state is None and torch.equal(rnn(x), first)
    for dtype in (torch.bool, torch.uint8, torch.int64, torch.float32):
        rnn.reset(torch.ones(ENVS, 1, dtype=dtype))
        assert not any(state.any() for state in states(rnn))


def test_the_hidden_state_is_no_part_of_the_state_dict():
    """Law: a checkpoint has weights only."""
    rnn = make(RNN)
    keys = list(rnn.state_dict())
    rnn(torch.randn(ENVS, INPUTS))
    assert list(rnn.state_dict()) == keys


def test_clear_errors():
    """Law: wrong types, sizes and inputs are named."""
    with pytest.raises(ValueError, match="RNN: `type` 'gruu' is unknown; did you mean 'gru'"):
        RNN(3, 4, 1, "gruu")
    with pytest.raises(ValueError, match="RNN: `num_layers` must be an integer and at least 1, got 0"):
        RNN(3, 4, 0)
    rnn = make(RNN)
    with pytest.raises(ValueError, match="RNN: `hidden_state` must be given with `masks`"):
        rnn(torch.zeros(2, 3, INPUTS), torch.ones(2, 3, dtype=torch.bool))
    rnn(torch.zeros(ENVS, INPUTS))
    before = states(rnn)
    with pytest.raises(ValueError, match=r"RNN: `input` must be \[5, 4\] like in the step before, got \[3, 4\]"):
        rnn(torch.zeros(3, INPUTS))
    with pytest.raises(ValueError, match="`dones` or `hidden_state`, got both"):
        rnn.reset(torch.ones(ENVS), rnn.hidden_state)
    assert all(torch.equal(now, then) for now, then in zip(states(rnn), before, strict=True))
