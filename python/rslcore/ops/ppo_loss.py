# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The PPO loss of a diagonal Gaussian policy and its critic, with gradients and statistics, in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors, reference

_OP = "ppo_loss"


class PPOStats(NamedTuple):
    """Statistics of a minibatch, scalars without a graph on the device of the data."""

    surrogate: torch.Tensor
    """Mean surrogate loss."""
    value: torch.Tensor
    """Mean value loss."""
    entropy: torch.Tensor
    """Mean entropy of the policy in nats."""
    kl: torch.Tensor
    """Mean KL(old || new) in nats; without the old law its estimate mean(r - 1 - log r)."""
    clip_fraction: torch.Tensor
    """Share of rows whose probability ratio r has left [1 - clip_param, 1 + clip_param]."""


def ppo_loss(
    mean: torch.Tensor,
    std: torch.Tensor,
    values: torch.Tensor,
    actions: torch.Tensor,
    old_log_prob: torch.Tensor,
    advantages: torch.Tensor,
    returns: torch.Tensor,
    old_values: torch.Tensor | None = None,
    old_mean: torch.Tensor | None = None,
    old_std: torch.Tensor | None = None,
    *,
    clip_param: float,
    value_loss_coef: float,
    entropy_coef: float,
    use_clipped_value_loss: bool = True,
) -> tuple[torch.Tensor, PPOStats]:
    """Loss of one minibatch (Schulman et al. 2017, arXiv:1707.06347), as rsl_rl 5.5.1 computes it.

    With r = exp(log p(actions) - old_log_prob) under the Gaussian of `mean` and `std`, and c = `clip_param`::

        surrogate = mean(max(-A r, -A clip(r, 1 - c, 1 + c)))
        value     = mean(max((V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2)), or mean((V - R)^2) if not clipped
        entropy   = mean(sum over A of 1/2 + log(std sqrt(2 pi)))
        loss      = surrogate + value_loss_coef * value - entropy_coef * entropy

    The gradients with respect to `mean`, `std` and `values` are computed together with the loss, so `backward()` only
    multiplies; nothing else receives one, and second derivatives are refused. Where the clipped term counts, the policy
    has gradient zero, however large r is. Sums are taken in a fixed order: the same bits for any number of threads.

    Args:
        mean: Means of the policy now [B, A], float32 or float64.
        std: Standard deviations now, [A] or [B, A], positive; other ones give NaN.
        values: Values now, [B] or [B, 1].
        actions: Actions of the rollout [B, A].
        old_log_prob: Their log-probability densities at the time of the rollout, [B] or [B, 1].
        advantages: Advantages A, [B] or [B, 1], normalized where they should be.
        returns: Returns R, [B] or [B, 1].
        old_values: Values at the time of the rollout, [B] or [B, 1]; needed for a clipped value loss.
        old_mean: Means at the time of the rollout [S, A], S <= B. Entropy and KL divergence are means over the leading
            S rows: what follows may be mirror images of them. None: S = B, and the KL divergence is estimated.
        old_std: Standard deviations at that time, [A] or [S, A]; goes with `old_mean`.
        clip_param: Clip range c, >= 0.
        value_loss_coef: Weight of the value loss.
        entropy_coef: Weight of the entropy.
        use_clipped_value_loss: Whether the value loss is clipped.

    Returns:
        loss [], and the statistics. Of no rows both are NaN.

    Raises:
        TypeError: An argument is no tensor or number, or has another dtype.
        ValueError: A shape, a device or a number does not fit, or something else than `mean`, `std` and `values`
            requires a gradient.
    """
    checks.boolean(_OP, "use_clipped_value_loss", use_clipped_value_loss)
    if use_clipped_value_loss and old_values is None:
        raise ValueError(f"{_OP}: `old_values` must be given where the value loss is clipped, got None")
    data = {
        "mean": mean,
        "std": _tensors.without_copies(std, mean),
        "values": values,
        "actions": actions,
        "old_log_prob": old_log_prob,
        "advantages": advantages,
        "returns": returns,
        "old_values": old_values if use_clipped_value_loss else None,
        "old_mean": old_mean,
        "old_std": old_std,
    }
    numbers = {"clip_param": clip_param, "value_loss_coef": value_loss_coef, "entropy_coef": entropy_coef}
    results = _run_as_is(data, numbers)
    if results is None:
        _check(data, numbers)
        args: list[Any] = [None if x is None else x.contiguous() for x in data.values()]
        args += [float(x) for x in numbers.values()]
        results = reference.ppo_loss(*args) if _library.in_plain_torch() else _library.run(_OP, mean.device, args)
    return results[0], PPOStats(*results[1].unbind())


