# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Distributions over the output of a model; names and parameters as in rsl_rl 5.5.1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from rslcore.config import GaussianDistributionCfg
from rslcore.utils import require

_MIN_STD = 1e-6
"""Lower end of every ``std_range``: a smaller standard deviation makes log-probabilities overflow."""

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class Distribution(nn.Module):
    """What every output distribution provides; subclasses define all of it but :meth:`init_mlp_weights`.

    :meth:`update` sets the parameters for a batch; everything else then speaks of that batch. B is the batch, A the
    output dimension.
    """

    def __init__(self, output_dim: int) -> None:
        """Remember the output dimension A."""
        super().__init__()
        self.output_dim = output_dim

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
        """Standard deviation [B, A]."""
        raise NotImplementedError

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats [B]."""
        raise NotImplementedError

    @property
    def params(self) -> tuple[torch.Tensor, ...]:
        """Tensors [B, ...] that determine the distribution: stored with a rollout, and given to the KL divergence."""
        raise NotImplementedError

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of outputs [B, A]."""
        raise NotImplementedError

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats [B], from two sets of :attr:`params`."""
        raise NotImplementedError

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Set weights of the MLP that this distribution wants to start from; nothing by default."""


class GaussianDistribution(Distribution):
    """Gaussian with diagonal covariance; the MLP gives the mean, a parameter the standard deviation.

    State dict: ``std_param`` [A] or ``log_std_param`` [A]. The standard deviation is clamped to ``std_range``, and the
    parameter receives no gradient outside of it.
    """

    def __init__(
        self,
        output_dim: int,
        init_std: float = GaussianDistributionCfg.init_std,
        std_range: Sequence[float] = GaussianDistributionCfg.std_range,
        std_type: str = GaussianDistributionCfg.std_type,
        learn_std: bool = GaussianDistributionCfg.learn_std,
    ) -> None:
        """Create the parameter.

        Args:
            output_dim: Output dimension A.
            init_std: Initial standard deviation.
            std_range: Smallest and largest standard deviation; the smallest is at least 1e-6.
            std_type: "scalar" if the parameter is the standard deviation itself, "log" if it is its logarithm.
            learn_std: Whether the parameter is trained.

        Raises:
            ValueError: ``std_type`` is neither "scalar" nor "log", or a standard deviation is out of range.
        """
        super().__init__(output_dim)
        require("GaussianDistribution", "init_std", init_std, above=0)
        if len(std_range) != 2 or not max(std_range[0], _MIN_STD) <= std_range[1] < math.inf:
            raise ValueError(
                "GaussianDistribution: `std_range` must be [smallest, largest], finite, with smallest <= largest and "
                f"{_MIN_STD} <= largest, got {list(std_range)}"
            )
        self.std_type = std_type
        self.std_range = [max(std_range[0], _MIN_STD), std_range[1]]
        self.log_std_range = [math.log(bound) for bound in self.std_range]
        initial = torch.full((output_dim,), float(init_std))
        if std_type == "scalar":
            self.std_param = nn.Parameter(initial, requires_grad=learn_std)
        elif std_type == "log":
            self.log_std_param = nn.Parameter(initial.log(), requires_grad=learn_std)
        else:
            raise ValueError(f"GaussianDistribution: `std_type` must be 'scalar' or 'log', got '{std_type}'")
        self._batch: tuple[torch.Tensor, torch.Tensor] | None = None
        """Mean [B, A], and the standard deviation [A] that all of the batch share."""

    def update(self, mlp_output: torch.Tensor) -> None:
        """Take the output of the MLP [B, A] for the mean."""
        if self.std_type == "scalar":
            std = self.std_param.clamp(self.std_range[0], self.std_range[1])
        else:
            std = self.log_std_param.clamp(self.log_std_range[0], self.log_std_range[1]).exp()
        self._batch = mlp_output, std

    def sample(self) -> torch.Tensor:
        """Draw outputs [B, A]; consumes torch's generator exactly as rsl_rl 5.5.1 does."""
        with torch.no_grad():
            return torch.normal(*self._current())

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the mean, which is the output of the MLP."""
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:
        """Return the identity."""
        return nn.Identity()

    @property
    def input_dim(self) -> int:
        """The MLP gives one mean per output."""
        return self.output_dim

    @property
    def mean(self) -> torch.Tensor:
        """Mean [B, A]."""
        return self._current()[0]

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation, expanded to [B, A]."""
        mean, std = self._current()
        return std.expand_as(mean)

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats, expanded to [B]: sum over outputs of 1/2 + log(std sqrt(2 pi))."""
        mean, std = self._current()
        return (0.5 + _LOG_SQRT_2PI + std.log()).sum(dim=-1).expand(mean.shape[:-1])

    @property
    def params(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, both [B, A]."""
        return self.mean, self.std

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of outputs [B, A]: -(x - mean)^2 / (2 std^2) - log(std sqrt(2 pi)), summed."""
        mean, std = self._current()
        return (-((outputs - mean) ** 2) / (2 * std**2) - std.log() - _LOG_SQRT_2PI).sum(dim=-1)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats [B].

        Summed over outputs: (r + ((mean_old - mean_new) / std_new)^2 - 1 - log r) / 2 with r = (std_old / std_new)^2,
        in this order of operations: differences below the resolution of 1 then give exactly zero, which the adaptive
        learning rate treats apart.
        """
        old_mean, old_std = old_params
        new_mean, new_std = new_params
        ratio = (old_std / new_std) ** 2
        shift = ((old_mean - new_mean) / new_std) ** 2
        return 0.5 * (ratio + shift - 1 - ratio.log()).sum(dim=-1)

    def _current(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self._batch is None:
            raise RuntimeError("GaussianDistribution: update() must be called before the distribution is used")
        return self._batch
