# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of operator arguments, shared by `rslcore.ops` (torch tensors) and `rslcore.numpy` (arrays).

Everything is read from `.shape` and `.dtype`, so that NumPy users need not import torch. Messages name the operator,
the argument, what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FLOATS = ("float32", "float64")
FLAGS = ("bool", "uint8", "int32", "int64", "float32")


def dtype_name(x: Any) -> str:  # noqa: ANN401 - a tensor or an array
    """Name of the dtype without its library's prefix: "float32" for torch.float32 and np.float32."""
    return str(x.dtype).removeprefix("torch.")


def kind(op: str, name: str, x: object, library_type: type) -> None:
    """Refuse what is not a tensor (or array) at all."""
    if not isinstance(x, library_type):
        raise TypeError(
            f"{op}: `{name}` must be a {library_type.__module__.split('.')[0]} {library_type.__name__}, "
            f"got {type(x).__name__}"
        )


def dtype(op: str, name: str, x: Any, allowed: Sequence[str], like: str | None = None) -> None:  # noqa: ANN401
    """Refuse a dtype outside `allowed`; `like` names the argument that fixed it."""
    got = dtype_name(x)
    if got not in allowed:
        expected = " or ".join(allowed) + (f" like `{like}`" if like else "")
        raise TypeError(f"{op}: `{name}` must be {expected}, got {got}")


def shape(
    op: str,
    name: str,
    x: Any,  # noqa: ANN401
    expected: Sequence[int],
    like: str | None = None,
) -> None:
    """Refuse a shape other than `expected`; `like` names the argument that fixed it."""
    if tuple(x.shape) != tuple(expected):
        reference = f" like `{like}`" if like else ""
        raise ValueError(f"{op}: `{name}` must be {list(expected)}{reference}, got {list(x.shape)}")


def rollout_shape(op: str, name: str, x: Any) -> tuple[int, int]:  # noqa: ANN401
    """T and N of a rollout buffer [T, N] or [T, N, 1]."""
    dims = tuple(x.shape)
    if len(dims) == 2 or (len(dims) == 3 and dims[2] == 1):
        return dims[0], dims[1]
    raise ValueError(f"{op}: `{name}` must be [T, N] or [T, N, 1], got {list(dims)}")


def rollout(op: str, name: str, x: Any, num_steps: int, num_envs: int, like: str) -> None:  # noqa: ANN401
    """Refuse a rollout buffer that is neither [T, N] nor [T, N, 1] with the given T and N."""
    if tuple(x.shape) not in ((num_steps, num_envs), (num_steps, num_envs, 1)):
        raise ValueError(f"{op}: `{name}` must be [{num_steps}, {num_envs}] like `{like}`, got {list(x.shape)}")


def per_env(op: str, name: str, x: Any, num_envs: int, like: str) -> None:  # noqa: ANN401
    """Refuse a per-environment vector that is neither [N] nor [N, 1]."""
    if tuple(x.shape) not in ((num_envs,), (num_envs, 1)):
        raise ValueError(f"{op}: `{name}` must be [{num_envs}] as `{like}` has N = {num_envs}, got {list(x.shape)}")


def number(op: str, name: str, value: object, low: float, high: float) -> None:
    """Refuse a scalar outside the closed interval [low, high], or one that is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{op}: `{name}` must be a number, got {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{op}: `{name}` must be in [{low:g}, {high:g}], got {value}")


def integer(op: str, name: str, value: object) -> None:
    """Refuse what is no integer that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{op}: `{name}` must be an integer, got {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{op}: `{name}` must fit a signed 64-bit integer, got {value}")
