# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.permutation`: a bijection that looks random; `ops.shuffle_rows`: rows of any kind; the operator contract."""

from __future__ import annotations

import math
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

# Around every power of two, where the network gains a bit, around the block of the CPU kernel, and a whole rollout.
LENGTHS = [0, 1, 2, 3, 5, 31, 63, 64, 65, 97, 127, 128, 129, 511, 512, 513, 1031, 4095, 4096, 4097, 65_537, 98_304]
KEYS = [(0, 0), (1, 0), (0, 1), (-1, -1), (2**63 - 1, -(2**63)), (123_456_789_012_345, 2**32)]
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
SURE = 5.0
"""Standard deviations of a statistic that a fixed seed stays below; a wrong network is beyond by far."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draws(count: int, n: int, *, seeds: bool) -> torch.Tensor:
    """Permutations of n [count, n] that differ in their seed, or in their offset under one seed."""
    out = torch.empty(count, n, dtype=torch.int64)
    draw = torch.ops.rslcore.permutation.default
    for number, row in enumerate(out.unbind()):
        draw(n, number if seeds else 42, 3 if seeds else number, row)
    return out


def deviations(counts: torch.Tensor, expected: torch.Tensor | float, freedom: int) -> float:
    """Chi-squared of counts, in standard deviations from its mean (Fisher's approximation)."""
    squared = float(((counts - expected) ** 2 / expected).sum())
    return math.sqrt(2 * squared) - math.sqrt(2 * freedom - 1)


def correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    """Correlation of two sequences, in standard deviations of that of independent ones."""
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1]) * math.sqrt(x.numel())


@pytest.mark.parametrize("n", LENGTHS)
def test_permutation_is_the_reference_and_a_bijection(n: int) -> None:
    """The same integers as the plain-torch network for any key, each of 0..n-1 once."""
    for seed, offset in KEYS:
        expected = torch.empty(n, dtype=torch.int64)
        reference.permutation(n, seed, offset, expected)
        got = ops.permutation(n, seed=seed, offset=offset)
        assert torch.equal(got, expected)
        assert torch.equal(got.sort().values, torch.arange(n))


def test_every_small_length_is_a_bijection() -> None:
    """Each of 0..n-1 once, for every n up to 300."""
    for n in range(301):
        assert torch.equal(ops.permutation(n, seed=n, offset=7).sort().values, torch.arange(n))


def test_permutation_does_not_change_between_versions() -> None:
    """A seed means the same permutation for ever: a resumed run continues with it."""
    assert ops.permutation(10, seed=3).tolist() == [0, 3, 1, 4, 7, 9, 6, 5, 8, 2]
    assert ops.permutation(98_304, seed=1, offset=2)[:5].tolist() == [69_624, 29_593, 66_557, 68_201, 43_287]


@pytest.mark.parametrize("seeds", [False, True])
@pytest.mark.parametrize(("n", "count"), [(2, 20_000), (3, 60_000), (4, 250_000), (5, 250_000)])
def test_all_permutations_are_equally_likely(n: int, count: int, seeds: bool) -> None:
    """Each of the n! orders of few elements comes equally often over seeds, and over offsets."""
    rank = torch.zeros(count, dtype=torch.int64)
    drawn = draws(count, n, seeds=seeds)
    for i in range(n):
        rank = rank * (n - i) + (drawn[:, i + 1 :] < drawn[:, i : i + 1]).sum(dim=1)
    orders = math.factorial(n)
    assert deviations(torch.bincount(rank, minlength=orders), count / orders, orders - 1) < SURE


@pytest.mark.parametrize("seeds", [False, True])
@pytest.mark.parametrize("n", [64, 100])
def test_every_position_and_pair_is_equally_likely(n: int, seeds: bool) -> None:
    """Element i lands anywhere equally often; so do the neighbours 0 and 1 together, and differences of neighbours."""
    count = 20_000
    drawn = draws(count, n, seeds=seeds)
    where = torch.bincount((torch.arange(n) * n + drawn).flatten(), minlength=n * n)
    assert deviations(where, count / n, (n - 1) ** 2) < SURE
    pairs = torch.bincount(drawn[:, 0] * n + drawn[:, 1], minlength=n * n).view(n, n)
    assert pairs.diagonal().sum() == 0
    off_diagonal = pairs[~torch.eye(n, dtype=torch.bool)]
    assert deviations(off_diagonal, count / (n * (n - 1)), n * (n - 1) - 1) < SURE
    steps = torch.bincount(((drawn.roll(-1, 1) - drawn) % n).flatten(), minlength=n)[1:]
    assert deviations(steps, count * n / (n - 1), n - 2) < SURE


