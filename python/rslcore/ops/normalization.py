# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Running mean and variance, normalization by them, and the discounted return that scales rewards."""

from __future__ import annotations

from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors, reference

_FLOATS = (torch.float32, torch.float64)


def update_moments(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor, *, until: int | None = None
) -> None:
    """Merge the rows of `x` into a running mean and (population) variance, in place.

    With n rows and rate = n / (count + n) (Chan, Golub, LeVeque 1983)::

        delta = mean(x) - mean
        mean += rate * delta
        var  += rate * (var(x) - var + delta * (1 - rate) * delta)

    as rsl_rl's `EmpiricalNormalization` does; sums are taken in float64 in a fixed order. An empty `x` changes nothing.

    Args:
        x: Samples [B, *F], float32 or float64.
        mean: Running mean, [*F] or [1, *F], dtype of `x`; updated.
        var: Running variance, shape and dtype of `mean`; updated.
        count: Number of samples so far, int64 [], >= 0; updated.
        until: Once `count` has reached it, nothing changes any more. The decision is taken on the device.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit, or a gradient is asked for; on the CPU also if `count` is
            negative. On CUDA, where looking would stall the device, nothing changes then.
    """
    op = "update_moments"
    checks.kind(op, "count", count, torch.Tensor)
    _check(op, x, mean, var, count)
    checks.until(op, until)
    if x.numel() == 0:
        return
    flat_mean, flat_var = mean.contiguous(), var.contiguous()
    args = (x.contiguous(), flat_mean, flat_var, count, until)
    _library.run(op, x.device, args, written=(flat_mean, flat_var, count))
    _tensors.write_back(flat_mean, mean)
    _tensors.write_back(flat_var, var)


