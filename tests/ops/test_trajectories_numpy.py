# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`rslcore.numpy.split_trajectories`, `pad_trajectories` and `unpad_trajectories`: those of `rslcore.ops` on arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

import rslcore.numpy as rn
from rslcore import _numpy, ops

DTYPES = [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, np.complex64]


def strided(x: np.ndarray) -> np.ndarray:
    """The same values with a stride of two elements."""
    return np.repeat(x[..., None], 2, axis=-1)[..., 0]


def random_dones(num_steps: int, num_envs: int) -> np.ndarray:
    """Flags that are set in one of four."""
    return np.random.default_rng(0).random((num_steps, num_envs)) < 0.25


@pytest.mark.parametrize("layout", [np.asarray, strided])
@pytest.mark.parametrize("shape", [(1, 1), (24, 1031), (7, 5), (0, 4), (4, 0)])
def test_split_equals_torch(shape: tuple[int, int], layout: Callable[[np.ndarray], np.ndarray]) -> None:
    """The same integers, from flags of any dtype and layout, into arrays that are given or not."""
    dones = random_dones(*shape)
    expected = [x.numpy() for x in ops.split_trajectories(torch.from_numpy(dones))]
    for flags in (dones, dones[..., None], dones.astype(np.float32), dones.astype(np.int64) * 3):
        for got, reference in zip(rn.split_trajectories(layout(flags)), expected, strict=True):
            np.testing.assert_array_equal(got, reference)
    out = tuple(layout(np.zeros_like(x)) for x in expected)
    assert rn.split_trajectories(dones, out=out) is out
    for got, reference in zip(out, expected, strict=True):
        np.testing.assert_array_equal(got, reference)


