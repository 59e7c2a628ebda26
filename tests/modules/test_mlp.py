# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import rsl_rl.modules
import torch

from rslcore.modules import MLP

ACTIVATIONS = (
    "elu", "selu", "relu", "crelu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish", "identity"
)  # fmt: skip


def make(library_class, *arguments, **keywords):
    """A module with the same initial weights every time."""
    torch.manual_seed(0)
    return library_class(*arguments, **keywords)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "ELU"])
def test_equals_the_oracle(activation):
    """Law: same seed, same layers, same names, same bits as rsl-rl-lib, for every activation name."""
    mlp, oracle = (make(c, 5, 3, [8, -1, 4], activation) for c in (MLP, rsl_rl.modules.MLP))
    assert list(mlp.state_dict()) == list(oracle.state_dict())
    x = torch.randn(7, 5)
    assert torch.equal(mlp(x), oracle(x))


@pytest.mark.parametrize("output_dim", [[2, 3], (4,)])
def test_output_shape_and_last_activation(output_dim):
    """Law: a shape as output dimension shapes the last dimension; the last activation comes after it."""
    mlp, oracle = (make(c, 5, output_dim, [8], "relu", "tanh") for c in (MLP, rsl_rl.modules.MLP))
    x = torch.randn(7, 5)
    assert mlp(x).shape == (7, *output_dim)
    assert torch.equal(mlp(x), oracle(x))


def test_without_hidden_layers_it_is_linear():
    """Law: no hidden layers leave one linear layer."""
    mlp = MLP(5, 3, [])
    x = torch.randn(7, 5)
    assert torch.equal(mlp(x), torch.nn.functional.linear(x, mlp[0].weight, mlp[0].bias))


def test_orthogonal_initialization():
    """Law: rows are orthogonal with the gain as length, biases zero; a sequence is indexed by layer number."""
    mlp = MLP(8, 3, [6])
    mlp.init_weights([2.0, 0.0, 0.5])
    for layer, gain in ((mlp[0], 2.0), (mlp[2], 0.5)):
        torch.testing.assert_close(layer.weight @ layer.weight.T, gain**2 * torch.eye(len(layer.weight)))
        assert not layer.bias.any()
    mlp.init_weights(0.1)
    torch.testing.assert_close(mlp[2].weight @ mlp[2].weight.T, 0.01 * torch.eye(3))


def test_unknown_activation_is_named():
    """Law: the message names the nearest activation."""
    with pytest.raises(ValueError, match="'sigmoidd' is unknown; did you mean 'sigmoid'"):
        MLP(2, 2, [2], "sigmoidd")
