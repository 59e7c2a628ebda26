# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What every output distribution provides, and what several of them share."""

from __future__ import annotations

import math
from typing import Any, NoReturn, TypeVar

import torch
from torch import nn

from rslcore.utils import exporting, readable, refuse_to_be_scripted, state_without_graph

_T = TypeVar("_T")


class Distribution(nn.Module):
    """What every output distribution provides; subclasses define all of it but :meth:`init_mlp_weights`.

    :meth:`update` sets the parameters for a batch; everything else then speaks of that batch. B is the batch (any
    number of leading dimensions), A the output dimension.
    """

    def __init__(self, output_dim: int) -> None:
        """Remember the output dimension A."""
        super().__init__()
        self.output_dim = output_dim

    def __dir__(self) -> list[str]:
        """Names of what can be read now; what speaks of a batch is among them after :meth:`update`."""
        return readable(self, super().__dir__())

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        refuse_to_be_scripted(self, "what as_deterministic_output_module() returns")

    def update(self, mlp_output: torch.Tensor) -> None:
        """Set the parameters of the distribution from the output of the MLP [B, *input_dim]."""
        raise NotImplementedError

    def sample(self) -> torch.Tensor:
        """Draw outputs [B, A] with torch's global generator; no gradient."""
        raise NotImplementedError

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the output [B, A] to use when nothing is sampled, from the output of the MLP."""
        raise NotImplementedError

    def as_deterministic_output_module(self) -> nn.Module:
        """Return :meth:`deterministic_output` as a module that TorchScript and ONNX can export."""
        raise NotImplementedError

    @property
    def input_dim(self) -> int | list[int]:
        """Output dimension, or shape, that the MLP must have."""
        raise NotImplementedError

    @property
    def mean(self) -> torch.Tensor:
        """Mean [B, A]."""
        raise NotImplementedError

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation [B, A]; its mean is logged as ``Policy/mean_std``."""
        raise NotImplementedError

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats [B]."""
        raise NotImplementedError

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """Tensors [B, ...] that determine the distribution: stored with a rollout, and given to the KL divergence.

        Any number of tensors, each with its own shape behind B.
        """
        raise NotImplementedError

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Logarithm of the probability (density) [B] of outputs [B, A]."""
        raise NotImplementedError

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats [B], from two sets of :attr:`params`."""
        raise NotImplementedError

    def detach(self) -> None:
        """Cut the batch from the graph that made it, so that its numbers alone are kept."""
        vars(self).update(state_without_graph(vars(self)))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the graph of the batch, which could not be copied."""
        return state_without_graph(super().__getstate__())

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Set weights of the MLP that this distribution wants to start from; nothing by default."""

    def _given(self, batch: _T | None) -> _T:
        """What :meth:`update` left, or an error where it was not called."""
        if batch is None:
            raise RuntimeError(f"{type(self).__name__}: update() must be called before the distribution is used")
        return batch

    def _require_finite(self, **parameters: torch.Tensor) -> None:
        """Refuse to sample from parameters that are NaN or infinite.

        Only where :func:`can_inspect` allows it; elsewhere NaN reaches the outputs.
        """
        for name, value in parameters.items():
            # The sum settles it in one pass, unless large numbers overflow.
            if not can_inspect(value) or math.isfinite(value.sum().item()) or bool(value.isfinite().all()):
                continue
            wrong = (~value.isfinite()).nonzero()
            place = wrong[0].tolist()
            number = value[tuple(place)].item()
            raise RuntimeError(
                f"{type(self).__name__}: `{name}` must be finite to sample, got {number} at {place} "
                f"({len(wrong)} of {value.numel()} elements); the model's weights or its input are not finite"
            )


def can_inspect(tensor: torch.Tensor) -> bool:
    """Whether values may be looked at: not on a GPU, which it would wait for, nor in what is compiled or exported."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling() and not exporting(tensor)


def at_least_float32(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or a float32 copy of one of half precision, which probabilities need more than."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def last_linear(owner: str, mlp: nn.Module) -> nn.Linear:
    """The linear layer that gives the parameters of a distribution.

    Raises:
        ValueError: The module has no linear layer.
    """
    layers = [module for module in mlp.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(f"{owner}: `mlp` must have a linear layer, got {type(mlp).__name__}")
    return layers[-1]


class FirstRow(nn.Module):
    """The first of the rows [..., rows, A] of an MLP's output."""

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the row [..., A]."""
        return mlp_output[..., 0, :]
