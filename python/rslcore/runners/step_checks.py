# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what an environment returns from ``step``."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

_MAX_NAMED = 8


class StepChecks:
    """Shapes of every step, and NaN with the name of the group, the environments and the step.

    Tensors on the CPU are checked at once. For tensors elsewhere only the first bad step of each environment is noted,
    on the device: :meth:`found` tells it what must not learn from the rollout, :meth:`raise_if_nan` the host.
    """

    def __init__(self, num_envs: int, check_for_nan: bool) -> None:
        """Prepare for rollouts of ``num_envs`` environments; shapes are checked with or without ``check_for_nan``."""
        self._num_envs = num_envs
        self._shape = torch.Size([num_envs])
        self._check_for_nan = check_for_nan
        self._first_bad: dict[str, torch.Tensor] = {}  # name -> int32 [N], step + 1, 0 where none

    def check_first(self, obs: Mapping[str, torch.Tensor]) -> None:
        """Check the observations that a training starts from, on any device at once.

        Raises:
            ValueError: An observation is NaN.
        """
        if not self._check_for_nan:
            return
        for key, tensor in obs.items():
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                continue
            if bool((bad := _bad_rows(tensor)).any()):
                rows = _listed(bad.nonzero().flatten().tolist())
                raise ValueError(
                    f"env.get_observations: observation group '{key}' must not contain NaN, got NaN in environment(s) "
                    f"{rows} before the first step"
                )

    def check(
        self, obs: Mapping[str, torch.Tensor], rewards: torch.Tensor, dones: torch.Tensor, iteration: int, step: int
    ) -> None:
        """Check one step.

        Raises:
            ValueError: ``rewards`` or ``dones`` is not [N], or something on the CPU is NaN.
        """
        if rewards.shape != self._shape or dones.shape != self._shape:
            name, tensor = ("dones", dones) if rewards.shape == self._shape else ("rewards", rewards)
            raise ValueError(f"env.step: `{name}` must be [{self._num_envs}], got {list(tensor.shape)}")
        if self._check_for_nan:
            for key, tensor in obs.items():
                self._check_nan(f"observation group '{key}'", tensor, iteration, step)
            self._check_nan("rewards", rewards, iteration, step)
            self._check_nan("dones", dones, iteration, step)

    def check_final(
        self, final_obs: Mapping[str, torch.Tensor], time_outs: torch.Tensor, iteration: int, step: int
    ) -> None:
        """Check the true last observations, where a value is bootstrapped from them; other rows may hold anything.

        Raises:
            ValueError: Something on the CPU is NaN.
        """
        if self._check_for_nan:
            rows = time_outs.bool()
            for key, tensor in final_obs.items():
                self._check_nan(f"extras['final_obs'] group '{key}'", tensor, iteration, step, rows)

    def _check_nan(
        self, name: str, tensor: torch.Tensor, iteration: int, step: int, rows: torch.Tensor | None = None
    ) -> None:
        """Look for NaN in one tensor [N, ...], in the environments of the mask ``rows`` only, if there is one."""
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            return
        if _on_host(tensor):
            # One sum is the cheapest test; it is also NaN for +inf and -inf, so then the elements are looked at.
            if math.isnan(tensor.sum()) and bool((bad := _bad_rows(tensor, rows)).any()):
                raise ValueError(_message(name, bad.nonzero().flatten().tolist(), iteration, step))
            return
        first = self._first_bad.get(name)
        if first is None:
            first = self._first_bad[name] = torch.zeros(self._num_envs, dtype=torch.int32, device=tensor.device)
        first.masked_fill_(_bad_rows(tensor, rows) & (first == 0), step + 1)

    def found(self) -> torch.Tensor | None:
        """Return 1 if something noted on a device in this rollout was NaN, otherwise 0, float32 []; None if on none."""
        return torch.stack(list(self._first_bad.values())).any().float() if self._first_bad else None

    def raise_if_nan(self, iteration: int) -> None:
        """Read what was noted on other devices than the CPU in this rollout.

        Raises:
            ValueError: Something was NaN; the message names the earliest.
        """
        if not self._first_bad:
            return
        earliest: tuple[int, str, list[int]] | None = None
        for name, steps in zip(self._first_bad, torch.stack(list(self._first_bad.values())).tolist(), strict=True):
            step = min((s for s in steps if s > 0), default=0)
            if step and (earliest is None or step < earliest[0]):
                earliest = (step, name, [index for index, s in enumerate(steps) if s == step])
        if earliest is not None:
            raise ValueError(_message(earliest[1], earliest[2], iteration, earliest[0] - 1))


def _on_host(tensor: torch.Tensor) -> bool:
    """Return whether reading the tensor costs no wait for a device."""
    return tensor.is_cpu


def _bad_rows(tensor: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Return which environments, of those in the mask ``rows``, have a NaN. bool [N]."""
    bad = torch.isnan(tensor).reshape(tensor.shape[0], -1).any(dim=1)
    return bad if rows is None else bad & rows.to(bad.device)


def _listed(environments: list[int]) -> str:
    more = f" and {len(environments) - _MAX_NAMED} more" if len(environments) > _MAX_NAMED else ""
    return ", ".join(map(str, environments[:_MAX_NAMED])) + more


def _message(name: str, environments: list[int], iteration: int, step: int) -> str:
    return (
        f"env.step: {name} must not contain NaN, got NaN in environment(s) {_listed(environments)} at step {step} of "
        f"iteration {iteration}. The cause is in the environment's step or reset, or in actions too large for its "
        "simulation"
    )
