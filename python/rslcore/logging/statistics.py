# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Episode statistics of thousands of environments, kept where the rewards are and read once per iteration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from rslcore import ops
from rslcore.utils import is_set, without_gradient


class EpisodeStatistics:
    """Sums over running episodes, and the last finished ones, without a read by the host per step.

    One `ops.episode_stats` per step does the bookkeeping on the device; :meth:`numbers` are to be read once per
    iteration, and :meth:`collect` makes of them what has finished since it was last called, in the order of
    rsl_rl 5.5.1 (steps first, then environments).
    """

    running: torch.Tensor
    """Row 0: steps so far, row 1: rewards so far; with intrinsic rewards (in row 1 included) row 2: the other rewards,
    row 3: the intrinsic ones. float32 [R, N]."""

    def __init__(
        self, num_envs: int, device: torch.device | str, window: int = 100, *, intrinsic_rewards: bool = False
    ) -> None:
        """Allocate the buffers.

        Args:
            num_envs: Environments (N).
            device: Device of the rewards.
            window: How many finished episodes are kept; later ones displace earlier ones.
            intrinsic_rewards: Whether there are intrinsic rewards, to be summed apart too.
        """
        rows = 4 if intrinsic_rewards else 2
        self.window = window
        self.running = torch.zeros(rows, num_envs, device=device)
        self._finished = torch.zeros(window, rows, device=device)
        self._count = torch.zeros((), dtype=torch.int64, device=device)
        self._collected = torch.zeros((), dtype=torch.int64, device=device)

    @without_gradient
    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic_rewards: torch.Tensor | None = None) -> None:
        """Add one step of all environments.

        Args:
            rewards: [N], any dtype.
            dones: [N], any dtype; set where the episode ended on this step.
            intrinsic_rewards: [N]; left out, they count as 0.
        """
        rewards = self._prepared(rewards)
        if self.running.shape[0] == 2:
            intrinsic = None
        elif intrinsic_rewards is None:
            intrinsic = torch.zeros_like(rewards)
        else:
            intrinsic = self._prepared(intrinsic_rewards)
        ops.episode_stats(
            *(rewards, is_set(dones).to(self.running.device), self.running, self._finished, self._count),
            intrinsic_rewards=intrinsic,
        )

    def numbers(self) -> torch.Tensor:
        """Return what the host has to read, for :meth:`collect`: how many are new, where they end, all. float32."""
        fresh = (self._count - self._collected).clamp(max=self.window)
        return torch.cat([torch.stack([fresh, self._count % self.window]), self._finished.flatten()])

    def collect(self, numbers: Sequence[float]) -> list[list[float]]:
        """Return what finished since the last call.

        Args:
            numbers: The values of :meth:`numbers`, read since the last step.

        Returns:
            One row of sums, as in `running`, per finished episode, oldest first, at most ``window`` of them.
        """
        self._collected.copy_(self._count)
        fresh, end = int(numbers[0]), int(numbers[1])
        sums, rows = numbers[2:], self.running.shape[0]
        slots = [slot % self.window for slot in range(end - fresh, end)]
        return [list(sums[slot * rows : (slot + 1) * rows]) for slot in slots]

    def _prepared(self, rewards: torch.Tensor) -> torch.Tensor:
        return rewards.to(self.running.device, self.running.dtype)


class LogAverages:
    """Means of what environments report per step, over all steps of an iteration.

    As rsl_rl 5.5.1, the mean runs over all elements reported under a key. Values are added up at once (an environment
    may reuse its tensors); those on another device than the CPU stay there until :meth:`pop`.
    """

    def __init__(self) -> None:
        """Start with nothing reported."""
        self._host: dict[str, float] = {}
        self._device: dict[tuple[str, ...], torch.Tensor] = {}
        self._count: dict[str, int] = {}

    def add(self, reported: Mapping[str, Any]) -> None:
        """Add the report of one step.

        Args:
            reported: Name -> number, array or tensor of any shape.

        Raises:
            TypeError: A value is no number.
        """
        on_device: dict[str, torch.Tensor] = {}
        for key, value in reported.items():
            if isinstance(value, torch.Tensor):
                self._count[key] = self._count.get(key, 0) + value.numel()
                if not _on_host(value):
                    on_device[key] = value.sum(dtype=torch.float32)
                    continue
                number = float(value if value.numel() == 1 else value.sum(dtype=torch.float64))
            else:
                number, size = _sum_of(key, value)
                self._count[key] = self._count.get(key, 0) + size
            self._host[key] = self._host.get(key, 0.0) + number
        if on_device:
            keys = tuple(on_device)
            sums = torch.stack(list(on_device.values()))
            self._device[keys] = self._device[keys] + sums if keys in self._device else sums

    def device_sums(self) -> list[torch.Tensor]:
        """Return the sums that wait on a device, as vectors, for :meth:`pop`."""
        return list(self._device.values())

    def pop(self, device_values: Iterable[float]) -> dict[str, float]:
        """Return the means in the order the names were first reported, and start anew.

        Args:
            device_values: The numbers in :meth:`device_sums`, one after the other.
        """
        names = [key for keys in self._device for key in keys]
        for key, value in zip(names, device_values, strict=True):
            self._host[key] = self._host.get(key, 0.0) + value
        means = {key: self._host[key] / count if count else float("nan") for key, count in self._count.items()}
        self._host, self._device, self._count = {}, {}, {}
        return means


def _on_host(value: torch.Tensor) -> bool:
    """Return whether reading the tensor costs no wait for a device."""
    return value.is_cpu


def _sum_of(key: str, value: Any) -> tuple[float, int]:  # noqa: ANN401
    """Return sum and number of elements of a number or array."""
    try:
        if getattr(value, "ndim", 0):
            return float(value.sum()), int(value.size)
        return float(value), 1
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"Logger: extras['log']['{key}'] must be a number or tensor, got {type(value).__name__}"
        ) from error
