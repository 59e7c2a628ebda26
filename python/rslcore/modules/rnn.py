# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent network that keeps its hidden state between steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import torch
from torch import nn

from rslcore import ops
from rslcore.config import RNNModelCfg, nearest
from rslcore.utils import (
    dones_of,
    exporting,
    is_set,
    refuse_to_be_scripted,
    require,
    state_without_graph,
    unpad_trajectories,
)

HiddenState: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None
"""Of a GRU h, of an LSTM (h, c), each [layers, N, H]; None stands for zeros, and for models without memory."""

_NETWORKS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class RNN(nn.Module):
    """LSTM or GRU with its hidden state; names and state-dict keys (``rnn.*``) as in rsl_rl 5.5.1.

    N environments, D inputs, H hidden units, T steps. The hidden state is no part of the state dict. It is replaced,
    never written to: what :attr:`hidden_state` returned earlier stays as it was.
    """

    hidden_state: HiddenState
    """State after the last step; None before the first."""

    def __init__(
        self,
        input_size: int,
        hidden_dim: int = RNNModelCfg.rnn_hidden_dim,
        num_layers: int = RNNModelCfg.rnn_num_layers,
        type: str = RNNModelCfg.rnn_type,
    ) -> None:
        """Build the network with torch's default initialization.

        Args:
            input_size: Width D of the input.
            hidden_dim: Width H of the hidden state, and of the output.
            num_layers: Layers, each fed with the one before.
            type: "lstm" (Hochreiter & Schmidhuber 1997) or "gru" (Cho et al. 2014), upper or lower case.

        Raises:
            ValueError: The type is unknown, or a size is less than 1.
        """
        super().__init__()
        require("RNN", "input_size", input_size, integer=True, least=1)
        require("RNN", "hidden_dim", hidden_dim, integer=True, least=1)
        require("RNN", "num_layers", num_layers, integer=True, least=1)
        if str(type).lower() not in _NETWORKS:
            raise ValueError(f"RNN: `type` '{type}' is unknown; {nearest(str(type).lower(), _NETWORKS)}")
        self.rnn = _NETWORKS[type.lower()](input_size=input_size, hidden_size=hidden_dim, num_layers=num_layers)
        self.hidden_state = None

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        refuse_to_be_scripted(self, "the torch module `rnn` in it")

    def forward(
        self,
        input: torch.Tensor,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
    ) -> torch.Tensor:
        """Advance by one step, or run over whole trajectories.

        One step (without ``masks``) starts from :attr:`hidden_state` and replaces it. Trajectories start from the
        hidden states given, and leave :attr:`hidden_state` alone.

        Args:
            input: One step [N, D], or padded trajectories [T, num_trajectories, D].
            masks: Valid steps of the trajectories, bool [T, num_trajectories]. With masks of a storage that cuts
                nothing, the trajectories are whole rollouts [T, N, D], within which the state is reset.
            hidden_state: State at the start of every trajectory, [layers, num_trajectories, H].

        Returns:
            Of one step [1, N, H]; of trajectories, joined to the rollout they were cut from, [T, N, H].

        Raises:
            ValueError: Trajectories come without hidden state, or one step has another number of environments than the
                one before.
        """
        if masks is not None:
            if hidden_state is None:
                raise ValueError(
                    "RNN: `hidden_state` must be given with `masks`: the state at every trajectory's start"
                )
            if (dones := dones_of(masks)) is not None:
                return self._scan(input, dones, hidden_state)
            output, _ = self.rnn(input, hidden_state)
            return unpad_trajectories(output, masks)
        if exporting(input):
            self._warn_of_lost_state()
        else:
            self._check_batch(input)
        output, self.hidden_state = self.rnn(input.unsqueeze(0), self.hidden_state)
        return output

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Set the hidden state of environments whose episode ended, or of all.

        Args:
            dones: Not 0 where an episode ended [N], any dtype; None means all environments.
            hidden_state: What to set; None means zeros.
        """
        if dones is None:
            self.hidden_state = hidden_state
        elif hidden_state is None:
            ended = _as_column(dones)
            self.hidden_state = _map(lambda state: state.masked_fill(ended, 0.0), self.hidden_state)
        else:
            raise ValueError("RNN: reset() takes `dones` or `hidden_state`, got both")

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient through the hidden state of environments whose episode ended [N], or of all."""
        if dones is None:
            self.hidden_state = _map(torch.Tensor.detach, self.hidden_state)
        else:
            ended = _as_column(dones)
            self.hidden_state = _map(lambda state: torch.where(ended, state.detach(), state), self.hidden_state)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graph of the hidden state, which could not be copied."""
        return state_without_graph(super().__getstate__())

    def _scan(self, input: torch.Tensor, dones: torch.Tensor, hidden_state: HiddenState) -> torch.Tensor:
        """Run over rollouts [T, N, D] whose episodes end where ``dones`` [T, N] are set."""
        output = input
        for layer, parameters in enumerate(self.rnn.all_weights):
            if isinstance(hidden_state, tuple):
                output, _, _ = ops.lstm(output, dones, hidden_state[0][layer], hidden_state[1][layer], *parameters)
            else:
                assert hidden_state is not None
                output, _ = ops.gru(output, dones, hidden_state[layer], *parameters)
        return output

    def _warn_of_lost_state(self) -> None:
        if self.hidden_state is None:
            warnings.warn(
                "RNN: no hidden state was set, so what is exported starts from zeros in every step; set `hidden_state` "
                "to an input and return it after the step, or export what as_onnx() or as_jit() of the model returns",
                stacklevel=3,
            )

    def _check_batch(self, input: torch.Tensor) -> None:
        state = self.hidden_state[0] if isinstance(self.hidden_state, tuple) else self.hidden_state
        if state is not None and state.shape[1:-1] != input.shape[:-1]:
            raise ValueError(
                f"RNN: `input` must be {[*state.shape[1:-1], self.rnn.input_size]} like in the step before, "
                f"got {list(input.shape)}; call reset() where other environments begin"
            )


def _as_column(dones: torch.Tensor) -> torch.Tensor:
    """Flags [N] or [N, 1] as bool [N, 1], which broadcasts against [layers, N, H]."""
    return is_set(dones).reshape(-1, 1)


def _map(function: Callable[[torch.Tensor], Any], state: HiddenState) -> HiddenState:
    """Apply a function to every tensor of a hidden state."""
    if state is None:
        return None
    return (function(state[0]), function(state[1])) if isinstance(state, tuple) else function(state)
