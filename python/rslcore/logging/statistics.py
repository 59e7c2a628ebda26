# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Episode statistics of thousands of environments, kept where the rewards are and read once per iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch


class EpisodeStatistics:
    """Sums over running episodes, and the sums of the episodes that finished, without a read by the host per step.

    Every step writes the running sums and who finished into buffers of one rollout; :meth:`collect` picks the last
    finished episodes out of them, in the order they finished (steps first, then environments, as rsl_rl 5.5.1).
    """

    running: torch.Tensor
    """Row 0: steps so far, rows 1..K: summed rewards so far. float32 [1 + K, N]."""

    def __init__(
        self, num_envs: int, num_steps: int, num_sums: int, device: torch.device | str, window: int = 100
    ) -> None:
        """Allocate the buffers.

        Args:
            num_envs: Environments (N).
            num_steps: Steps per rollout (T); more steps between two reads cost one more read.
            num_sums: Kinds of rewards that are summed (K).
            device: Device of the rewards.
            window: How many finished episodes are kept per read; later ones displace earlier ones.
        """
        rows = 1 + num_sums
        self.window = window
        self.running = torch.zeros(rows, num_envs, device=device)
        self._finished = torch.zeros(rows, num_steps, num_envs, device=device)
        self._done = torch.zeros(num_steps, num_envs, dtype=torch.bool, device=device)
        self._targets = torch.arange(1 - window, 1, device=device)
        self._step = 0
        self._overflow: list[list[float]] = []

    def step(self, rewards: Sequence[torch.Tensor], dones: torch.Tensor) -> None:
        """Add one step of all environments.

        Args:
            rewards: K tensors [N].
            dones: [N], any dtype; > 0 where the episode ended on this step.
        """
        if self._step == self._done.shape[0]:
            self._overflow = self.collect([])[0]
        self.running[0] += 1
        for row, reward in enumerate(rewards, start=1):
            self.running[row] += reward
        done = self._done[self._step]
        torch.gt(dones, 0, out=done)
        self._finished[:, self._step].copy_(self.running)
        self.running.masked_fill_(done, 0)
        self._step += 1

    def collect(self, others: Sequence[torch.Tensor]) -> tuple[list[list[float]], list[float]]:
        """Return what finished since the last call, and other scalars with the same single read of the device.

        Args:
            others: 0-d tensors to be read along.

        Returns:
            One list [length, sum 1, .., sum K] per finished episode, oldest first, at most ``window`` of them; and the
            values of ``others``.
        """
        rows, num_steps = self.running.shape[0], self._step
        device = self.running.device
        parts = [value.detach().to(device, torch.float32).reshape(1) for value in others]
        if num_steps > 0:
            number = self._done[:num_steps].reshape(-1).cumsum(0)  # 1-based number of each finished episode
            total = number[-1]
            index = torch.searchsorted(number, total + self._targets).clamp_(max=number.numel() - 1)
            recent = self._finished[:, :num_steps].reshape(rows, -1)[:, index]
            parts += [total.clamp(max=self.window).to(torch.float32).reshape(1), recent.t().reshape(-1)]
        values: list[float] = torch.cat(parts).tolist() if parts else []
        self._step = 0
        episodes, self._overflow = self._overflow, []
        if num_steps > 0:
            table = values[len(others) + 1 :]
            count = int(values[len(others)])
            episodes += [table[i * rows : (i + 1) * rows] for i in range(self.window - count, self.window)]
        return episodes[-self.window :], values[: len(others)]


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
        """Return the sums that wait on a device, as 0-d tensors, for :meth:`pop`."""
        return [value for sums in self._device.values() for value in sums.unbind()]

    def pop(self, device_values: Sequence[float]) -> dict[str, float]:
        """Return the means in the order the names were first reported, and start anew.

        Args:
            device_values: The numbers behind :meth:`device_sums`.
        """
        names = [key for keys in self._device for key in keys]
        for key, value in zip(names, device_values, strict=True):
            self._host[key] = self._host.get(key, 0.0) + value
        means = {key: self._host[key] / count if count else float("nan") for key, count in self._count.items()}
        self._host, self._device, self._count = {}, {}, {}
        return means


def _on_host(value: torch.Tensor) -> bool:
    """Return whether reading the tensor costs no wait for a device."""
    return value.device.type == "cpu"


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
