# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Convolutional encoders over image groups: policy or value function that sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rslcore.config import CNNModelCfg
from rslcore.models.exported_cnn import ExportedCNN, ExportedOnnxCNN
from rslcore.models.mlp_model import MLPModel
from rslcore.modules import CNN, HiddenState, image_to_float
from rslcore.utils import check_keywords, warn_of_rounding

if TYPE_CHECKING:
    from rslcore.models.mlp_model import Observations


class CNNModel(MLPModel):
    """Encodes every image group by a CNN of its own, and feeds the codes to an MLP behind the 1-D groups.

    Constructor, methods and state dict are those of rsl_rl 5.5.1; parameters and buffers are registered in the order
    ``obs_normalizer``, ``distribution``, ``mlp``, ``cnns``. Images are [B, C, H, W], and stay in their own dtype until
    they enter their CNN: see :func:`~rslcore.modules.image_to_float` (the CNNModel of rsl_rl 5.5.1 takes float images
    only).
    """

    cnns: nn.ModuleDict
    """Encoder of every image group."""

    obs_groups_2d: list[str]
    """Image groups, in the order of the observation set."""

    obs_dims_2d: list[tuple[int, int]]
    """Height and width of every image group."""

    obs_channels_2d: list[int]
    """Channels of every image group."""

    obs_dtypes_2d: list[torch.dtype]
    """Data type of every image group, which exported copies expect."""

    def __init__(
        self,
        obs: Observations,
        obs_groups: Mapping[str, Sequence[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = CNNModelCfg.hidden_dims,
        activation: str = CNNModelCfg.activation,
        obs_normalization: bool = CNNModelCfg.obs_normalization,
        distribution_cfg: Mapping[str, Any] | None = None,
        cnn_cfg: Mapping[str, Any] | None = None,
        cnns: Mapping[str, nn.Module] | nn.ModuleDict | None = None,
    ) -> None:
        """Build the model for observations shaped like ``obs``.

        Args:
            obs: Example observations, one tensor [B, D_group] or [B, C, H, W] per group.
            obs_groups: Observation set to the groups it is made of.
            obs_set: The set this model sees; at least one of its groups is an image.
            output_dim: Output dimension A.
            hidden_dims: Widths of the hidden layers of the MLP; -1 stands for the width of its input.
            activation: Name of the activation in the MLP; that of the CNNs is in ``cnn_cfg``.
            obs_normalization: Normalize 1-D observations by their running statistics; images are left alone.
            distribution_cfg: Output distribution; None for a deterministic output.
            cnn_cfg: Arguments of :class:`~rslcore.modules.CNN`, for all image groups alike, or a dictionary of them by
                the name of the group.
            cnns: Encoders of another model, to be shared with it; ``cnn_cfg`` is then ignored.

        Raises:
            ValueError: A group is neither a vector nor an image, no group is an image, the encoders do not fit the
                image groups, or a name or key is wrong.
        """
        self._get_obs_dim(obs, obs_groups, obs_set)
        encoders: Any = self._make_encoders(cnn_cfg) if cnns is None else self._check_shared(cnns)
        self.cnn_latent_dim = 0
        for group, encoder in encoders.items():
            if encoder.output_channels is not None:
                raise ValueError(f"{type(self).__name__}: the CNN of '{group}' must have `flatten` True, got False")
            self.cnn_latent_dim += int(encoder.output_dim)
        super().__init__(
            obs, obs_groups, obs_set, output_dim, hidden_dims, activation, obs_normalization, distribution_cfg
        )
        self.cnns = encoders if isinstance(encoders, nn.ModuleDict) else nn.ModuleDict(encoders)

    def get_latent(
        self,
        obs: Observations,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
    ) -> torch.Tensor:
        """Return the input of the MLP [B, ...]: the normalized 1-D groups, then the codes of the images."""
        parts = [super().get_latent(obs)] if self.obs_groups else []
        parts += [self._encode(group, index, obs[group]) for index, group in enumerate(self.obs_groups_2d)]
        return torch.cat(parts, dim=-1)

    def update_normalization(self, obs: Observations) -> None:
        """Let the normalizer of the 1-D groups, if there are any, learn from observations [B, D_group]."""
        if self.obs_groups:
            super().update_normalization(obs)

    def as_jit(self) -> nn.Module:
        """Return a copy that ``torch.jit.script`` accepts: 1-D groups [B, D] and a list of images to the output."""
        return ExportedCNN(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return a copy for ``torch.onnx.export``: inputs are "obs" [B, D] and every image group by its name."""
        return ExportedOnnxCNN(self, verbose)

    def _encode(self, group: str, index: int, images: torch.Tensor) -> torch.Tensor:
        """Codes [..., F] of images [..., C, H, W]."""
        shape = (self.obs_channels_2d[index], *self.obs_dims_2d[index])
        if tuple(images.shape[-3:]) != shape:
            raise ValueError(
                f"{type(self).__name__}: the image group '{group}' must be {['...', *shape]}, got {list(images.shape)}"
            )
        encoder = self.cnns[group]
        dtype = next((parameter.dtype for parameter in encoder.parameters()), torch.float32)
        warn_of_rounding(group, images, dtype)
        codes = encoder(image_to_float(images.reshape(-1, *shape), dtype))
        return codes.view(*images.shape[:-3], codes.shape[-1])

    def _make_encoders(self, cnn_cfg: Mapping[str, Any] | None) -> dict[str, CNN]:
        """One new CNN for every image group."""
        name = type(self).__name__
        if not cnn_cfg:
            raise ValueError(f"{name}: `cnn_cfg` must be given where no `cnns` are shared, got {cnn_cfg}")
        by_group = cnn_cfg
        if not all(isinstance(entry, Mapping) for entry in cnn_cfg.values()):
            by_group = dict.fromkeys(self.obs_groups_2d, cnn_cfg)
        if set(by_group) != set(self.obs_groups_2d):
            raise ValueError(
                f"{name}: `cnn_cfg` must name the image groups {self.obs_groups_2d}, got {sorted(by_group)}"
            )
        encoders = {}
        for index, group in enumerate(self.obs_groups_2d):
            settings = by_group[group]
            check_keywords(CNN, settings, f"cnn_cfg of '{group}'")
            for key in ("output_channels", "kernel_size"):
                if key not in settings:
                    raise ValueError(f"{name}: `cnn_cfg` of '{group}' must have '{key}', got {sorted(settings)}")
            encoders[group] = CNN(self.obs_dims_2d[index], self.obs_channels_2d[index], **settings)
        return encoders

    def _check_shared(self, cnns: Mapping[str, nn.Module] | nn.ModuleDict) -> Mapping[str, nn.Module] | nn.ModuleDict:
        """The encoders of another model, if they are for the same image groups."""
        if set(cnns.keys()) != set(self.obs_groups_2d):
            raise ValueError(
                f"{type(self).__name__}: models that share CNN encoders must have the same image groups, expected "
                f"{sorted(cnns.keys())}, got {sorted(self.obs_groups_2d)}"
            )
        print(f"{type(self).__name__}: the CNN encoders are shared, and its own `cnn_cfg` is ignored")
        return cnns

    def _get_obs_dim(
        self, obs: Observations, obs_groups: Mapping[str, Sequence[str]], obs_set: str
    ) -> tuple[list[str], int]:
        """Remember the image groups; 1-D groups of the observation set, and their width D together."""
        selected = self._select_groups(obs, obs_groups, obs_set)
        name = type(self).__name__
        for group, example in selected.items():
            if example.dim() not in (2, 4):
                raise ValueError(
                    f"{name}: the observation group '{group}' must be [num_envs, D] or [num_envs, C, H, W], "
                    f"got {list(example.shape)}"
                )
        images = {group: example for group, example in selected.items() if example.dim() == 4}
        vectors = {group: example for group, example in selected.items() if example.dim() == 2}
        if not images:
            shapes = {group: list(example.shape) for group, example in vectors.items()}
            raise ValueError(f"{name}: a group must be an image [num_envs, C, H, W], else use MLPModel; got {shapes}")
        self.obs_groups_2d = list(images)
        self.obs_dims_2d = [(image.shape[2], image.shape[3]) for image in images.values()]
        self.obs_channels_2d = [image.shape[1] for image in images.values()]
        self.obs_dtypes_2d = [image.dtype for image in images.values()]
        return list(vectors), sum(vector.shape[-1] for vector in vectors.values())

    def _get_latent_dim(self) -> int:
        """Width of the input of the MLP."""
        return self.obs_dim + self.cnn_latent_dim
