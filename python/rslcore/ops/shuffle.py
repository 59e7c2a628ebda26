# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Random permutations without sorting, and all rollout fields shuffled by one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors

Fields = TypeVar("Fields", bound=Sequence[torch.Tensor] | Mapping[str, torch.Tensor])


def permutation(
    n: int,
    *,
    seed: int,
    offset: int | torch.Tensor = 0,
    device: torch.device | str = "cpu",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """A pseudo-random permutation of 0..n-1: the same on CPU and CUDA, without sorting and without a generator's state.

    A keyed bijection (Feistel network, round keys from Philox 4x32-10) is evaluated at every index; images outside
    0..n-1 are walked along their cycle until they fall inside. See `rslcore.ops.reference.permutation`.

    Args:
        n: Length, >= 0.
        seed: Any 64-bit integer.
        offset: Number of the permutation under this seed: count it up to draw the next one. Any 64-bit integer, or an
            int64 tensor [] on the device of the result, which a captured CUDA graph reads anew at every replay.
        device: Where to make it; ignored if `out` is given.
        out: Where to write, int64 [n].

    Returns:
        The permutation, int64 [n].

    Raises:
        TypeError: `n`, `seed` or `offset` is no integer, or `out` is not int64.
        ValueError: `n` is negative, or `out` has another shape.
    """
    op = "permutation"
    number, counter = (0, offset) if isinstance(offset, torch.Tensor) else (offset, None)
    for name, value in (("n", n), ("seed", seed), ("offset", number)):
        checks.integer(op, name, value)
    if n < 0:
        raise ValueError(f"{op}: `n` must be >= 0, got {n}")
    if out is None:
        out = torch.empty(n, dtype=torch.int64, device=device)
    else:
        checks.kind(op, "out", out, torch.Tensor)
        _tensors.check_devices(op, {"out": out})
        checks.dtype(op, "out", out, ("int64",))
        checks.shape(op, "out", out, (n,))
        _tensors.check_targets(op, {"out": out})
    if counter is not None:
        checks.dtype(op, "offset", counter, ("int64",))
        checks.shape(op, "offset", counter, ())
        _tensors.check_devices(op, {"out": out, "offset": counter})
    target = out.contiguous()
    args = (n, seed, number, target) if counter is None else (n, seed, number, target, counter)
    _library.run(op, out.device, args, written=(target,))
    _tensors.write_back(target, out)
    return out


def shuffle_rows(fields: Fields, index: torch.Tensor, *, out: Fields | None = None) -> Fields:
    """Row index[i] of every field becomes row i: a whole rollout shuffled in one call, any dtype and row shape.

    Args:
        fields: Sequence or mapping of tensors [B, ...] with one B.
        index: Rows to take, int64 [n], each in 0..B-1. On the CPU a row outside is an error; on CUDA, where looking
            would stall the device, such a row of the result is left as it was.
        out: Where to write: the same container of tensors [n, ...], dtypes and row shapes of `fields`, and none of
            them sharing memory with a field.

    Returns:
        The shuffled fields in a container like `fields` (list, tuple or dict).

    Raises:
        TypeError: A field is no tensor, `index` is not int64, or `out` is no container or holds another dtype.
        ValueError: `out` holds other names or another number of tensors than `fields`; a shape, device or index does
            not fit; `out` shares memory with what is read or with itself; or a gradient is asked for.
    """
    op = "shuffle_rows"
    sources, given = checks.fields(op, torch.Tensor, fields, index, out)
    _tensors.check_devices(op, {**sources, "index": index, **(given or {})})
    _tensors.refuse_gradient(op, {**sources, **(given or {})})
    if given is None:
        targets = [source.new_empty((index.shape[0], *source.shape[1:])) for source in sources.values()]
    else:
        targets = list(given.values())
        _tensors.check_targets(op, given)
    flat_targets = [target.contiguous() for target in targets]
    args = ([source.contiguous() for source in sources.values()], index.contiguous(), flat_targets)
    _library.run(op, index.device, args, written=flat_targets)
    for flat, target in zip(flat_targets, targets, strict=True):
        _tensors.write_back(flat, target)
    return out if out is not None else checks.container_like(fields, targets)
