# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.update_moments`, `normalize`, `update_and_normalize`, `discounted_return`: laws and operator contract."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rslcore import ops
from rslcore.ops import reference

EPS = 1e-2
SHAPES = [(1, 1), (7, 1), (4099, 1), (64, 48), (9, 13), (1031, 47), (1009, 235), (37, 513), (5, 1537), (1, 20011)]
TOLERANCE = {torch.float32: {"rtol": 3e-6, "atol": 3e-6}, torch.float64: {"rtol": 1e-11, "atol": 1e-12}}


def samples(*shape: int, dtype: torch.dtype = torch.float32, mean: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Normal samples of unit deviation."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) + mean).to(dtype)


def moments(*shape: int, dtype: torch.dtype = torch.float32, count: int = 0) -> list[torch.Tensor]:
    """Fresh mean, variance and count, as rsl_rl starts them."""
    return [torch.zeros(shape, dtype=dtype), torch.ones(shape, dtype=dtype), torch.tensor(count)]


def wide(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Copies, floats in float64."""
    return [x.to(torch.float64 if x.is_floating_point() else x.dtype, copy=True) for x in tensors]


def test_hand_computed_moments() -> None:
    """Columns (1, 3) and (2, 6) have means 2, 4 and variances 1, 4; two rows more halve the weight of the old."""
    mean, var, count = moments(2)
    ops.update_moments(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), mean, var, count)
    assert (mean.tolist(), var.tolist(), count.item()) == ([2.0, 4.0], [1.0, 4.0], 2)
    ops.update_moments(torch.tensor([[6.0, 4.0], [6.0, 4.0]]), mean, var, count)
    assert (mean.tolist(), var.tolist(), count.item()) == ([4.0, 4.0], [4.5, 2.0], 4)


def test_hand_computed_normalize() -> None:
    """(x - mean) / (sqrt(var) + eps): (5 - 1) / (sqrt(4) + 2) = 1."""
    got = ops.normalize(torch.tensor([[5.0, 0.0]]), torch.tensor([1.0, 3.0]), torch.tensor([4.0, 1.0]), eps=2.0)
    torch.testing.assert_close(got, torch.tensor([[1.0, -1.0]]))


def test_hand_computed_discounted_return() -> None:
    """Twice running = gamma * running + rewards: 0.5 * (0.5 * 8 + 2) + 1 = 4."""
    running = torch.tensor([8.0])
    ops.discounted_return(torch.tensor([2.0]), running, gamma=0.5)
    ops.discounted_return(torch.tensor([1.0]), running, gamma=0.5)
    assert running.tolist() == [4.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_reference(shape: tuple[int, int], offset: float, dtype: torch.dtype) -> None:
    """Any B and F: the plain-torch formulas in float64, also where the mean is 1e4 deviations from zero."""
    x = samples(*shape, dtype=dtype, mean=offset)
    state = moments(shape[1], dtype=dtype, count=3)
    wanted = wide(state)
    normalized = ops.update_and_normalize(x, *state)
    reference.update_moments(x.double(), *wanted, None)
    for got, expected in zip(state[:2], wanted[:2], strict=True):
        torch.testing.assert_close(got.double(), expected, **TOLERANCE[dtype])
    assert state[2] == 3 + shape[0]
    expected = reference.normalize(x.double(), *wide(state[:2]), EPS)
    torch.testing.assert_close(normalized.double(), expected, **TOLERANCE[dtype])
    assert torch.equal(ops.normalize(x, *state[:2]), normalized)


@pytest.mark.parametrize("shape", [(1,), (4097,), (33, 1), (40_001, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_discounted_return_equals_the_reference(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """[N] or [N, 1], any length."""
    rewards, running = samples(*shape, dtype=dtype), samples(*shape, dtype=dtype, seed=1)
    wanted = running.clone()
    reference.discounted_return(rewards, wanted, 0.99)
    ops.discounted_return(rewards, running, gamma=0.99)
    torch.testing.assert_close(running, wanted, **TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_empty_input_changes_nothing(shape: tuple[int, int]) -> None:
    """No samples: moments and count stay, the result is empty."""
    state = moments(shape[1], count=5)
    before = [x.clone() for x in state]
    x = torch.empty(shape)
    ops.update_moments(x, *state)
    assert ops.update_and_normalize(x, *state).shape == shape
    assert ops.normalize(x, *state[:2]).shape == shape
    ops.discounted_return(x, torch.empty(shape), gamma=0.9)
    assert all(torch.equal(got, old) for got, old in zip(state, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("first_row", [1e4, 1e4 + 1e3])
def test_variance_survives_cancellation(first_row: float, dtype: torch.dtype) -> None:
    """Mean 1e4, deviation 1, even with a first row far out: the variance is exact to the rounding of its dtype."""
    x = samples(20_011, 3, dtype=dtype, mean=1e4)
    x[0] = first_row
    mean, var, count = moments(3, dtype=dtype)
    ops.update_moments(x, mean, var, count)
    eps = torch.finfo(dtype).eps
    exact = x.double()
    torch.testing.assert_close(mean.double(), exact.mean(0), rtol=2 * eps, atol=0)
    torch.testing.assert_close(var.double(), exact.var(0, unbiased=False), rtol=max(2 * eps, 1e-11), atol=0)


def test_constant_column_has_no_variance() -> None:
    """Equal samples have variance exactly zero, never a small negative one."""
    mean, var, count = moments(2, dtype=torch.float64)
    ops.update_moments(torch.full((1001, 2), 0.1, dtype=torch.float64), mean, var, count)
    assert (mean == 0.1).all()
    assert (var == 0.0).all()


def test_nan_reaches_its_own_column_only() -> None:
    """A NaN sample shows in the moments of its column, and in no other."""
    x = samples(100, 3)
    x[50, 1] = torch.nan
    mean, var, count = moments(3)
    ops.update_moments(x, mean, var, count)
    assert mean.isnan().tolist() == [False, True, False]
    assert var.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("columns", [1, 7, 48, 600])
def test_chunks_equal_one_big_update(columns: int) -> None:
    """Merging is exact: many updates with parts of the rows give the moments of all rows."""
    x = samples(2003, columns, dtype=torch.float64, mean=3.0)
    whole, parts = moments(columns, dtype=torch.float64), moments(columns, dtype=torch.float64)
    ops.update_moments(x, *whole)
    for part in x.split([1, 2, 500, 1000, 499, 1]):
        ops.update_moments(part, *parts)
    for got, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("until", [None, 150])
def test_equals_rsl_rl(until: int | None) -> None:
    """The buffers and outputs of rsl_rl's EmpiricalNormalization over several updates, `until` included."""
    oracle = pytest.importorskip("rsl_rl.modules").EmpiricalNormalization(48, eps=EPS, until=until)
    mean, var, count = oracle._mean.clone(), oracle._var.clone(), oracle.count.clone()
    for step in range(4):
        x = samples(64, 48, mean=2.0, seed=step) * (1 + step)
        oracle.update(x)
        got = ops.update_and_normalize(x, mean, var, count, until=until)
        torch.testing.assert_close(got, oracle(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(mean, oracle._mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(var, oracle._var, rtol=1e-5, atol=1e-6)
        assert torch.equal(count, oracle.count)


def test_discounted_return_scales_rewards_as_rsl_rl() -> None:
    """discounted_return and update_moments give the deviation that rsl_rl divides rewards by."""
    oracle = pytest.importorskip("rsl_rl.modules").EmpiricalDiscountedVariationNormalization(shape=[], gamma=0.9)
    running, (mean, var, count) = torch.zeros(128), moments()
    for step in range(5):
        rewards = samples(128, seed=step)
        wanted = oracle(rewards)
        ops.discounted_return(rewards, running, gamma=0.9)
        ops.update_moments(running, mean, var, count)
        torch.testing.assert_close(rewards / var.sqrt(), wanted, rtol=1e-5, atol=1e-6)


def test_until_freezes() -> None:
    """The update that reaches `until` counts whole; later ones change nothing, though samples are still normalized."""
    mean, var, count = moments(4)
    ops.update_moments(samples(10, 4), mean, var, count, until=10)
    frozen = [mean.clone(), var.clone(), count.clone()]
    x = samples(10, 4, mean=5.0, seed=1)
    ops.update_moments(x, mean, var, count, until=10)
    got = ops.update_and_normalize(x, mean, var, count, until=10)
    assert all(torch.equal(a, b) for a, b in zip((mean, var, count), frozen, strict=True))
    assert torch.equal(got, ops.normalize(x, *frozen[:2]))
    assert count == 10


@pytest.mark.parametrize("features", [(), (48,), (3, 5, 7)])
@pytest.mark.parametrize("leading", [(), (1,)])
def test_feature_shapes(features: tuple[int, ...], leading: tuple[int, ...]) -> None:
    """[B, *F] with moments [*F] or [1, *F]: what the flattened columns give, in the shape given."""
    x = samples(11, *features)
    flat = moments(x[0].numel())
    wanted = ops.update_and_normalize(x.reshape(11, -1), *flat)
    state = moments(*leading, *features)
    got = ops.update_and_normalize(x, *state)
    assert got.shape == x.shape
    assert torch.equal(got.reshape(11, -1), wanted)
    assert state[0].shape == (*leading, *features)
    assert torch.equal(state[0].flatten(), flat[0])
    assert torch.equal(state[1].flatten(), flat[1])


def test_strided_views() -> None:
    """Views with any strides for x, mean, var and out: same result, and nothing between their elements is written."""
    x = samples(21, 6)
    plain = moments(6)
    wanted = ops.update_and_normalize(x, *plain)
    x_view = torch.stack([x, x], dim=-1)[..., 0]
    buffers = torch.zeros(6, 2), torch.ones(6, 2)
    out = torch.full((6, 21, 2), -1.0)
    out_view = out[..., 1].t()
    count = torch.tensor(0)
    got = ops.update_and_normalize(x_view, buffers[0][:, 0], buffers[1][:, 0], count, out=out_view)
    assert got is out_view
    assert torch.equal(got, wanted)
    assert torch.equal(buffers[0], torch.stack([plain[0], torch.zeros(6)], dim=1))
    assert torch.equal(buffers[1], torch.stack([plain[1], torch.ones(6)], dim=1))
    assert (out[..., 0] == -1.0).all()
    assert torch.equal(ops.normalize(x_view, *plain[:2], out=out_view), ops.normalize(x, *plain[:2]))
    running = torch.zeros(6, 2)
    ops.discounted_return(x_view[0], running[:, 0], gamma=0.5)
    assert torch.equal(running, torch.stack([x[0], torch.zeros(6)], dim=1))


@pytest.mark.parametrize("shape", [(64, 1), (100, 48), (33, 700)])
def test_in_place(shape: tuple[int, int]) -> None:
    """`out` may be `x` itself."""
    x = samples(*shape)
    state, again = moments(shape[1]), moments(shape[1])
    wanted = ops.update_and_normalize(x, *state)
    buffer = x.clone()
    assert ops.update_and_normalize(buffer, *again, out=buffer) is buffer
    assert torch.equal(buffer, wanted)
    buffer = x.clone()
    assert torch.equal(ops.normalize(buffer, *state[:2], out=buffer), wanted)


def test_partial_overlap_is_refused() -> None:
    """`out` that shares some memory with `x` without being `x` would be overwritten while read."""
    buffer = torch.zeros(101, 4)
    with pytest.raises(ValueError, match=r"^normalize: `out` must be `x` itself or share no memory with the other"):
        ops.normalize(buffer[1:], torch.zeros(4), torch.ones(4), out=buffer[:-1])


@pytest.mark.parametrize("shape", [(64, 48), (4096, 48), (4096, 235), (20_000, 1), (600, 1500)])
def test_threads_do_not_change_bits(shape: tuple[int, int]) -> None:
    """One thread or several: the same bits."""
    x = samples(*shape)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            state = moments(shape[1])
            results.append([ops.update_and_normalize(x, *state), *state])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


_SIMD_PROGRAM = """
import sys, torch
from rslcore import build_info, ops
g = torch.Generator().manual_seed(0)
results = []
for rows, columns in ((4099, 1), (1009, 47), (257, 600)):
    x = torch.randn(rows, columns, generator=g)
    mean, var, count, running = torch.zeros(columns), torch.ones(columns), torch.tensor(7), x[0].clone()
    results += [ops.update_and_normalize(x, mean, var, count), mean, var]
    ops.discounted_return(x[1 % rows], running, gamma=0.9)
    results.append(running)
torch.save((build_info()["simd_in_use"], *results), sys.argv[1])
"""


def test_simd_levels_agree(tmp_path: Path) -> None:
    """Every SIMD level that this processor has gives the same result to rounding."""
    results = {}
    for level in ("baseline", "avx2", "avx512"):
        path = tmp_path / level
        environment = {**os.environ, "RSLCORE_SIMD": level}
        subprocess.run([sys.executable, "-c", _SIMD_PROGRAM, str(path)], check=True, env=environment)
        used, *tensors = torch.load(path)
        results[used] = tensors
    assert "baseline" in results
    for tensors in results.values():
        for result, other in zip(tensors, results["baseline"], strict=True):
            torch.testing.assert_close(result, other, rtol=1e-5, atol=1e-6)


def good_arguments() -> dict[str, torch.Tensor]:
    """Arguments that fit, with contents that a write would change."""
    return {
        "x": torch.ones(3, 4),
        "mean": torch.full((4,), 7.0),
        "var": torch.full((4,), 7.0),
        "count": torch.tensor(7),
    }


BAD_MOMENTS = [
    ({"x": [1.0]}, TypeError, "`x` must be a torch Tensor, got list"),
    ({"x": torch.ones(3, 4).int()}, TypeError, "`x` must be float32 or float64, got int32"),
    ({"x": torch.tensor(1.0)}, ValueError, "`x` must be [B, *F], got []"),
    ({"x": torch.ones(3, 5)}, ValueError, "`mean` must be [5] like `x`, got [4]"),
    ({"mean": torch.ones(2, 4)}, ValueError, "`mean` must be [4] like `x`, got [2, 4]"),
    ({"mean": torch.ones(4).double()}, TypeError, "`mean` must be float32 like `x`, got float64"),
    ({"var": torch.ones(3)}, ValueError, "`var` must be [4] like `x`, got [3]"),
    ({"var": None}, TypeError, "`var` must be a torch Tensor, got NoneType"),
    ({"var": torch.ones(4, device="meta")}, ValueError, "`var` must be on cpu like `x`, got meta"),
    ({"mean": torch.ones(4, requires_grad=True)}, ValueError, "`mean` requires a gradient"),
]
BAD_UPDATE = [
    *BAD_MOMENTS,
    ({"x": torch.ones(3, 4, requires_grad=True)}, ValueError, "`x` requires a gradient"),
    ({"count": None}, TypeError, "`count` must be a torch Tensor, got NoneType"),
    ({"count": torch.tensor(7.0)}, TypeError, "`count` must be int64, got float32"),
    ({"count": torch.tensor([7])}, ValueError, "`count` must be [], got [1]"),
    ({"count": torch.tensor(7, device="meta")}, ValueError, "`count` must be on cpu like `x`, got meta"),
    ({"until": 1.5}, TypeError, "`until` must be an integer, got float"),
    ({"until": -1}, ValueError, "`until` must be in [0, inf], got -1"),
    ({"mean": torch.tensor(7.0).expand(4)}, ValueError, "`mean` is written to, so each element must have memory"),
    ({"var": torch.tensor(7.0).expand(1, 4)}, ValueError, "`var` is written to, so each element must have memory"),
]
BAD_OUT = [
    ({"out": 3}, TypeError, "`out` must be a torch Tensor, got int"),
    ({"out": torch.ones(4, 3)}, ValueError, "`out` must be [3, 4] like `x`, got [4, 3]"),
    ({"out": torch.ones(3, 4).double()}, TypeError, "`out` must be float32 like `x`, got float64"),
    ({"out": torch.ones(3, 4, device="meta")}, ValueError, "`out` must be on cpu like `x`, got meta"),
    ({"out": torch.ones(3, 4, requires_grad=True)}, ValueError, "`out` requires a gradient"),
    ({"out": torch.ones(4).expand(3, 4)}, ValueError, "`out` is written to, so each element must have memory"),
    ({"eps": -0.5}, ValueError, "`eps` must be in [0, inf], got -0.5"),
    ({"eps": "x"}, TypeError, "`eps` must be a number, got str"),
]
BAD = (
    [(ops.update_moments, *case) for case in BAD_UPDATE]
    + [(ops.normalize, *case) for case in BAD_MOMENTS + BAD_OUT]
    + [(ops.update_and_normalize, *case) for case in BAD_UPDATE + BAD_OUT]
)


@pytest.mark.parametrize(
    ("op", "change", "error", "message"), BAD, ids=[f"{op.__name__}-{message[:32]}" for op, _, _, message in BAD]
)
def test_bad_input_is_named_and_nothing_written(
    op: Callable[..., object], change: dict, error: type[Exception], message: str
) -> None:
    """The message names operator, argument, expected and got; whatever would be written stays as it was."""
    arguments = good_arguments()
    if op is ops.normalize:
        del arguments["count"]
    if op is not ops.update_moments:
        arguments["out"] = torch.full((3, 4), 7.0)
    arguments |= change
    before = {name: t.clone() for name, t in arguments.items() if isinstance(t, torch.Tensor)}
    with pytest.raises(error) as raised:
        op(**arguments)
    assert str(raised.value).startswith(f"{op.__name__}: {message}")
    for name, old in before.items():
        assert old.is_meta or torch.equal(arguments[name], old)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rewards": 1.0}, TypeError, "`rewards` must be a torch Tensor, got float"),
        ({"rewards": torch.ones(4).int()}, TypeError, "`rewards` must be float32 or float64, got int32"),
        ({"running": torch.ones(4, 1)}, ValueError, "`running` must be [4] like `rewards`, got [4, 1]"),
        ({"running": torch.ones(4).double()}, TypeError, "`running` must be float32 like `rewards`, got float64"),
        ({"running": torch.ones(4, device="meta")}, ValueError, "`running` must be on cpu like `rewards`, got meta"),
        ({"running": torch.tensor(7.0).expand(4)}, ValueError, "`running` is written to"),
        ({"rewards": torch.ones(4, requires_grad=True)}, ValueError, "`rewards` requires a gradient"),
        ({"gamma": 1.5}, ValueError, "`gamma` must be in [0, 1], got 1.5"),
    ],
)
def test_bad_discounted_return_is_named(change: dict, error: type[Exception], message: str) -> None:
    """As above, for discounted_return."""
    running = torch.full((4,), 7.0)
    with pytest.raises(error) as raised:
        ops.discounted_return(**({"rewards": torch.ones(4), "running": running, "gamma": 0.9} | change))
    assert str(raised.value).startswith(f"discounted_return: {message}")
    assert (running == 7.0).all()


@pytest.mark.parametrize("shape", [(5, 3), (1, 1), (4, 2, 3)])
def test_gradient_of_normalize(shape: tuple[int, ...]) -> None:
    """The derivative with respect to x is 1 / (sqrt(var) + eps); a finite difference agrees."""
    x = samples(*shape, dtype=torch.float64).requires_grad_()
    mean, var = samples(*shape[1:], dtype=torch.float64, seed=1), samples(*shape[1:], dtype=torch.float64, seed=2) ** 2
    assert torch.autograd.gradcheck(lambda x: ops.normalize(x, mean, var), (x,))
    ops.normalize(x, mean, var).sum().backward()
    torch.testing.assert_close(x.grad, (1 / (var.sqrt() + EPS)).expand(shape))
    with torch.no_grad():
        assert not ops.normalize(x, mean, var).requires_grad


def test_gradient_through_strided_samples() -> None:
    """A strided x that wants a gradient gets it in its own layout."""
    base = samples(6, 4, dtype=torch.float64).requires_grad_()
    var = torch.full((6,), 4.0, dtype=torch.float64)
    ops.normalize(base.t(), torch.zeros(6, dtype=torch.float64), var, eps=0.0).sum().backward()
    assert torch.equal(base.grad, torch.full((6, 4), 0.5, dtype=torch.float64))


def test_under_no_grad_parameters_are_fine() -> None:
    """Without grad mode nothing is refused for requires_grad."""
    x = samples(8, 4).requires_grad_()
    with torch.no_grad():
        got = ops.update_and_normalize(x, *moments(4))
    assert not got.requires_grad


def raw_arguments(op: str) -> tuple:
    """Arguments of torch.ops.rslcore.<op>."""
    x, (mean, var, count) = samples(5, 6), moments(6)
    return {
        "update_moments": (x, mean, var, count, 100),
        "normalize": (x, mean, var, EPS),
        "normalize_out": (x, mean, var, EPS, torch.empty(5, 6)),
        "update_and_normalize": (x, mean, var, count, EPS, None, torch.empty(5, 6)),
        "discounted_return": (x[0], mean, 0.9),
    }[op]


RAW = ["update_moments", "normalize", "normalize_out", "update_and_normalize", "discounted_return"]


@pytest.mark.parametrize("op", RAW)
def test_opcheck(op: str) -> None:
    """Schema, fake kernel, autograd registration and tracing agree with what the operator does."""
    torch.library.opcheck(getattr(torch.ops.rslcore, op).default, raw_arguments(op))


def test_opcheck_with_gradient() -> None:
    """The same for `normalize` of samples that want a gradient."""
    x, mean, var, eps = raw_arguments("normalize")
    torch.library.opcheck(torch.ops.rslcore.normalize.default, (x.requires_grad_(), mean, var, eps))


@pytest.mark.parametrize(
    ("op", "position", "bad", "message"),
    [
        ("update_moments", 0, torch.zeros(6, 5).t(), "update_moments: `x` must be contiguous"),
        ("update_moments", 0, torch.tensor(1.0), r"update_moments: `x` must be \[B, \*F\], got \[\]"),
        ("update_moments", 1, torch.zeros(5), "update_moments: `mean` must have 6 elements, got 5"),
        ("update_moments", 3, torch.zeros(()), "update_moments: `count` must be Long, got Float"),
        ("normalize", 2, torch.zeros(6).double(), "normalize: `var` must be Float, got Double"),
        ("normalize_out", 4, torch.zeros(5, 5), "normalize: `out` must have 30 elements, got 25"),
        ("update_and_normalize", 0, torch.zeros(5, 6).int(), "`x` must be float32 or float64, got Int"),
        ("update_and_normalize", 6, torch.zeros(4, 6), "update_and_normalize: `out` must have 30 elements, got 24"),
        ("discounted_return", 1, torch.zeros(5), "discounted_return: `running` must have 6 elements, got 5"),
    ],
)
def test_raw_operators_are_guarded(op: str, position: int, bad: torch.Tensor, message: str) -> None:
    """A direct call of a raw operator with what does not fit raises, and writes nothing."""
    arguments = list(raw_arguments(op))
    arguments[position] = bad
    before = [x.clone() if isinstance(x, torch.Tensor) else x for x in arguments]
    with pytest.raises(RuntimeError, match=message):
        getattr(torch.ops.rslcore, op)(*arguments)
    if op.startswith("update"):
        assert all(torch.equal(arguments[i], before[i]) for i in (1, 2, 3))


def all_operators(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor, count: torch.Tensor) -> list[torch.Tensor]:
    """Every public operator in one function, mutating what it is given."""
    ops.update_moments(x, mean, var, count, until=100)
    first = ops.normalize(x * 2, mean, var)
    second = ops.update_and_normalize(first, mean, var, count)
    ops.discounted_return(x[0], mean, gamma=0.9)
    return [first, second + 1]


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_break(backend: str) -> None:
    """torch.compile(fullgraph=True) gives the eager results and the eager mutations."""
    x, state, compiled_state = samples(37, 6), moments(6), moments(6)
    wanted = all_operators(x, *state)
    got = torch.compile(all_operators, fullgraph=True, backend=backend)(x, *compiled_state)
    for a, b in zip([*got, *compiled_state], [*wanted, *state], strict=True):
        torch.testing.assert_close(a, b)


def test_compiled_gradient() -> None:
    """The gradient of `normalize` survives torch.compile."""
    mean, var = samples(3), torch.full((3,), 4.0)
    x = samples(5, 3).requires_grad_()
    compiled = torch.compile(lambda x: ops.normalize(x, mean, var, eps=0.0).sum(), fullgraph=True, backend="aot_eager")
    compiled(x).backward()
    assert torch.equal(x.grad, torch.full((5, 3), 0.5))
