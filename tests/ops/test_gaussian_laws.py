# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The noise of `ops.gaussian_sample` is independent and standard normal, as far as statistics can tell."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from rslcore import ops

SURE = 5.0
"""Standard deviations of a statistic that a fixed seed stays below; a wrong generator is beyond by far."""

KOLMOGOROV = 2.5
"""sqrt(n) times the Kolmogorov-Smirnov distance: exceeded once in 130,000 samples of the right law."""

N = 1 << 20


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(n: int, seed: int = 0, offset: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Standard normal numbers [n]."""
    return ops.gaussian_sample(torch.zeros(n, 1, dtype=dtype), torch.ones(1, dtype=dtype), seed=seed, offset=offset)[
        0
    ].flatten()


def over_keys(count: int, elements: int, *, seeds: bool) -> torch.Tensor:
    """The first elements under many seeds, or under many offsets [count, elements]."""
    return torch.stack([noise(elements, *((k, 3) if seeds else (42, k))) for k in range(count)])


def distance(sample: torch.Tensor) -> float:
    """sqrt(n) times the largest distance of the sample's distribution function from the normal one."""
    x = sample.flatten().double().sort().values
    expected = torch.special.ndtr(x)
    n = x.numel()
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    return float(torch.maximum(steps[1:] - expected, expected - steps[:-1]).max()) * math.sqrt(n)


def correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    """Correlation of two sequences, in standard deviations of that of independent ones."""
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1]) * math.sqrt(x.numel())


def deviations(counts: torch.Tensor, expected: torch.Tensor | float, freedom: int) -> float:
    """Chi-squared of counts, in standard deviations from its mean (Fisher's approximation)."""
    squared = float(((counts - expected) ** 2 / expected).sum())
    return math.sqrt(2 * squared) - math.sqrt(2 * freedom - 1)


def test_float_is_the_rounded_double() -> None:
    """Both dtypes draw the same numbers: the float polynomials keep to 4 units in the last place, however small."""
    single, double = noise(4 * N).double(), noise(4 * N, dtype=torch.float64)
    # The float angle is a multiple of 2^-32 of a turn rounded to 24 bits, the double one is not rounded: near the
    # zeros of sine and cosine an absolute error of a unit of the double's pi remains.
    error = (single - double).abs() - 1e-14
    assert float((error / (double.abs() * 2**-23)).max()) < 4.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_moments(dtype: torch.dtype) -> None:
    """Moments 1 to 6 of all numbers and of each of the 64 places of a group."""
    z = noise(4 * N, seed=1, dtype=dtype).double()
    exact = {1: 0.0, 2: 1.0, 3: 0.0, 4: 3.0, 5: 0.0, 6: 15.0}
    double_factorial = {2: 1.0, 4: 3.0, 6: 15.0, 8: 105.0, 10: 945.0, 12: 10395.0}
    for k, expected in exact.items():
        spread = math.sqrt(double_factorial[2 * k] - expected**2)
        assert abs(float((z**k).mean()) - expected) < SURE * spread / math.sqrt(z.numel())
        places = (z.view(-1, 64) ** k).mean(dim=0)
        assert float((places - expected).abs().max()) < SURE * spread / math.sqrt(z.numel() / 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_distribution_function(dtype: torch.dtype) -> None:
    """Kolmogorov-Smirnov over a draw, and over each of the four numbers that a Philox block makes."""
    z = noise(N, seed=2, dtype=dtype)
    assert distance(z) < KOLMOGOROV
    for word in z.view(-1, 4, 16).unbind(1):
        assert distance(word) < KOLMOGOROV


@pytest.mark.parametrize("seeds", [False, True])
def test_first_numbers_over_keys(seeds: bool) -> None:
    """Over seeds, and over offsets, each of the first numbers is normal, and uncorrelated with the others."""
    z = over_keys(4_000, 128, seeds=seeds)
    assert distance(z) < KOLMOGOROV
    for place in (0, 1, 16, 17, 63, 64, 127):
        assert distance(z[:, place]) < KOLMOGOROV
    correlations = torch.corrcoef(z.t().double()).fill_diagonal_(0) * math.sqrt(z.shape[0])
    assert float(correlations.abs().max()) < SURE
    assert abs(correlation(z[1:].flatten(), z[:-1].flatten())) < SURE


@pytest.mark.parametrize("lag", [1, 2, 3, 12, 15, 16, 17, 32, 33, 48, 64, 128, 1024])
def test_neighbours_are_independent(lag: int) -> None:
    """At any distance neither the numbers nor their squares nor their signs correlate; pairs fill the plane evenly.

    Numbers 16 apart are the two of one Box-Muller pair: one radius, one angle.
    """
    z = noise(N, seed=3)
    x, y = z[:-lag], z[lag:]
    for function in (lambda v: v, torch.square, torch.sign, torch.exp):
        assert abs(correlation(function(x), function(y))) < SURE
    bins = 16
    cell = (torch.special.ndtr(x.double()) * bins).long() * bins + (torch.special.ndtr(y.double()) * bins).long()
    counts = torch.bincount(cell, minlength=bins**2)
    assert abs(deviations(counts, x.numel() / bins**2, bins**2 - 1)) < SURE


def test_tails() -> None:
    """As many numbers beyond 3, 4 and 5 as the normal law has, on both sides; none beyond 6.7."""
    z = torch.cat([noise(8 * N, seed=4, offset=k) for k in range(2)])
    for bound in (3.0, 4.0, 5.0):
        expected = z.numel() * 0.5 * math.erfc(bound / math.sqrt(2))
        for count in ((z > bound).sum(), (z < -bound).sum()):
            assert abs(int(count) - expected) < SURE * math.sqrt(expected)
    assert float(z.abs().max()) < 6.7


def test_small_numbers() -> None:
    """As many numbers near 0 as the normal law has: the radius is not rounded to a lattice there."""
    z = torch.cat([noise(8 * N, seed=5, offset=k) for k in range(2)])
    for bound in (1e-2, 1e-4, 1e-5):
        expected = z.numel() * math.erf(bound / math.sqrt(2))
        assert abs(int((z.abs() < bound).sum()) - expected) < SURE * math.sqrt(expected)
    radius = torch.hypot(z.view(-1, 4, 16)[:, 0], z.view(-1, 4, 16)[:, 1]).flatten()
    for bound in (1e-1, 1e-2, 3e-3):
        expected = radius.numel() * -math.expm1(-(bound**2) / 2)
        assert abs(int((radius < bound).sum()) - expected) < SURE * math.sqrt(expected)


def test_keys_give_other_numbers() -> None:
    """Draws under neighbouring seeds and offsets, and under keys with words exchanged, have nothing in common."""
    base = noise(N, 5, 6)
    assert torch.equal(base, noise(N, 5, 6))
    for seed, offset in [(6, 6), (5, 7), (6, 5), (5 + 2**32, 6), (5, 6 + 2**32), (-5, 6), (5, -6)]:
        other = noise(N, seed, offset)
        assert abs(correlation(base, other)) < SURE
        assert int((base == other).sum()) < 20


def test_numbers_do_not_depend_on_what_follows() -> None:
    """A longer draw begins with the shorter one; the shape of the batch only says how numbers are laid out."""
    long = noise(1000, 7)
    assert torch.equal(noise(300, 7), long[:300])
    rows, _ = ops.gaussian_sample(torch.zeros(83, 12), torch.ones(12), seed=7)
    assert torch.equal(rows.flatten(), long[: 83 * 12])
