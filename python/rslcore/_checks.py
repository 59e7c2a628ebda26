# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of operator arguments, shared by `rslcore.ops` (torch tensors) and `rslcore.numpy` (arrays).

Everything is read from `.shape` and `.dtype`, so that NumPy users need not import torch. Messages name the operator,
the argument, what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
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
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{op}: `{name}` must be a number, got {type(value).__name__}")
    if not low <= value <= high:  # type: ignore[operator] # typeshed orders Real on one side only
        raise ValueError(f"{op}: `{name}` must be in [{low:g}, {high:g}], got {value}")


def integer(op: str, name: str, value: object) -> None:
    """Refuse what is no integer that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{op}: `{name}` must be an integer, got {type(value).__name__}")
    if not -(2**63) <= int(value) < 2**63:
        raise ValueError(f"{op}: `{name}` must fit a signed 64-bit integer, got {value}")


def until(op: str, value: object) -> None:
    """Refuse a number of samples to stop at that is neither None nor an integer >= 0."""
    if value is not None:
        integer(op, "until", value)
        number(op, "until", value, 0, float("inf"))


def boolean(op: str, name: str, value: object) -> None:
    """Refuse what is neither True nor False, of Python or of NumPy (whose type NumPy 1 calls bool_)."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{op}: `{name}` must be a bool, got {type(value).__name__}")


def gae(
    array: type,
    rewards: Any,  # noqa: ANN401
    values: Any,  # noqa: ANN401
    dones: Any,  # noqa: ANN401
    last_values: Any,  # noqa: ANN401
    gamma: float,
    lam: float,
    time_outs: Any,  # noqa: ANN401
    terminal_values: Any,  # noqa: ANN401
    out: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Arguments of `gae`, whose tensors or arrays are `array`s; returns all of them by name."""
    op = "gae"
    floats = {"rewards": rewards, "values": values}
    flags = {"dones": dones}
    if terminal_values is not None:
        if time_outs is None:
            raise ValueError(f"{op}: `terminal_values` needs `time_outs`, which tell where to use them, got None")
        floats["terminal_values"] = terminal_values
    if time_outs is not None:
        flags["time_outs"] = time_outs
    if out is not None:
        if not (isinstance(out, (tuple, list)) and len(out) == 2):
            raise TypeError(f"{op}: `out` must be the pair (returns, advantages), got {type(out).__name__}")
        floats |= {"out[0]": out[0], "out[1]": out[1]}
    everything = {**floats, **flags, "last_values": last_values}
    for name, x in everything.items():
        kind(op, name, x, array)
    dtype(op, "rewards", rewards, FLOATS)
    num_steps, num_envs = rollout_shape(op, "rewards", rewards)
    for name, x in floats.items():
        dtype(op, name, x, (dtype_name(rewards),), like="rewards")
        rollout(op, name, x, num_steps, num_envs, like="rewards")
    for name, x in flags.items():
        dtype(op, name, x, FLAGS)
        rollout(op, name, x, num_steps, num_envs, like="rewards")
    dtype(op, "last_values", last_values, (dtype_name(rewards),), like="rewards")
    per_env(op, "last_values", last_values, num_envs, like="rewards")
    number(op, "gamma", gamma, 0.0, 1.0)
    number(op, "lam", lam, 0.0, 1.0)
    return everything


def moments(op: str, array: type, x: Any, mean: Any, var: Any, count: Any = None) -> dict[str, Any]:  # noqa: ANN401
    """Samples `x` [B, *F] and their running moments; returns all of them by name."""
    everything = {"x": x, "mean": mean, "var": var} | ({} if count is None else {"count": count})
    for name, value in everything.items():
        kind(op, name, value, array)
    dtype(op, "x", x, FLOATS)
    if len(x.shape) == 0:
        raise ValueError(f"{op}: `x` must be [B, *F], got []")
    features = tuple(x.shape[1:])
    for name, moment in (("mean", mean), ("var", var)):
        dtype(op, name, moment, (dtype_name(x),), like="x")
        if tuple(moment.shape) != (1, *features):
            shape(op, name, moment, features, like="x")
    if count is not None:
        dtype(op, "count", count, ("int64",))
        shape(op, "count", count, ())
    return everything


def fields(
    op: str,
    array: type,
    sources: Sequence[Any] | Mapping[str, Any],
    index: Any,  # noqa: ANN401
    out: Sequence[Any] | Mapping[str, Any] | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Fields of `shuffle_rows`, their index and where to write; returns sources and targets by name."""
    named = _named(op, "fields", sources, array)
    kind(op, "index", index, array)
    dtype(op, "index", index, ("int64",))
    if len(index.shape) != 1:
        raise ValueError(f"{op}: `index` must be [n], got {list(index.shape)}")
    rows: int | None = None
    first_name = ""
    for name, field in named.items():
        if len(field.shape) == 0 or (rows is not None and field.shape[0] != rows):
            expected = "[B, ...]" if rows is None else f"[{rows}, ...] like `{first_name}`"
            raise ValueError(f"{op}: `{name}` must be {expected}, got {list(field.shape)}")
        if rows is None:
            rows, first_name = field.shape[0], name
    if out is None:
        return named, None
    targets = _named(op, "out", out, array)
    expected_names = [name.replace("fields", "out", 1) for name in named]
    if list(targets) != expected_names:
        raise ValueError(f"{op}: `out` must hold {', '.join(expected_names)}, got {', '.join(targets) or 'nothing'}")
    for (name, target), (source_name, source) in zip(targets.items(), named.items(), strict=True):
        dtype(op, name, target, (dtype_name(source),), like=source_name)
        shape(op, name, target, (index.shape[0], *source.shape[1:]))
    return named, targets


def container_like(sources: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401
    """The values in a container like that of the sources: dict, tuple or list."""
    if isinstance(sources, Mapping):
        # Not `sources` itself: a TensorDict iterates over its rows.
        return dict(zip(sources.keys(), values, strict=True))
    return tuple(values) if isinstance(sources, tuple) else list(values)


def _named(op: str, argument: str, values: Sequence[Any] | Mapping[str, Any], array: type) -> dict[str, Any]:
    if isinstance(values, Mapping):
        named = {f"{argument}['{key}']": value for key, value in values.items()}
        if len(named) != len(values.keys()):
            raise ValueError(f"{op}: `{argument}` must have keys of different names, got {list(values.keys())}")
    elif isinstance(values, Sequence) and not isinstance(values, str):
        named = {f"{argument}[{number}]": value for number, value in enumerate(values)}
    else:
        raise TypeError(f"{op}: `{argument}` must be a sequence or mapping, got {type(values).__name__}")
    for name, value in named.items():
        kind(op, name, value, array)
    return named
