# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Running mean and variance, normalization by them, and the discounted return that scales rewards."""

from __future__ import annotations

from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors


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
        count: Number of samples so far, int64 []; updated.
        until: Once `count` has reached it, nothing changes any more. The decision is taken on the device.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit, or a gradient is asked for.
    """
    op = "update_moments"
    _check_moments(op, x, mean, var, count)
    _check_until(op, until)
    _tensors.refuse_gradient(op, x=x, mean=mean, var=var)
    if x.numel() == 0:
        return
    _run_update(op, x, mean, var, count, (until,))


def normalize(
    x: torch.Tensor,
    mean: torch.Tensor,
    var: torch.Tensor,
    *,
    eps: float = 1e-2,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """(x - mean) / (sqrt(var) + eps), column by column, as rsl_rl's `EmpiricalNormalization` does.

    Differentiable with respect to `x`; the moments are constants.

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
    _check_moments(op, x, mean, var)
    checks.number(op, "eps", eps, 0.0, float("inf"))
    _tensors.refuse_gradient(op, mean=mean, var=var)
    rows, columns = _rows(x), mean.reshape(-1).contiguous()
    if out is None:
        if torch.is_grad_enabled() and x.requires_grad:
            result = _library.kernel("normalize", x.device)(rows, columns, var.reshape(-1).contiguous(), float(eps))
            return result.view(x.shape)
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
    else:
        _check_out(op, x, out)
        _tensors.refuse_gradient(op, x=x, out=out)
    flat_out = _rows(out)
    _library.kernel("normalize_out", x.device)(rows, columns, var.reshape(-1).contiguous(), float(eps), flat_out)
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
    _check_moments(op, x, mean, var, count)
    _check_until(op, until)
    checks.number(op, "eps", eps, 0.0, float("inf"))
    if out is None:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
    else:
        _check_out(op, x, out)
    _tensors.refuse_gradient(op, x=x, mean=mean, var=var, out=out)
    if x.numel() == 0:
        return out
    flat_out = _rows(out)
    _run_update(op, x, mean, var, count, (float(eps), until, flat_out))
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
    _tensors.check_all(op, rewards=rewards, running=running)
    checks.dtype(op, "rewards", rewards, checks.FLOATS)
    checks.dtype(op, "running", running, (checks.dtype_name(rewards),), like="rewards")
    checks.shape(op, "running", running, rewards.shape, like="rewards")
    checks.number(op, "gamma", gamma, 0.0, 1.0)
    _tensors.refuse_gradient(op, rewards=rewards, running=running)
    target = running.contiguous()
    _library.kernel(op, rewards.device)(rewards.contiguous(), target, float(gamma))
    _tensors.write_back(target, running)


def _rows(x: torch.Tensor) -> torch.Tensor:
    """[B, *F] as contiguous [B, F]."""
    return x.contiguous().view(x.shape[0], -1) if x.numel() > 0 else x.new_empty(x.shape[0], x[:1].numel())


def _check_moments(
    op: str, x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor | None = None
) -> None:
    _tensors.check_all(op, x=x, mean=mean, var=var, **({} if count is None else {"count": count}))
    checks.dtype(op, "x", x, checks.FLOATS)
    if x.dim() == 0:
        raise ValueError(f"{op}: `x` must be [B, *F], got []")
    features = tuple(x.shape[1:])
    for name, moment in (("mean", mean), ("var", var)):
        checks.dtype(op, name, moment, (checks.dtype_name(x),), like="x")
        if tuple(moment.shape) != (1, *features):
            checks.shape(op, name, moment, features, like="x")
    if count is not None:
        checks.dtype(op, "count", count, ("int64",))
        checks.shape(op, "count", count, ())


def _check_until(op: str, until: int | None) -> None:
    if until is not None:
        checks.number(op, "until", until, 0, float("inf"))


def _check_out(op: str, x: torch.Tensor, out: torch.Tensor) -> None:
    _tensors.check_all(op, x=x, out=out)
    checks.dtype(op, "out", out, (checks.dtype_name(x),), like="x")
    checks.shape(op, "out", out, x.shape, like="x")


def _run_update(
    op: str, x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor, rest: tuple[Any, ...]
) -> None:
    flat_mean, flat_var = mean.reshape(-1).contiguous(), var.reshape(-1).contiguous()
    _library.kernel(op, x.device)(_rows(x), flat_mean, flat_var, count, *rest)
    _tensors.write_back(flat_mean, mean)
    _tensors.write_back(flat_var, var)


def _normalize_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    _, _, var, eps = inputs
    ctx.save_for_backward(var)
    ctx.eps = eps


def _normalize_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
    (var,) = ctx.saved_tensors
    return grad / (var.sqrt() + ctx.eps), None, None, None


if _library.errors["cpu"] is None and hasattr(torch.ops.rslcore, "normalize"):  # TRANSITION
    torch.library.register_fake("rslcore::normalize", lambda x, mean, var, eps: torch.empty_like(x))
    torch.library.register_autograd("rslcore::normalize", _normalize_backward, setup_context=_normalize_context)
