# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Gradient clipping and a step of Adam over all parameters, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import torch
from torch.autograd.graph import increment_version

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

_OP = "clip_adam"


def clip_adam(
    params: Sequence[torch.Tensor],
    grads: Sequence[torch.Tensor],
    exp_avgs: Sequence[torch.Tensor],
    exp_avg_sqs: Sequence[torch.Tensor],
    steps: Sequence[torch.Tensor],
    *,
    group_sizes: Sequence[int] | None = None,
    max_norm: float | None,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled_weight_decay: bool = False,
) -> torch.Tensor:
    """Clip gradients by their norm and take a step of Adam or AdamW with all parameters, in place, on the CPU.

    The same as `torch.nn.utils.clip_grad_norm_` for each group and one `step()` of `torch.optim.Adam` (Kingma and Ba
    2015, arXiv:1412.6980) or, with decoupled weight decay, `AdamW` (Loshchilov and Hutter 2019, arXiv:1711.05101), to
    the rounding of float32, in two passes over the data instead of fifteen. The lists are those of an optimizer's state
    (`optimizer.state[p]["exp_avg"]`, ...), which it can take up again at any time: nothing is moved into one flat
    buffer, as one call over many tensors has the same effect.

    Results do not depend on the number of threads. On CUDA `torch.optim.Adam(fused=True, capturable=True)` is as fast
    as the memory allows, so there is no kernel here.

    Args:
        params: Parameters, float32 or float64, all of one dtype; updated.
        grads: Their gradients, same shapes; left clipped.
        exp_avgs: Running means of the gradients, same shapes; updated.
        exp_avg_sqs: Running means of their squares, same shapes; updated.
        steps: Steps taken so far, float32 [] each; counted up.
        group_sizes: How many of the tensors make up each group whose gradient norm is limited together; default one.
        max_norm: Largest norm of a group, >= 0; None clips nothing. A norm that is not finite makes the gradients NaN
            (or zero where they are finite and the norm is infinite), as in torch.
        lr: Learning rate, >= 0.
        betas: Decay of the two running means, in [0, 1).
        eps: Added to the root of the second one, >= 0.
        weight_decay: Weight decay, >= 0.
        decoupled_weight_decay: Whether it shrinks the parameters (AdamW) instead of being added to the gradients.

    Returns:
        Norm of the gradients of each group before they were clipped [groups]; zeros without `max_norm`.

    Raises:
        TypeError: An argument is no tensor, list or number, or has another dtype.
        ValueError: A shape, device or number does not fit, or tensors share memory. Nothing is changed then.
    """
    if group_sizes is None:
        group_sizes = (len(params),)
    _check_numbers(group_sizes, max_norm, lr, betas, eps, weight_decay, decoupled_weight_decay)
    lists = (params, grads, exp_avgs, exp_avg_sqs, steps)
    numbers = (
        list(group_sizes),
        max_norm if max_norm is None else float(max_norm),
        *(float(lr), float(betas[0]), float(betas[1]), float(eps), float(weight_decay), decoupled_weight_decay),
    )
    with torch.no_grad():
        norms = _run_as_is(lists, numbers)
        if norms is None:
            named = dict(zip(_LISTS, lists, strict=True))
            _check_tensors(named, group_sizes)
            norms = _run_on_copies(named, numbers)
    return norms


_LISTS = ("params", "grads", "exp_avgs", "exp_avg_sqs", "steps")
_is_meta = attrgetter("is_meta")


def _run_as_is(lists: tuple[Sequence[torch.Tensor], ...], numbers: tuple) -> torch.Tensor | None:
    """Hand the lists to the operator unchecked, as they nearly always fit; None if it refused and changed nothing."""
    params = lists[0]
    if not _library.may_run_as_is(_OP):
        return None
    if not isinstance(params, (list, tuple)) or not params:
        return None
    if type(params[0]) not in (torch.nn.Parameter, torch.Tensor):
        return None
    written = list(chain.from_iterable(lists))
    try:
        if any(map(_is_meta, written)):  # of which the dispatcher would make a call that does nothing
            return None
        norms = params[0].new_zeros(len(numbers[0]))
        _library._compiled[_OP](*lists, *numbers, norms)
    except (RuntimeError, NotImplementedError, AttributeError, TypeError):  # not tensors, or tensors of another device
        return None
    increment_version(written)
    return norms


