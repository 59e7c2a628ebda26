# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Rollouts cut into trajectories for recurrent models: where they begin, padded batches of them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors, reference
from rslcore.ops.shuffle import shuffle_rows


class Trajectories(NamedTuple):
    """The K trajectories of a rollout [T, N], environment by environment; K is `offsets[-1]`, known to the device."""

    starts: torch.Tensor
    """Row t * N + n of the flat rollout on which each begins, int64 [T * N]; zero from the K-th on."""
    lengths: torch.Tensor
    """Number of steps of each, int64 [T * N]; zero from the K-th on."""
    offsets: torch.Tensor
    """Environment n has the trajectories offsets[n] .. offsets[n + 1] - 1, int64 [N + 1]."""


def split_trajectories(dones: torch.Tensor, *, out: Trajectories | None = None) -> Trajectories:
    """Cut a rollout into trajectories: each ends where an episode or the rollout ends.

    All shapes follow from that of `dones`, so nothing waits for the device; slice the result to the K trajectories
    that `offsets[-1]` tells, or leave it: trajectories without steps pad to zeros and unpad to nothing.

    Args:
        dones: Where episodes ended, [T, N] or [T, N, 1]; bool, uint8, int32, int64 or float32.
        out: Where to write, tensors of these shapes.

    Returns:
        The trajectories.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit, or `out` shares memory with `dones` or itself.
    """
    op = "split_trajectories"
    num_steps, num_envs = checks.dones(op, torch.Tensor, dones)
    tensors = {"dones": dones}
    if out is None:
        capacity = num_steps * num_envs
        starts, lengths, offsets = (
            torch.empty(size, dtype=torch.int64, device=dones.device) for size in (capacity, capacity, num_envs + 1)
        )
        out = Trajectories(starts, lengths, offsets)
    else:
        tensors |= checks.split_out(op, torch.Tensor, num_steps, num_envs, out)
    _tensors.check_devices(op, tensors)
    _tensors.refuse_gradient(op, tensors)
    flags = _tensors.as_flags(dones.reshape(num_steps, num_envs)).contiguous()
    _tensors.check_targets(op, {f"out.{name}": x for name, x in zip(Trajectories._fields, out, strict=True)})
    targets = [target.contiguous() for target in out]
    _library.run(op, dones.device, (flags, *targets), written=targets)
    for result, target in zip(targets, out, strict=True):
        _tensors.write_back(result, target)
    return out


