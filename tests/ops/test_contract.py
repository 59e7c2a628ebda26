# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What all operators keep to: autograd learns of writes, memory is not shared, what is refused is said plainly."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch.autograd import forward_ad

from rslcore import ops
from rslcore.ops import _library, reference

numpy = pytest.importorskip("numpy")
_numpy = pytest.importorskip("rslcore._numpy")


def written_moments() -> torch.Tensor:
    """A result whose gradient needs `var`, which is then updated in place."""
    x, mean, var = torch.randn(5, 3, requires_grad=True), torch.zeros(3), torch.ones(3)
    y = ops.normalize(x, mean, var)
    ops.update_moments(torch.randn(7, 3), mean, var, torch.tensor(1))
    return y


def written_rows() -> torch.Tensor:
    """A result whose gradient needs `saved`, which shuffled rows are then written into."""
    weight, saved = torch.ones(4, requires_grad=True), torch.ones(4)
    y = weight * saved
    ops.shuffle_rows([torch.arange(4.0)], torch.arange(4), out=[saved])
    return y


@pytest.mark.parametrize("case", [written_moments, written_rows])
def test_autograd_notices_what_was_written(case: Callable[[], torch.Tensor]) -> None:
    """A tensor that backward needs and an operator has written since is an error, not a wrong gradient."""
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        case().sum().backward()


BUFFER = torch.zeros(100)


def gae(**change: torch.Tensor | tuple[torch.Tensor, torch.Tensor]) -> None:
    """`ops.gae` on [4, 3] with some arguments changed."""
    data = {"rewards": torch.ones(4, 3), "values": torch.ones(4, 3), "dones": torch.zeros(4, 3, dtype=torch.bool)}
    ops.gae(**{**data, "last_values": torch.ones(3), "gamma": 0.9, "lam": 0.9} | change)


def at(offset: int, *shape: int) -> torch.Tensor:
    """A contiguous part of BUFFER."""
    return BUFFER[offset : offset + math.prod(shape)].view(shape)