@pytest.mark.parametrize("layout", [np.asarray, strided])
@pytest.mark.parametrize("row", [(), (3,), (2, 5), (0,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_pad_and_unpad_equal_torch(
    dtype: type, row: tuple[int, ...], layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The same bytes, for any dtype, row and layout; unpadding gives the rollout back."""
    starts, lengths, offsets = rn.split_trajectories(random_dones(9, 6))
    starts, lengths = starts[: offsets[-1]], lengths[: offsets[-1]]
    x = np.random.default_rng(1).integers(0, 2, (9, 6, *row)).astype(dtype)
    expected = ops.pad_trajectories(*(torch.from_numpy(a) for a in (x, starts, lengths))).numpy()
    padded = rn.pad_trajectories(layout(x), layout(starts), layout(lengths))
    assert padded.dtype == x.dtype
    np.testing.assert_array_equal(padded, expected)
    out = layout(np.ones_like(expected))
    assert rn.pad_trajectories(x, starts, lengths, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(rn.unpad_trajectories(layout(padded), starts, lengths, num_envs=6), x)
    back = layout(np.ones_like(x))
    assert rn.unpad_trajectories(padded, starts, lengths, num_envs=6, out=back) is back
    np.testing.assert_array_equal(back, x)


X = np.zeros((4, 3, 2), np.float32)
STARTS, LENGTHS = np.arange(3), np.full(3, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: rn.split_trajectories([0]),
            TypeError,
            "split_trajectories: `dones` must be a numpy ndarray, got list",
        ),
        (
            lambda: rn.split_trajectories(X, out=X),
            ValueError,
            r"`dones` must be \[T, N\] or \[T, N, 1\], got \[4, 3, 2",
        ),
        (
            lambda: rn.split_trajectories(X[..., 0], out=(STARTS,) * 3),
            *(ValueError, r"split_trajectories: `out.starts` must be \[12\], got \[3\]"),
        ),
        (lambda: rn.pad_trajectories(X, STARTS, LENGTHS[:2]), ValueError, r"`lengths` must be \[3\] like `starts`"),
        (
            lambda: rn.pad_trajectories(X, STARTS + 1, LENGTHS),
            *(ValueError, r"pad_trajectories: .* must be trajectories of a rollout \[4, 3\] .* got starts\[2\] = 3"),
        ),
        (lambda: rn.pad_trajectories(X, STARTS, LENGTHS, out=X), ValueError, "pad_trajectories: `out` must share no"),
        (
            lambda: rn.pad_trajectories(X.astype(object), STARTS, LENGTHS),
            *(TypeError, "pad_trajectories: `x` must hold plain numbers, got object"),
        ),
        (
            lambda: rn.unpad_trajectories(X, STARTS, LENGTHS, num_envs=-1),
            *(ValueError, "unpad_trajectories: `num_envs` must be in"),
        ),
        (
            lambda: rn.unpad_trajectories(X, STARTS, LENGTHS, num_envs=3, out=X[:, :2]),
            *(ValueError, r"unpad_trajectories: `out` must be \[4, 3, 2\], got \[4, 2, 2\]"),
        ),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """The messages are those of rslcore.ops."""
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: _numpy.split_trajectories(np.zeros((2, 3), np.uint8), np.zeros(6, int), np.zeros(6, int), STARTS),
        lambda: _numpy.split_trajectories(np.zeros((2, 3), np.uint8), np.zeros(6, int), STARTS, np.zeros(4, int)),
        lambda: _numpy.split_trajectories(np.zeros(3, np.uint8), *(np.zeros(4, int) for _ in range(3))),
        lambda: _numpy.split_trajectories(np.zeros((1, 4), np.uint8), LENGTHS, LENGTHS, np.zeros(5, int)),
        lambda: _numpy.pad_trajectories(X, STARTS, LENGTHS[:2], X.copy()),
        lambda: _numpy.pad_trajectories(X.T, STARTS, LENGTHS, X.copy()),
        lambda: _numpy.pad_trajectories(X[0, 0], STARTS, LENGTHS, X.copy()),
        lambda: _numpy.pad_trajectories(X, STARTS, LENGTHS, X[:, :2].copy()),
        lambda: _numpy.pad_trajectories(X, STARTS, LENGTHS, X.astype(float)),
        lambda: _numpy.unpad_trajectories(X, STARTS, LENGTHS, 2, X.copy()),
        lambda: _numpy.unpad_trajectories(X, STARTS[:2], LENGTHS[:2], 3, X.copy()),
        lambda: _numpy.unpad_trajectories(X, STARTS, LENGTHS, -1, X.copy()),
    ],
)
def test_raw_bindings_are_guarded(call: Callable[[], None]) -> None:
    """Arrays that do not fit are refused: never copied, never read or written out of bounds."""
    with pytest.raises(ValueError, match="must"):
        call()


_SIMD_PROGRAM = """
import numpy as np
import rslcore.numpy as rn
from rslcore import _numpy
dones = np.random.default_rng(0).random((7, 331)) < 0.2
starts, lengths, offsets = rn.split_trajectories(dones)
ends = np.append(dones[:-1], np.ones((1, 331), bool), axis=0).T
assert np.array_equal(offsets, np.append(0, ends.sum(1).cumsum()))
starts, lengths = starts[: offsets[-1]], lengths[: offsets[-1]]
assert np.array_equal(starts % 331, np.repeat(np.arange(331), ends.sum(1)))
valid = (np.arange(7)[:, None] < lengths) * 1
rows = np.where(valid, starts + np.arange(7)[:, None] * 331, 0)
for size in (*range(67), 127, 128, 129):
    x = np.random.default_rng(size).integers(1, 256, (7, 331, size)).astype(np.uint8)
    padded = rn.pad_trajectories(x, starts, lengths)
    assert np.array_equal(padded, x.reshape(7 * 331, size)[rows] * valid[..., None])
    assert np.array_equal(rn.unpad_trajectories(padded, starts, lengths, num_envs=331), x)
print(_numpy.simd_level())
"""


def test_simd_levels_are_right() -> None:
    """At every SIMD level that this processor has: the trajectories, and rows of every size there and back."""
    used = set()
    for level in ("baseline", "avx2", "avx512"):
        environment = {**os.environ, "RSLCORE_SIMD": level}
        done = subprocess.run(
            [sys.executable, "-c", _SIMD_PROGRAM], check=True, env=environment, capture_output=True, text=True
        )
        used.add(done.stdout.strip())
    assert "baseline" in used
