# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The operators on NumPy arrays, for code without torch. Contiguous arrays are used in place, the GIL is released.

Meaning, shapes and errors are those of the function of the same name in `rslcore.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from rslcore import _checks as checks
from rslcore import _numpy  # type: ignore[attr-defined]

__all__ = [
    "episode_stats",
    "gae",
    "gaussian_sample",
    "pad_trajectories",
    "permutation",
    "shuffle_rows",
    "split_trajectories",
    "unpad_trajectories",
    "update_and_normalize",
]

Fields = TypeVar("Fields", bound=Sequence[np.ndarray] | Mapping[str, np.ndarray])


def gae(
    rewards: np.ndarray,
    values: np.ndarray,
    dones: np.ndarray,
    last_values: np.ndarray,
    *,
    gamma: float,
    lam: float,
    time_outs: np.ndarray | None = None,
    terminal_values: np.ndarray | None = None,
    normalize: bool = False,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and advantages of a rollout [T, N]; see `rslcore.ops.gae`."""
    checks.gae(np.ndarray, rewards, values, dones, last_values, gamma, lam, time_outs, terminal_values, normalize, out)
    if out is not None:
        _check_targets("gae", {"out[0]": out[0], "out[1]": out[1]})
    num_steps, num_envs = rewards.shape[:2]

    def flat(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x.reshape(num_steps, num_envs))

    returns, advantages = out if out is not None else (np.empty_like(rewards), np.empty_like(rewards))
    flat_returns, flat_advantages = flat(returns), flat(advantages)
    _numpy.gae(
        flat(rewards),
        flat(values),
        flat(_as_flags(dones)),
        np.ascontiguousarray(last_values.reshape(num_envs)),
        None if time_outs is None else flat(_as_flags(time_outs)),
        None if terminal_values is None else flat(terminal_values),
        float(gamma),
        float(lam),
        normalize,
        flat_returns,
        flat_advantages,
    )
    _write_back(flat_returns, returns)
    _write_back(flat_advantages, advantages)
    return returns, advantages


def update_and_normalize(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    count: np.ndarray,
    *,
    eps: float = 1e-2,
    until: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Merge the rows of `x` [B, *F] into the running moments, normalize them; see `rslcore.ops.update_and_normalize`.

    `count` is an int64 array of shape []: `np.zeros((), np.int64)`.
    """
    op = "update_and_normalize"
    checks.kind(op, "count", count, np.ndarray)
    checks.moments(op, np.ndarray, x, mean, var, count)
    checks.sample_count(op, int(count))
    checks.number(op, "eps", eps, 0.0, float("inf"))
    checks.until(op, until)
    if out is None:
        out = np.empty(x.shape, x.dtype)
    else:
        checks.kind(op, "out", out, np.ndarray)
        checks.dtype(op, "out", out, (checks.dtype_name(x),), like="x")
        checks.shape(op, "out", out, x.shape, like="x")
    _check_targets(op, {"mean": mean, "var": var, "count": count, "out": out})
    if x.size == 0:
        return out
    rows = (x.shape[0], x.size // x.shape[0])
    flat_mean, flat_var = np.ascontiguousarray(mean.reshape(-1)), np.ascontiguousarray(var.reshape(-1))
    flat_out = np.ascontiguousarray(out.reshape(rows))
    _numpy.update_and_normalize(
        np.ascontiguousarray(x.reshape(rows)), flat_mean, flat_var, count, float(eps), until, flat_out
    )
    _write_back(flat_mean, mean)
    _write_back(flat_var, var)
    _write_back(flat_out, out)
    return out


def gaussian_sample(
    mean: np.ndarray,
    std: np.ndarray,
    *,
    seed: int,
    offset: int = 0,
    noise: np.ndarray | None = None,
    out: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Actions of a diagonal Gaussian and their log-probability; see `rslcore.ops.gaussian_sample`: the same numbers."""
    op = "gaussian_sample"
    checks.gaussian(op, np.ndarray, mean, std, noise, out)
    checks.integer(op, "seed", seed)
    checks.integer(op, "offset", offset)
    if out is not None:
        _check_targets(op, {"out[0]": out[0], "out[1]": out[1]})
    actions, log_prob = out if out is not None else (np.empty(mean.shape, mean.dtype), np.empty(len(mean), mean.dtype))
    flat_actions, flat_log_prob = np.ascontiguousarray(actions), np.ascontiguousarray(log_prob)
    _numpy.gaussian_sample(
        np.ascontiguousarray(mean),
        np.ascontiguousarray(std),
        None if noise is None else np.ascontiguousarray(noise),
        seed,
        offset,
        flat_actions,
        flat_log_prob,
    )
    _write_back(flat_actions, actions)
    _write_back(flat_log_prob, log_prob)
    return actions, log_prob


def episode_stats(
    rewards: np.ndarray,
    dones: np.ndarray,
    running: np.ndarray,
    finished: np.ndarray,
    count: np.ndarray,
    *,
    intrinsic_rewards: np.ndarray | None = None,
) -> None:
    """Add one step to the sums of running episodes, keep those that end; see `rslcore.ops.episode_stats`.

    `count` is an int64 array of shape []: `np.zeros((), np.int64)`.
    """
    op = "episode_stats"
    checks.episode(op, np.ndarray, rewards, intrinsic_rewards, dones, running, finished, count)
    _check_targets(op, {"running": running, "finished": finished, "count": count})
    flat_running, flat_finished = np.ascontiguousarray(running), np.ascontiguousarray(finished)
    _numpy.episode_stats(
        np.ascontiguousarray(rewards),
        None if intrinsic_rewards is None else np.ascontiguousarray(intrinsic_rewards),
        np.ascontiguousarray(_as_flags(dones)),
        flat_running,
        flat_finished,
        count,
    )
    _write_back(flat_running, running)
    _write_back(flat_finished, finished)


def permutation(n: int, *, seed: int, offset: int = 0, out: np.ndarray | None = None) -> np.ndarray:
    """A pseudo-random permutation of 0..n-1, int64 [n]: the same integers as `rslcore.ops.permutation` gives."""
    op = "permutation"
    for name, value in (("n", n), ("seed", seed), ("offset", offset)):
        checks.integer(op, name, value)
    if n < 0:
        raise ValueError(f"{op}: `n` must be >= 0, got {n}")
    if out is None:
        out = np.empty(n, np.int64)
    else:
        checks.kind(op, "out", out, np.ndarray)
        checks.dtype(op, "out", out, ("int64",))
        checks.shape(op, "out", out, (n,))
        _check_targets(op, {"out": out})
    target = np.ascontiguousarray(out)
    _numpy.permutation(n, seed, offset, target)
    _write_back(target, out)
    return out


def shuffle_rows(fields: Fields, index: np.ndarray, *, out: Fields | None = None) -> Fields:
    """Row index[i] of every field [B, ...] becomes row i; see `rslcore.ops.shuffle_rows`."""
    op = "shuffle_rows"
    sources, given = checks.fields(op, np.ndarray, fields, index, out)
    for name, source in sources.items():
        if source.dtype.hasobject:
            raise TypeError(f"{op}: `{name}` must hold plain numbers, got {source.dtype}")
    if given is None:
        targets = [np.empty((index.shape[0], *source.shape[1:]), source.dtype) for source in sources.values()]
    else:
        _check_targets(op, given)
        targets = list(given.values())
    flat_targets = [np.ascontiguousarray(target) for target in targets]
    _numpy.shuffle_rows(
        [np.ascontiguousarray(source) for source in sources.values()], np.ascontiguousarray(index), flat_targets
    )
    for flat, target in zip(flat_targets, targets, strict=True):
        _write_back(flat, target)
    return out if out is not None else checks.container_like(fields, targets)


def split_trajectories(
    dones: np.ndarray, *, out: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, lengths and offsets of the trajectories of a rollout [T, N]; see `rslcore.ops.split_trajectories`."""
    op = "split_trajectories"
    num_steps, num_envs = checks.dones(op, np.ndarray, dones)
    if out is None:
        capacity = num_steps * num_envs
        out = (np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(num_envs + 1, np.int64))
    else:
        _check_targets(op, checks.split_out(op, np.ndarray, num_steps, num_envs, out))
    targets = [np.ascontiguousarray(target) for target in out]
    _numpy.split_trajectories(np.ascontiguousarray(_as_flags(dones.reshape(num_steps, num_envs))), *targets)
    for result, target in zip(targets, out, strict=True):
        _write_back(result, target)
    return out


def pad_trajectories(
    x: np.ndarray, starts: np.ndarray, lengths: np.ndarray, *, out: np.ndarray | None = None
) -> np.ndarray:
    """Data of a rollout [T, N, ...] as padded trajectories [T, K, ...]; see `rslcore.ops.pad_trajectories`."""
    op = "pad_trajectories"
    checks.trajectories(op, np.ndarray, "x", x, starts, lengths)
    target, flat = _target_like(op, "x", x, (x.shape[0], starts.shape[0], *x.shape[2:]), out)
    arrays = (np.ascontiguousarray(array) for array in (x, starts, lengths))
    _numpy.pad_trajectories(*arrays, flat)
    _write_back(flat, target)
    return target


def unpad_trajectories(
    padded: np.ndarray, starts: np.ndarray, lengths: np.ndarray, *, num_envs: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Padded trajectories [T, K, ...] back in their rollout [T, N, ...]; see `rslcore.ops.unpad_trajectories`."""
    op = "unpad_trajectories"
    checks.num_envs(op, num_envs)
    checks.trajectories(op, np.ndarray, "padded", padded, starts, lengths)
    target, flat = _target_like(op, "padded", padded, (padded.shape[0], num_envs, *padded.shape[2:]), out)
    arrays = (np.ascontiguousarray(array) for array in (padded, starts, lengths))
    _numpy.unpad_trajectories(*arrays, num_envs, flat)
    _write_back(flat, target)
    return target


def _target_like(
    op: str, name: str, x: np.ndarray, shape: tuple[int, ...], out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Where a result of the dtype of `x` goes, and the C-contiguous array to compute it in."""
    if x.dtype.hasobject:
        raise TypeError(f"{op}: `{name}` must hold plain numbers, got {x.dtype}")
    if out is None:
        out = np.empty(shape, x.dtype)
    else:
        checks.kind(op, "out", out, np.ndarray)
        checks.dtype(op, "out", out, (checks.dtype_name(x),), like=name)
        checks.shape(op, "out", out, shape)
        _check_targets(op, {"out": out})
    return out, np.ascontiguousarray(out)


def _as_flags(x: np.ndarray) -> np.ndarray:
    """Flags of any dtype as uint8, non-zero meaning set; bool and uint8 are not copied."""
    if x.dtype == np.uint8:
        return x
    return (x if x.dtype == np.bool_ else x != 0).view(np.uint8)


def _check_targets(op: str, targets: dict[str, np.ndarray]) -> None:
    """Refuse to write into arrays that are read-only or some of whose elements share memory."""
    for name, x in targets.items():
        if not x.flags.writeable:
            raise ValueError(f"{op}: `{name}` is written to, so it must be writeable, got a read-only array")
    if not all(x.flags.c_contiguous for x in targets.values()):
        layouts = {name: checks.Layout(x.ctypes.data, x.itemsize, x.shape, x.strides) for name, x in targets.items()}
        checks.targets(op, layouts)


def _write_back(result: np.ndarray, target: np.ndarray) -> None:
    """Copy a result into `target` if a contiguous stand-in was computed instead of writing into it directly."""
    if not target.flags.c_contiguous:
        target[...] = result.reshape(target.shape)