def pad_trajectories(
    x: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Step l of trajectory k at [l, k] of the result, zeros behind its last step.

    Differentiable with respect to `x`, to any order and by torch.func as well; the inverse is `unpad_trajectories`.

    Args:
        x: Data of a rollout, [T, N, ...], any dtype.
        starts: Rows t * N + n of the flat rollout on which the trajectories begin, int64 [K]: some or all of those of
            `split_trajectories`, in its order.
        lengths: Their numbers of steps, int64 [K]; those without a step may have any start.
        out: Where to write, [T, K, ...], dtype of `x`; shares no memory with the others. Refuses gradients.

    Returns:
        The padded trajectories [T, K, ...], dtype of `x`.

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit, or a gradient of what has none is asked for; on the CPU also if
            trajectories leave the rollout, overlap or are out of order. On CUDA, where looking would stall the device,
            what lies outside the rollout is zero.
    """
    op = "pad_trajectories"
    tensors = checks.trajectories(op, torch.Tensor, "x", x, starts, lengths)
    shape = (x.shape[0], starts.shape[0], *x.shape[2:])
    return _move(op, tensors, (), shape, out)


def unpad_trajectories(
    padded: torch.Tensor,
    starts: torch.Tensor,
    lengths: torch.Tensor,
    *,
    num_envs: int,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The steps of padded trajectories back at their places in the rollout; places of no trajectory are zero.

    Differentiable with respect to `padded`, to any order and by torch.func as well; the inverse is `pad_trajectories`.

    Args:
        padded: Padded trajectories, [T, K, ...], any dtype; what stands behind the last step of one is not read.
        starts: Rows t * N + n of the flat rollout on which they begin, int64 [K], in the order of
            `split_trajectories`.
        lengths: Their numbers of steps, int64 [K]; those without a step may have any start.
        num_envs: Number of environments N of the rollout.
        out: Where to write, [T, N, ...], dtype of `padded`; shares no memory with the others. Refuses gradients.

    Returns:
        The data of the rollout [T, N, ...], dtype of `padded`.

    Raises:
        TypeError: An argument is no tensor or has another dtype, or `num_envs` is no integer.
        ValueError: As for `pad_trajectories`, or `num_envs` is negative. On CUDA what lies outside the rollout is
            left out.
    """
    op = "unpad_trajectories"
    checks.num_envs(op, num_envs)
    tensors = checks.trajectories(op, torch.Tensor, "padded", padded, starts, lengths)
    shape = (padded.shape[0], num_envs, *padded.shape[2:])
    return _move(op, tensors, (num_envs,), shape, out)


def gather_hidden_states(
    states: Sequence[torch.Tensor], starts: torch.Tensor, *, num_envs: int
) -> tuple[torch.Tensor, ...]:
    """Hidden states of recurrent models at the first steps of trajectories, all in one call.

    Args:
        states: Hidden states before each step of a rollout, each [T, layers, N, H], any dtype; an LSTM has two, whose
            H may differ.
        starts: Rows t * N + n of the flat rollout on which trajectories begin, int64 [K].
        num_envs: Number of environments N.

    Returns:
        For each of `states` its values at the starts, [layers, K, H].

    Raises:
        TypeError: An argument is no tensor (or sequence of tensors) or has another dtype.
        ValueError: A shape, a device or, on the CPU, a start does not fit, or a gradient is asked for.
    """
    op = "gather_hidden_states"
    named = checks.hidden_states(op, torch.Tensor, states, starts, num_envs)
    _tensors.check_devices(op, {"starts": starts, **named})
    _tensors.refuse_gradient(op, named)
    if not states:
        return ()
    num_steps, layers = states[0].shape[:2]
    steps = starts.div(max(num_envs, 1), rounding_mode="floor")
    layer = torch.arange(layers, device=starts.device)[:, None]
    rows = (steps * layers + layer) * num_envs + (starts - steps * num_envs)
    try:
        gathered = shuffle_rows([state.flatten(0, 2) for state in states], rows.flatten())
    except ValueError:
        outside = ((starts < 0) | (starts >= num_steps * num_envs)).nonzero().flatten()
        if outside.numel() == 0:
            raise
        k = int(outside[0])
        raise ValueError(
            f"{op}: `starts` must be rows of a rollout [{num_steps}, {num_envs}], got starts[{k}] = {int(starts[k])}"
        ) from None
    return tuple(x.unflatten(0, (layers, starts.shape[0])) for x in gathered)


def _move(
    op: str, tensors: dict[str, torch.Tensor], sizes: tuple[int, ...], shape: tuple[int, ...], out: torch.Tensor | None
) -> torch.Tensor:
    """Pad or unpad: data, starts and lengths in `tensors`, further arguments in `sizes`, a result of `shape`."""
    data_name, data = next(iter(tensors.items()))
    if out is not None:
        checks.kind(op, "out", out, torch.Tensor)
        checks.dtype(op, "out", out, (checks.dtype_name(data),), like=data_name)
        checks.shape(op, "out", out, shape)
        tensors = {**tensors, "out": out}
    _tensors.check_devices(op, tensors)
    args = (*(tensors[name].contiguous() for name in (data_name, "starts", "lengths")), *sizes)
    if out is None and _library.in_plain_torch():
        return getattr(reference, op)(*args)
    if out is None and data.requires_grad and torch.is_grad_enabled():
        return _library.run(op, data.device, args)
    _tensors.refuse_gradient(op, tensors)
    target = data.new_empty(shape) if out is None else out
    _tensors.check_targets(op, {"out": target})
    flat = target.contiguous()
    _library.run(f"{op}_out", data.device, (*args, flat), written=(flat,))
    _tensors.write_back(flat, target)
    return target


def _pad_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    x, starts, lengths = inputs
    ctx.save_for_backward(starts, lengths)
    ctx.num_envs = x.shape[1]


def _pad_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:  # noqa: ANN401
    return torch.ops.rslcore.unpad_trajectories(grad.contiguous(), *ctx.saved_tensors, ctx.num_envs), None, None


def _unpad_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ANN401
    _, starts, lengths, _ = inputs
    ctx.save_for_backward(starts, lengths)


def _unpad_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
    return torch.ops.rslcore.pad_trajectories(grad.contiguous(), *ctx.saved_tensors), None, None, None


if _library.errors["cpu"] is None:
    torch.library.register_fake(
        "rslcore::pad_trajectories",
        lambda x, starts, lengths: x.new_empty((x.shape[0], starts.shape[0], *x.shape[2:])),
    )
    torch.library.register_fake(
        "rslcore::unpad_trajectories",
        lambda padded, starts, lengths, num_envs: padded.new_empty((padded.shape[0], num_envs, *padded.shape[2:])),
    )
    torch.library.register_autograd("rslcore::pad_trajectories", _pad_backward, setup_context=_pad_context)
    torch.library.register_autograd("rslcore::unpad_trajectories", _unpad_backward, setup_context=_unpad_context)
