# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A recurrent network over observation groups: policy or value function with memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rslcore.config import RNNModelCfg
from rslcore.models.exported_rnn import ExportedGRU, ExportedLSTM, ExportedOnnxGRU, ExportedOnnxLSTM
from rslcore.models.mlp_model import MLPModel
from rslcore.modules import RNN, HiddenState

if TYPE_CHECKING:
    from rslcore.models.mlp_model import Observations


class RNNModel(MLPModel):
    """Concatenates 1-D observation groups, normalizes them, and feeds them to an LSTM or GRU and then to an MLP.

    Constructor, methods and state dict are those of rsl_rl 5.5.1; parameters and buffers are registered in the order
    ``obs_normalizer``, ``distribution``, ``mlp``, ``rnn``. The model remembers one hidden state per environment from
    one call to the next; :meth:`reset` forgets those of the episodes that ended.
    """

    is_recurrent: bool = True
    """Whether the model carries a hidden state."""

    def __init__(
        self,
        obs: Observations,
        obs_groups: Mapping[str, Sequence[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = RNNModelCfg.hidden_dims,
        activation: str = RNNModelCfg.activation,
        obs_normalization: bool = RNNModelCfg.obs_normalization,
        distribution_cfg: Mapping[str, Any] | None = None,
        rnn_type: str = RNNModelCfg.rnn_type,
        rnn_hidden_dim: int = RNNModelCfg.rnn_hidden_dim,
        rnn_num_layers: int = RNNModelCfg.rnn_num_layers,
    ) -> None:
        """Build the model for observations shaped like ``obs``.

        The first eight arguments are those of :class:`MLPModel`, where -1 in ``hidden_dims`` stands for the width of
        the hidden state.

        Args:
            obs: Example observations, one tensor [B, D_group] per group.
            obs_groups: Observation set to the groups it is made of.
            obs_set: The set this model sees.
            output_dim: Output dimension A.
            hidden_dims: Widths of the hidden layers of the MLP.
            activation: Name of the activation in the MLP.
            obs_normalization: Normalize observations by their running statistics.
            distribution_cfg: Output distribution; None for a deterministic output.
            rnn_type: "lstm" or "gru".
            rnn_hidden_dim: Width H of the hidden state.
            rnn_num_layers: Recurrent layers.

        Raises:
            ValueError: A group is not 1-D, or a name, key or size is wrong.
        """
        self.latent_dim = rnn_hidden_dim
        super().__init__(
            obs, obs_groups, obs_set, output_dim, hidden_dims, activation, obs_normalization, distribution_cfg
        )
        self.rnn = RNN(self.obs_dim, rnn_hidden_dim, rnn_num_layers, rnn_type)

    def get_latent(
        self,
        obs: Observations,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
    ) -> torch.Tensor:
        """Return the input of the MLP: the output of the recurrent network.

        Without ``masks`` the observations are one step [N, D_group], and the hidden state goes on: [N, H]. With
        ``masks`` they are padded trajectories that start from ``hidden_state``: [T, N, H].
        """
        output = self.rnn(super().get_latent(obs), masks, hidden_state)
        return output.squeeze(0) if masks is None else output

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Set the hidden state to zeros where episodes ended [N]; without ``dones``, all of it to ``hidden_state``."""
        self.rnn.reset(dones, hidden_state)

    def get_hidden_state(self) -> HiddenState:
        """Return the hidden state after the last step: h of a GRU, (h, c) of an LSTM, None before the first."""
        return self.rnn.hidden_state

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient through the hidden state where episodes ended [N], or everywhere."""
        self.rnn.detach_hidden_state(dones)

    def as_jit(self) -> nn.Module:
        """Return a copy that ``torch.jit.script`` accepts; it keeps its hidden state, and ``reset()`` forgets it."""
        return ExportedLSTM(self) if isinstance(self.rnn.rnn, nn.LSTM) else ExportedGRU(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return a copy for ``torch.onnx.export``: the hidden state is input and output."""
        lstm = isinstance(self.rnn.rnn, nn.LSTM)
        return ExportedOnnxLSTM(self, verbose) if lstm else ExportedOnnxGRU(self, verbose)

    def _get_latent_dim(self) -> int:
        """Width of the input of the MLP."""
        return self.latent_dim
