# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Copies of a recurrent model for TorchScript, which keep the hidden state, and for ONNX, which pass it through."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from rslcore.models.exported import ExportedMLP
from rslcore.utils import exporting

if TYPE_CHECKING:
    from rslcore.models.rnn_model import RNNModel


class _ExportedRNN(ExportedMLP):
    """The parts of a recurrent model; ``rnn`` is torch's own module."""

    def __init__(self, model: RNNModel) -> None:
        super().__init__(model)
        self.rnn = copy.deepcopy(model.rnn.rnn)

    def _updates_in_place(self, x: torch.Tensor) -> bool:
        """Whether the state is to be written into its buffers, which is what tracers see of it; TorchScript sees all.

        Raises:
            RuntimeError: The exporter is that of ONNX, whose files keep nothing.
        """
        if torch.jit.is_scripting():
            return False
        elif torch.onnx.is_in_onnx_export():
            raise RuntimeError("as_jit: an ONNX file cannot keep a hidden state; export what as_onnx() returns")
        else:
            return exporting(x)

    def _zeros(self) -> torch.Tensor:
        """The state an episode of one environment starts from, [layers, 1, H]."""
        return next(self.rnn.parameters()).new_zeros(self.rnn.num_layers, 1, self.rnn.hidden_size)


class ExportedLSTM(_ExportedRNN):
    """One step of observations [N, D] to the deterministic output [N, A]; keeps its state until ``reset()``.

    Another N than in the step before starts all episodes anew.
    """

    def __init__(self, model: RNNModel) -> None:
        """Copy the weights and the statistics of the model as they are now; the hidden state starts at zero."""
        super().__init__(model)
        self.hidden_state: torch.Tensor
        self.cell_state: torch.Tensor
        self.register_buffer("hidden_state", self._zeros())
        self.register_buffer("cell_state", self._zeros())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the deterministic output [N, A] for the next observations [N, D]."""
        in_place = self._updates_in_place(x)
        if not in_place and self.hidden_state.shape[1] != x.shape[0]:
            self.hidden_state = self.hidden_state.new_zeros(self.rnn.num_layers, x.shape[0], self.rnn.hidden_size)
            self.cell_state = torch.zeros_like(self.hidden_state)
        output, (hidden, cell) = self.rnn(self.obs_normalizer(x).unsqueeze(0), (self.hidden_state, self.cell_state))
        if in_place:
            self.hidden_state.copy_(hidden)
            self.cell_state.copy_(cell)
        else:
            self.hidden_state = hidden.detach()
            self.cell_state = cell.detach()
        return self.deterministic_output(self.mlp(output.squeeze(0)))

    @torch.jit.export
    def reset(self) -> None:
        """Set the hidden state to zeros."""
        self.hidden_state = torch.zeros_like(self.hidden_state)
        self.cell_state = torch.zeros_like(self.cell_state)


class ExportedGRU(_ExportedRNN):
    """One step of observations [N, D] to the deterministic output [N, A]; keeps its state until ``reset()``.

    Another N than in the step before starts all episodes anew.
    """

    def __init__(self, model: RNNModel) -> None:
        """Copy the weights and the statistics of the model as they are now; the hidden state starts at zero."""
        super().__init__(model)
        self.hidden_state: torch.Tensor
        self.register_buffer("hidden_state", self._zeros())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the deterministic output [N, A] for the next observations [N, D]."""
        in_place = self._updates_in_place(x)
        if not in_place and self.hidden_state.shape[1] != x.shape[0]:
            self.hidden_state = self.hidden_state.new_zeros(self.rnn.num_layers, x.shape[0], self.rnn.hidden_size)
        output, hidden = self.rnn(self.obs_normalizer(x).unsqueeze(0), self.hidden_state)
        if in_place:
            self.hidden_state.copy_(hidden)
        else:
            self.hidden_state = hidden.detach()
        return self.deterministic_output(self.mlp(output.squeeze(0)))

    @torch.jit.export
    def reset(self) -> None:
        """Set the hidden state to zeros."""
        self.hidden_state = torch.zeros_like(self.hidden_state)


class _ExportedOnnxRNN(_ExportedRNN):
    """What an ONNX exporter asks a recurrent model for."""

    is_recurrent: bool = True
    rnn_type: str

    def __init__(self, model: RNNModel, verbose: bool) -> None:
        """Copy the model; ``verbose`` is passed on to the exporter."""
        super().__init__(model)
        self.verbose = verbose
        self.input_size = model.obs_dim
        self.hidden_size = self.rnn.hidden_size
        self.num_layers = self.rnn.num_layers

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs: observations [1, D], and the hidden state, each tensor [layers, 1, H]."""
        observations = next(self.rnn.parameters()).new_zeros(1, self.input_size)
        return (observations, *(self._zeros() for _ in self.input_names[1:]))

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        raise NotImplementedError


class ExportedOnnxLSTM(_ExportedOnnxRNN):
    """Observations [N, D], hidden and cell state [layers, N, H] to the output [N, A] and the next states."""

    rnn_type = "lstm"

    def forward(  # type: ignore[override]
        self, obs: torch.Tensor, h_in: torch.Tensor, c_in: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the deterministic output, the hidden and the cell state after the step."""
        output, (h_out, c_out) = self.rnn(self.obs_normalizer(obs).unsqueeze(0), (h_in, c_in))
        return self.deterministic_output(self.mlp(output.squeeze(0))), h_out, c_out

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return ["obs", "h_in", "c_in"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions", "h_out", "c_out"]


class ExportedOnnxGRU(_ExportedOnnxRNN):
    """Observations [N, D] and hidden state [layers, N, H] to the output [N, A] and the next hidden state."""

    rnn_type = "gru"

    def forward(  # type: ignore[override]
        self, obs: torch.Tensor, h_in: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the deterministic output and the hidden state after the step."""
        output, h_out = self.rnn(self.obs_normalizer(obs).unsqueeze(0), h_in)
        return self.deterministic_output(self.mlp(output.squeeze(0))), h_out

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return ["obs", "h_in"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions", "h_out"]