_OPTIONAL = ("old_values", "old_mean", "old_std")
_NO_GRADIENT = ("actions", "old_log_prob", "advantages", "returns", *_OPTIONAL)


def _run_as_is(data: dict[str, torch.Tensor | None], numbers: dict[str, float]) -> tuple[torch.Tensor, ...] | None:
    """Hand the arguments to the operator unchecked, as they nearly always fit; None if it did not run."""
    if not _library.may_run_as_is(_OP):
        return None
    for name, x in data.items():
        if x is None:
            continue
        if not isinstance(x, torch.Tensor) or x.is_meta or (x.requires_grad and name in _NO_GRADIENT):
            return None
    if not all(type(x) is float for x in numbers.values()) or not numbers["clip_param"] >= 0.0:
        return None
    try:
        return _library._compiled[_OP](*data.values(), *numbers.values())
    except (RuntimeError, NotImplementedError):  # NotImplementedError: no kernel for this device
        return None


def _check(data: dict[str, torch.Tensor | None], numbers: dict[str, float]) -> None:
    """Refuse arguments that do not fit."""
    if (data["old_mean"] is None) != (data["old_std"] is None):
        missing = "old_std" if data["old_std"] is None else "old_mean"
        raise ValueError(f"{_OP}: `old_mean` and `old_std` must be given together, got None for `{missing}`")
    for name, x in data.items():
        if x is not None or name not in _OPTIONAL:
            checks.kind(_OP, name, x, torch.Tensor)
    tensors = {name: x for name, x in data.items() if x is not None}
    mean = tensors["mean"]
    checks.dtype(_OP, "mean", mean, checks.FLOATS)
    for name, x in tensors.items():
        checks.dtype(_OP, name, x, (checks.dtype_name(mean),), like="mean")
    if mean.dim() != 2:
        raise ValueError(f"{_OP}: `mean` must be [B, A], got {list(mean.shape)}")
    rows, columns = mean.shape
    checks.shape(_OP, "actions", tensors["actions"], mean.shape, like="mean")
    _check_std("std", tensors["std"], rows, columns)
    for name in ("values", "old_log_prob", "advantages", "returns", "old_values"):
        if name in tensors and tuple(tensors[name].shape) not in ((rows,), (rows, 1)):
            raise ValueError(f"{_OP}: `{name}` must be [{rows}] or [{rows}, 1], got {list(tensors[name].shape)}")
    if "old_mean" in tensors:
        shape = tensors["old_mean"].shape
        if len(shape) != 2 or shape[1] != columns or shape[0] > rows:
            raise ValueError(f"{_OP}: `old_mean` must be [S, {columns}], S <= {rows}, got {list(shape)}")
        _check_std("old_std", tensors["old_std"], shape[0], columns)
    checks.number(_OP, "clip_param", numbers["clip_param"], 0.0, float("inf"))
    for name in ("value_loss_coef", "entropy_coef"):
        checks.number(_OP, name, numbers[name], -float("inf"), float("inf"))
    _tensors.check_devices(_OP, tensors)
    _tensors.refuse_gradient(_OP, {name: x for name, x in tensors.items() if name in _NO_GRADIENT})


def _check_std(name: str, std: torch.Tensor, rows: int, columns: int) -> None:
    if tuple(std.shape) not in ((columns,), (rows, columns)):
        raise ValueError(f"{_OP}: `{name}` must be [{columns}] or [{rows}, {columns}], got {list(std.shape)}")


def _fake(mean: torch.Tensor, std: torch.Tensor, values: torch.Tensor, *args: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401
    return (
        mean.new_empty(()),
        mean.new_empty(len(PPOStats._fields)),
        torch.empty_like(mean),
        torch.empty_like(std),
        torch.empty_like(values),
    )


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:  # noqa: ANN401
    _, stats, *gradients = output
    ctx.mark_non_differentiable(stats, *gradients)
    ctx.set_materialize_grads(False)
    learned = (x for x, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed)
    ctx.save_for_backward(*gradients, *learned)


def _backward(ctx: Any, grad: torch.Tensor | None, *_: None) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
    unused = (None,) * 10
    if grad is None:
        return None, None, None, *unused
    mean, std, values, *learned = ctx.saved_tensors
    grad = _library.first_order_only(_OP, grad, learned)
    gradients = zip((mean, std, values), ctx.needs_input_grad, strict=False)
    return *(grad * gradient if needed else None for gradient, needed in gradients), *unused


if _library.errors["cpu"] is None:
    torch.library.register_fake("rslcore::ppo_loss", _fake)
    torch.library.register_autograd("rslcore::ppo_loss", _backward, setup_context=_context)
