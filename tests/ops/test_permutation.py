# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.permutation`: a bijection that looks random, the same integers as the reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from _gpu import GPU_CHECKS

from rslcore import ops
from rslcore.ops import reference

# Around every power of two, where the network gains a bit, around the block of the CPU kernel, and a whole rollout.
LENGTHS = [0, 1, 2, 3, 5, 31, 63, 64, 65, 97, 127, 128, 129, 511, 512, 513, 1031, 4095, 4096, 4097, 65_537, 98_304]
KEYS = [(0, 0), (1, 0), (0, 1), (-1, -1), (2**63 - 1, -(2**63)), (123_456_789_012_345, 2**32)]
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


def test_offset_may_lie_on_the_device() -> None:
    """A counter in a tensor gives the permutation of its number, of the kernel and of the reference."""
    for offset in (0, 7, -3, 2**40):
        expected, text = ops.permutation(97, seed=1, offset=offset), torch.empty(97, dtype=torch.int64)
        assert torch.equal(ops.permutation(97, seed=1, offset=torch.tensor(offset)), expected)
        reference.permutation(97, 1, 0, text, torch.tensor(offset))
        assert torch.equal(text, expected)


BAD_PERMUTATIONS = [
    ({"n": -1}, ValueError, "permutation: `n` must be >= 0, got -1"),
    ({"n": 3.0}, TypeError, "permutation: `n` must be an integer, got float"),
    ({"seed": "x"}, TypeError, "permutation: `seed` must be an integer, got str"),
    ({"offset": 2**63}, ValueError, "permutation: `offset` must fit a signed 64-bit integer"),
    ({"out": torch.full((3,), 7.0)}, TypeError, "permutation: `out` must be int64, got float32"),
    ({"out": torch.full((4,), 7)}, ValueError, "permutation: `out` must be [3], got [4]"),
    ({"out": [0, 1, 2]}, TypeError, "permutation: `out` must be a torch Tensor, got list"),
    ({"offset": torch.tensor(0.0)}, TypeError, "permutation: `offset` must be int64, got float32"),
    ({"offset": torch.tensor([0])}, ValueError, "permutation: `offset` must be [], got [1]"),
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


def test_opcheck() -> None:
    """Schema, fake kernel and tracing of the raw operator agree with what it does."""
    out = torch.empty(97, dtype=torch.int64)
    torch.library.opcheck(torch.ops.rslcore.permutation.default, (97, 1, 2, out))
    torch.library.opcheck(torch.ops.rslcore.permutation.default, (97, 1, 2, out, torch.tensor(3)))


def test_raw_permutation_is_guarded() -> None:
    """A direct call of the raw operator with what does not fit raises; it never writes out of bounds."""
    with pytest.raises(RuntimeError, match="`out` must have 4 elements, got 3"):
        torch.ops.rslcore.permutation(4, 0, 0, torch.empty(3, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="`n` must be >= 0, got -1"):
        torch.ops.rslcore.permutation(-1, 0, 0, torch.empty(0, dtype=torch.int64))
    out = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(RuntimeError, match=r"`offset` must be \[\], got dimensions"):
        torch.ops.rslcore.permutation(4, 0, 0, out, out[:1])
    with pytest.raises(RuntimeError, match="`out` must share no memory with `offset`"):
        torch.ops.rslcore.permutation(4, 0, 0, out, out[2])


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("n", [1, 97, 98_304])
def test_permutation_cuda(n: int, check: Callable[..., None]) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""
    check(
        lambda device: (torch.empty(n, dtype=torch.int64, device=device),),
        lambda out: (ops.permutation(n, seed=7, offset=8, out=out),),
    )
    check(
        lambda device: (torch.empty(n, dtype=torch.int64, device=device), torch.tensor(5, device=device)),
        lambda out, offset: (ops.permutation(n, seed=7, offset=offset, out=out),),
    )
