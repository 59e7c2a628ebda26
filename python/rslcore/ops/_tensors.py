# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What every operator does to its tensors: type, device and gradient checks, flags to uint8, writing back."""

from __future__ import annotations

import torch

from rslcore import _checks as checks


def check_all(op: str, like: torch.Tensor | None = None, **named: torch.Tensor) -> None:
    """Refuse arguments that are no tensors or lie on several devices (`like`, or else the first one, decides)."""
    first = None
    for name, x in named.items():
        checks.kind(op, name, x, torch.Tensor)
        if like is None:
            first, like = name, x
        elif x.device != like.device:
            where = f" like `{first}`" if first else ""
            raise ValueError(f"{op}: `{name}` must be on {like.device}{where}, got {x.device}")


def check_devices(op: str, tensors: dict[str, torch.Tensor]) -> None:
    """Refuse arguments on several devices; the first one decides."""
    first_name, first = next(iter(tensors.items()))
    for name, x in tensors.items():
        if x.device != first.device:
            raise ValueError(f"{op}: `{name}` must be on {first.device} like `{first_name}`, got {x.device}")


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


def as_flags(x: torch.Tensor) -> torch.Tensor:
    """Flags of any dtype as uint8, non-zero meaning set; bool and uint8 are not copied."""
    if x.dtype == torch.uint8:
        return x
    return (x if x.dtype == torch.bool else x != 0).view(torch.uint8)


def write_back(result: torch.Tensor, target: torch.Tensor) -> None:
    """Copy a result into `target` if a contiguous stand-in was computed instead of writing into it directly."""
    if not target.is_contiguous():
        target.copy_(result.view_as(target))
