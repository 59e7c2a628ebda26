# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Checks of what an environment returns from ``step``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from rslcore.utils import check_groups, is_set

_MAX_NAMED = 8

_OVERWRITTEN = (
    "env.step: extras['final_obs'] group '{}' is the same memory as the observations after the reset, and so holds "
    "these; copy the last observations before the reset"
)


class StepChecks:
    """Kinds and shapes of every step, and NaN and inf with the name of the group, the environments and the step.

    Tensors on the CPU are checked at once. For tensors elsewhere only the first bad step of each environment is noted,
    on the device: :meth:`found` tells it what must not learn from the rollout, :meth:`raise_if_nan` the host.
    """

    def __init__(self, num_envs: int, check_for_nan: bool) -> None:
        """Prepare for rollouts of ``num_envs`` environments; without ``check_for_nan`` numbers are not looked at."""
        self._num_envs = num_envs
        self._shape = torch.Size([num_envs])
        self._check_for_nan = check_for_nan
        self._first_bad: dict[str, torch.Tensor] = {}  # name -> int32 [N], step + 1, 0 where none

    def check_first(self, obs: Any) -> None:  # noqa: ANN401
        """Check the observations that a training starts from, on any device at once.

        Raises:
            TypeError: They are no TensorDict of tensors.
            ValueError: An observation is NaN or infinite.
        """
        self._check_tensordict("env.get_observations", obs)
        if not self._check_for_nan:
            return
        for key, tensor in obs.items():
            if tensor.is_floating_point() and bool((bad := _bad_rows(tensor)).any()):
                rows = _listed(bad.nonzero().flatten().tolist())
                raise ValueError(
                    f"env.get_observations: observation group '{key}' must not contain NaN or inf, got "
                    f"{_kind_of(tensor)} in environment(s) {rows} before the first step"
                )

    def check(
        self,
        obs: Mapping[str, torch.Tensor],
        rewards: torch.Tensor,
        dones: torch.Tensor,
        extras: Mapping[str, Any],
        iteration: int,
        step: int,
    ) -> None:
        """Check one step.

        Raises:
            TypeError: Something is no tensor, or ``extras`` no dictionary.
            ValueError: ``rewards``, ``dones`` or the time-outs are not [N], or something on the CPU is NaN or infinite.
        """
        if not isinstance(extras, Mapping):
            raise TypeError(
                f"env.step: `extras` must be a dictionary, if only an empty one, got {type(extras).__name__}"
            )
        self._check_row("rewards", rewards)
        self._check_row("dones", dones)
        if "time_outs" in extras:
            self._check_row("extras['time_outs']", extras["time_outs"])
        if not hasattr(obs, "items"):
            check_groups("env.step", obs)
        for key, tensor in obs.items():
            if not isinstance(tensor, torch.Tensor):
                check_groups("env.step", obs)
            if self._check_for_nan:
                self._check_finite(f"observation group '{key}'", tensor, iteration, step)
        if self._check_for_nan:
            self._check_finite("rewards", rewards, iteration, step)
            self._check_finite("dones", dones, iteration, step)
            if "time_outs" in extras:
                self._check_finite("extras['time_outs']", extras["time_outs"], iteration, step)

    def check_final(
        self,
        final_obs: Mapping[str, torch.Tensor],
        obs: Mapping[str, torch.Tensor],
        time_outs: torch.Tensor,
        iteration: int,
        step: int,
    ) -> None:
        """Check the true last observations, where a value is bootstrapped from them; other rows may hold anything.

        A warning says where they are the memory of the observations ``obs`` after the reset.

        Raises:
            TypeError: They are no TensorDict of tensors.
            ValueError: A group is not [N, ...], or something on the CPU is NaN or infinite.
        """
        self._check_tensordict("env.step: extras['final_obs']", final_obs)
        for key, tensor in final_obs.items():
            if tensor.shape[:1] != self._shape:
                raise ValueError(
                    f"env.step: extras['final_obs'] group '{key}' must be [{self._num_envs}, ...], with a row for "
                    f"every environment, got {list(tensor.shape)}"
                )
            after = obs.get(key, None)
            same = after is not None and after.data_ptr() == tensor.data_ptr() and tensor.numel() > 0
            if same and (not _on_host(time_outs) or bool(time_outs.any())):
                warnings.warn(_OVERWRITTEN.format(key), stacklevel=2)
        if self._check_for_nan:
            rows = is_set(time_outs)
            for key, tensor in final_obs.items():
                self._check_finite(f"extras['final_obs'] group '{key}'", tensor, iteration, step, rows)

    def _check_tensordict(self, where: str, obs: Any) -> None:  # noqa: ANN401
        """Refuse observations that are no tensors by group, or cannot be moved to another device together."""
        check_groups(where, obs)
        if not hasattr(obs, "to"):
            raise TypeError(
                f"{where}: observations must be a TensorDict, got {type(obs).__name__}; return "
                f"TensorDict(observations, batch_size=[{self._num_envs}])"
            )

    def _check_row(self, name: str, tensor: Any) -> None:  # noqa: ANN401
        """Refuse what is no tensor [N]."""
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(
                f"env.step: `{name}` must be a tensor [{self._num_envs}], got {type(tensor).__name__}; convert it, "
                "with torch.as_tensor"
            )
        if tensor.shape != self._shape:
            raise ValueError(f"env.step: `{name}` must be [{self._num_envs}], got {list(tensor.shape)}")

    def _check_finite(
        self, name: str, tensor: torch.Tensor, iteration: int, step: int, rows: torch.Tensor | None = None
    ) -> None:
        """Look for NaN and inf in a tensor [N, ...], in the environments of the mask ``rows`` only, if there is one."""
        if not tensor.is_floating_point():
            return
        if _on_host(tensor):
            # One sum is the cheapest test; that of large numbers may overflow, so then the elements are looked at.
            if not math.isfinite(tensor.sum()) and bool((bad := _bad_rows(tensor, rows)).any()):
                kind = _kind_of(tensor[bad])
                raise ValueError(_message(name, kind, bad.nonzero().flatten().tolist(), iteration, step))
            return
        first = self._first_bad.get(name)
        if first is None:
            first = self._first_bad[name] = torch.zeros(self._num_envs, dtype=torch.int32, device=tensor.device)
        first.masked_fill_(_bad_rows(tensor, rows) & (first == 0), step + 1)

    def found(self) -> torch.Tensor | None:
        """Return 1 if something noted on a device in this rollout was bad, otherwise 0, float32 []; None if on none."""
        return torch.stack(list(self._first_bad.values())).any().float() if self._first_bad else None

    def raise_if_nan(self, iteration: int) -> None:
        """Read what was noted on other devices than the CPU in this rollout.

        Raises:
            ValueError: Something was NaN or infinite; the message names the earliest.
        """
        if not self._first_bad:
            return
        earliest: tuple[int, str, list[int]] | None = None
        for name, steps in zip(self._first_bad, torch.stack(list(self._first_bad.values())).tolist(), strict=True):
            step = min((s for s in steps if s > 0), default=0)
            if step and (earliest is None or step < earliest[0]):
                earliest = (step, name, [index for index, s in enumerate(steps) if s == step])
        if earliest is not None:
            raise ValueError(_message(earliest[1], "either", earliest[2], iteration, earliest[0] - 1))


def _on_host(tensor: torch.Tensor) -> bool:
    """Return whether reading the tensor costs no wait for a device."""
    return tensor.is_cpu


def _bad_rows(tensor: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Return which environments, of those in the mask ``rows``, have a NaN or an inf. bool [N]."""
    bad = ~torch.isfinite(tensor).flatten(1).all(dim=1) if tensor.dim() > 1 else ~torch.isfinite(tensor)
    return bad if rows is None else bad & rows.to(bad.device)


def _listed(environments: list[int]) -> str:
    more = f" and {len(environments) - _MAX_NAMED} more" if len(environments) > _MAX_NAMED else ""
    return ", ".join(map(str, environments[:_MAX_NAMED])) + more


def _kind_of(tensor: torch.Tensor) -> str:
    """Name what a tensor with a NaN or an inf has."""
    return "NaN" if bool(tensor.isnan().any()) else "inf"


def _message(name: str, kind: str, environments: list[int], iteration: int, step: int) -> str:
    return (
        f"env.step: {name} must not contain NaN or inf, got {kind} in environment(s) {_listed(environments)} at step "
        f"{step} of iteration {iteration}. The cause is in the environment's step or reset, or in actions too large "
        "for its simulation"
    )
