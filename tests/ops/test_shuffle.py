# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.shuffle_rows`: rows of any kind, as torch's indexing gives them; the folder under the operator contract."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

from rslcore import ops
from rslcore.ops import reference

DTYPES = [
    torch.bool,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def take(field: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """What torch's own indexing gives."""
    return field[index]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("row", [(), (1,), (3,), (0,), (5, 7), (2, 0, 3), (48,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_dtype_and_row_shape(dtype: torch.dtype, row: tuple[int, ...], device: str) -> None:
    """out[i] = field[index[i]], whatever a row is made of; rows may be taken twice or not at all."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 2 if dtype == torch.bool else 100, (37, *row), generator=generator)
    field = values.to(device, dtype)
    index = torch.randint(0, 37, (53,), generator=generator).to(device)
    (got,) = ops.shuffle_rows([field], index)
    assert got.dtype == dtype
    assert torch.equal(got, take(field, index))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("skew", [0, 1, 4])
def test_any_number_of_bytes_and_alignment(skew: int, device: str) -> None:
    """Rows of 0 to 200 bytes that start anywhere in memory, all fields in one call: more than fit one launch."""
    index = ops.permutation(67, seed=0, device=device)
    buffers = [torch.randint(0, 256, (67 * size + skew,), dtype=torch.uint8, device=device) for size in range(201)]
    fields = [buffer[skew:].view(67, size) for size, buffer in enumerate(buffers)]
    targets = [torch.full_like(buffer, 255) for buffer in buffers]
    out = [target[skew:].view(67, size) for size, target in enumerate(targets)]
    ops.shuffle_rows(fields, index, out=out)
    for field, result, target in zip(fields, out, targets, strict=True):
        assert torch.equal(result, take(field, index))
        assert bool((target[:skew] == 255).all())


@pytest.mark.parametrize(
    ("rows", "wanted"), [(1, 1), (1, 9), (97, 0), (97, 1), (64, 63), (63, 64), (4_099, 4_099), (3, 70_001)]
)
def test_any_number_of_rows(rows: int, wanted: int) -> None:
    """One row, none wanted, fewer or more wanted than there are."""
    index = torch.randint(0, rows, (wanted,), generator=torch.Generator().manual_seed(1))
    fields = [torch.randn(rows, width) for width in (48, 12, 1)] + [torch.arange(rows)]
    for field, result in zip(fields, ops.shuffle_rows(fields, index), strict=True):
        assert torch.equal(result, take(field, index))


def test_no_rows_and_no_fields() -> None:
    """An empty rollout, rows without elements and an empty container go through."""
    empty = torch.empty(0, dtype=torch.int64)
    (got,) = ops.shuffle_rows([torch.empty(0, 5)], empty)
    assert got.shape == (0, 5)
    assert ops.shuffle_rows([], torch.arange(3)) == []
    assert ops.shuffle_rows({}, torch.arange(3)) == {}


def test_containers_are_kept() -> None:
    """A list gives a list, a tuple a tuple, a mapping a dict with the same keys in the same order."""
    index = torch.tensor([2, 0, 1])
    a, b = torch.arange(3.0), torch.arange(6).view(3, 2)
    as_list, as_tuple = ops.shuffle_rows([a, b], index), ops.shuffle_rows((a, b), index)
    as_dict = ops.shuffle_rows({"z": a, "y": b}, index)
    assert isinstance(as_list, list)
    assert isinstance(as_tuple, tuple)
    assert list(as_dict) == ["z", "y"]
    for first, second in (as_list, as_tuple, tuple(as_dict.values())):
        assert first.tolist() == [2.0, 0.0, 1.0]
        assert second.tolist() == [[4, 5], [0, 1], [2, 3]]


def test_out_is_written_and_returned() -> None:
    """With `out` that very container comes back, filled."""
    index = torch.tensor([1, 1, 0, 1])
    fields = {"a": torch.randn(2, 3), "b": torch.tensor([True, False])}
    out = {"a": torch.empty(4, 3), "b": torch.empty(4, dtype=torch.bool)}
    assert ops.shuffle_rows(fields, index, out=out) is out
    for name, field in fields.items():
        assert torch.equal(out[name], take(field, index))


def test_strided_views() -> None:
    """Fields, index and `out` may be views with any strides, conjugated ones included; nothing beside `out` changes."""
    index = torch.stack([ops.permutation(33, seed=2), torch.full((33,), -1)], dim=1)[:, 0]
    fields = [
        torch.randn(33, 10)[:, ::2],
        torch.randn(7, 33).t(),
        torch.randn(3).expand(33, 3),
        torch.randn(33, 2, dtype=torch.complex64).conj(),
    ]
    buffers = [torch.full((33, 3, field.shape[1]), -1, dtype=field.dtype) for field in fields]
    ops.shuffle_rows(fields, index, out=[buffer[:, 1] for buffer in buffers])
    for field, buffer in zip(fields, buffers, strict=True):
        assert torch.equal(buffer[:, 1], take(field, index))
        assert bool((buffer[:, 0] == -1).all())
        assert bool((buffer[:, 2] == -1).all())


@pytest.mark.parametrize("bad", [-1, 3, 2**40, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("position", [0, 70_000])
def test_index_outside_is_named_and_nothing_written(position: int, bad: int) -> None:
    """On the CPU every index is looked at before the first row is copied; the first bad one is told."""
    index = torch.zeros(70_001, dtype=torch.int64)
    index[position] = bad
    out = [torch.full((70_001,), 7.0), torch.full((70_001, 2), 7.0)]
    with pytest.raises(ValueError, match=r"^shuffle_rows: `index` must be in 0\.\.2, got index\[") as raised:
        ops.shuffle_rows([torch.zeros(3), torch.zeros(3, 2)], index, out=out)
    assert str(raised.value).endswith(f"got index[{position}] = {bad}")
    assert all(bool((x == 7.0).all()) for x in out)


def test_reference_refuses_an_index_outside() -> None:
    """The fallback says the same."""
    with pytest.raises(ValueError, match=r"shuffle_rows: `index` must be in 0\.\.2, got index\[1\] = -3"):
        reference.shuffle_rows([torch.zeros(3)], torch.tensor([0, -3]), [torch.empty(2)])


@pytest.mark.gpu
def test_cuda_skips_rows_outside() -> None:
    """On CUDA nothing is read outside: such a row of the result stays as it was."""
    out = torch.full((4,), 7.0, device="cuda")
    ops.shuffle_rows([torch.arange(3.0, device="cuda")], torch.tensor([2, -1, 3, 0], device="cuda"), out=[out])
    assert out.tolist() == [2.0, 7.0, 7.0, 0.0]


MEMORY = torch.zeros(20)
INDEX_MEMORY = torch.arange(4)
SHARED = {
    "out is the field": ([MEMORY[:4]], torch.arange(4), [MEMORY[:4]]),
    "out overlaps the field": ([MEMORY[:4]], torch.arange(4), [MEMORY[3:7]]),
    "out overlaps another field": ([torch.zeros(4), MEMORY[4:8]], torch.arange(4), [MEMORY[7:11], torch.zeros(4)]),
    "two outs overlap": ([torch.zeros(4)] * 2, torch.arange(4), [MEMORY[:4], MEMORY[2:6]]),
    "out is the index": ([torch.zeros(4, dtype=torch.int64)], INDEX_MEMORY, [INDEX_MEMORY]),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_memory_is_refused(case: str) -> None:
    """An `out` that shares memory with what is read, or with another `out`, would give a mixture: an error instead."""
    fields, index, out = SHARED[case]
    before = [x.clone() for x in out]
    with pytest.raises(ValueError, match=r"^shuffle_rows: `out` must share no memory with `fields`, `index` or itself"):
        ops.shuffle_rows(fields, index, out=out)
    assert all(torch.equal(x, y) for x, y in zip(out, before, strict=True))


def test_neighbours_in_memory_are_fine() -> None:
    """Fields and outs that lie next to each other in one buffer share nothing; one field may be taken twice."""
    buffer = torch.arange(16.0)
    field, outs = buffer[:4], [buffer[4:8], buffer[8:12]]
    ops.shuffle_rows([field, field], torch.tensor([3, 2, 1, 0]), out=outs)
    assert buffer.tolist() == [0, 1, 2, 3, 3, 2, 1, 0, 3, 2, 1, 0, 12, 13, 14, 15]


BAD_SHUFFLES = [
    ({"fields": torch.zeros(3, 2)}, TypeError, "shuffle_rows: `fields` must be a sequence or mapping, got Tensor"),
    ({"fields": [1.0]}, TypeError, "shuffle_rows: `fields[0]` must be a torch Tensor, got float"),
    ({"fields": [torch.tensor(1.0)]}, ValueError, "shuffle_rows: `fields[0]` must be [B, ...], got []"),
    (
        {"fields": [torch.zeros(3, 2), torch.zeros(4)]},
        ValueError,
        "shuffle_rows: `fields[1]` must be [3, ...] like `fields[0]`, got [4]",
    ),
    (
        {"fields": {"obs": torch.zeros(3), "act": torch.zeros(2)}},
        ValueError,
        "shuffle_rows: `fields['act']` must be [3, ...] like `fields['obs']`, got [2]",
    ),
    ({"index": torch.zeros(3).int()}, TypeError, "shuffle_rows: `index` must be int64, got int32"),
    ({"index": [0, 1]}, TypeError, "shuffle_rows: `index` must be a torch Tensor, got list"),
    ({"index": torch.zeros(3, 1).long()}, ValueError, "shuffle_rows: `index` must be [n], got [3, 1]"),
    (
        {"index": torch.zeros(3, device="meta").long()},
        ValueError,
        "shuffle_rows: `index` must be on cpu like `fields[0]`, got meta",
    ),
    ({"out": []}, ValueError, "shuffle_rows: `out` must hold out[0], got nothing"),
    ({"out": {"a": torch.zeros(3, 2)}}, ValueError, "shuffle_rows: `out` must hold out[0], got out['a']"),
    (
        {"out": [torch.zeros(3, 2).double()]},
        TypeError,
        "shuffle_rows: `out[0]` must be float32 like `fields[0]`, got float64",
    ),
    ({"out": [torch.zeros(3)]}, ValueError, "shuffle_rows: `out[0]` must be [3, 2], got [3]"),
    (
        {"fields": [torch.zeros(3, 2, requires_grad=True)]},
        ValueError,
        "shuffle_rows: `fields[0]` requires a gradient",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_SHUFFLES, ids=[bad[2][14:50] for bad in BAD_SHUFFLES])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the outputs stay as they were."""
    out = torch.full((3, 2), 7.0)
    good = {"fields": [torch.zeros(3, 2)], "index": torch.arange(3), "out": [out]}
    arguments = good | change
    with pytest.raises(error) as raised:
        ops.shuffle_rows(arguments["fields"], arguments["index"], out=arguments["out"])
    assert message in str(raised.value)
    assert bool((out == 7.0).all())


def test_gradient_is_not_asked_for_under_no_grad() -> None:
    """Under no_grad, fields that want a gradient elsewhere are fine."""
    with torch.no_grad():
        (got,) = ops.shuffle_rows([torch.zeros(3, requires_grad=True)], torch.arange(3))
    assert not got.requires_grad


def test_opcheck() -> None:
    """Schema, fake kernel and tracing of the raw operators agree with what they do."""
    fields = [torch.randn(5, 3), torch.arange(5), torch.rand(5) > 0.5]
    out = [torch.empty_like(field) for field in fields]
    torch.library.opcheck(torch.ops.rslcore.shuffle_rows.default, (fields, torch.tensor([4, 1, 2, 3, 0]), out))


@pytest.mark.parametrize(
    ("fields", "index", "out", "message"),
    [
        ([torch.zeros(3, 2)], torch.arange(3), [torch.zeros(3, 1)], "`out` must have 6 elements, got 3"),
        ([torch.zeros(3, 2)], torch.arange(3), [torch.zeros(2, 3).t()], "`out` must be contiguous"),
        ([torch.zeros(2, 3).t()], torch.arange(3), [torch.zeros(3, 2)], "`fields` must be contiguous"),
        ([torch.zeros(3)], torch.arange(3), [torch.zeros(3).double()], "`out` must be Float, got Double"),
        ([torch.zeros(3)], torch.zeros(3), [torch.zeros(3)], "`index` must be Long, got Float"),
        ([torch.zeros(3)], torch.zeros(3, 1).long(), [torch.zeros(3)], r"`index` must be \[n\], got 2 dimensions"),
        ([torch.zeros(3)], torch.arange(3), [], "`out` must hold 1 tensors like `fields`, got 0"),
        ([torch.zeros(3), torch.zeros(2)], torch.arange(2), [torch.zeros(2)] * 2, r"must be \[B, ...\] with one B"),
        ([torch.tensor(1.0)], torch.arange(1), [torch.zeros(1)], r"must be \[B, ...\] with one B"),
    ],
)
def test_raw_shuffle_is_guarded(
    fields: list[torch.Tensor], index: torch.Tensor, out: list[torch.Tensor], message: str
) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.shuffle_rows(fields, index, out)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_break(backend: str) -> None:
    """torch.compile(fullgraph=True) gives the eager result, for another offset too."""

    def function(fields: dict[str, torch.Tensor], offset: int) -> tuple[torch.Tensor, ...]:
        index = ops.permutation(33, seed=3, offset=offset)
        shuffled = ops.shuffle_rows(fields, index)
        return shuffled["a"] * 2.0, shuffled["b"] + index[:, None]

    compiled = torch.compile(function, fullgraph=True, backend=backend)
    for offset in (0, 1, 5):
        fields = {"a": torch.randn(33), "b": torch.randn(33, 4)}
        for got, expected in zip(compiled(fields, offset), function(fields, offset), strict=True):
            torch.testing.assert_close(got, expected)


def test_threads_do_not_change_bits() -> None:
    """One thread or several: the same integers and rows."""
    n = 200_003
    field = torch.randn(n, 3)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        index = ops.permutation(n, seed=9)
        results.append((index, *ops.shuffle_rows([field], index)))
    for index, rows in results[1:]:
        assert torch.equal(index, results[0][0])
        assert torch.equal(rows, results[0][1])


_SIMD_PROGRAM = """
import sys, numpy as np
import rslcore.numpy as rn
from rslcore import _numpy
index = rn.permutation(5_003, seed=4)
fields = [np.arange(5_003 * size, dtype=np.uint8).reshape(5_003, size) for size in range(150)]
rows = rn.shuffle_rows(fields, index)
assert all(np.array_equal(row, field[index]) for row, field in zip(rows, fields))
np.save(sys.argv[1], index)
print(_numpy.simd_level())
"""


def test_simd_levels_agree(tmp_path: Path) -> None:
    """Every SIMD level that this processor has gives the same permutation and copies every row size right."""
    expected = ops.permutation(5_003, seed=4)
    used = set()
    for level in ("baseline", "avx2", "avx512"):
        path = tmp_path / f"{level}.npy"
        environment = {**os.environ, "RSLCORE_SIMD": level}
        done = subprocess.run(
            [sys.executable, "-c", _SIMD_PROGRAM, str(path)], check=True, env=environment, capture_output=True
        )
        used.add(done.stdout.decode().strip())
        assert torch.equal(torch.from_numpy(np.load(path)), expected)
    assert "baseline" in used


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("rows", [1, 97, 4_099])
def test_shuffle_rows_cuda(rows: int, check: Callable[..., None]) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def make(device: str) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(rows)
        fields = [torch.randn(rows, width, generator=generator) for width in (48, 12, 1, 7)]
        fields.append(torch.randint(0, 255, (rows, 3), generator=generator, dtype=torch.uint8))
        return tuple(x.to(device) for x in (ops.permutation(rows, seed=1), *fields))

    check(make, lambda index, *fields: tuple(ops.shuffle_rows(fields, index)))
