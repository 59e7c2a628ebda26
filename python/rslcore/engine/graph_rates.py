# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Learning rates, and whether to learn at all, in device memory, where a captured update can read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from rslcore import ops
from rslcore.engine.learner import Learner

_FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


def refuses_capture(optimizer: torch.optim.Optimizer) -> str | None:
    """Return why the steps of an optimizer cannot be part of a graph; None if they can.

    Torch's fused Adam, AdamW and SGD keep their counters on the device and take a learning rate from there. Others read
    numbers on the host, which a graph would freeze.
    """
    name = type(optimizer).__name__
    if type(optimizer) not in _FUSED:
        return f"the optimizer {name} cannot be captured"
    if "step" in vars(optimizer) or any(getattr(optimizer, hooks, None) for hooks in _HOOKS):
        return f"the optimizer {name} has a hook or a replaced method"
    seen: set[int] = set()
    for group in optimizer.param_groups:
        if not group.get("fused"):
            return f"the optimizer {name} is not torch's fused one"
        if group.get("differentiable") or group.get("amsgrad"):
            return f"the optimizer {name} has settings that are not captured"
        seen.update(map(id, group["params"]))
    if len(seen) < sum(len(group["params"]) for group in optimizer.param_groups):
        return f"the optimizer {name} has a parameter twice"
    return None


class DeviceRates:
    """The learning rates of an algorithm's optimizers: numbers on the host, and tensors while an update runs.

    The rate that is adapted is kept in float64, so that it takes the same values as on the host. A flag beside them
    lets steps change nothing: fused optimizers look at it, as for a gradient scaler that has found infinity.
    """

    def __init__(self, learner: Learner, device: torch.device) -> None:
        """Make a tensor per parameter group; what they hold is set by :meth:`load`."""
        self._learner = learner
        self._optimizers = list(learner.optimizers())
        self._groups: list[dict[str, Any]] = [group for opt in self._optimizers for group in opt.param_groups]
        self._adapted = len(self._optimizers[0].param_groups)
        """Groups, the first ones, that follow the adaptive learning rate."""
        self._rates = [torch.zeros((), device=device) for _ in self._groups]
        self.value = torch.zeros((), dtype=torch.float64, device=device)
        """The adaptive learning rate."""
        self._skips = torch.zeros((), device=device)
        """1 where steps change neither parameters nor the state of the optimizers, otherwise 0."""

    def load(self, spoiled: torch.Tensor | None = None) -> None:
        """Take the numbers of the host, which may have been changed since the last update; waits for nothing.

        Args:
            spoiled: 1 on the device where the coming steps must change nothing, otherwise 0; None stands for 0.
        """
        if spoiled is None:
            self._skips.zero_()
        else:
            self._skips.copy_(spoiled)
        self.value.fill_(self._host_value())
        for group, rate in zip(self._groups, self._rates, strict=True):
            rate.fill_(group["lr"])

    @contextlib.contextmanager
    def on_device(self) -> Iterator[None]:
        """Let the optimizers read the tensors; afterwards they have their numbers again, and no flag."""
        before = [(group["lr"], group.get("capturable")) for group in self._groups]
        try:
            for group, rate in zip(self._groups, self._rates, strict=True):
                group["lr"] = rate
                if "capturable" in group and rate.is_cuda:
                    group["capturable"] = True
            for optimizer in self._optimizers:
                vars(optimizer)["found_inf"] = self._skips
            yield
        finally:
            for optimizer in self._optimizers:
                vars(optimizer).pop("found_inf", None)
            for group, (number, capturable) in zip(self._groups, before, strict=True):
                group["lr"] = number
                if "capturable" in group:
                    group["capturable"] = capturable

    def adapt(self, kl: torch.Tensor) -> None:
        """Set the rate of the coming step from the KL divergence [] of its minibatch, on the device."""
        ops.kl_adaptive_lr(self.value, kl, desired_kl=self._learner.desired_kl)  # type: ignore[attr-defined]
        for rate in self._rates[: self._adapted]:
            rate.copy_(self.value)

    def store(self, value: float, *, adapted: bool) -> None:
        """Tell the host, which has read ``value``, what has become of the adaptive learning rate."""
        if not adapted:
            return
        self._learner.learning_rate = value  # type: ignore[attr-defined]
        for group in self._groups[: self._adapted]:
            group["lr"] = value

    def _host_value(self) -> float:
        return float(getattr(self._learner, "learning_rate", 0.0))


def trained_parameters(optimizers: Sequence[torch.optim.Optimizer]) -> list[torch.nn.Parameter]:
    """All parameters of optimizers that want a gradient."""
    groups = (group for optimizer in optimizers for group in optimizer.param_groups)
    return [parameter for group in groups for parameter in group["params"] if parameter.requires_grad]
