# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Loads the compiled operators; where they are missing for a device, the plain-torch reference stands in.

Importing never fails. What went wrong is kept, told once as a warning when the reference is first used in place of a
kernel, and shown by `rslcore.build_info()`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch.autograd import forward_ad
from torch.autograd.graph import increment_version

import rslcore
from rslcore.ops import reference
from rslcore.ops._exporting import exporting

REBUILD = "reinstall rslcore (`pip install --force-reinstall rslcore`, in a checkout `make clean build`)"
"""What to do about a library that does not load."""


def _load(stem: str) -> str | None:
    """Load a library of the package; None, or why it could not be loaded."""
    for folder in rslcore.__path__:
        path = Path(folder) / "lib" / f"lib{stem}.so"
        if path.is_file():
            try:
                torch.ops.load_library(str(path))
            except (OSError, RuntimeError) as error:  # RuntimeError: its operators are registered already
                return f"{path.name} does not load: {error}"
            return None
    return f"lib{stem}.so was not built or not installed"


def _load_cuda() -> str | None:
    if errors["cpu"] is not None:
        return errors["cpu"]
    if torch.version.cuda is None:
        return "this torch is a build without CUDA"
    return _load("rslcore_cuda")


errors: dict[str, str | None] = {"cpu": _load("rslcore")}
"""Per device type: None where the compiled operators are loaded, else why they are not."""
errors["cuda"] = _load_cuda()

_warned: set[str] = set()


def kernel(op: str, device: torch.device) -> Callable[..., Any]:
    """The compiled operator for tensors on `device`, or the reference: if exporting, and with one warning elsewhere."""
    if exporting():
        if op in _READING:
            raise ValueError(f"{op}: expected to run, got an exporter, to which what the host reads is constant")
        return getattr(reference, op)
    reason = errors.get(device.type, "rslcore has kernels for cpu and cuda only")
    if reason is None:
        return _compiled[op]
    if device.type not in _warned and device.type != "meta":  # meta tensors hold nothing that could be slow
        _warned.add(device.type)
        cure = f" To mend it: {REBUILD}." if device.type in errors else ""
        warnings.warn(
            f"rslcore runs its plain-torch reference on {device.type}, which is slow: {reason}.{cure}",
            RuntimeWarning,
            stacklevel=4,
        )
    return getattr(reference, op)


def run(op: str, device: torch.device, args: Sequence[Any], written: Sequence[torch.Tensor] = ()) -> Any:  # noqa: ANN401
    """Call an operator; what it has `written` counts as changed in place, so that autograd notices stale inputs.

    Raises:
        ValueError: The operator itself refused its arguments, or a transform would have to see through it.
    """
    name = op.removesuffix("_out")
    if transformed():
        raise ValueError(
            f"{name}: expected plain tensors, got a call under torch.func (grad, jvp, vmap, ...) or forward-mode "
            f"differentiation, which cannot see through {name}"
        )
    try:
        result = kernel(op, device)(*args)
    except RuntimeError as error:
        raise _refusal(name, error) from None
    if written:
        increment_version(written)
    return result


def run_as_is(op: str, args: Sequence[Any], written: Sequence[torch.Tensor]) -> bool:
    """Hand arguments to an operator unchecked, as they nearly always fit: its own guards are much faster than Python.

    Returns:
        Whether it ran. If not, nothing was written: the arguments need a conversion or a check that says what is wrong.
    """
    if not may_run_as_is(op):
        return False
    gradient = torch.is_grad_enabled()
    for x in args:
        if type(x) is torch.Tensor:
            if x.is_meta or (gradient and x.requires_grad):
                return False
        elif isinstance(x, torch.Tensor):
            return False
    try:
        _compiled[op](*args)
    except (RuntimeError, NotImplementedError):  # NotImplementedError: no kernel for this device
        return False
    increment_version(written)
    return True


def may_run_as_is(op: str) -> bool:
    """Whether an operator may be called past this module: it is loaded, and nobody looks at the calls."""
    return op in _compiled and not (torch.compiler.is_compiling() or in_plain_torch())


def in_plain_torch() -> bool:
    """Whether an operator with a result must be plain torch, which a transform sees through and an exporter knows."""
    return transformed() or exporting()


def transformed() -> bool:
    """Whether a torch.func transform or forward-mode differentiation is under way."""
    return torch._C._functorch.maybe_current_level() is not None or forward_ad._current_level >= 0


def refuse_second_order(op: str, *_: object) -> NoReturn:
    """The derivative of a first derivative that has none; without one, torch takes it for zero."""
    raise RuntimeError(f"{op}: a second derivative is asked for, but there are first ones only")


def first_order_only(op: str, grad: torch.Tensor, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """`grad`, as if made of `inputs`, for a backward that computes with it and not with them.

    Whoever asks the result for a derivative with respect to `inputs` is refused by name.
    """
    return _FirstOrderOnly.apply(op, grad, *inputs) if torch.is_grad_enabled() else grad


class _FirstOrderOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, op: str, grad: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        ctx.op = op
        return grad.view_as(grad)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> NoReturn:  # noqa: ANN401
        refuse_second_order(ctx.op)


def _refusal(name: str, error: RuntimeError) -> Exception:
    """What the operator refused by itself (an index outside, shared memory), without its place in the C++ source."""
    _, found, reason = str(error).partition(f"{name}: ")
    if not found or reason.startswith("CUDA"):
        return error
    return ValueError(found + reason.splitlines()[0])


_WRITING = (
    "clip_adam",
    "kl_adaptive_lr",
    "cart_pole_step",
    "cart_pole_reset",
    "episode_stats",
    "gae",
    "gaussian_sample",
    "update_moments",
    "normalize_out",
    "update_and_normalize",
    "discounted_return",
    "permutation",
    "policy_step",
    "shuffle_rows",
    "split_trajectories",
    "pad_trajectories_out",
    "unpad_trajectories_out",
)
"""Operators that write into tensors they are given and return nothing: to a tracer there is nothing to compute."""

_READING = ("clip_adam", "permutation")
"""Operators whose reference reads numbers from tensors to decide what it does."""

_FUNCTIONAL = ("bias_activation", "mlp", "normalize", "ppo_loss", "pad_trajectories", "unpad_trajectories", "rnn_scan")
"""Operators with a gradient, which return their result; their modules register what tracers and autograd need."""

_compiled: dict[str, Callable[..., Any]] = {}

if errors["cpu"] is None:
    _compiled = {op: getattr(torch.ops.rslcore, op).default for op in (*_WRITING, *_FUNCTIONAL)}
    for _op in _WRITING:
        torch.library.register_fake(f"rslcore::{_op}", lambda *args: None)
