# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Categorical distributions, for discrete and multi-discrete actions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.nn import functional

from rslcore.modules.distribution.base import Distribution, at_least_float32, can_inspect, last_linear
from rslcore.utils import require

_INITIAL_SCALE = 0.01
"""Factor on the initial weights of the last layer: the first policy is nearly uniform in every state."""


class CategoricalDistribution(Distribution):
    """Independent categorical distributions over the components of a discrete (A = 1) or multi-discrete output.

    Outputs are category indices 0 .. n-1, stored as float32 like all actions. The MLP gives the logits of all
    components side by side [B, S], S = sum of ``num_categories``; a logit of -inf rules its category out.
    """

    _size: torch.Tensor
    _offset: torch.Tensor
    _column: torch.Tensor

    def __init__(self, output_dim: int, num_categories: int | Sequence[int]) -> None:
        """Keep the sizes.

        Args:
            output_dim: Number of components A.
            num_categories: Categories of each component, or one number for all of them.

        Raises:
            ValueError: There are not as many numbers as components, or one is less than 1.
        """
        super().__init__(output_dim)
        sizes = list(num_categories) if isinstance(num_categories, Iterable) else [num_categories] * output_dim
        if len(sizes) != output_dim:
            raise ValueError(
                f"CategoricalDistribution: `num_categories` must have {output_dim} numbers, one per output, got {sizes}"
            )
        for component, number in enumerate(sizes):
            require("CategoricalDistribution", f"num_categories[{component}]", number, integer=True, least=1)
        self.num_categories = [int(number) for number in sizes]
        size = torch.tensor(self.num_categories, dtype=torch.int64)
        self._components = _Components(self.num_categories, size.device)
        self.register_buffer("_size", size, persistent=False)
        self.register_buffer("_offset", size.cumsum(0) - size, persistent=False)
        self.register_buffer("_column", torch.arange(self._components.largest), persistent=False)
        self._batch: torch.Tensor | None = None
        """Normalized logits [B, S]: log-probabilities, none below the smallest number, so that 0 log 0 is 0."""

    def update(self, mlp_output: torch.Tensor) -> None:
        """Normalize the logits [B, S] of each component."""
        logits = at_least_float32(mlp_output)
        normalized = self._components.join(self._components.split(logits, -math.inf).log_softmax(dim=-1))
        self._batch = normalized.clamp(min=torch.finfo(logits.dtype).min)

    def sample(self) -> torch.Tensor:
        """Draw category indices, float32 [B, A].

        The largest of p_i / E_i with exponential E_i is category i with probability p_i; for one component this gives
        the bits of ``torch.distributions.Categorical``.

        Raises:
            RuntimeError: A logit is NaN or +inf, or all of a component are -inf (looked at on the CPU only).
        """
        logits = self._given(self._batch).detach()
        self._require_finite(logits=logits)
        races = logits.exp() / torch.empty_like(logits).exponential_()
        return self._components.split(races, -math.inf).argmax(dim=-1).float()

    def deterministic_output(self, mlp_output: torch.Tensor) -> torch.Tensor:
        """Return the index of the likeliest category of each component, float32 [B, A]; it has no gradient."""
        return self._components(mlp_output)

    def as_deterministic_output_module(self) -> nn.Module:
        """Return a module that finds the likeliest categories from the output of the MLP."""
        return _Components(self.num_categories, self._size.device)

    @property
    def input_dim(self) -> int:
        """The MLP gives S logits."""
        return sum(self.num_categories)

    @property
    def mean(self) -> torch.Tensor:
        """Mean of the category index [B, A]: of use where neighbouring indices mean neighbouring actions."""
        probs = self._components.split(self._given(self._batch).exp(), 0.0)
        return (probs * self._column).sum(dim=-1)

    @property
    def std(self) -> torch.Tensor:
        """Standard deviation of the category index [B, A]: zero where one category is certain."""
        probs = self._components.split(self._given(self._batch).exp(), 0.0)
        return (probs * (self._column - self.mean.unsqueeze(-1)) ** 2).sum(dim=-1).sqrt()

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy in nats [B]: -sum p log p over the categories of all components."""
        logits = self._given(self._batch)
        return -(logits.exp() * logits).sum(dim=-1)

    @property
    def params(self) -> tuple[torch.Tensor]:
        """Log-probabilities of all categories [B, S]."""
        return (self._given(self._batch),)

    def log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability [B] of category indices [B, A], summed over the components.

        Raises:
            ValueError: An output is no category (looked at on the CPU only; elsewhere the result is NaN).
        """
        logits = self._given(self._batch)
        index = outputs.long()
        is_category = (index >= 0) & (index < self._size)
        if can_inspect(outputs) and not bool(is_category.all()):
            wrong = (~is_category).nonzero()[0].tolist()
            raise ValueError(
                f"CategoricalDistribution: `outputs` must be category indices below {self.num_categories}, "
                f"got {outputs[tuple(wrong)].item()} at {wrong}"
            )
        of_outputs = logits.gather(-1, index.clamp(min=0).minimum(self._size - 1) + self._offset)
        return torch.where(is_category, of_outputs, math.nan).sum(dim=-1)

    def kl_divergence(self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """KL(old || new) in nats [B]: sum over all categories of p_old (log p_old - log p_new)."""
        (old,), (new,) = old_params, new_params
        return (old.exp() * (old - new)).sum(dim=-1)

    def init_mlp_weights(self, mlp: nn.Module) -> None:
        """Start nearly uniform: weights of the last layer a hundred times smaller, biases zero.

        Andrychowicz et al. 2021, "What Matters in On-Policy Reinforcement Learning?", arXiv:2006.05990, section 3.2.
        """
        head = last_linear("CategoricalDistribution", mlp)
        with torch.no_grad():
            head.weight.mul_(_INITIAL_SCALE)
            head.bias.zero_()


class _Components(nn.Module):
    """Between the categories of all components side by side [..., S] and one row per component [..., A, largest size].

    As a module, it gives the index of the largest logit of every component: what TorchScript and ONNX export.
    """

    def __init__(self, sizes: list[int], device: torch.device) -> None:
        super().__init__()
        largest = max(sizes)
        self.num_components = len(sizes)
        self.largest = largest
        self.is_regular = all(size == largest for size in sizes)
        is_category = torch.arange(largest, device="cpu") < torch.tensor(sizes, device="cpu")[:, None]
        origin = is_category.flatten().nonzero().flatten()
        # Places of [A, largest] that hold no category take the one element that split() appends.
        place = torch.full([is_category.numel()], sum(sizes), device="cpu")
        place = place.index_copy(0, origin, torch.arange(sum(sizes), device="cpu"))
        self.register_buffer("place", place.to(device), persistent=False)
        self.register_buffer("origin", origin.to(device), persistent=False)

    def split(self, flat: torch.Tensor, fill: float) -> torch.Tensor:
        """One row per component [..., A, largest size], filled up."""
        if not self.is_regular:
            flat = functional.pad(flat, [0, 1], value=fill)
            flat = flat.index_select(-1, self.place)  # type: ignore[arg-type]
        return flat.unflatten(-1, [self.num_components, self.largest])

    def join(self, rows: torch.Tensor) -> torch.Tensor:
        """The inverse of :meth:`split`: all categories side by side [..., S]."""
        flat = rows.flatten(-2)
        return flat if self.is_regular else flat.index_select(-1, self.origin)  # type: ignore[arg-type]

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        """Index of the largest logit of every component, float32 [..., A]."""
        return self.split(logits, -math.inf).argmax(dim=-1).float()