def _run_on_copies(lists: dict[str, Sequence[torch.Tensor]], numbers: tuple) -> torch.Tensor:
    """Run on contiguous copies where tensors are not contiguous, and write these back."""
    flat = {name: [x.detach().contiguous() for x in tensors] for name, tensors in lists.items()}
    first = next(iter(flat["params"]), torch.empty(0, device="cpu"))
    norms = first.new_zeros(len(numbers[0]))
    written = [x for tensors in flat.values() for x in tensors]
    _library.run(_OP, first.device, (*flat.values(), *numbers, norms), written=written)
    for name, tensors in lists.items():
        for result, target in zip(flat[name], tensors, strict=True):
            _tensors.write_back(result, target)
    return norms


def _check_numbers(
    group_sizes: Sequence[int],
    max_norm: float | None,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
) -> None:
    """Refuse numbers that do not fit."""
    if (
        type(betas) is tuple
        and all(type(x) is float and x >= 0.0 for x in (lr, eps, weight_decay, *betas, max_norm))
        and len(betas) == 2
        and max(betas) < 1.0
        and type(decoupled_weight_decay) is bool
        and all(type(size) is int for size in group_sizes)
    ):  # as it nearly always is: the checks by name take longer than the step of a small network
        return
    for number, size in enumerate(group_sizes):
        checks.integer(_OP, f"group_sizes[{number}]", size)
    infinity = float("inf")
    if max_norm is not None:
        checks.number(_OP, "max_norm", max_norm, 0.0, infinity)
    checks.number(_OP, "lr", lr, 0.0, infinity)
    if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
        raise TypeError(f"{_OP}: `betas` must be a pair, got {type(betas).__name__}")
    for number, beta in enumerate(betas):
        checks.number(_OP, f"betas[{number}]", beta, 0.0, 1.0)
        if beta == 1.0:
            raise ValueError(f"{_OP}: `betas[{number}]` must be below 1, got 1.0")
    checks.number(_OP, "eps", eps, 0.0, infinity)
    checks.number(_OP, "weight_decay", weight_decay, 0.0, infinity)
    checks.boolean(_OP, "decoupled_weight_decay", decoupled_weight_decay)


def _check_tensors(lists: dict[str, Sequence[torch.Tensor]], group_sizes: Sequence[int]) -> None:
    named = {}
    for name, tensors in lists.items():
        if not isinstance(tensors, (list, tuple)):
            raise TypeError(f"{_OP}: `{name}` must be a list of tensors, got {type(tensors).__name__}")
        if len(tensors) != len(lists["params"]):
            raise ValueError(f"{_OP}: `{name}` must have {len(lists['params'])} tensors, got {len(tensors)}")
        for number, x in enumerate(tensors):
            named[f"{name}[{number}]"] = x
            checks.kind(_OP, f"{name}[{number}]", x, torch.Tensor)
    count = len(lists["params"])
    if any(size < 0 for size in group_sizes) or sum(group_sizes) != count:
        raise ValueError(f"{_OP}: `group_sizes` must add up to {count} tensors, got {list(group_sizes)}")
    for number in range(count):
        param = lists["params"][number]
        name = f"params[{number}]"
        checks.dtype(_OP, name, param, checks.FLOATS)
        checks.dtype(_OP, name, param, (checks.dtype_name(lists["params"][0]),), like="params[0]")
        for other in ("grads", "exp_avgs", "exp_avg_sqs"):
            x = lists[other][number]
            checks.dtype(_OP, f"{other}[{number}]", x, (checks.dtype_name(param),), like=name)
            checks.shape(_OP, f"{other}[{number}]", x, param.shape, like=name)
        checks.dtype(_OP, f"steps[{number}]", lists["steps"][number], ("float32",))
        checks.shape(_OP, f"steps[{number}]", lists["steps"][number], ())
    if not named:
        return
    _tensors.check_devices(_OP, named)
    first = lists["params"][0]
    if first.device.type != "cpu":
        raise ValueError(
            f"{_OP}: `params[0]` must be on cpu, got {first.device}: there torch.optim.Adam(fused=True) takes the step"
        )
    _tensors.check_targets(_OP, named)
