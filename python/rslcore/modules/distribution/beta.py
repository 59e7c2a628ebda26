# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Beta distribution, for actions with hard limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import distributions, nn
from torch.nn import functional

from rslcore.config import BetaDistributionCfg
from rslcore.modules.distribution.base import Distribution, at_least_float32, last_linear
from rslcore.utils import require

_EDGE = 1e-6
"""Outputs nearer than this fraction of the range to one of its ends count as that far away, as in rsl_rl 5.5.1: the
logarithm of the density there is -inf."""


class BetaDistribution(Distribution):
    """Independent Beta distributions on [0, 1], scaled to ``action_range``.

    Chou, Maturana and Scherer 2017, "Improving Stochastic Policy Gradients in Continuous Control with Deep
    Reinforcement Learning using the Beta Distribution" (ICML). The MLP [B, 2, A] gives alpha, then beta, each
    before softplus + 1: a density has one peak, or is flat.
    """

    def __init__(self, output_dim: int, action_range: Sequence[float] = BetaDistributionCfg.action_range) -> None:
        """Keep the range.

        Args:
            output_dim: Output dimension A.
            action_range: Smallest and largest output, the same for all A.

        Raises:
            ValueError: ``action_range`` is not an interval.
        """
        super().__init__(output_dim)
        if not isinstance(action_range, Sequence) or len(action_range) != 2:
            raise ValueError(f"BetaDistribution: `action_range` must be [smallest, largest], got {action_range!r}")
        require("BetaDistribution", "action_range[0]", action_range[0])
        require("BetaDistribution", "action_range[1]", action_range[1], above=action_range[0])
        self.action_range = tuple(action_range)
        self._low, self._width = action_range[0], action_range[1] - action_range[0]
        self._batch: distributions.Beta | None = None

    def update(self, mlp_output: torch.Tensor) -> None:
        """Take alpha and beta, before softplus + 1, from the output of the MLP [B, 2, A]."""
        raw_alpha, raw_beta = at_least_float32(mlp_output).unbind(dim=-2)
        self._batch = _beta(_concentration(raw_alpha), _concentration(raw_beta))

    def sample(self) -> torch.Tensor:
        """Draw outputs [B, A] within ``action_range``; consumes torch's generator as rsl_rl 5.5.1 does.

        Raises:
            RuntimeError: A parameter is NaN or infinite (looked at on the CPU only).
        """
        alpha, beta = self.params
        self._require_finite(alpha=alpha, beta=beta)
        return self._given(self._batch).sample() * self._width + self._low

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the mean [B, A] from the output of the MLP [B, 2, A]."""
        return _mean(mlp_output, self._width, self._low)

    def as_deterministic_output_module(self) -> nn.Module:
        """Return a module that computes the mean from the output of the MLP."""
        return _BetaMean(self._width, self._low)

    @property
    def input_dim(self) -> list[int]:
        """The MLP gives [2, A]: alpha and beta before softplus + 1."""
        return [2, self.output_dim]

    @property
    def mean(self) -> torch.Tensor:
        """Mean [B, A], within ``action_range``."""
        return self._given(self._batch).mean * self._width + self._low

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation [B, A], in units of ``action_range``."""
        return self._given(self._batch).stddev * self._width

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats [B] of the distribution on [0, 1], as in rsl_rl 5.5.1.

        That of the scaled one is larger by A log(width of the range), a constant without influence on learning.
        """
        return self._given(self._batch).entropy().sum(dim=-1)

    @property
    def params(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Alpha and beta, both [B, A] and at least 1."""
        batch = self._given(self._batch)
        return batch.concentration1, batch.concentration0

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of outputs [B, A] within ``action_range``.

        Outputs at the ends of the range, or beyond, count as 1e-6 of its width inside: the result is always finite.
        """
        fraction = ((outputs - self._low) / self._width).clamp(_EDGE, 1.0 - _EDGE)
        return (self._given(self._batch).log_prob(fraction) - math.log(self._width)).sum(dim=-1)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats [B]; the range does not matter to it."""
        return distributions.kl_divergence(_beta(*old_params), _beta(*new_params)).sum(dim=-1)

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Let beta be the same in every state at first: its weights and biases zero, as in rsl_rl 5.5.1."""
        head = last_linear("BetaDistribution", mlp)
        nn.init.zeros_(head.weight[self.output_dim :])
        nn.init.zeros_(head.bias[self.output_dim :])


class _BetaMean(nn.Module):
    """The mean [..., A] from the output of an MLP [..., 2, A]."""

    def __init__(self, width: float, low: float) -> None:
        super().__init__()
        self.width = float(width)
        self.low = float(low)

    def forward(self, mlp_output: torch.Tensor) -> torch.Tensor:
        return _mean(mlp_output, self.width, self.low)


def _beta(alpha: torch.Tensor, beta: torch.Tensor) -> distributions.Beta:
    return distributions.Beta(alpha, beta, validate_args=False)


def _concentration(raw: torch.Tensor) -> torch.Tensor:
    return functional.softplus(raw) + 1.0


def _mean(mlp_output: torch.Tensor, width: float, low: float) -> torch.Tensor:
    """Mean alpha / (alpha + beta), scaled; the types of the arguments are for TorchScript."""
    alpha, beta = _concentration(mlp_output[..., 0, :]), _concentration(mlp_output[..., 1, :])
    return alpha / (alpha + beta) * width + low