OVERLAPS = {
    "gae: returns, advantages": lambda: gae(out=(at(0, 4, 3), at(11, 4, 3))),
    "gae: returns, rewards": lambda: gae(rewards=at(0, 4, 3), out=(at(0, 4, 3), torch.zeros(4, 3))),
    "gae: advantages, values": lambda: gae(values=at(0, 4, 3), out=(torch.zeros(4, 3), at(6, 4, 3))),
    "gae: advantages, last_values": lambda: gae(last_values=at(0, 3), out=(torch.zeros(4, 3), at(2, 4, 3))),
    "update_moments: mean, var": lambda: ops.update_moments(torch.ones(5, 4), at(0, 4), at(3, 4), torch.tensor(0)),
    "update_moments: x, mean": lambda: ops.update_moments(at(0, 5, 4), at(0, 4), torch.ones(4), torch.tensor(0)),
    "normalize: out, var": lambda: ops.normalize(torch.ones(5, 4), torch.zeros(4), at(0, 4), out=at(3, 5, 4)),
    "update_and_normalize: out, mean": lambda: ops.update_and_normalize(
        torch.ones(5, 4), at(0, 4), torch.ones(4), torch.tensor(0), out=at(0, 5, 4)
    ),
    "discounted_return: rewards, running": lambda: ops.discounted_return(at(0, 8), at(4, 8), gamma=0.5),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_shared_memory_is_refused(case: str) -> None:
    """An output over an input or another output is a ValueError that tells neither source file nor line."""
    BUFFER.fill_(7.0)
    with pytest.raises(ValueError, match=f"^{case.split(':')[0]}: .*must") as raised:
        OVERLAPS[case]()
    assert ".cpp" not in str(raised.value)
    assert bool((BUFFER == 7.0).all())


def test_neighbours_in_memory_are_fine() -> None:
    """Arguments that follow each other in one buffer share nothing."""
    BUFFER.zero_()
    gae(rewards=at(0, 4, 3), last_values=at(12, 3), out=(at(15, 4, 3), at(27, 4, 3)))
    ops.update_and_normalize(at(0, 5, 4), at(20, 4), at(24, 4), torch.tensor(0), out=at(0, 5, 4))
    ops.discounted_return(at(0, 8), at(8, 8), gamma=0.5)


FOLDED = torch.zeros(20).as_strided((4, 3), (2, 1))
"""Rows of three elements that begin two elements apart."""
ROW = torch.zeros(3).as_strided((3,), (0,))

TARGETS = {
    "gae: `out[0]`": lambda: gae(out=(FOLDED, torch.zeros(4, 3))),
    "gae: `out[1]`": lambda: gae(out=(torch.zeros(4, 3), ROW.expand(4, 3))),
    "update_moments: `mean`": lambda: ops.update_moments(torch.ones(4, 3), ROW, torch.ones(3), torch.tensor(0)),
    "normalize: `out`": lambda: ops.normalize(torch.ones(4, 3), torch.zeros(3), torch.ones(3), out=FOLDED),
    "update_and_normalize: `var`": lambda: ops.update_and_normalize(
        torch.ones(4, 3), torch.zeros(3), ROW, torch.tensor(0)
    ),
    "discounted_return: `running`": lambda: ops.discounted_return(torch.ones(4, 3), FOLDED, gamma=0.5),
    "permutation: `out`": lambda: ops.permutation(3, seed=0, out=torch.zeros(1, dtype=torch.int64).expand(3)),
    "shuffle_rows: `out[0]`": lambda: ops.shuffle_rows([torch.ones(4, 3)], torch.arange(4), out=[FOLDED]),
}


@pytest.mark.parametrize("case", TARGETS)
def test_target_with_folded_memory_is_refused(case: str) -> None:
    """A view whose elements share memory cannot hold a result."""
    with pytest.raises(ValueError, match="is written to, so each element must have memory of its own") as raised:
        TARGETS[case]()
    assert str(raised.value).startswith(case)


def test_strided_targets_that_meet_are_refused() -> None:
    """Results that were computed aside are still written to two places: where these meet, one would be lost."""
    buffer = torch.zeros(4, 8)
    with pytest.raises(ValueError, match=r"gae: `out\[0\]` and `out\[1\]` are written to, so they must share"):
        gae(out=(buffer[:, 0:3], buffer[:, 2:5]))
    with pytest.raises(ValueError, match=r"shuffle_rows: `out\[0\]` and `out\[1\]` are written to"):
        ops.shuffle_rows([torch.ones(4, 3)] * 2, torch.arange(4), out=[buffer[:, 0:3], buffer[:, ::3]])
    assert not buffer.any()


def test_strided_targets_that_interleave_are_fine() -> None:
    """Columns of one buffer, alternating or side by side, share nothing."""
    expected = ops.gae(torch.ones(4, 3), torch.zeros(4, 3), torch.zeros(4, 3), torch.ones(3), gamma=0.9, lam=0.9)
    buffer = torch.zeros(4, 3, 2)
    for out in ((buffer[..., 0], buffer[..., 1]), buffer.view(4, 6).split(3, dim=1)):
        returns, advantages = ops.gae(
            torch.ones(4, 3), torch.zeros(4, 3), torch.zeros(4, 3), torch.ones(3), gamma=0.9, lam=0.9, out=out
        )
        assert torch.equal(returns, expected[0])
        assert torch.equal(advantages, expected[1])


def test_target_with_gaps_is_fine() -> None:
    """Every second of an odd number of columns: strides that do not divide each other, yet nothing is shared."""
    out = torch.zeros(4, 5)
    ops.normalize(torch.full((4, 3), 2.0), torch.zeros(3), torch.ones(3), eps=0.0, out=out[:, ::2])
    assert out.tolist() == [[2.0, 0.0, 2.0, 0.0, 2.0]] * 4


@pytest.mark.parametrize("implementation", [ops.gae, None], ids=["kernel", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terminal_values_count_at_time_outs_only(
    dtype: torch.dtype, implementation: Callable | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN in the rows of `terminal_values` that no time limit selects reaches nothing."""
    if implementation is None:
        monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    rewards, values, last_values = torch.ones(6, 70, dtype=dtype), torch.ones(6, 70, dtype=dtype), torch.ones(70)
    time_outs = torch.rand(6, 70, generator=torch.Generator().manual_seed(0)) < 0.3
    zero = torch.full_like(values, 3.0)
    results = [
        ops.gae(
            *(rewards, values, time_outs, last_values.to(dtype)),
            **{"gamma": 0.9, "lam": 0.9, "time_outs": time_outs, "terminal_values": terminal_values},
        )
        for terminal_values in (zero, zero.where(time_outs, torch.nan))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_normalize_under_forward_mode() -> None:
    """Tangents, per-sample maps and functional gradients go through `normalize`."""
    mean, var, x = torch.zeros(3), torch.full((3,), 4.0), torch.randn(5, 3)

    def function(x: torch.Tensor) -> torch.Tensor:
        return ops.normalize(x, mean, var, eps=0.0)

    half = torch.full((5, 3), 0.5)
    assert torch.equal(torch.func.jvp(function, (x,), (torch.ones(5, 3),))[1], half)
    assert torch.equal(torch.func.grad(lambda x: function(x).sum())(x), half)
    assert torch.equal(torch.func.vmap(function)(x[:, None])[:, 0], x / 2)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(x, torch.ones(5, 3)))).tangent
    assert tangent is not None
    assert torch.equal(tangent, half)


def test_other_operators_refuse_transforms() -> None:
    """An operator without a derivative does not pretend that it is zero."""

    def function(rewards: torch.Tensor) -> torch.Tensor:
        running = torch.zeros(4)
        ops.discounted_return(rewards, running, gamma=0.5)
        return running

    with pytest.raises(ValueError, match=r"^discounted_return: expected plain tensors, got a call under torch.func"):
        torch.func.jvp(function, (torch.ones(4),), (torch.ones(4),))


def test_permutation_compiles_once_for_all_offsets() -> None:
    """The offset that draws the next permutation is a symbol to the compiler, not a constant."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list) -> Callable:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    compiled = torch.compile(lambda offset: ops.permutation(33, seed=3, offset=offset), fullgraph=True, backend=backend)
    for offset in range(2, 14):
        assert torch.equal(compiled(offset), ops.permutation(33, seed=3, offset=offset))
    assert len(graphs) <= 2


SPARSE = torch.eye(4, 3).to_sparse()


@pytest.mark.parametrize(
    "call",
    [
        lambda: gae(rewards=SPARSE),
        lambda: ops.normalize(SPARSE, torch.zeros(3), torch.ones(3)),
        lambda: ops.update_moments(SPARSE, torch.zeros(3), torch.ones(3), torch.tensor(0)),
        lambda: ops.discounted_return(SPARSE, torch.zeros(4, 3), gamma=0.5),
        lambda: ops.shuffle_rows([SPARSE], torch.arange(4)),
    ],
)
def test_sparse_is_refused(call: Callable[[], object]) -> None:
    """The kernels read dense memory."""
    with pytest.raises(ValueError, match=r"must be a dense tensor \(torch.strided\), got torch.sparse_coo"):
        call()


def test_fallback_warning_fits_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reinstalling helps a device that has no kernels at all; meta tensors run nothing, so nothing is slow."""
    monkeypatch.setattr(_library, "_warned", set())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ops.normalize(torch.ones(4, 3, device="meta"), *torch.ones(2, 3, device="meta"))
    with pytest.warns(RuntimeWarning, match="on mps, which is slow: rslcore has kernels for cpu and cuda only.$"):
        _library.kernel("gae", torch.device("mps"))
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    with pytest.warns(RuntimeWarning, match="no such file. To mend it: reinstall rslcore .*`make clean build`"):
        _library.kernel("gae", torch.device("cpu"))


def test_library_that_fails_to_register_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose operators exist already is a reason for the fallback, not an error of the import."""

    def load_library(path: str) -> None:
        raise RuntimeError("registered twice")

    monkeypatch.setattr(torch.ops, "load_library", load_library)
    assert _library._load("rslcore") == "librslcore.so does not load: registered twice"


@pytest.mark.parametrize("implementation", ["kernel", "reference"])
def test_fields_without_rows(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names no range where there is none."""
    if implementation == "reference":
        monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    with pytest.raises(ValueError, match=r"^shuffle_rows: `fields` have no rows to take, got index\[0\] = 2$"):
        ops.shuffle_rows([torch.zeros(0, 3)], torch.tensor([2]))


def numpy_gae(**change: numpy.ndarray) -> None:
    """The raw NumPy binding of `gae` on [4, 3] with some arguments changed."""
    names = ("rewards", "values", "dones", "last_values", "time_outs", "terminal_values")
    arrays = {name: numpy.zeros((4, 3), numpy.float32) for name in (*names, "returns", "advantages")}
    arrays |= {name: numpy.zeros((4, 3), numpy.uint8) for name in ("dones", "time_outs")}
    arrays |= {"last_values": numpy.zeros(3, numpy.float32)} | change
    inputs = (arrays[name] for name in names)
    _numpy.gae(*inputs, 0.9, 0.9, False, arrays["returns"], arrays["advantages"])


def numpy_normalize(**change: numpy.ndarray) -> None:
    """The raw NumPy binding of `update_and_normalize` on [4, 3] with some arguments changed."""
    arrays = {name: numpy.ones(3, numpy.float32) for name in ("mean", "var")}
    arrays |= {name: numpy.ones((4, 3), numpy.float32) for name in ("x", "out")}
    arrays |= {"count": numpy.zeros((), numpy.int64)} | change
    _numpy.update_and_normalize(*(arrays[name] for name in ("x", "mean", "var", "count")), 0.01, None, arrays["out"])


ARRAY = numpy.zeros((4, 3), numpy.float32)


@pytest.mark.parametrize(
    ("call", "name"),
    [(numpy_gae, name) for name in ("rewards", "values", "dones", "last_values", "time_outs", "terminal_values")]
    + [(numpy_gae, name) for name in ("returns", "advantages")]
    + [(numpy_normalize, name) for name in ("x", "mean", "var", "count", "out")],
)
def test_raw_numpy_bindings_are_guarded(call: Callable[..., None], name: str) -> None:
    """Arrays of another size, dtype or layout are refused: never copied, never read out of bounds."""
    call()
    dtype = {"dones": numpy.uint8, "time_outs": numpy.uint8, "count": numpy.int64}.get(name, numpy.float32)
    with pytest.raises(ValueError, match="must have"):
        call(**{name: numpy.zeros(2, dtype)})
    with pytest.raises(TypeError, match="incompatible function arguments"):
        call(**{name: numpy.zeros((4, 3), numpy.int16)})
    with pytest.raises(TypeError, match="incompatible function arguments"):
        call(**{name: numpy.zeros((3, 4), dtype).T})


@pytest.mark.parametrize(
    "call",
    [
        lambda: numpy_gae(returns=ARRAY, advantages=ARRAY),
        lambda: numpy_gae(rewards=ARRAY, returns=ARRAY),
        lambda: numpy_normalize(mean=ARRAY[0], var=ARRAY[0]),
        lambda: numpy_normalize(mean=ARRAY[0], out=ARRAY),
    ],
)
def test_raw_numpy_bindings_refuse_shared_memory(call: Callable[[], None]) -> None:
    """The same as for tensors."""
    with pytest.raises(ValueError, match="share no memory"):
        call()
