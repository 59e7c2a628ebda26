# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Checks of operator arguments, shared by `rslcore.ops` (torch tensors) and `rslcore.numpy` (arrays).

Everything is read from `.shape` and `.dtype`, so that NumPy users need not import torch. Messages name the operator,
the argument, what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from numbers import Integral, Real
from typing import Any, NamedTuple

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


def num_envs(op: str, value: object) -> None:
    """Refuse a number of environments that is no integer >= 0."""
    integer(op, "num_envs", value)
    number(op, "num_envs", value, 0, float("inf"))


def sample_count(op: str, value: int) -> None:
    """Refuse a number of samples that is negative."""
    if value < 0:
        raise ValueError(f"{op}: `count` must be >= 0, got {value}")


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
    normalize: object,
    out: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Arguments of `gae`, whose tensors or arrays are `array`s; returns all of them by name."""
    op = "gae"
    boolean(op, "normalize", normalize)
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
    if normalize and num_steps * num_envs == 1:
        raise ValueError(f"{op}: `rewards` must have two samples at least to normalize their advantages, got one")
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


def gaussian(
    op: str,
    array: type,
    mean: Any,  # noqa: ANN401
    std: Any,  # noqa: ANN401
    noise: Any,  # noqa: ANN401
    out: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Arguments of `gaussian_sample`, `out` as a pair or None; returns all arrays by name."""
    everything = {"mean": mean, "std": std} | ({} if noise is None else {"noise": noise})
    if out is not None:
        if not (isinstance(out, (tuple, list)) and len(out) == 2):
            raise TypeError(f"{op}: `out` must be the pair (actions, log_prob), got {type(out).__name__}")
        everything |= {"out[0]": out[0], "out[1]": out[1]}
    for name, x in everything.items():
        kind(op, name, x, array)
    dtype(op, "mean", mean, FLOATS)
    for name, x in everything.items():
        dtype(op, name, x, (dtype_name(mean),), like="mean")
    if len(mean.shape) != 2:
        raise ValueError(f"{op}: `mean` must be [B, A], got {list(mean.shape)}")
    rows, columns = mean.shape
    if rows * columns > 2**34:
        raise ValueError(f"{op}: `mean` must have at most 2^34 elements, got {list(mean.shape)}")
    if tuple(std.shape) not in ((columns,), (rows, columns)):
        raise ValueError(f"{op}: `std` must be [{columns}] or [{rows}, {columns}] like `mean`, got {list(std.shape)}")
    for name in ("noise", "out[0]"):
        if name in everything:
            shape(op, name, everything[name], mean.shape, like="mean")
    if out is not None and tuple(out[1].shape) not in ((rows,), (rows, 1)):
        raise ValueError(f"{op}: `out[1]` must be [{rows}] or [{rows}, 1], got {list(out[1].shape)}")
    return everything


