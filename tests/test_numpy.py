# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`rslcore.numpy`: the same results as `rslcore.ops`, on arrays of any layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import as_strided
from tensordict import TensorDict

import rslcore.numpy as rn
from rslcore import ops


def random(*shape: int, dtype: type = np.float32, seed: int = 0) -> np.ndarray:
    """Standard normal array."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def strided(x: np.ndarray) -> np.ndarray:
    """The same values with a stride of two elements."""
    return np.repeat(x[..., None], 2, axis=-1)[..., 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 1), (24, 1031), (7, 64), (0, 4), (4, 0)])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("layout", [np.asarray, strided])
def test_gae_equals_torch(layout, normalize: bool, shape: tuple[int, int], dtype: type) -> None:
    """Same kernels, same cut into tiles: the same bits as the torch operator."""
    rewards, values, last = (
        random(*shape, dtype=dtype),
        random(*shape, dtype=dtype, seed=1),
        random(shape[1], dtype=dtype),
    )
    dones = random(*shape, seed=2) > 1
    time_outs = dones & (random(*shape, seed=3) > 0)
    options = {"gamma": 0.99, "lam": 0.95, "normalize": normalize}
    expected = ops.gae(
        *(torch.from_numpy(x) for x in (rewards, values, dones, last)), time_outs=torch.from_numpy(time_outs), **options
    )
    out = layout(np.zeros(shape, dtype)), layout(np.zeros(shape, dtype))
    got = rn.gae(*(layout(x) for x in (rewards, values, dones)), last, time_outs=layout(time_outs), out=out, **options)
    for result, written, reference in zip(got, out, expected, strict=True):
        assert result is written
        np.testing.assert_array_equal(result, reference.numpy())


@pytest.mark.parametrize("layout", [np.asarray, strided])
def test_update_and_normalize_equals_torch(layout) -> None:
    """Samples normalized, moments and count advanced, as the torch operator does."""
    x = random(257, 3, 5)
    arrays = [np.zeros((3, 5), np.float32), np.ones((3, 5), np.float32), np.zeros((), np.int64)]
    tensors = [torch.from_numpy(a.copy()) for a in arrays]
    arrays[:2] = [layout(a) for a in arrays[:2]]
    for _ in range(2):
        got = rn.update_and_normalize(layout(x), *arrays)
        expected = ops.update_and_normalize(torch.from_numpy(x), *tensors)
        np.testing.assert_array_equal(got, expected.numpy())
    for array, tensor in zip(arrays, tensors, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy())


@pytest.mark.parametrize("n", [0, 1, 2, 97, 4096])
def test_permutation_equals_torch(n: int) -> None:
    """The same integers as the torch operator, and every index once."""
    got = rn.permutation(n, seed=3, offset=5)
    np.testing.assert_array_equal(got, ops.permutation(n, seed=3, offset=5).numpy())
    np.testing.assert_array_equal(np.sort(got), np.arange(n))


@pytest.mark.parametrize("layout", [np.asarray, strided])
def test_shuffle_rows_takes_rows(layout) -> None:
    """Row index[i] becomes row i, for any dtype; the container is kept."""
    fields = {"obs": random(31, 7), "dones": random(31) > 0, "ids": np.arange(31, dtype=np.int16)}
    index = rn.permutation(31, seed=0)
    got = rn.shuffle_rows({name: layout(x) for name, x in fields.items()}, index)
    assert list(got) == list(fields)
    for name, x in fields.items():
        np.testing.assert_array_equal(got[name], x[index])
    out = [layout(np.zeros_like(x)) for x in fields.values()]
    rn.shuffle_rows(list(fields.values()), index, out=out)
    for target, x in zip(out, fields.values(), strict=True):
        np.testing.assert_array_equal(target, x[index])


def test_bad_input_is_named() -> None:
    """The messages are those of rslcore.ops, and nothing is written."""
    zeros = np.zeros((3, 4), np.float32)
    out = np.full((3, 4), 7, np.float32), np.full((3, 4), 7, np.float32)
    with pytest.raises(ValueError, match=r"gae: `values` must be \[3, 4\] like `rewards`, got \[3, 5\]"):
        rn.gae(zeros, np.zeros((3, 5), np.float32), zeros, zeros[0], gamma=0.9, lam=0.9, out=out)
    with pytest.raises(TypeError, match="gae: `rewards` must be a numpy ndarray, got list"):
        rn.gae([[1.0]], zeros, zeros, zeros[0], gamma=0.9, lam=0.9, out=out)
    assert (out[0] == 7).all()
    assert (out[1] == 7).all()
    with pytest.raises(TypeError, match="update_and_normalize: `count` must be int64, got int32"):
        rn.update_and_normalize(zeros, zeros[0], zeros[0], np.zeros((), np.int32))
    with pytest.raises(TypeError, match=r"shuffle_rows: `fields\[0\]` must hold plain numbers, got object"):
        rn.shuffle_rows([np.array([None])], np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="shuffle_rows: "):
        rn.shuffle_rows([zeros], np.array([3]))


def read_only(x: np.ndarray) -> np.ndarray:
    """The same array, which may not be written any more."""
    x.flags.writeable = False
    return x


def repeated_row(x: np.ndarray) -> np.ndarray:
    """Writeable view of the shape of `x` whose rows all lie on its first one."""
    return as_strided(x, x.shape, (0, *x.strides[1:]))


@pytest.mark.parametrize("spoil", [read_only, lambda x: read_only(strided(x)), repeated_row])
@pytest.mark.parametrize("name", ["mean", "var", "count", "out"])
def test_moments_unfit_to_write_change_nothing(name: str, spoil) -> None:
    """An array that is read-only or shares memory with itself is refused by name, before any other is advanced."""
    arrays = {"mean": np.zeros((2, 4), np.float32), "var": np.ones((2, 4), np.float32), "count": np.zeros((), np.int64)}
    arrays["out"] = np.full((3, 2, 4), 7, np.float32)
    if name == "count":
        spoil = read_only
    arrays[name] = spoil(arrays[name])
    before = {key: x.copy() for key, x in arrays.items()}
    reason = "each element must have memory of its own" if spoil is repeated_row else "it must be writeable, got a read"
    with pytest.raises(ValueError, match=f"update_and_normalize: `{name}` is written to, so {reason}"):
        rn.update_and_normalize(random(3, 2, 4), **arrays)
    for key, x in arrays.items():
        np.testing.assert_array_equal(x, before[key])


@pytest.mark.parametrize("spoil", [read_only, lambda x: read_only(strided(x)), repeated_row])
def test_out_unfit_to_write_changes_nothing(spoil) -> None:
    """The other operators refuse such an `out` too, and leave its sound neighbours alone."""
    x, sound, index = random(3, 4), np.full((3, 4), 7, np.float32), np.arange(3)
    with pytest.raises(ValueError, match=r"gae: `out\[1\]` is written to"):
        rn.gae(x, x, x > 1, x[0], gamma=0.9, lam=0.9, out=(sound, spoil(np.zeros_like(x))))
    with pytest.raises(ValueError, match=r"shuffle_rows: `out\[1\]` is written to"):
        rn.shuffle_rows([x, x], index, out=[sound, spoil(np.zeros_like(x))])
    with pytest.raises(ValueError, match="permutation: `out` is written to"):
        rn.permutation(3, seed=0, out=spoil(np.zeros(3, np.int64)))
    assert (sound == 7).all()


def test_strided_outputs_that_meet_are_refused() -> None:
    """Columns of one array are apart or they are not: in the second case one result would be lost."""
    x, buffer = random(3, 4), np.zeros((3, 9), np.float32)
    rn.gae(x, x, x > 1, x[0], gamma=0.9, lam=0.9, out=(buffer[:, :8:2], buffer[:, 1::2]))
    with pytest.raises(ValueError, match=r"gae: `out\[0\]` and `out\[1\]` are written to, so they must share no"):
        rn.gae(x, x, x > 1, x[0], gamma=0.9, lam=0.9, out=(buffer[:, 0:4], buffer[:, 3:7]))
    with pytest.raises(ValueError, match=r"shuffle_rows: `out\[0\]` and `out\[1\]` are written to"):
        rn.shuffle_rows([x, x], np.arange(3), out=[buffer[:, 3::-1], buffer[:, :8:2]])


def test_any_layout_without_overlap_is_written() -> None:
    """Transposed, reversed, sliced and windowed arrays of separate elements are no overlap."""
    x, index = random(4, 6), np.array([2, 0, 3, 1])
    windows = as_strided(np.zeros(48, np.float32), (4, 6), (48, 4))
    for out in (np.zeros((6, 4), np.float32).T, np.zeros((8, 12), np.float32)[::-2, 1::2], windows):
        rn.shuffle_rows([x], index, out=[out])
        np.testing.assert_array_equal(out, x[index])


def test_numpy_scalars_are_numbers() -> None:
    """Scalars of NumPy count as numbers, integers and bools; NaN, bools and fractions in their place do not."""
    x, moments = random(3, 4), (np.zeros(4, np.float32), np.ones(4, np.float32), np.zeros((), np.int64))
    got = rn.gae(x, x, x > 1, x[0], gamma=np.float32(0.5), lam=np.int8(1), normalize=np.bool_(True))
    expected = rn.gae(x, x, x > 1, x[0], gamma=0.5, lam=1, normalize=True)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(rn.permutation(np.int64(5), seed=np.uint8(1)), rn.permutation(5, seed=1))
    rn.update_and_normalize(x, *moments, eps=np.float64(0.01), until=np.int32(3))
    assert moments[2] == 3
    for until, error in ((2.5, TypeError), (True, TypeError), (-1, ValueError), (2**63, ValueError)):
        with pytest.raises(error, match="update_and_normalize: `until` must "):
            rn.update_and_normalize(x, *moments, until=until)
    with pytest.raises(ValueError, match=r"gae: `gamma` must be in \[0, 1\], got nan"):
        rn.gae(x, x, x > 1, x[0], gamma=np.float32("nan"), lam=0.9)
    with pytest.raises(TypeError, match="gae: `gamma` must be a number, got bool"):
        rn.gae(x, x, x > 1, x[0], gamma=np.bool_(True), lam=0.9)
    for normalize in (None, 1, "no"):
        with pytest.raises(TypeError, match="gae: `normalize` must be a bool, got "):
            rn.gae(x, x, x > 1, x[0], gamma=0.9, lam=0.9, normalize=normalize)


def test_shuffle_rows_keys() -> None:
    """A TensorDict, which iterates over its rows, comes back as a dict by key; keys of one name are refused."""
    obs, index = torch.from_numpy(random(4, 2)), torch.tensor([2, 0, 3, 1])
    got = ops.shuffle_rows(TensorDict({"policy": obs}, batch_size=[4]), index)
    assert list(got) == ["policy"]
    assert torch.equal(got["policy"], obs[index])
    x = random(4, 2)
    with pytest.raises(ValueError, match=r"shuffle_rows: `fields` must have keys of different names, got \[1, '1'\]"):
        rn.shuffle_rows({1: x, "1": x}, index.numpy())


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_threads_do_not_change_bits(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RSLCORE_NUM_THREADS changes the speed, never the result."""
    rewards, values = random(24, 9001), random(24, 9001, seed=1)
    monkeypatch.setenv("RSLCORE_NUM_THREADS", "1")
    expected = rn.gae(rewards, values, rewards > 1, values[0], gamma=0.99, lam=0.95, normalize=True)
    monkeypatch.setenv("RSLCORE_NUM_THREADS", threads)
    got = rn.gae(rewards, values, rewards > 1, values[0], gamma=0.99, lam=0.95, normalize=True)
    for result, reference in zip(got, expected, strict=True):
        np.testing.assert_array_equal(result, reference)
