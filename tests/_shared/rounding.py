# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""How far apart two computations of the same update may lie, where both round to float32: the one place of the bounds.

**Gradients.** An element of a gradient is a sum over rows of products through layers. After n roundings one after the
other, each at most u = 2^-24 of what it rounds, the sum is off by no more than lambda sqrt(n) u of the magnitudes in
it, but for a probability of 2 n exp(-lambda^2 / 2) (Higham and Mary, A new approach to probabilistic rounding error
analysis, 2019). Here n <= 300 (three layers forth and back of mostly 16 to 40 inputs, up to 80 rows) and lambda = 5;
both sides round: `GRADIENT` = 2 * 5 * sqrt(300) u = 1.0e-5. Magnitudes of both signs cancel, so it counts as a part of
the largest element of the tensor, where they cancel least.

**Parameters.** Adam's step lr m / (sqrt(v) + eps) has the slope lr / eps at a gradient near zero: 1e5 at the defaults,
so that a rounding of 1e-9 becomes a tenth of a whole step, and which one, depends on the processor. Here eps is `EPS`,
for both. m is a weighted mean and sqrt(v) a weighted norm of the gradients so far: if each is off by d at most, so are
m and sqrt(v), and with r = sup |m| / sqrt(v) (Cauchy and Schwarz) a step by lr d (1 + r) / eps. At lr = 1e-3 the 12
steps of an update add up to d / 4: nothing is amplified. The size of a gradient counts then, which the default eps
forgets: a term of the loss that is off by a factor moves parameters otherwise. Adam's own arithmetic, at the default
eps too, is the law of tests/ops/test_adam.py, where both sides are given the same gradients.

**What is left** is rounding the sum of parameter and step, u of the parameter for either side and every step; with
weight decay rounding the product before it, too.

What is compared after an update is all three: the losses; m and v, which hold the gradients of every minibatch; and the
parameters. On a Zen 5 at every SIMD level differences are below a fifth of what is allowed, most below a twentieth.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

UNIT = 2.0**-24
"""Half a unit in the last place of float32, as a part of the number."""

GRADIENT = 2 * 5 * math.sqrt(300) * UNIT
"""Largest difference of two gradients, as a part of the largest magnitude in the tensor."""

BFLOAT16_GRADIENT = 2 * 2.0**-9
"""The same where some terms round to bfloat16 otherwise, forth and back: half a unit in its last place, twice."""

EPS = 0.1
"""What optimizers of these tests add to the root of the mean square of gradients."""


def make_lipschitz(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Let no step amplify roundings: a larger eps, for optimizers that have one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "eps" in group:
                group["eps"] = EPS


def slope(group: dict[str, Any], steps: int) -> float:
    """Largest change of a step of length 1 where every gradient so far changes by 1."""
    if "betas" in group:
        first, second = group["betas"]
        ratio = sum(
            (first ** (2 * i) * (1 - first) ** 2 / (1 - first**steps) ** 2)
            / (second**i * (1 - second) / (1 - second**steps))
            for i in range(steps)
        )
        return (1 + math.sqrt(ratio)) / group["eps"]
    if "alpha" in group:
        return (1 + 1 / math.sqrt(1 - group["alpha"])) / group["eps"]
    return 1 / (1 - group.get("momentum", 0.0))


class Bounds:
    """What the optimizer steps of one of two sides, the oracle, allow the other to differ by."""

    def __init__(self, gradient: float = GRADIENT) -> None:
        """Begin with nothing.

        Args:
            gradient: Largest difference of gradients, as a part of the largest magnitude in the tensor.
        """
        self.gradient = gradient
        self.of_parameter: dict[int, float] = {}
        self.of_gradient: dict[int, float] = {}

    @contextlib.contextmanager
    def watch(self, optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[None]:
        """Add what every step within the block allows."""
        handles = [optimizer.register_step_pre_hook(self._add) for optimizer in optimizers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _add(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                key, largest = id(parameter), _largest(parameter)
                steps = int(optimizer.state.get(parameter, {}).get("step", 0)) + 1
                gradient = _largest(parameter.grad) + group["weight_decay"] * largest
                self.of_gradient[key] = max(self.of_gradient.get(key, 0.0), self.gradient * gradient)
                moved = float(group["lr"]) * slope(group, steps) * self.of_gradient[key]
                roundings = 4 if group["weight_decay"] else 2
                self.of_parameter[key] = self.of_parameter.get(key, 0.0) + moved + roundings * UNIT * largest

    def assert_same_model(self, tested: torch.nn.Module, oracle: torch.nn.Module, what: str) -> None:
        """Names, dtypes and shapes are the same; parameters differ by what steps allow, statistics by `GRADIENT`."""
        parameters = {name: self.of_parameter.get(id(p), 0.0) for name, p in oracle.named_parameters()}
        ours, theirs = tested.state_dict(), oracle.state_dict()
        assert list(ours) == list(theirs)
        for name, expected in theirs.items():
            assert ours[name].dtype == expected.dtype and ours[name].shape == expected.shape
            allowed = parameters.get(name, GRADIENT * _largest(expected))
            assert_within(ours[name], expected, allowed, f"{what} {name}")

    def assert_same_moments(self, tested: torch.optim.Optimizer, oracle: torch.optim.Optimizer) -> None:
        """What the optimizers keep of all gradients agrees: means as gradients do, mean squares to twice that."""
        ours, theirs = tested.state_dict()["state"], oracle.state_dict()["state"]
        assert list(ours) == list(theirs)
        parameters = [p for group in oracle.param_groups for p in group["params"]]
        for number, entry in theirs.items():
            assert list(ours[number]) == list(entry)
            allowed = self.of_gradient.get(id(parameters[number]), 0.0)
            for name, expected in entry.items():
                if expected is None:
                    continue
                assert ours[number][name].dtype == expected.dtype
                factor = 1.0
                if name == "step":
                    factor = 0.0
                elif "sq" in name:
                    factor = 2 * allowed / self.gradient  # |a^2 - b^2| <= 2 max(|a|, |b|) |a - b|
                elif name == "momentum_buffer":
                    factor = 1 / (1 - oracle.param_groups[0]["momentum"])
                assert_within(ours[number][name], expected, factor * allowed, f"{name} of parameter {number}")

    @staticmethod
    def assert_same_losses(tested: dict[str, float], oracle: dict[str, float]) -> None:
        """Losses are sums over rows as gradients are; the surrogate's terms, of order 1, have a sum around zero."""
        assert list(tested) == list(oracle)
        for name, expected in oracle.items():
            scale = max(abs(expected), 1.0) if name == "surrogate" else abs(expected)
            assert abs(tested[name] - expected) <= GRADIENT * scale, (name, tested[name], expected)


def _largest(tensor: torch.Tensor) -> float:
    return tensor.detach().abs().max().item() if tensor.numel() else 0.0


def assert_within(tested: torch.Tensor, oracle: torch.Tensor, allowed: float, what: str) -> None:
    """No element differs by more."""
    torch.testing.assert_close(tested, oracle, rtol=0, atol=allowed, msg=lambda text: f"{what}: {text}")


def move_policy(policy: torch.nn.Module, generator: torch.Generator) -> None:
    """Move a policy a little from the one that acted, by 2 %: so that its KL divergence is a number, not a rounding."""
    with torch.no_grad():
        for parameter in (p for p in policy.parameters() if p.requires_grad):
            parameter.mul_(1 + 0.02 * torch.randn(parameter.shape, generator=generator).to(parameter.device))
