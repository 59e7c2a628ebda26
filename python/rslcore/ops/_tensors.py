# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What every operator does to its tensors: type, device and gradient checks, flags to uint8, writing back."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from rslcore import _checks as checks
from rslcore.ops._exporting import exporting


def check_devices(op: str, tensors: dict[str, torch.Tensor]) -> None:
    """Refuse arguments on several devices (the first one decides) and those that are not strided (sparse ones)."""
    first_name, first = next(iter(tensors.items()))
    for name, x in tensors.items():
        if x.device != first.device:
            raise ValueError(f"{op}: `{name}` must be on {first.device} like `{first_name}`, got {x.device}")
        if x.layout is not torch.strided:
            raise ValueError(f"{op}: `{name}` must be a dense tensor (torch.strided), got {x.layout}")


def check_targets(op: str, named: Mapping[str, torch.Tensor]) -> None:
    """Refuse to write into views some of whose elements share memory; contiguous ones the operators check."""
    if all(x.is_contiguous() for x in named.values()):
        return
    layouts = {name: _layout(x) for name, x in named.items()}
    if torch.compiler.is_compiling():  # nothing has an address yet, each is looked at by itself
        for name, layout in layouts.items():
            checks.targets(op, {name: layout})
    else:
        checks.targets(op, layouts)


def _layout(x: torch.Tensor) -> checks.Layout:
    address = 0 if torch.compiler.is_compiling() else x.data_ptr()
    return checks.Layout(address, x.itemsize, tuple(x.shape), tuple(stride * x.itemsize for stride in x.stride()))


def refuse_gradient(op: str, tensors: dict[str, torch.Tensor] | None = None, **named: torch.Tensor) -> None:
    """Refuse inputs that want a gradient from an operator that has none."""
    if not torch.is_grad_enabled():
        return
    for name, x in {**(tensors or {}), **named}.items():
        if x.requires_grad:
            raise ValueError(
                f"{op}: `{name}` requires a gradient, and {op} has none: expected a tensor without, "
                f"got requires_grad=True (detach it, or call {op} under torch.no_grad())"
            )


def is_set(flags: torch.Tensor) -> torch.Tensor:
    """Where flags of any dtype are set, as bool: whatever is not zero is, a fraction, a negative number and NaN too."""
    return flags if flags.dtype == torch.bool else flags != 0


def as_flags(x: torch.Tensor) -> torch.Tensor:
    """Flags of any dtype as uint8, for kernels that take what is not zero as set; bool and uint8 are not copied."""
    if x.dtype == torch.uint8:
        return x
    flags = is_set(x)
    # Neither the compiler of torch 2.10 nor TorchScript can reinterpret bool; a copy in a graph costs little.
    is_graph = torch.compiler.is_compiling() or exporting()
    return flags.to(torch.uint8) if is_graph else flags.view(torch.uint8)


def write_back(result: torch.Tensor, target: torch.Tensor) -> None:
    """Copy a result into `target` if a contiguous stand-in was computed instead of writing into it directly.

    And for exporters, as ONNX does not see that a view was written to.
    """
    if not target.is_contiguous() or (result is not target and exporting()):
        target.copy_(result.view_as(target))


def without_copies(std: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """[A] itself where `std` is one row expanded to the shape of `mean` [B, A]: it need not be read B times."""
    both = isinstance(std, torch.Tensor) and isinstance(mean, torch.Tensor)
    if both and std.dim() == 2 and std.shape == mean.shape and len(std) > 1 and std.stride(0) == 0:
        return std[0]
    return std
