# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Gaussians with diagonal covariance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from rslcore.config import GaussianDistributionCfg, HeteroscedasticGaussianDistributionCfg
from rslcore.modules.distribution.base import Distribution, FirstRow, at_least_float32, last_linear
from rslcore.utils import require

_MIN_STD = 1e-6
"""Lower end of every ``std_range``: a smaller standard deviation makes log-probabilities overflow."""

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


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
            init_std: Initial standard deviation; 0 stands for the smallest one (a teacher that hardly varies).
            std_range: Smallest and largest standard deviation; the smallest is at least 1e-6.
            std_type: "scalar" if the parameter is the standard deviation itself, "log" if it is its logarithm.
            learn_std: Whether the parameter is trained.

        Raises:
            ValueError: ``std_type`` is neither "scalar" nor "log", or a standard deviation is out of range.
        """
        super().__init__(output_dim)
        self._set_up_std(init_std, std_range, std_type)
        initial = torch.full((output_dim,), float(init_std))
        if std_type == "scalar":
            self.std_param = nn.Parameter(initial, requires_grad=learn_std)
        else:
            self.log_std_param = nn.Parameter(initial.clamp(min=_MIN_STD).log(), requires_grad=learn_std)

    def _set_up_std(self, init_std: float, std_range: Sequence[float], std_type: str) -> None:
        """Check and keep the settings of the standard deviation."""
        owner = type(self).__name__
        require(owner, "init_std", init_std, least=0)
        if len(std_range) != 2 or not max(std_range[0], _MIN_STD) <= std_range[1] < math.inf:
            raise ValueError(
                f"{owner}: `std_range` must be [smallest, largest], finite, with smallest <= largest and "
                f"{_MIN_STD} <= largest, got {list(std_range)}"
            )
        if std_type not in ("scalar", "log"):
            raise ValueError(f"{owner}: `std_type` must be 'scalar' or 'log', got '{std_type}'")
        self.std_type = std_type
        self.std_range = [max(std_range[0], _MIN_STD), std_range[1]]
        self.log_std_range = [math.log(bound) for bound in self.std_range]
        self._batch: tuple[torch.Tensor, torch.Tensor] | None = None
        """Mean [B, A], and the standard deviation: [B, A], or [A] where all of the batch share it."""

    def _to_std(self, parameter: torch.Tensor) -> torch.Tensor:
        """The standard deviation, within its range, from its parameter: itself or its logarithm."""
        if self.std_type == "scalar":
            return parameter.clamp(self.std_range[0], self.std_range[1])
        return parameter.clamp(self.log_std_range[0], self.log_std_range[1]).exp()

    def update(self, mlp_output: torch.Tensor) -> None:
        """Take the output of the MLP [B, A] for the mean."""
        self._batch = mlp_output, self.current_std()

    def take(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Take mean [B, A] and standard deviation, [A] or [B, A], that were computed elsewhere."""
        vars(self)["_batch"] = mean, std  # setting an attribute of a module takes as long as a small operator

    def take_std(self, std: torch.Tensor) -> None:
        """Take a standard deviation [A] for the last mean."""
        if self._batch is not None:
            self.take(self._batch[0], std)

    def current_std(self) -> torch.Tensor:
        """Return the standard deviation [A] as the parameter is now."""
        return self._to_std(self.std_param if self.std_type == "scalar" else self.log_std_param)

    def sample(self) -> torch.Tensor:
        """Draw outputs [B, A]; consumes torch's generator, and gives the bits, as rsl_rl 5.5.1 does.

        Raises:
            RuntimeError: Mean or standard deviation is NaN or infinite (looked at on the CPU only).
        """
        mean, std = self._given(self._batch)
        self._require_finite(mean=mean, std=std)
        with torch.no_grad():
            # torch.normal gives the same, but makes the host wait for a GPU to check the standard deviation.
            noise = torch.randn(mean.shape, dtype=torch.promote_types(mean.dtype, std.dtype), device=mean.device)
            return noise.mul_(std).add_(mean)

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the mean, which is the output of the MLP."""
        return mlp_output

    def as_deterministic_output_module(self) -> nn.Module:
        """Return the identity."""
        return nn.Identity()

    @property
    def input_dim(self) -> int | list[int]:
        """The MLP gives one mean per output: A."""
        return self.output_dim

    @property
    def mean(self) -> torch.Tensor:
        """Mean [B, A]."""
        return self._given(self._batch)[0]

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation, expanded to [B, A]."""
        mean, std = self._given(self._batch)
        return std.expand_as(mean)

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats, expanded to [B]: sum over outputs of 1/2 + log(std sqrt(2 pi))."""
        mean, std = self._given(self._batch)
        return (0.5 + _LOG_SQRT_2PI + std.log()).sum(dim=-1).expand(mean.shape[:-1])

    @property
    def params(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation, both [B, A]."""
        return self.mean, self.std

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of outputs [B, A]: -(x - mean)^2 / (2 std^2) - log(std sqrt(2 pi)), summed."""
        mean, std = self._given(self._batch)
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


class HeteroscedasticGaussianDistribution(GaussianDistribution):
    """Gaussian with diagonal covariance; the MLP gives the mean, and the standard deviation or its logarithm.

    The standard deviation is clamped to ``std_range``; beyond it, its half of the MLP receives no gradient.
    """

    def __init__(
        self,
        output_dim: int,
        init_std: float = HeteroscedasticGaussianDistributionCfg.init_std,
        std_range: Sequence[float] = HeteroscedasticGaussianDistributionCfg.std_range,
        std_type: str = HeteroscedasticGaussianDistributionCfg.std_type,
    ) -> None:
        """Keep the settings; nothing here is trained, the MLP is.

        Args:
            output_dim: Output dimension A.
            init_std: Initial standard deviation, the same in every state.
            std_range: Smallest and largest standard deviation; the smallest is at least 1e-6.
            std_type: "scalar" if the MLP gives the standard deviation itself, "log" if it gives its logarithm.

        Raises:
            ValueError: ``std_type`` is neither "scalar" nor "log", or a standard deviation is out of range.
        """
        Distribution.__init__(self, output_dim)
        self._set_up_std(init_std, std_range, std_type)
        self.init_std = init_std

    def update(self, mlp_output: torch.Tensor) -> None:
        """Take mean and standard deviation from the output of the MLP [B, 2, A]."""
        mean, parameter = at_least_float32(mlp_output).unbind(dim=-2)
        self._batch = mean, self._to_std(parameter)

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the mean [B, A], the first half of the output of the MLP [B, 2, A]."""
        return mlp_output[..., 0, :]

    def as_deterministic_output_module(self) -> nn.Module:
        """Return a module that takes the mean from the output of the MLP."""
        return FirstRow()

    @property
    def input_dim(self) -> list[int]:
        """The MLP gives [2, A]: the means, then the standard deviations or their logarithms."""
        return [2, self.output_dim]

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Let the standard deviation be ``init_std`` in every state: weights zero, bias its value or its logarithm."""
        head = last_linear(type(self).__name__, mlp)
        nn.init.zeros_(head.weight[self.output_dim :])
        # rsl_rl 5.5.1 adds 1e-7 before it takes the logarithm: so do we, for the same initial weights.
        initial = (
            self.init_std
            if self.std_type == "scalar"
            else torch.tensor(self.init_std + 1e-7, device="cpu").log().item()
        )
        nn.init.constant_(head.bias[self.output_dim :], initial)