def normalize(
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    *,
    eps: float = 1e-2,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """(x - mean) / (sqrt(var) + eps), column by column, as rsl_rl's `EmpiricalNormalization` does.

    Differentiable with respect to `x`, by torch.func as well; the moments are constants.

    Args:
        x: Samples [B, *F], float32 or float64.
        mean: Mean, [*F] or [1, *F], dtype of `x`.
        var: Variance, shape and dtype of `mean`.
        eps: Added to the standard deviation, >= 0.
        out: Where to write, shape and dtype of `x`; may be `x` itself. Refuses gradients.

    Returns:
        The normalized samples, shape and dtype of `x`.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape, a device or `eps` does not fit, or a gradient of what has none is asked for.
    """
    op = "normalize"
    _check(op, x, mean, var, out=out, differentiable=out is None)
    checks.number(op, "eps", eps, 0.0, float("inf"))
    samples, flat_mean, flat_var = x.contiguous(), mean.contiguous(), var.contiguous()
    if out is None and _library.in_plain_torch():
        return reference.normalize(samples, flat_mean, flat_var, float(eps))
    if x.requires_grad and torch.is_grad_enabled():
        return _library.run("normalize", x.device, (samples, flat_mean, flat_var, float(eps)))
    if out is None:
        out = torch.empty_like(samples)
    flat_out = out.contiguous()
    args = (samples, flat_mean, flat_var, float(eps), flat_out)
    _library.run("normalize_out", x.device, args, written=(flat_out,))
    _tensors.write_back(flat_out, out)
    return out


def update_and_normalize(
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    count: torch.Tensor,
    *,
    eps: float = 1e-2,
    until: int | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """`update_moments`, then `normalize` with the new moments, in one call.

    Arguments and errors are those of the two; the result carries no gradient.
    """
    op = "update_and_normalize"
    checks.kind(op, "count", count, torch.Tensor)
    _check(op, x, mean, var, count, out)
    checks.until(op, until)
    checks.number(op, "eps", eps, 0.0, float("inf"))
    samples = x.contiguous()
    if out is None:
        out = torch.empty_like(samples)
    if x.numel() == 0:
        return out
    flat_mean, flat_var, flat_out = mean.contiguous(), var.contiguous(), out.contiguous()
    args = (samples, flat_mean, flat_var, count, float(eps), until, flat_out)
    _library.run(op, x.device, args, written=(flat_mean, flat_var, count, flat_out))
    _tensors.write_back(flat_mean, mean)
    _tensors.write_back(flat_var, var)
    _tensors.write_back(flat_out, out)
    return out


def discounted_return(rewards: torch.Tensor, running: torch.Tensor, *, gamma: float) -> None:
    """Discounted return `running = gamma * running + rewards`, in place: its spread scales rewards.

    Args:
        rewards: Rewards of one step, [N] or [N, 1], float32 or float64.
        running: Discounted return so far, shape and dtype of `rewards`; updated.
        gamma: Discount factor, in [0, 1].

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape, a device or `gamma` does not fit, or a gradient is asked for.
    """
    op = "discounted_return"
    is_factor = type(gamma) is float and 0.0 <= gamma <= 1.0
    if is_factor and _library.run_as_is(op, (rewards, running, gamma), written=(running,)):
        return
    tensors = {"rewards": rewards, "running": running}
    for name, x in tensors.items():
        checks.kind(op, name, x, torch.Tensor)
    checks.dtype(op, "rewards", rewards, checks.FLOATS)
    checks.dtype(op, "running", running, (checks.dtype_name(rewards),), like="rewards")
    checks.shape(op, "running", running, rewards.shape, like="rewards")
    checks.number(op, "gamma", gamma, 0.0, 1.0)
    _tensors.check_devices(op, tensors)
    _tensors.refuse_gradient(op, tensors)
    _tensors.check_targets(op, {"running": running})
    target = running.contiguous()
    _library.run(op, rewards.device, (rewards.contiguous(), target, float(gamma)), written=(target,))
    _tensors.write_back(target, running)


def _check(
    op: str,
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    count: torch.Tensor | None = None,
    out: torch.Tensor | None = None,
    differentiable: bool = False,
) -> None:
    """Refuse arguments that do not fit; `mean` and `var` are written to if there is a `count`."""
    if _plain(x, mean, var, count, out):
        return
    tensors = checks.moments(op, torch.Tensor, x, mean, var, count)
    if out is not None:
        checks.kind(op, "out", out, torch.Tensor)
        checks.dtype(op, "out", out, (checks.dtype_name(x),), like="x")
        checks.shape(op, "out", out, x.shape, like="x")
        tensors["out"] = out
    _tensors.check_devices(op, tensors)
    _tensors.refuse_gradient(op, {name: t for name, t in tensors.items() if not (differentiable and name == "x")})
    written = ("mean", "var") * (count is not None) + ("out",) * (out is not None)
    _tensors.check_targets(op, {name: tensors[name] for name in written})


def _plain(
    x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor | None, out: torch.Tensor | None
) -> bool:
    """Whether all is as it nearly always is, so that the checks by name, which take 5 us, need not run."""
    if type(x) is not torch.Tensor or x.dtype not in _FLOATS or x.dim() == 0:
        return False
    dtype, device, features = x.dtype, x.device, x.shape[1:]
    pairs = ((x, x.shape), (mean, features), (var, features)) + (() if out is None else ((out, x.shape),))
    for given, shape in pairs:
        if (
            type(given) is not torch.Tensor
            or given.dtype != dtype
            or (given.shape != shape and (shape is not features or given.shape != (1, *features)))
            or not given.is_contiguous()
            or given.device != device
            or given.requires_grad
        ):
            return False
    return count is None or (
        type(count) is torch.Tensor and count.dtype == torch.int64 and count.dim() == 0 and count.device == device
    )


def _normalize_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    _, _, var, eps = inputs
    ctx.save_for_backward(var)
    ctx.eps = eps


def _normalize_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
    (var,) = ctx.saved_tensors
    return grad / (var.sqrt() + ctx.eps), None, None, None


if _library.errors["cpu"] is None:
    torch.library.register_fake("rslcore::normalize", lambda x, mean, var, eps: torch.empty_like(x))
    torch.library.register_autograd("rslcore::normalize", _normalize_backward, setup_context=_normalize_context)
