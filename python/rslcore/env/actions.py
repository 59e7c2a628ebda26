# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Actions of a policy, float32 [N, A], as environments of other libraries take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch


class ActionMap(Protocol):
    """Turns the actions of a policy into those of a library."""

    num_actions: int
    """Number of action dimensions A."""

    distribution_cfg: dict[str, Any]
    """The actor's ``distribution_cfg`` that fits the actions."""

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Turn actions [N, A] into a new tensor [N, ...] in the library's shape and dtype."""


class ContinuousActions:
    """Bounded or unbounded real numbers."""

    def __init__(
        self,
        shape: Sequence[int],
        low: Any = -np.inf,  # noqa: ANN401
        high: Any = np.inf,  # noqa: ANN401
        *,
        owner: str,
        mode: str = "clip",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Describe the actions.

        Args:
            shape: Shape of one action; A is its number of elements.
            low: Lower bounds, broadcast to ``shape``.
            high: Upper bounds, broadcast to ``shape``.
            owner: Class named in error messages.
            mode: "clip" limits actions to the bounds; "rescale" limits them to [-1, 1] and maps these to the bounds;
                "none" passes them on as they are.
            dtype: Type that the library expects.

        Raises:
            ValueError: ``mode`` is unknown, or "rescale" without finite bounds.
        """
        if mode not in ("clip", "rescale", "none"):
            raise ValueError(f"{owner}: `action_mode` must be 'clip', 'rescale' or 'none', got '{mode}'")
        self.num_actions = int(np.prod(shape))
        self.distribution_cfg: dict[str, Any] = {"class_name": "GaussianDistribution"}
        self._shape, self._mode, self._dtype = tuple(shape), mode, dtype
        self._low, self._high = (
            torch.from_numpy(np.broadcast_to(np.asarray(bound, dtype=np.float64), self._shape).reshape(-1).copy())
            for bound in (low, high)
        )
        if not bool((self._low <= self._high).all()):
            raise ValueError(f"{owner}: lower bounds of actions must not exceed the upper ones, got {low} to {high}")
        if mode == "rescale" and not bool((self._low.isfinite() & self._high.isfinite()).all()):
            raise ValueError(f"{owner}: `action_mode` 'rescale' needs actions with finite bounds, got {low} to {high}")

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Limit, scale and reshape actions [N, A]; see `ActionMap`."""
        actions = actions.detach().to(self._dtype)
        low, high = self._low.to(actions), self._high.to(actions)
        if self._mode == "clip":
            actions = torch.clamp(actions, low, high)
        elif self._mode == "rescale":
            actions = low + (actions.clamp(-1.0, 1.0) + 1.0) * 0.5 * (high - low)
        else:
            actions = actions.clone()
        return actions.reshape(len(actions), *self._shape)


class CategoricalActions:
    """One or several choices among a finite number of categories; actions are the indices of the categories."""

    def __init__(
        self,
        num_categories: Any,  # noqa: ANN401
        *,
        owner: str,
        start: Any = 0,  # noqa: ANN401
        dtype: torch.dtype = torch.int64,
    ) -> None:
        """Describe the actions.

        Args:
            num_categories: Number of categories: an int for one choice, whose actions the library takes as [N]; an
                array of shape S for several, taken as [N, *S].
            owner: Class named in error messages.
            start: What the library calls the first category, broadcast to the shape of ``num_categories``.
            dtype: Type that the library expects.

        Raises:
            ValueError: A number of categories is below 1.
        """
        counts = np.asarray(num_categories, dtype=np.int64)
        if counts.size == 0 or counts.min() < 1:
            raise ValueError(f"{owner}: the numbers of categories must be at least 1, got {num_categories}")
        self.num_actions = counts.size
        self._owner, self._shape, self._dtype = owner, counts.shape, dtype
        self._counts = torch.from_numpy(counts.reshape(-1).copy())
        self._start = torch.from_numpy(np.broadcast_to(np.asarray(start, np.int64), counts.shape).reshape(-1).copy())
        self.distribution_cfg: dict[str, Any] = {
            "class_name": "CategoricalDistribution",
            "num_categories": self._counts.tolist(),
        }

    def __call__(self, actions: torch.Tensor) -> torch.Tensor:
        """Turn indices [N, A], also as floating-point numbers, into the library's actions; see `ActionMap`.

        Raises:
            ValueError: An index is not one of a category.
        """
        index = actions.detach().round().to(torch.int64)
        bad = ((index < 0) | (index >= self._counts.to(index.device))).nonzero()
        if len(bad):
            env, component = bad[0].tolist()
            raise ValueError(
                f"{self._owner}.step: `actions[{env}, {component}]` must be a category from 0 to "
                f"{self._counts[component] - 1}, got {actions[env, component].item():g}"
            )
        return (index + self._start.to(index.device)).to(self._dtype).reshape(len(index), *self._shape)
