# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Copies of a convolutional model for TorchScript and ONNX."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from rslcore.models.exported import ExportedMLP
from rslcore.modules import image_to_float

if TYPE_CHECKING:
    from rslcore.models.cnn_model import CNNModel


class ExportedCNN(ExportedMLP):
    """1-D observations [B, D] and images, each [B, C, H, W], to the deterministic output [B, A]."""

    def __init__(self, model: CNNModel) -> None:
        """Copy the weights and the statistics of the model as they are now."""
        super().__init__(model)
        self.cnns = nn.ModuleList([copy.deepcopy(model.cnns[group]) for group in model.obs_groups_2d])

    def forward(self, obs_1d: torch.Tensor, obs_2d: list[torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Return the deterministic output [B, A].

        Args:
            obs_1d: 1-D groups, concatenated; [B, 0] if there are none.
            obs_2d: Image groups in the order of the model's observation set.
        """
        parts = [self.obs_normalizer(obs_1d)]
        for i, cnn in enumerate(self.cnns):
            parts.append(cnn(image_to_float(obs_2d[i])))
        return self.deterministic_output(self.mlp(torch.cat(parts, dim=-1)))


class ExportedOnnxCNN(ExportedCNN):
    """:class:`ExportedCNN` with what an ONNX exporter asks for: every image group is an input of its own."""

    is_recurrent: bool = False

    def __init__(self, model: CNNModel, verbose: bool) -> None:
        """Copy the model; ``verbose`` is passed on to the exporter."""
        super().__init__(model)
        self.verbose = verbose
        self.obs_groups_2d = model.obs_groups_2d
        self._input_names = ["obs", *model.obs_groups_2d]
        self.obs_dims_2d = model.obs_dims_2d
        self.obs_channels_2d = model.obs_channels_2d
        self.obs_dtypes_2d = tuple(model.obs_dtypes_2d)  # a list of types is more than torch.jit can hold
        self.obs_dim_1d = model.obs_dim

    def forward(self, obs_1d: torch.Tensor, *obs_2d: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the deterministic output [B, A] for 1-D groups [B, D] and the images of every group."""
        return super().forward(obs_1d, list(obs_2d))

    def get_dummy_inputs(self) -> tuple[torch.Tensor, ...]:
        """Return example inputs: zeros of every shape and dtype, for one environment."""
        images = zip(self.obs_channels_2d, self.obs_dims_2d, self.obs_dtypes_2d, strict=True)
        return (
            next(self.mlp.parameters()).new_zeros(1, self.obs_dim_1d),
            *(torch.zeros(1, channels, *size, dtype=dtype, device="cpu") for channels, size, dtype in images),
        )

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return self._input_names

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["actions"]
