# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The adaptive learning rate of PPO, on the device of its data."""

from __future__ import annotations

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_OP = "kl_adaptive_lr"

LEARNING_RATE_FACTOR = 1.5
"""The adaptive schedule multiplies or divides the learning rate by this, as in rsl_rl 5.5.1 like all of these."""

LEARNING_RATE_RANGE = (1e-5, 1e-2)
"""Where the adaptive schedule stops."""

KL_TOLERANCE = 2.0
"""The learning rate stays while the KL divergence is within this factor of the desired one."""


def kl_adaptive_lr(
    learning_rate: torch.Tensor,
    kl: torch.Tensor,
    *,
    desired_kl: float,
    tolerance: float = KL_TOLERANCE,
    factor: float = LEARNING_RATE_FACTOR,
    bounds: tuple[float, float] = LEARNING_RATE_RANGE,
) -> None:
    """Adapt a learning rate to the KL divergence of a minibatch, in place, without a read by the host.

    As rsl_rl 5.5.1 does: divided by `factor` where the policy moved more than `tolerance` times the desired divergence,
    multiplied by it where it moved less than the `tolerance`-th part of it, but not beyond `bounds`. A divergence of
    zero (nothing learned since the rollout) and NaN leave the learning rate as it is. Computed in float64.

    Args:
        learning_rate: Learning rate [], float32 or float64; updated. The tensor that an optimizer with
            `capturable=True` reads.
        kl: Mean KL(old || new) of the minibatch in nats [], float32 or float64.
        desired_kl: Desired divergence in nats, > 0.
        tolerance: >= 1.
        factor: >= 1.
        bounds: Smallest and largest learning rate; one beyond them stays until it is adapted.

    Raises:
        TypeError: An argument is no tensor or number, or has another dtype.
        ValueError: A shape, a device or a number does not fit, or a gradient is asked for.
    """
    tensors = {"learning_rate": learning_rate, "kl": kl}
    for name, x in tensors.items():
        checks.kind(_OP, name, x, torch.Tensor)
        checks.dtype(_OP, name, x, checks.FLOATS)
        checks.shape(_OP, name, x, ())
    checks.number(_OP, "desired_kl", desired_kl, 0.0, float("inf"))
    for name, value in (("tolerance", tolerance), ("factor", factor)):
        checks.number(_OP, name, value, 1.0, float("inf"))
    if not (isinstance(bounds, (tuple, list)) and len(bounds) == 2):
        raise TypeError(f"{_OP}: `bounds` must be the pair (smallest, largest), got {type(bounds).__name__}")
    checks.number(_OP, "bounds[0]", bounds[0], 0.0, float("inf"))
    checks.number(_OP, "bounds[1]", bounds[1], bounds[0], float("inf"))
    _tensors.check_devices(_OP, tensors)
    _tensors.refuse_gradient(_OP, tensors)
    args = (learning_rate, kl, float(desired_kl), float(tolerance), float(factor), float(bounds[0]), float(bounds[1]))
    _library.run(_OP, learning_rate.device, args, written=(learning_rate,))
