# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.split_trajectories`, `pad_trajectories`, `unpad_trajectories`, `gather_hidden_states`: laws and contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from _gpu import DEVICES

from rslcore import ops
from rslcore.ops import _library, reference

SHAPES = [(1, 1), (1, 7), (7, 1), (5, 3), (24, 33), (3, 513), (129, 2), (13, 1031)]
PROBABILITIES = [0.0, 0.2, 1.0]
DTYPES = [
    *(torch.bool, torch.uint8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["kernel", "reference"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The compiled operators, then the plain-torch ones behind the same functions."""
    if request.param == "reference":
        monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    return request.param


def random_dones(num_steps: int, num_envs: int, probability: float = 0.2) -> torch.Tensor:
    """Flags that are set with a probability."""
    generator = torch.Generator().manual_seed(num_steps * 10007 + num_envs)
    return torch.rand(num_steps, num_envs, generator=generator) < probability


def random_data(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Small integers in any dtype."""
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=generator).to(dtype)


def walked(dones: torch.Tensor) -> list[tuple[int, int, int]]:
    """Environment, first step and length of all trajectories, found step by step."""
    found = []
    for n in range(dones.shape[1]):
        first = 0
        for t in range(dones.shape[0]):
            if bool(dones[t, n]) or t + 1 == dones.shape[0]:
                found.append((n, first, t + 1 - first))
                first = t + 1
    return found


def cut(dones: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Starts and lengths of the K trajectories."""
    split = ops.split_trajectories(dones)
    count = int(split.offsets[-1])
    return split.starts[:count], split.lengths[:count]


def test_hand_computed() -> None:
    """Environment 0 ends on step 1 of 3, environment 1 with the rollout: trajectories of 2, 1 and 3 steps."""
    dones = torch.tensor([[0, 0], [1, 0], [0, 1]])
    split = ops.split_trajectories(dones)
    assert split.starts.tolist() == [0, 4, 1, 0, 0, 0]
    assert split.lengths.tolist() == [2, 1, 3, 0, 0, 0]
    assert split.offsets.tolist() == [0, 2, 3]
    x = torch.tensor([[1, 10], [2, 20], [3, 30]])
    padded = ops.pad_trajectories(x, split.starts[:3], split.lengths[:3])
    assert padded.tolist() == [[1, 3, 10], [2, 0, 20], [0, 0, 30]]
    assert torch.equal(ops.unpad_trajectories(padded, split.starts[:3], split.lengths[:3], num_envs=2), x)


@pytest.mark.parametrize("probability", PROBABILITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_split_finds_every_trajectory(shape: tuple[int, int], probability: float, implementation: str) -> None:
    """Environment by environment, one ends where an episode or the rollout does; zeros follow the last."""
    num_steps, num_envs = shape
    dones = random_dones(*shape, probability)
    split = ops.split_trajectories(dones)
    expected = walked(dones)
    count = int(split.offsets[-1])
    steps, envs = split.starts[:count] // num_envs, split.starts[:count] % num_envs
    assert list(zip(envs.tolist(), steps.tolist(), split.lengths[:count].tolist(), strict=True)) == expected
    assert not split.starts[count:].any() and not split.lengths[count:].any()
    first = [sum(n < env for n, _, _ in expected) for env in (0, num_envs // 2, num_envs)]
    assert split.offsets[[0, num_envs // 2, num_envs]].tolist() == first
    assert split.starts.shape == split.lengths.shape == (num_steps * num_envs,)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_split(shape: tuple[int, int], implementation: str) -> None:
    """A rollout without a step has no trajectory; it pads to nothing, and nothing unpads to it."""
    split = ops.split_trajectories(torch.zeros(shape))
    assert split.offsets.tolist() == [0] * (shape[1] + 1)
    x = torch.zeros(*shape, 5)
    padded = ops.pad_trajectories(x, split.starts, split.lengths)
    assert padded.shape == (shape[0], 0, 5)
    assert ops.unpad_trajectories(padded, split.starts, split.lengths, num_envs=shape[1]).shape == x.shape


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32])
def test_dones_of_any_dtype_and_layout(dtype: torch.dtype) -> None:
    """Flags of every dtype, with or without a last dimension, in any strides: what is not zero is set."""
    dones = random_dones(9, 6)
    expected = ops.split_trajectories(dones)
    flags = (dones.to(dtype) * 2).to(dtype)
    views = [flags, flags[..., None], torch.stack([flags, flags], dim=2)[..., 1], flags.t().contiguous().t()]
    for view in views:
        for got, reference_result in zip(ops.split_trajectories(view), expected, strict=True):
            assert torch.equal(got, reference_result)


def test_split_into_out() -> None:
    """`out` is written and returned, strided or not, and nothing beside it."""
    dones = random_dones(9, 6)
    buffer = torch.full((3, 54, 2), -1)
    out = ops.Trajectories(buffer[0, :, 0], buffer[1, :, 0], buffer[2, :7, 1])
    assert ops.split_trajectories(dones, out=out) is out
    for got, expected in zip(out, ops.split_trajectories(dones), strict=True):
        assert torch.equal(got, expected)
    assert bool((buffer[:2, :, 1] == -1).all())


@pytest.mark.parametrize("row", [(), (1,), (3,), (0,), (5, 7), (2, 0, 3), (48,)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_dtype_and_row_shape(dtype: torch.dtype, row: tuple[int, ...]) -> None:
    """Step l of trajectory k stands at [l, k], zeros behind it; unpadding brings the rollout back."""
    dones = random_dones(7, 5)
    x = random_data(7, 5, *row, dtype=dtype)
    starts, lengths = cut(dones)
    padded = ops.pad_trajectories(x, starts, lengths)
    expected = torch.zeros(7, starts.shape[0], *row, dtype=dtype)
    for k, (n, first, length) in enumerate(walked(dones)):
        expected[:length, k] = x[first : first + length, n]
    assert padded.dtype == dtype
    assert torch.equal(padded, expected)
    assert torch.equal(ops.unpad_trajectories(padded, starts, lengths, num_envs=5), x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("probability", PROBABILITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_are_the_reference(shape: tuple[int, int], probability: float, device: str) -> None:
    """Over awkward sizes, all trajectories, a part of them, and those without steps behind the last."""
    num_steps, num_envs = shape
    split = ops.split_trajectories(random_dones(*shape, probability).to(device))
    count = int(split.offsets[-1])
    for part in (slice(0, count), slice(count // 3, count // 2 + 1), slice(None)):
        starts, lengths = split.starts[part], split.lengths[part]
        x = random_data(*shape, 3).to(device)
        padded = random_data(num_steps, starts.shape[0], 3).to(device)
        assert torch.equal(ops.pad_trajectories(x, starts, lengths), reference.pad_trajectories(x, starts, lengths))
        got = ops.unpad_trajectories(padded, starts, lengths, num_envs=num_envs)
        assert torch.equal(got, reference.unpad_trajectories(padded, starts, lengths, num_envs))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 200])
def test_any_number_of_bytes_and_alignment(size: int) -> None:
    """Rows of any size that start anywhere in memory; nothing beside the result is written."""
    starts, lengths = cut(random_dones(5, 3))
    for skew in (0, 1, 4):
        x = random_data(15 * size + skew, dtype=torch.uint8)[skew:].view(5, 3, size)
        buffer = torch.full((5 * starts.shape[0] * size + skew,), 255, dtype=torch.uint8)
        out = buffer[skew:].view(5, -1, size)
        assert ops.pad_trajectories(x, starts, lengths, out=out) is out
        assert torch.equal(out, reference.pad_trajectories(x, starts, lengths))
        assert bool((buffer[:skew] == 255).all())
        back = torch.full_like(x, 255)
        assert ops.unpad_trajectories(out, starts, lengths, num_envs=3, out=back) is back
        assert torch.equal(back, x)


def test_strided_views() -> None:
    """Data and `out` may be views with any strides, conjugated ones included; nothing beside `out` changes."""
    starts, lengths = cut(random_dones(6, 4))
    count = starts.shape[0]
    views = [
        torch.randn(6, 4, 10)[..., ::2],
        torch.randn(4, 6, 5).transpose(0, 1),
        torch.randn(5).expand(6, 4, 5),
        torch.randn(6, 4, 5, dtype=torch.complex64).conj(),
    ]
    spaced = torch.stack([starts, lengths], dim=1)
    for x in views:
        buffer = torch.full((6, count, 3, 5), -1, dtype=x.dtype)
        ops.pad_trajectories(x, spaced[:, 0], spaced[:, 1], out=buffer[:, :, 1])
        assert torch.equal(buffer[:, :, 1], reference.pad_trajectories(x, starts, lengths))
        assert bool((buffer[:, :, ::2] == -1).all())
        back = torch.full((6, 4, 5, 2), -1, dtype=x.dtype)
        ops.unpad_trajectories(buffer[:, :, 1], starts, lengths, num_envs=4, out=back[..., 0])
        assert torch.equal(back[..., 0], x)
        assert bool((back[..., 1] == -1).all())


@pytest.mark.parametrize("differentiable", [False, True])
def test_gradients(differentiable: bool, implementation: str) -> None:
    """Padding and unpadding are linear and each other's transpose: gradients of the first and second order."""
    dones = random_dones(5, 3)
    starts, lengths = cut(dones)
    part = slice(1, 4) if differentiable else slice(None)
    starts, lengths = starts[part], lengths[part]
    x = torch.randn(5, 3, 2, dtype=torch.float64, requires_grad=True)
    padded = torch.randn(5, starts.shape[0], 2, dtype=torch.float64, requires_grad=True)

    def pad(x: torch.Tensor) -> torch.Tensor:
        return ops.pad_trajectories(x, starts, lengths)

    def unpad(x: torch.Tensor) -> torch.Tensor:
        return ops.unpad_trajectories(x, starts, lengths, num_envs=3)

    assert torch.autograd.gradcheck(pad, (x,))
    assert torch.autograd.gradcheck(unpad, (padded,))
    assert torch.autograd.gradgradcheck(lambda x: pad(x) ** 2, (x,))
    assert torch.autograd.gradgradcheck(lambda x: unpad(x) ** 2, (padded,))


def test_functional_transforms() -> None:
    """torch.func differentiates both functions and maps them over a batch."""
    starts, lengths = cut(random_dones(5, 3))
    x = torch.randn(5, 3, 2)

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return ops.unpad_trajectories(ops.pad_trajectories(x, starts, lengths) * 2, starts, lengths, num_envs=3)

    assert torch.equal(torch.func.grad(lambda x: there_and_back(x).sum())(x), torch.full_like(x, 2))
    assert torch.equal(torch.func.jvp(there_and_back, (x,), (x,))[1], 2 * x)
    assert torch.equal(torch.func.vmap(there_and_back)(torch.stack([x, -x])), torch.stack([2 * x, -2 * x]))


@pytest.mark.parametrize("layers", [1, 3])
def test_hidden_states_at_starts(layers: int) -> None:
    """Row [layer, k] of the result is the state of layer and environment before trajectory k's first step."""
    dones = random_dones(7, 5)
    starts, _ = cut(dones)
    h, c = random_data(7, layers, 5, 4), random_data(7, layers, 5, 6, dtype=torch.float64)
    for state, got in zip((h, c), ops.gather_hidden_states((h, c), starts, num_envs=5), strict=True):
        expected = torch.stack([state[first, :, n] for n, first, _ in walked(dones)], dim=1)
        assert got.is_contiguous()
        assert torch.equal(got, expected)
    assert ops.gather_hidden_states((), starts, num_envs=5) == ()


GOOD = {
    "x": torch.zeros(4, 3, 2),
    "starts": torch.tensor([0, 1, 2]),
    "lengths": torch.tensor([4, 4, 4]),
}
BAD_PADS = [
    ({"x": [1.0]}, TypeError, "`x` must be a torch Tensor, got list"),
    ({"x": torch.zeros(4)}, ValueError, "`x` must be [T, N, ...], got [4]"),
    ({"starts": torch.zeros(3)}, TypeError, "`starts` must be int64, got float32"),
    ({"starts": torch.zeros(3, 1).long()}, ValueError, "`starts` must be [K], got [3, 1]"),
    ({"lengths": torch.zeros(3).int()}, TypeError, "`lengths` must be int64, got int32"),
    ({"lengths": torch.zeros(2).long()}, ValueError, "`lengths` must be [3] like `starts`, got [2]"),
    ({"lengths": torch.zeros(3, device="meta").long()}, ValueError, "`lengths` must be on cpu like `x`, got meta"),
    ({"starts": torch.tensor([0, 1, 12])}, ValueError, "in the order of split_trajectories, got starts[2] = 12"),
    ({"starts": torch.tensor([-1, 1, 2])}, ValueError, "got starts[0] = -1, lengths[0] = 4"),
    ({"starts": torch.tensor([0, 0, 2])}, ValueError, "got starts[1] = 0, lengths[1] = 4"),
    ({"starts": torch.tensor([0, 2, 1])}, ValueError, "got starts[2] = 1, lengths[2] = 4"),
    ({"lengths": torch.tensor([4, 5, 4])}, ValueError, "of a rollout [4, 3] in the order of split_trajectories"),
    ({"lengths": torch.tensor([4, 4, -1])}, ValueError, "got starts[2] = 2, lengths[2] = -1"),
    ({"out": torch.zeros(4, 2, 2)}, ValueError, "`out` must be [4, 3, 2], got [4, 2, 2]"),
    ({"out": torch.zeros(4, 3, 2).double()}, TypeError, "`out` must be float32 like `x`, got float64"),
    ({"out": 1}, TypeError, "`out` must be a torch Tensor, got int"),
    ({"out": GOOD["x"]}, ValueError, "`out` must share no memory with the other arguments, got an overlap"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_PADS, ids=[bad[2][:40] for bad in BAD_PADS])
@pytest.mark.parametrize("op", ["pad_trajectories", "unpad_trajectories"])
def test_bad_input_is_named_and_nothing_written(op: str, change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the result stays as it was."""
    arguments = {"out": torch.full((4, 3, 2), 7.0), **GOOD, **change}
    out = arguments["out"]
    before = out.clone() if isinstance(out, torch.Tensor) else out
    if op == "unpad_trajectories":
        arguments["num_envs"] = 3
        arguments["padded"] = arguments.pop("x")
        message = message.replace("`x`", "`padded`").replace("[T, N, ...]", "[T, K, ...]")
    with pytest.raises(error) as raised:
        getattr(ops, op)(arguments.pop("x", arguments.pop("padded", None)), **arguments)
    assert str(raised.value).startswith(f"{op}: ")
    assert message in str(raised.value)
    assert before is out or torch.equal(before, out)


@pytest.mark.parametrize("starts", [[0, 1, 12], [-1, 1, 2], [0, 0, 2], [0, 2, 1], [3, 1, 2]], ids=str)
@pytest.mark.parametrize("op", ["pad_trajectories", "unpad_trajectories"])
def test_reference_refuses_what_the_kernels_refuse(op: str, starts: list[int]) -> None:
    """Trajectories that leave the rollout, overlap or are out of order: the fallback says the same."""
    messages = []
    sizes = {"num_envs": 3} if op == "unpad_trajectories" else {}
    for function in (getattr(ops, op), getattr(reference, op)):
        with pytest.raises(ValueError, match=f"^{op}: `starts` and `lengths` must be trajectories of") as raised:
            function(GOOD["x"], torch.tensor(starts), GOOD["lengths"], **sizes)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_other_bad_input_is_named() -> None:
    """The same for what only one of the functions takes."""
    starts, lengths = GOOD["starts"], GOOD["lengths"]
    padded = torch.zeros(4, 3, 2)
    for call, error, message in [
        (lambda: ops.split_trajectories(torch.zeros(3)), ValueError, "`dones` must be [T, N] or [T, N, 1], got [3]"),
        (lambda: ops.split_trajectories([0]), TypeError, "`dones` must be a torch Tensor, got list"),
        (lambda: ops.split_trajectories(torch.zeros(2, 3).double()), TypeError, "`dones` must be bool or uint8"),
        (lambda: ops.split_trajectories(torch.zeros(2, 3), out=starts), TypeError, "`out` must be (starts, lengths"),
        (
            lambda: ops.split_trajectories(torch.zeros(2, 3), out=(torch.zeros(6).long(),) * 3),
            *(ValueError, "`out.offsets` must be [4], got [6]"),
        ),
        (
            lambda: ops.split_trajectories(torch.zeros(1, 3), out=(starts, starts, torch.zeros(4).long())),
            *(ValueError, "must share no memory"),
        ),
        (
            lambda: ops.unpad_trajectories(padded, starts[:2], lengths[:2], num_envs=3),
            *(ValueError, "`starts` must be [3] like `padded`, got [2]"),
        ),
        (
            lambda: ops.unpad_trajectories(padded, starts, lengths, num_envs=3.0),
            *(TypeError, "`num_envs` must be an integer, got float"),
        ),
        (
            lambda: ops.unpad_trajectories(padded, starts, lengths, num_envs=-1),
            *(ValueError, "`num_envs` must be in [0, inf], got -1"),
        ),
        (
            lambda: ops.gather_hidden_states([torch.zeros(4, 1, 2, 5)], starts, num_envs=3),
            *(ValueError, "`states[0]` must be [T, layers, 3, ...], got [4, 1, 2, 5]"),
        ),
        (
            lambda: ops.gather_hidden_states([torch.zeros(4, 1, 3, 5), torch.zeros(4, 2, 3, 5)], starts, num_envs=3),
            *(ValueError, "`states[1]` must be [4, 1, 3] and more like `states[0]`, got [4, 2, 3, 5]"),
        ),
        (
            lambda: ops.gather_hidden_states([torch.zeros(4, 1, 3, 5)], torch.tensor([1, 12]), num_envs=3),
            *(ValueError, "`starts` must be rows of a rollout [4, 3], got starts[1] = 12"),
        ),
        (
            lambda: ops.gather_hidden_states([torch.zeros(4, 1, 3, 5, requires_grad=True)], starts, num_envs=3),
            *(ValueError, "`states[0]` requires a gradient"),
        ),
        (
            lambda: ops.pad_trajectories(padded.clone().requires_grad_(), starts, lengths, out=padded),
            *(ValueError, "`x` requires a gradient"),
        ),
    ]:
        with pytest.raises(error) as raised:
            call()
        assert message in str(raised.value)


FOLDED = torch.zeros(40).as_strided((4, 3, 2), (4, 1, 1))
"""Rows of two elements that begin one element apart."""


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.pad_trajectories(*GOOD.values(), out=FOLDED),
        lambda: ops.unpad_trajectories(*GOOD.values(), num_envs=3, out=FOLDED),
        lambda: ops.split_trajectories(
            torch.zeros(4, 3), out=(torch.zeros(1).long().expand(12), torch.zeros(12).long(), torch.zeros(4).long())
        ),
    ],
)
def test_target_with_folded_memory_is_refused(call: Callable[[], object]) -> None:
    """A view whose elements share memory cannot hold a result."""
    with pytest.raises(ValueError, match=r"_trajectories: `out.*memory of its own"):
        call()
    assert not FOLDED.any()


def test_sparse_is_refused() -> None:
    """The kernels read dense memory."""
    with pytest.raises(ValueError, match="`x` must be a dense tensor"):
        ops.pad_trajectories(GOOD["x"].to_sparse(), GOOD["starts"], GOOD["lengths"])


def test_autograd_notices_what_was_written() -> None:
    """A tensor that backward needs and an operator has written since is an error, not a wrong gradient."""
    saved = torch.ones(4, 3, 2)
    y = torch.ones(4, 3, 2, requires_grad=True) * saved
    ops.pad_trajectories(*GOOD.values(), out=saved)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("op", "arguments", "message"),
    [
        ("split_trajectories", (torch.zeros(3).byte(), *(torch.zeros(4).long(),) * 3), "`dones` must be"),
        (
            "split_trajectories",
            (torch.zeros(1, 3).byte(), *(torch.zeros(3).long() for _ in range(3))),
            "`offsets` must have 4",
        ),
        ("pad_trajectories", (torch.zeros(4), GOOD["starts"], GOOD["lengths"]), "must have|must be"),
        ("pad_trajectories", (GOOD["x"], GOOD["starts"], GOOD["lengths"][:2]), "`lengths` must have 3 elements"),
        ("pad_trajectories", (GOOD["x"].transpose(0, 1), GOOD["starts"], GOOD["lengths"]), "`x` must be contiguous"),
        ("pad_trajectories_out", (*GOOD.values(), torch.zeros(4, 2, 2)), "`out` must have 24 elements, got 16"),
        ("unpad_trajectories", (torch.zeros(4, 2), GOOD["starts"], GOOD["lengths"], 3), r"`padded` must be \[T, 3"),
        ("unpad_trajectories", (*GOOD.values(), -1), "`num_envs` must be >= 0, got -1"),
        ("unpad_trajectories_out", (*GOOD.values(), 3, torch.zeros(4, 3)), "`out` must have 24 elements, got 12"),
    ],
)
def test_raw_operators_are_guarded(op: str, arguments: tuple, message: str) -> None:
    """A direct call of a raw operator with what does not fit raises; it never reads or writes out of bounds."""
    with pytest.raises(RuntimeError, match=message):
        getattr(torch.ops.rslcore, op)(*arguments)


def test_opcheck() -> None:
    """Schema, fake kernel, autograd and tracing of the raw operators agree with what they do."""
    dones = random_dones(7, 5).byte()
    split = ops.split_trajectories(dones)
    starts, lengths = cut(dones)
    x, padded = torch.randn(7, 5, 3), torch.randn(7, starts.shape[0], 3)
    raw = torch.ops.rslcore
    torch.library.opcheck(raw.split_trajectories.default, (dones, *(torch.empty_like(part) for part in split)))
    for wants_grad in (False, True):
        data = x.clone().requires_grad_(wants_grad)
        torch.library.opcheck(raw.pad_trajectories.default, (data, starts, lengths))
        data = padded.clone().requires_grad_(wants_grad)
        torch.library.opcheck(raw.unpad_trajectories.default, (data, starts, lengths, 5))
    torch.library.opcheck(raw.pad_trajectories_out.default, (x, starts, lengths, torch.empty_like(padded)))
    torch.library.opcheck(raw.unpad_trajectories_out.default, (padded, starts, lengths, 5, torch.empty_like(x)))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_break(backend: str) -> None:
    """torch.compile(fullgraph=True) gives the eager result and gradient: no shape depends on the dones."""

    def function(x: torch.Tensor, h: torch.Tensor, dones: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        starts, lengths, _ = ops.split_trajectories(dones)
        padded = ops.pad_trajectories(x, starts, lengths)
        (states,) = ops.gather_hidden_states([h], starts, num_envs=3)
        return ops.unpad_trajectories(padded.tanh(), starts, lengths, num_envs=3), states + 1

    compiled = torch.compile(function, fullgraph=True, backend=backend)
    for probability in PROBABILITIES:
        x, h, dones = torch.randn(5, 3, 2, requires_grad=True), torch.randn(5, 1, 3, 4), random_dones(5, 3, probability)
        expected, got = function(x, h, dones), compiled(x, h, dones)
        for result, reference_result in zip(got, expected, strict=True):
            torch.testing.assert_close(result, reference_result)
        gradients = [torch.autograd.grad(y.sum(), x)[0] for y in (got[0], expected[0])]
        torch.testing.assert_close(*gradients)


def test_threads_do_not_change_bits() -> None:
    """One thread or several: the same trajectories, padded and back."""
    dones = random_dones(24, 5003)
    x = torch.randn(24, 5003, 7)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        split = ops.split_trajectories(dones)
        starts, lengths = cut(dones)
        padded = ops.pad_trajectories(x, starts, lengths)
        results.append((*split, padded, ops.unpad_trajectories(padded, starts, lengths, num_envs=5003)))
    assert torch.equal(results[0][-1], x)
    for others in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(others, results[0], strict=True))


def test_targets_that_meet_and_sizes_that_overflow_are_refused() -> None:
    """Strided targets on each other, sizes beyond 64 bits, and lists of trajectories that are no list."""
    shared = torch.zeros(24, dtype=torch.int64)[::2]
    with pytest.raises(
        ValueError, match=r"`out.starts` and `out.lengths` are written to, so they must share no memory"
    ):
        ops.split_trajectories(
            torch.ones(4, 3), out=ops.Trajectories(shared, shared, torch.zeros(4, dtype=torch.int64))
        )
    one = torch.ones(1, dtype=torch.int64)
    raw = torch.ops.rslcore.unpad_trajectories_out
    with pytest.raises(RuntimeError, match=r"`num_envs` must leave fewer than 2\^63 elements, got 4611686018427387905"):
        raw(torch.zeros(4, 1, 2), 0 * one, one, 2**62 + 1, torch.zeros(4, 2))
    with pytest.raises(RuntimeError, match=r"`starts` and `lengths` must be \[K\], got 2 and 1 dimensions"):
        torch.ops.rslcore.pad_trajectories(torch.zeros(4, 1, 2), one[None], one)
