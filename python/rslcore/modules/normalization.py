# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Normalization by running statistics; names, defaults and state-dict keys as in rsl_rl 5.5.1.

TorchScript compiles these modules, so attributes are annotated where they are set: it cannot read postponed annotations
of a class.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rslcore import ops
from rslcore.ops import reference
from rslcore.utils import exporting


class EmpiricalNormalization(nn.Module):
    """(x - mean) / (std + eps) by the running mean and (population) standard deviation of all samples seen.

    State dict: ``_mean``, ``_var``, ``_std`` of shape [1, *F] and ``count``, int64 [].

    TorchScript and exporters see plain torch arithmetic, so that what they write needs nothing of rslcore.
    """

    def __init__(self, shape: int | Sequence[int], eps: float = 1e-2, until: int | None = None) -> None:
        """Start from mean 0, variance 1 and no samples.

        Args:
            shape: Shape F of one sample; an integer stands for a vector of that length.
            eps: Added to the standard deviation.
            until: Number of samples after which the statistics stay as they are; None never stops.
        """
        super().__init__()
        self.eps = eps
        self.until = until
        features = (shape,) if isinstance(shape, int) else tuple(shape)
        self._mean: torch.Tensor
        self._var: torch.Tensor
        self._std: torch.Tensor
        self.count: torch.Tensor
        self.register_buffer("_mean", torch.zeros(1, *features))
        self.register_buffer("_var", torch.ones(1, *features))
        self.register_buffer("_std", torch.ones(1, *features))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @property
    def mean(self) -> torch.Tensor:
        """A copy of the running mean [*F]."""
        return self._mean.squeeze(0).clone()

    @property
    def std(self) -> torch.Tensor:
        """A copy of the running standard deviation [*F]."""
        return self._std.squeeze(0).clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize samples [..., *F]; what is no float32 is converted first."""
        x = x.to(self._mean.dtype)
        if torch.jit.is_scripting():  # the whole condition, else TorchScript would compile the other branch too
            return self._plain(x)
        else:
            return self._plain(x) if exporting(x) else self._by_kernel(x)

    def update(self, x: torch.Tensor) -> None:
        """Learn from the samples [B, *F], those of all processes if torch.distributed is initialized.

        Does nothing in evaluation mode, nor once ``until`` samples have been seen.

        Raises:
            RuntimeError: TorchScript runs it in training mode.
        """
        if self.training:
            if torch.jit.is_scripting():
                _refuse_to_learn("EmpiricalNormalization")
            else:
                self._learn(x)

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`forward`: y * (std + eps) + mean."""
        return y * (self._std + self.eps) + self._mean

    def _by_kernel(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize floats [..., *F] with our operator."""
        if x.dim() == self._mean.dim():
            return ops.normalize(x, self._mean, self._var, eps=self.eps)
        batch = x.dim() - self._mean.dim() + 1
        rows = x.reshape(x.shape[:batch].numel(), *x.shape[batch:])
        return ops.normalize(rows, self._mean, self._var, eps=self.eps).view(x.shape)

    def _plain(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize floats [..., *F] with torch's operators."""
        return reference.normalize(x, self._mean.squeeze(0), self._var.squeeze(0), self.eps)

    @torch.no_grad()
    def _learn(self, x: torch.Tensor) -> None:
        x = x.to(self._mean.dtype)
        if torch.distributed.is_initialized():
            self._update_over_processes(x)
        else:
            ops.update_moments(x, self._mean, self._var, self.count, until=self.until)
        torch.sqrt(self._var, out=self._std)

    def _update_over_processes(self, x: torch.Tensor) -> None:
        """Pool the samples of all processes with the statistics so far, which are the same on every process.

        Moments of a union: N = sum n_k, mean = sum n_k mean_k / N, var = sum n_k (var_k + (mean_k - mean)^2) / N.
        """
        if self.until is not None and int(self.count) >= self.until:
            return
        local_mean, local_var = torch.zeros_like(self._mean), torch.ones_like(self._var)
        local_count = torch.zeros_like(self.count)
        ops.update_moments(x, local_mean, local_var, local_count)
        new_count = local_count.clone()
        torch.distributed.all_reduce(new_count)
        total = (self.count + new_count).clamp(min=1)
        weighted_mean = local_count * local_mean.double()
        torch.distributed.all_reduce(weighted_mean)
        mean = (self.count * self._mean.double() + weighted_mean) / total
        weighted_var = local_count * (local_var.double() + (local_mean - mean).square())
        torch.distributed.all_reduce(weighted_var)
        var = (self.count * (self._var.double() + (self._mean - mean).square()) + weighted_var) / total
        self._mean.copy_(mean)
        self._var.copy_(var)
        self.count += new_count


class EmpiricalDiscountedVariationNormalization(nn.Module):
    """Rewards divided by the running standard deviation of their discounted sum (Burda et al. 2019, section 3.2).

    "Large-Scale Study of Curiosity-Driven Learning", arXiv:1808.04355. State dict: that of ``emp_norm``; the
    discounted sum itself is not part of it.
    """

    def __init__(
        self, shape: int | Sequence[int], eps: float = 1e-2, gamma: float = 0.99, until: int | None = None
    ) -> None:
        """Start without rewards.

        Args:
            shape: Shape of the reward of one environment; [] for a scalar.
            eps: Passed to ``emp_norm``.
            gamma: Discount factor per step.
            until: Number of samples after which the standard deviation stays as it is.
        """
        super().__init__()
        self.gamma = gamma
        self.emp_norm = EmpiricalNormalization(shape, eps, until)
        self.discounted_avg: torch.Tensor | None = None
        """Running discounted sum, shape of the rewards; None until the first ones, anew where their number changes."""

    def forward(self, rew: torch.Tensor) -> torch.Tensor:
        """Return the scaled rewards of one step [N, *F]; in training mode, learn from them first. There is no gradient.

        Raises:
            RuntimeError: It is exported, or run by TorchScript, in training mode: the discounted sum would be lost.
        """
        with torch.no_grad():
            if self.training:
                if torch.jit.is_scripting():
                    _refuse_to_learn("EmpiricalDiscountedVariationNormalization")
                else:
                    self._learn(rew)
            std = self.emp_norm._std
            return rew / torch.where(std > 0, std, 1.0)

    def _learn(self, rew: torch.Tensor) -> None:
        """Add rewards [N, *F] to the discounted sum, and the sum to the statistics."""
        if exporting(rew):
            _refuse_to_learn("EmpiricalDiscountedVariationNormalization")
        if self.discounted_avg is None or self.discounted_avg.shape != rew.shape:
            with torch.inference_mode(False):
                self.discounted_avg = torch.zeros(rew.shape, dtype=rew.dtype, device=rew.device)
        ops.discounted_return(rew, self.discounted_avg, gamma=self.gamma)
        self.emp_norm.update(self.discounted_avg)


def _refuse_to_learn(owner: str) -> None:
    raise RuntimeError(f"{owner}: an exported module cannot learn its statistics; call eval() before")
