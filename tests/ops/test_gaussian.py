# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.gaussian_sample`: the reference's actions and log-probabilities, and the operator contract."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

import rslcore.numpy as rn
from rslcore import ops
from rslcore.ops import _library, reference

SHAPES = [(0, 3), (3, 0), (1, 1), (7, 1), (1, 13), (97, 12), (64, 12), (1031, 5), (1024, 1), (5, 1024), (3, 2500)]
DTYPES = [torch.float32, torch.float64]
EXPECTED_FIRST = torch.tensor(
    [1.0144167654211471, 0.7510491842873149, -0.48968624584235404, -2.283827840159751, -0.6645757920765292],
    dtype=torch.float64,
)
EXPECTED_LAST = torch.tensor(
    [-0.6961170409605825, 0.7835185895601495, -0.6196456668784546, -0.11523186225485785, -0.5364212833746125],
    dtype=torch.float64,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(
    rows: int, columns: int, dtype: torch.dtype = torch.float32, std_rows: bool = False, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of some magnitude, and standard deviations from 0.05 to 2."""
    generator = torch.Generator().manual_seed(0)
    mean = 3 * torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    std = 0.05 + 2 * torch.rand(*((rows,) if std_rows else ()), columns, generator=generator, dtype=torch.float64)
    return mean.to(device, dtype), std.to(device, dtype)


def tolerance(dtype: torch.dtype) -> dict[str, float]:
    """A few units in the last place, relative and near 1."""
    return {"rtol": 2e-6, "atol": 2e-6} if dtype == torch.float32 else {"rtol": 1e-14, "atol": 1e-14}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("std_rows", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_reference(shape: tuple[int, int], dtype: torch.dtype, std_rows: bool, device: str) -> None:
    """The same random integers turned into the same actions and log-probabilities, for any key."""
    mean, std = make(*shape, dtype, std_rows, device)
    for seed, offset in [(0, 0), (-1, 2**40), (2**63 - 1, -(2**63))]:
        actions, log_prob = ops.gaussian_sample(mean, std, seed=seed, offset=offset)
        expected = torch.empty_like(actions), torch.empty_like(log_prob)
        reference.gaussian_sample(mean, std, None, seed, offset, None, *expected)
        torch.testing.assert_close(actions, expected[0], **tolerance(dtype))
        torch.testing.assert_close(log_prob, expected[1], rtol=1e-5 if dtype == torch.float32 else 1e-13, atol=1e-4)
        assert (actions.shape, log_prob.shape) == (mean.shape, mean.shape[:1])


def test_draws_do_not_change_between_versions() -> None:
    """A seed means the same noise for ever: a resumed run continues with it."""
    noise, _ = ops.gaussian_sample(torch.zeros(13, 5).double(), torch.ones(5).double(), seed=3, offset=7)
    torch.testing.assert_close(noise[0], EXPECTED_FIRST, rtol=1e-12, atol=0)
    torch.testing.assert_close(noise[12], EXPECTED_LAST, rtol=1e-12, atol=0)


def test_philox_words_by_hand() -> None:
    """Element e comes from word (e % 64) / 16 of block 16 (e / 64) + e % 16 of the published generator."""
    got, _ = ops.gaussian_sample(torch.zeros(40, 5).double(), torch.ones(5).double(), seed=2**40 + 3, offset=2**35 + 9)
    for e in (0, 1, 15, 16, 33, 63, 64, 100, 199):
        block, word = 16 * (e // 64) + e % 16, e % 64 // 16
        words = reference.philox((block, 2, 9, 2**3), (3, 2**8))
        u, angle = (words[word // 2 * 2] // 2 * 2 + 1) / 2**32, 2 * np.pi * words[word // 2 * 2 + 1] / 2**32
        expected = np.sqrt(-2 * np.log(u)) * (np.sin(angle) if word % 2 else np.cos(angle))
        assert got.flatten()[e].item() == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("std_rows", [False, True])
def test_log_prob_is_that_of_torch_distributions(std_rows: bool) -> None:
    """Of the action as returned, evaluated in float64; also where the mean swallows most digits of the noise."""
    for shift, tolerance in ((0.0, 2e-5), (300.0, 2e-5)):
        mean, std = make(500, 12, std_rows=std_rows)
        mean = mean + shift
        actions, log_prob = ops.gaussian_sample(mean, std, seed=5)
        law = torch.distributions.Normal(mean.double(), std.double())
        torch.testing.assert_close(log_prob.double(), law.log_prob(actions.double()).sum(-1), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_given_noise(dtype: torch.dtype) -> None:
    """With `noise` the actions are mean + std * noise, and the key does not matter."""
    mean, std = make(97, 12, dtype)
    noise = torch.randn(97, 12, dtype=dtype)
    actions, log_prob = ops.gaussian_sample(mean, std, seed=1, noise=noise)
    torch.testing.assert_close(actions, mean + std * noise, **tolerance(dtype))
    assert torch.equal(log_prob, ops.gaussian_sample(mean, std, seed=2, noise=noise)[1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_std_per_action_is_std_per_row_repeated(dtype: torch.dtype) -> None:
    """[A], its expansion and its copies [B, A] give the same bits."""
    mean, std = make(97, 12, dtype)
    results = [ops.gaussian_sample(mean, s, seed=1) for s in (std, std.expand(97, 12), std.repeat(97, 1))]
    for actions, log_prob in results[1:]:
        assert torch.equal(actions, results[0][0])
        assert torch.equal(log_prob, results[0][1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_std_gives_nan(bad: float, dtype: torch.dtype) -> None:
    """A standard deviation that is none makes the log-probability of its row NaN, of no other, in kernel and text."""
    mean, std = make(9, 4, dtype, std_rows=True)
    std[3, 2] = bad
    _, log_prob = ops.gaussian_sample(mean, std, seed=1)
    expected = torch.empty_like(mean), torch.empty_like(log_prob)
    reference.gaussian_sample(mean, std, None, 1, 0, None, *expected)
    for result in (log_prob, expected[1]):
        assert result.isnan().tolist() == [row == 3 for row in range(9)]


def test_offset_may_lie_on_the_device() -> None:
    """An int64 tensor counts as the integer in it, read when the kernel runs."""
    mean, std = make(33, 5)
    for offset in (0, 7, -3, 2**40):
        expected = ops.gaussian_sample(mean, std, seed=1, offset=offset)
        got = ops.gaussian_sample(mean, std, seed=1, offset=torch.tensor(offset))
        text = tuple(torch.empty_like(x) for x in got)
        reference.gaussian_sample(mean, std, None, 1, 0, torch.tensor(offset), *text)
        assert torch.equal(got[0], expected[0])
        assert torch.equal(got[1], expected[1])
        torch.testing.assert_close(text[0], got[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("column", [(), (1,)])
def test_out_is_written_and_returned(column: tuple[int, ...]) -> None:
    """Slots of a rollout buffer [T, N, A] and [T, N, 1] or [T, N] are written directly, and nothing beside them."""
    mean, std = make(33, 5)
    expected = ops.gaussian_sample(mean, std, seed=1)
    buffers = torch.full((3, 33, 5), 7.0), torch.full((3, 33, *column), 7.0)
    out = buffers[0][1], buffers[1][1]
    assert ops.gaussian_sample(mean, std, seed=1, out=out) is out
    assert torch.equal(buffers[0][1], expected[0])
    assert torch.equal(buffers[1][1].view(33), expected[1])
    assert all(bool((buffer[[0, 2]] == 7.0).all()) for buffer in buffers)


def test_strided_views() -> None:
    """Arguments and `out` may have any strides; nothing beside `out` changes."""
    mean, std = make(33, 5, std_rows=True)
    noise = torch.randn(33, 5)
    expected = ops.gaussian_sample(mean, std, seed=1, noise=noise)
    views = [torch.stack([x, torch.full_like(x, 9.0)], dim=-1)[..., 0] for x in (mean, std, noise)]
    views[0] = mean.t().contiguous().t()
    buffers = torch.full((33, 5, 2), 7.0), torch.full((33, 2), 7.0)
    ops.gaussian_sample(*views[:2], seed=1, noise=views[2], out=(buffers[0][..., 0], buffers[1][:, 0]))
    assert torch.equal(buffers[0][..., 0], expected[0])
    assert torch.equal(buffers[1][:, 0], expected[1])
    assert all(bool((buffer[..., 1] == 7.0).all()) for buffer in buffers)


MEAN, STD = torch.zeros(3, 4), torch.ones(4)
BAD = [
    ({"mean": [0.0]}, TypeError, "`mean` must be a torch Tensor, got list"),
    ({"mean": MEAN.half()}, TypeError, "`mean` must be float32 or float64, got float16"),
    ({"mean": torch.zeros(4)}, ValueError, "`mean` must be [B, A], got [4]"),
    ({"std": STD.double()}, TypeError, "`std` must be float32 like `mean`, got float64"),
    ({"std": 1.0}, TypeError, "`std` must be a torch Tensor, got float"),
    ({"std": torch.ones(3)}, ValueError, "`std` must be [4] or [3, 4] like `mean`, got [3]"),
    ({"std": torch.ones(4, 3)}, ValueError, "`std` must be [4] or [3, 4] like `mean`, got [4, 3]"),
    ({"std": torch.ones(4, device="meta")}, ValueError, "`std` must be on cpu like `mean`, got meta"),
    ({"noise": torch.zeros(4, 3)}, ValueError, "`noise` must be [3, 4] like `mean`, got [4, 3]"),
    ({"seed": 1.0}, TypeError, "`seed` must be an integer, got float"),
    ({"seed": 2**63}, ValueError, "`seed` must fit a signed 64-bit integer"),
    ({"offset": "0"}, TypeError, "`offset` must be an integer, got str"),
    ({"offset": torch.tensor(0.0)}, TypeError, "`offset` must be int64, got float32"),
    ({"offset": torch.tensor([0])}, ValueError, "`offset` must be [], got [1]"),
    ({"out": torch.zeros(3, 4)}, TypeError, "`out` must be the pair (actions, log_prob), got Tensor"),
    ({"out": (torch.zeros(4, 3), torch.zeros(3))}, ValueError, "`out[0]` must be [3, 4] like `mean`, got [4, 3]"),
    ({"out": (torch.zeros(3, 4), torch.zeros(3, 4))}, ValueError, "`out[1]` must be [3] or [3, 1], got [3, 4]"),
    ({"out": (torch.zeros(3, 4), torch.zeros(1, 3))}, ValueError, "`out[1]` must be [3] or [3, 1], got [1, 3]"),
    ({"mean": MEAN.clone().requires_grad_()}, ValueError, "`mean` requires a gradient, and gaussian_sample has none"),
    ({"std": STD.clone().requires_grad_()}, ValueError, "`std` requires a gradient, and gaussian_sample has none"),
    ({"mean": MEAN.to_sparse()}, ValueError, "`mean` must be a dense tensor (torch.strided)"),
    (
        {"out": (torch.zeros(1, 4).expand(3, 4), torch.zeros(3))},
        ValueError,
        "`out[0]` is written to, so each element must have memory of its own",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:50] for bad in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the outputs stay as they were."""
    out = torch.full((3, 4), 7.0), torch.full((3,), 7.0)
    arguments = {"mean": MEAN, "std": STD, "seed": 0, "out": out} | change
    with pytest.raises(error) as raised:
        ops.gaussian_sample(arguments.pop("mean"), arguments.pop("std"), **arguments)
    assert str(raised.value).startswith(f"gaussian_sample: {message}")
    assert all(bool((x == 7.0).all()) for x in out)


BUFFER = torch.full((40,), 7.0)
SHARED = {
    "actions, mean": {"mean": BUFFER[:12].view(3, 4), "out": (BUFFER[:12].view(3, 4), torch.zeros(3))},
    "actions, std": {"std": BUFFER[:4], "out": (BUFFER[2:14].view(3, 4), torch.zeros(3))},
    "actions, log_prob": {"out": (BUFFER[:12].view(3, 4), BUFFER[11:14])},
    "log_prob, noise": {"noise": BUFFER[:12].view(3, 4), "out": (torch.zeros(3, 4), BUFFER[11:14])},
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_memory_is_refused(case: str) -> None:
    """An `out` over an input or over itself would give a mixture: an error instead, and nothing is written."""
    arguments = {"mean": MEAN, "std": STD, "seed": 0} | SHARED[case]
    with pytest.raises(ValueError, match=r"^gaussian_sample: `out` must share no memory"):
        ops.gaussian_sample(arguments.pop("mean"), arguments.pop("std"), **arguments)
    assert bool((BUFFER == 7.0).all())


def test_parameters_are_fine_under_no_grad() -> None:
    """The learnable standard deviation of a policy goes in as it is where nothing asks for a gradient."""
    std = torch.nn.Parameter(torch.ones(4))
    with torch.no_grad():
        actions, log_prob = ops.gaussian_sample(MEAN, std, seed=0)
    assert not actions.requires_grad
    assert not log_prob.requires_grad
    with pytest.raises(ValueError, match=r"expected plain tensors, got a call under torch\.func"):
        torch.func.vmap(lambda mean: ops.gaussian_sample(mean, STD, seed=0)[1])(torch.zeros(2, 3, 4))


def test_autograd_notices_what_was_written() -> None:
    """A tensor that backward needs and the operator has written since is an error, not a wrong gradient."""
    saved = torch.ones(3, 4)
    y = torch.ones(3, 4, requires_grad=True) * saved
    ops.gaussian_sample(MEAN, STD, seed=0, out=(saved, torch.zeros(3)))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_fallback_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled library the public function gives the same."""
    mean, std = make(33, 5, torch.float64)
    expected = ops.gaussian_sample(mean, std, seed=1, offset=torch.tensor(3))
    monkeypatch.setattr(_library, "_compiled", {})
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    monkeypatch.setattr(_library, "_warned", {"cpu"})
    got = ops.gaussian_sample(mean, std, seed=1, offset=torch.tensor(3))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_same_bits_for_any_number_of_threads() -> None:
    """The cut into units follows from the shape alone."""
    mean, std = make(5003, 12)
    one = ops.gaussian_sample(mean, std, seed=1)
    torch.set_num_threads(3)
    three = ops.gaussian_sample(mean, std, seed=1)
    assert torch.equal(one[0], three[0])
    assert torch.equal(one[1], three[1])


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_simd_level_draws_the_same_numbers(level: str) -> None:
    """Lower levels differ by rounding only."""
    program = (
        "import numpy as np, rslcore.numpy as rn, sys; "
        "mean, std = np.zeros((999, 7), np.float32), np.ones(7, np.float32); "
        "sys.stdout.buffer.write(np.concatenate(rn.gaussian_sample(mean, std, seed=4), axis=None).tobytes())"
    )
    environment = {**os.environ, "RSLCORE_SIMD": level}
    output = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
    actions, log_prob = ops.gaussian_sample(torch.zeros(999, 7), torch.ones(7), seed=4)
    expected = torch.cat([actions.flatten(), log_prob]).numpy()
    np.testing.assert_allclose(np.frombuffer(output, np.float32), expected, rtol=1e-5, atol=1e-6)


def test_integers_of_numpy_are_integers() -> None:
    """Seeds and offsets may come out of an array."""
    expected = ops.gaussian_sample(MEAN, STD, seed=3, offset=4)[0]
    assert torch.equal(ops.gaussian_sample(MEAN, STD, seed=np.int64(3), offset=np.int32(4))[0], expected)


@pytest.mark.parametrize("counter", [None, torch.tensor(3)])
@pytest.mark.parametrize("std_rows", [False, True])
def test_opcheck(std_rows: bool, counter: torch.Tensor | None) -> None:
    """Schema, fake kernel and tracing of the raw operator agree with what it does."""
    mean, std = make(9, 4, std_rows=std_rows)
    args = (mean, std, None, 1, 2, counter, torch.empty(9, 4), torch.empty(9))
    torch.library.opcheck(torch.ops.rslcore.gaussian_sample.default, args)


RAW = {
    "mean": MEAN,
    "std": STD,
    "noise": None,
    "counter": None,
    "actions": torch.empty(3, 4),
    "log_prob": torch.empty(3),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": torch.zeros(3, 4, 1)}, r"`mean` must be \[B, A\], got 3 dimensions"),
        ({"std": torch.ones(3)}, "`std` must have 4 elements, got 3"),
        ({"std": torch.ones(4, 3)}, "`std` must have the shape of the other arguments"),
        ({"std": torch.ones(1, 1, 4)}, r"`std` must be \[A\] or \[B, A\], got 3 dimensions"),
        ({"std": STD.double()}, "`std` must be Float, got Double"),
        ({"noise": torch.ones(4, 3)}, "`noise` must have the shape of the other arguments"),
        ({"counter": torch.ones(1, dtype=torch.int64)}, r"`offset` must be \[\]"),
        ({"actions": torch.ones(4, 3).t()}, "must be contiguous"),
        ({"log_prob": torch.ones(4)}, "must have 3 elements, got 4"),
        ({"log_prob": torch.ones(1, 3)}, r"`log_prob` must be \[B\] or \[B, 1\]"),
    ],
)
def test_raw_operator_is_guarded(change: dict, message: str) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    raw = RAW | change
    mean, std, noise, counter, actions, log_prob = raw.values()
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.gaussian_sample(mean, std, noise, 0, 0, counter, actions, log_prob)


def test_compiles_once_for_all_offsets() -> None:
    """Under torch.compile(fullgraph=True) seed and offset are symbols, and results are those of the eager call."""
    torch._dynamo.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list) -> Callable:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    mean, std = make(9, 4)
    compiled = torch.compile(
        lambda offset: ops.gaussian_sample(mean, std, seed=3, offset=offset), fullgraph=True, backend=backend
    )
    for offset in range(2, 9):
        for got, expected in zip(compiled(offset), ops.gaussian_sample(mean, std, seed=3, offset=offset), strict=True):
            assert torch.equal(got, expected)
    assert len(graphs) <= 2


@pytest.mark.parametrize("std_rows", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("strided", [False, True])
def test_numpy_draws_the_same(dtype: torch.dtype, std_rows: bool, strided: bool) -> None:
    """`rslcore.numpy.gaussian_sample` gives the bits of the torch operator, for arrays of any layout."""
    mean, std = make(97, 12, dtype, std_rows)
    expected = ops.gaussian_sample(mean, std, seed=-3, offset=2**50)
    arrays = [np.repeat(x.numpy()[..., None], 2, axis=-1)[..., 0] if strided else x.numpy() for x in (mean, std)]
    out = (np.zeros((97, 24), arrays[0].dtype)[:, ::2], np.zeros((97, 1), arrays[0].dtype)) if strided else None
    got = rn.gaussian_sample(*arrays, seed=-3, offset=2**50, out=out)
    assert out is None or (got[0] is out[0] and got[1] is out[1])
    np.testing.assert_array_equal(got[0], expected[0].numpy())
    np.testing.assert_array_equal(got[1].reshape(97), expected[1].numpy())
    noise = np.ones((97, 12), arrays[0].dtype)
    given = ops.gaussian_sample(mean, std, seed=0, noise=torch.from_numpy(noise))
    np.testing.assert_array_equal(rn.gaussian_sample(*arrays, seed=0, noise=noise)[1], given[1].numpy())


def test_numpy_refuses_what_does_not_fit() -> None:
    """The messages are those of rslcore.ops; the raw binding guards itself."""
    from rslcore import _numpy

    mean, std = np.zeros((3, 4), np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=r"^gaussian_sample: `std` must be \[4\] or \[3, 4\] like `mean`, got \[3\]"):
        rn.gaussian_sample(mean, std[:3], seed=0)
    with pytest.raises(TypeError, match=r"^gaussian_sample: `offset` must be an integer, got float"):
        rn.gaussian_sample(mean, std, seed=0, offset=1.0)
    with pytest.raises(ValueError, match=r"^gaussian_sample: `out` must share no memory"):
        rn.gaussian_sample(mean, std, seed=0, out=(mean, np.zeros(3, np.float32)))
    with pytest.raises(ValueError, match="`log_prob` must have 3 elements, got 2"):
        _numpy.gaussian_sample(mean, std, None, 0, 0, mean.copy(), np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="incompatible function arguments"):
        _numpy.gaussian_sample(mean, std.astype(np.float64), None, 0, 0, mean.copy(), np.zeros(3, np.float32))


def test_an_expanded_std_of_other_rows_is_refused() -> None:
    """One row that stands for B others is as wrong as B others, where the mean has another B."""
    with pytest.raises(ValueError, match=r"`std` must be \[2\] or \[3, 2\] like `mean`, got \[5, 2\]"):
        ops.gaussian_sample(torch.zeros(3, 2), torch.ones(2).expand(5, 2), seed=0)


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("given_noise", [False, True])
@pytest.mark.parametrize("std_rows", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (4099, 1), (4096, 12), (1009, 37), (3, 5000)])
def test_cuda(shape: tuple[int, int], std_rows: bool, given_noise: bool, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def arguments(device: str) -> tuple[torch.Tensor, ...]:
        mean, std = make(*shape, std_rows=std_rows, device=device)
        return mean, std, torch.tensor(5, device=device), torch.sin(mean)

    def call(mean: torch.Tensor, std: torch.Tensor, offset: torch.Tensor, noise: torch.Tensor) -> tuple:
        return ops.gaussian_sample(mean, std, seed=3, offset=offset, noise=noise if given_noise else None)

    check(arguments, call)


@pytest.mark.gpu
def test_cuda_beyond_31_bits() -> None:
    """More than 2^31 elements: the last ones are those of the reference."""
    rows = 2**28 + 3
    if torch.cuda.get_device_properties(0).total_memory < 40 * 2**30:
        pytest.skip("needs 40 GiB of GPU memory")
    mean, std = torch.zeros(rows, 8, device="cuda"), torch.ones(8, device="cuda")
    actions, _ = ops.gaussian_sample(mean, std, seed=3, out=(torch.empty_like(mean), torch.empty(rows, device="cuda")))
    first = (rows * 8 - 128) // 64 * 64
    block = torch.arange(first // 4, first // 4 + 16)
    words = reference.philox((block, 2, 0, 0), (3, 0))
    radius = (-2 * (((words[0] >> 1).double() + 0.5) * 2.0**-31).log()).sqrt()
    expected = radius * (words[1].double() * (2 * np.pi / 2**32)).cos()
    torch.testing.assert_close(actions.flatten()[first : first + 16].cpu().double(), expected, rtol=1e-5, atol=1e-5)