@pytest.mark.parametrize("seeds", [False, True])
def test_fixed_points_are_poisson(seeds: bool) -> None:
    """The number of elements that stay in place is Poisson(1), also against the permutation of the next key."""
    n, count = 1_000, 5_000
    drawn = draws(count, n, seeds=seeds)
    probability = torch.tensor([math.exp(-1) / math.factorial(k) for k in range(5)])
    probability = torch.cat([probability, 1 - probability.sum(0, keepdim=True)])
    for other in (torch.arange(n), drawn.roll(1, 0)):
        matches = (drawn == other).sum(dim=1).clamp(max=5)
        assert deviations(torch.bincount(matches, minlength=6), count * probability, 5) < SURE


def test_odd_and_even_permutations_are_equally_likely() -> None:
    """Half of the permutations of a power of two are odd, though a Feistel network alone makes even ones only."""
    count = 2_000
    drawn = draws(count, 64, seeds=False)
    later_and_smaller = (drawn[:, :, None] > drawn[:, None, :]).triu(1)
    odd = int((later_and_smaller.sum(dim=(1, 2)) % 2).sum())
    assert abs(odd - count / 2) < SURE * math.sqrt(count / 4)


@pytest.mark.parametrize("n", [4_096, 98_304])
def test_long_permutation_is_uncorrelated(n: int) -> None:
    """With the index, with itself at any distance, with the next seed and the next offset: no correlation."""
    drawn = ops.permutation(n, seed=5, offset=6)
    others = [torch.arange(n), ops.permutation(n, seed=6, offset=6), ops.permutation(n, seed=5, offset=7)]
    others += [ops.permutation(n, seed=6, offset=5), *(drawn.roll(lag) for lag in (1, 2, 3, 4, 8, 16, 64, 256, 1024))]
    for other in others:
        assert abs(correlation(drawn, other)) < SURE


def test_permutation_into_a_strided_out() -> None:
    """`out` may be any view of int64 [n]; it is returned, and nothing beside it is written."""
    buffer = torch.full((97, 2), -1)
    out = buffer[:, 0]
    assert ops.permutation(97, seed=1, out=out) is out
    assert torch.equal(out, ops.permutation(97, seed=1))
    assert bool((buffer[:, 1] == -1).all())


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


BAD_PERMUTATIONS = [
    ({"n": -1}, ValueError, "permutation: `n` must be >= 0, got -1"),
    ({"n": 3.0}, TypeError, "permutation: `n` must be an integer, got float"),
    ({"seed": "x"}, TypeError, "permutation: `seed` must be an integer, got str"),
    ({"offset": 2**63}, ValueError, "permutation: `offset` must fit a signed 64-bit integer"),
    ({"out": torch.full((3,), 7.0)}, TypeError, "permutation: `out` must be int64, got float32"),
    ({"out": torch.full((4,), 7)}, ValueError, "permutation: `out` must be [3], got [4]"),
    ({"out": [0, 1, 2]}, TypeError, "permutation: `out` must be a torch Tensor, got list"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_PERMUTATIONS, ids=[bad[2] for bad in BAD_PERMUTATIONS])
def test_bad_permutation_is_named(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; `out` stays as it was."""
    arguments = {"n": 3, "seed": 0} | change
    with pytest.raises(error) as raised:
        ops.permutation(arguments.pop("n"), **arguments)
    assert message in str(raised.value)
    if isinstance(change.get("out"), torch.Tensor):
        assert bool((change["out"] == 7).all())


def test_gradient_is_not_asked_for_under_no_grad() -> None:
    """Under no_grad, fields that want a gradient elsewhere are fine."""
    with torch.no_grad():
        (got,) = ops.shuffle_rows([torch.zeros(3, requires_grad=True)], torch.arange(3))
    assert not got.requires_grad


def test_opcheck() -> None:
    """Schema, fake kernel and tracing of the raw operators agree with what they do."""
    torch.library.opcheck(torch.ops.rslcore.permutation.default, (97, 1, 2, torch.empty(97, dtype=torch.int64)))
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


def test_raw_permutation_is_guarded() -> None:
    """The same for the raw permutation."""
    with pytest.raises(RuntimeError, match="`out` must have 4 elements, got 3"):
        torch.ops.rslcore.permutation(4, 0, 0, torch.empty(3, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="`n` must be >= 0, got -1"):
        torch.ops.rslcore.permutation(-1, 0, 0, torch.empty(0, dtype=torch.int64))


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
@pytest.mark.parametrize("n", [1, 97, 98_304])
def test_permutation_cuda(n: int, check: Callable[..., None]) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""
    check(
        lambda device: (torch.empty(n, dtype=torch.int64, device=device),),
        lambda out: (ops.permutation(n, seed=7, offset=8, out=out),),
    )


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
