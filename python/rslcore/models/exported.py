# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Copies of a model for TorchScript and ONNX: plain torch modules, deterministic output, no operators of ours."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from rslcore.models.mlp_model import MLPModel


class ExportedMLP(nn.Module):
    """Observations [B, D], the groups concatenated, to the deterministic output [B, A]."""

    def __init__(self, model: MLPModel) -> None:
        """Copy the weights and the statistics of the model as they are now."""
        super().__init__()
        self.obs_normalizer = copy.deepcopy(model.obs_normalizer)
        self.mlp = copy.deepcopy(model.mlp)
        self.deterministic_output = (
            nn.Identity() if model.distribution is None else model.distribution.as_deterministic_output_module()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the deterministic output [B, A] for observations [B, D]."""
        return self.deterministic_output(self.mlp(self.obs_normalizer(x)))

    @torch.jit.export
    def reset(self) -> None:
        """Reset the hidden state: this model has none, the method is part of every exported policy."""


class ExportedOnnxMLP(ExportedMLP):
    """:class:`ExportedMLP` with what an ONNX exporter asks for."""

    is_recurrent: bool = False

    def __init__(self, model: MLPModel, verbose: bool) -> None:
        """Copy the model; ``verbose`` is passed on to the exporter."""
        super().__init__(model)
        self.verbose = verbose
        self.input_size = model.obs_dim

    def get_dummy_inputs(self) -> tuple[torch.Tensor]:
        """Return an example input: zeros [1, D]."""
        return (next(self.mlp.parameters()).new_zeros(1, self.input_size),)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return ["obs"]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions"]