def episode(
    op: str,
    array: type,
    rewards: Any,  # noqa: ANN401
    intrinsic_rewards: Any,  # noqa: ANN401
    dones: Any,  # noqa: ANN401
    running: Any,  # noqa: ANN401
    finished: Any,  # noqa: ANN401
    count: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Arguments of `episode_stats`; returns all of them by name."""
    floats = {"rewards": rewards, "running": running, "finished": finished}
    if intrinsic_rewards is not None:
        floats["intrinsic_rewards"] = intrinsic_rewards
    everything = {**floats, "dones": dones, "count": count}
    for name, x in everything.items():
        kind(op, name, x, array)
    dtype(op, "rewards", rewards, FLOATS)
    for name, x in floats.items():
        dtype(op, name, x, (dtype_name(rewards),), like="rewards")
    dtype(op, "dones", dones, FLAGS)
    dtype(op, "count", count, ("int64",))
    shape(op, "count", count, ())
    if len(rewards.shape) == 0 or tuple(rewards.shape[1:]) not in ((), (1,)):
        raise ValueError(f"{op}: `rewards` must be [N] or [N, 1], got {list(rewards.shape)}")
    num_envs = rewards.shape[0]
    per_env(op, "dones", dones, num_envs, like="rewards")
    rows = 2
    if intrinsic_rewards is not None:
        per_env(op, "intrinsic_rewards", intrinsic_rewards, num_envs, like="rewards")
        rows = 4
    given = "with" if rows == 4 else "without"
    if tuple(running.shape) != (rows, num_envs):
        raise ValueError(
            f"{op}: `running` must be [{rows}, {num_envs}] {given} `intrinsic_rewards`, got {list(running.shape)}"
        )
    if len(finished.shape) != 2 or finished.shape[0] == 0 or finished.shape[1] != rows:
        raise ValueError(
            f"{op}: `finished` must be [W, {rows}], W > 0, {given} `intrinsic_rewards`, got {list(finished.shape)}"
        )
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


def dones(op: str, array: type, x: Any) -> tuple[int, int]:  # noqa: ANN401
    """T and N of the flags of a rollout, [T, N] or [T, N, 1]."""
    kind(op, "dones", x, array)
    dtype(op, "dones", x, FLAGS)
    return rollout_shape(op, "dones", x)


def split_out(op: str, array: type, num_steps: int, num_envs: int, out: Any) -> dict[str, Any]:  # noqa: ANN401
    """Where `split_trajectories` writes; returns the parts by name."""
    if not (isinstance(out, (tuple, list)) and len(out) == 3):
        raise TypeError(f"{op}: `out` must be (starts, lengths, offsets), got {type(out).__name__}")
    capacity = num_steps * num_envs
    parts = dict(zip(("out.starts", "out.lengths", "out.offsets"), out, strict=True))
    for (name, x), size in zip(parts.items(), (capacity, capacity, num_envs + 1), strict=True):
        kind(op, name, x, array)
        dtype(op, name, x, ("int64",))
        shape(op, name, x, (size,))
    return parts


def trajectories(op: str, array: type, name: str, x: Any, starts: Any, lengths: Any) -> dict[str, Any]:  # noqa: ANN401
    """Data called `name` ([T, N, ...], or [T, K, ...] if "padded") and its K trajectories; returns all by name."""
    everything = {name: x, "starts": starts, "lengths": lengths}
    for key, value in everything.items():
        kind(op, key, value, array)
    padded = name == "padded"
    if len(x.shape) < 2:
        raise ValueError(f"{op}: `{name}` must be [T, {'K' if padded else 'N'}, ...], got {list(x.shape)}")
    dtype(op, "starts", starts, ("int64",))
    dtype(op, "lengths", lengths, ("int64",))
    if len(starts.shape) != 1:
        raise ValueError(f"{op}: `starts` must be [K], got {list(starts.shape)}")
    if padded:
        shape(op, "starts", starts, (x.shape[1],), like="padded")
    shape(op, "lengths", lengths, starts.shape, like="starts")
    return everything


def hidden_states(op: str, array: type, states: Any, starts: Any, num_envs: Any) -> dict[str, Any]:  # noqa: ANN401
    """Hidden states of `gather_hidden_states` and where to take them; returns the states by name."""
    integer(op, "num_envs", num_envs)
    named = _named(op, "states", states, array)
    kind(op, "starts", starts, array)
    dtype(op, "starts", starts, ("int64",))
    if len(starts.shape) != 1:
        raise ValueError(f"{op}: `starts` must be [K], got {list(starts.shape)}")
    leading: tuple[int, ...] | None = None
    for name, state in named.items():
        dims = tuple(state.shape)
        if len(dims) < 3 or dims[2] != num_envs or (leading is not None and dims[:3] != leading):
            expected = f"[T, layers, {num_envs}, ...]" if leading is None else f"{[*leading]} and more like `states[0]`"
            raise ValueError(f"{op}: `{name}` must be {expected}, got {list(dims)}")
        leading = dims[:3]
    return named


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


class Layout(NamedTuple):
    """Where the elements of a tensor or array lie in memory; all in bytes but the shape."""

    address: int
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def ends(self) -> tuple[int, int]:
        """First byte, and the byte behind the last one."""
        reach = [stride * (size - 1) for stride, size in zip(self.strides, self.shape, strict=True)]
        low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
        return self.address + low, self.address + high + self.itemsize


def targets(op: str, layouts: Mapping[str, Layout]) -> None:
    """Refuse to write where elements share memory, within one target (expanded, sliding windows) or between two."""
    for name, layout in layouts.items():
        if _folded(layout):
            raise ValueError(
                f"{op}: `{name}` is written to, so each element must have memory of its own, "
                f"got shape {list(layout.shape)} with strides {list(layout.strides)} in bytes"
            )
    for (first_name, first), (name, layout) in combinations(layouts.items(), 2):
        if _meet(first, layout):
            raise ValueError(
                f"{op}: `{first_name}` and `{name}` are written to, so they must share no memory, got two that do"
            )


def _folded(x: Layout) -> bool:
    """Whether a step along some axis is shorter than the memory that all axes of smaller steps span."""
    if 0 in x.shape:
        return False
    span = x.itemsize
    for step, length in sorted((abs(step), length) for step, length in zip(x.strides, x.shape, strict=True)):
        if length > 1:
            if step < span:
                return True
            span += step * (length - 1)
    return False


def _meet(a: Layout, b: Layout) -> bool:
    """Whether two targets share memory; of those that interleave, only equal shapes and strides can be told apart."""
    if 0 in a.shape or 0 in b.shape:
        return False
    (a_begin, a_end), (b_begin, b_end) = a.ends(), b.ends()
    if a_end <= b_begin or b_end <= a_begin:
        return False
    if a[1:] != b[1:]:
        return True
    return _folded(Layout(a_begin, a.itemsize, (2, *a.shape), (b_begin - a_begin, *a.strides)))
