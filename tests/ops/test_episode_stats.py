# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.episode_stats`: sums per episode and the ring of finished ones, as a loop over environments has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

import rslcore.numpy as rn
from rslcore import ops
from rslcore.ops import _library

ENVS = [0, 1, 2, 97, 4095, 4096, 4097, 9001]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class ByHand:
    """The definition: a loop over environments, and a list of everything that finished."""

    def __init__(self, num_envs: int, rows: int) -> None:
        self.running = torch.zeros(rows, num_envs)
        self.finished: list[list[float]] = []

    def step(self, rewards: torch.Tensor, dones: torch.Tensor, intrinsic: torch.Tensor | None) -> None:
        """One step of all environments."""
        for n in range(len(rewards)):
            self.running[0, n] += 1
            self.running[1, n] += rewards[n] if intrinsic is None else rewards[n] + intrinsic[n]
            if intrinsic is not None:
                self.running[2, n] += rewards[n]
                self.running[3, n] += intrinsic[n]
            if dones[n] != 0:
                self.finished.append(self.running[:, n].tolist())
                self.running[:, n] = 0


def state(
    num_envs: int, rows: int, window: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Running sums, ring and count of a fresh start; the ring is filled with what nobody may see."""
    running = torch.zeros(rows, num_envs, dtype=dtype, device=device)
    finished = torch.full((window, rows), -7.0, dtype=dtype, device=device)
    return running, finished, torch.tensor(0, device=device)


def last(finished: torch.Tensor, count: torch.Tensor) -> list[list[float]]:
    """The rows of the ring, oldest first."""
    total, window = int(count), finished.shape[0]
    return [finished[number % window].tolist() for number in range(max(total - window, 0), total)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("intrinsic", [False, True])
@pytest.mark.parametrize("probability", [0.0, 0.02, 0.6, 1.0])
@pytest.mark.parametrize("num_envs", [1, 7, 300])
def test_equals_the_loop(num_envs: int, probability: float, intrinsic: bool, device: str) -> None:
    """Sums exactly, episodes in their order, more and fewer than fit the ring, one step after the other."""
    rows = 4 if intrinsic else 2
    by_hand = ByHand(num_envs, rows)
    running, finished, count = state(num_envs, rows, 20, device=device)
    generator = torch.Generator().manual_seed(num_envs)
    for _ in range(6):
        rewards = torch.randn(num_envs, generator=generator)
        extra = torch.randn(num_envs, generator=generator) if intrinsic else None
        dones = torch.rand(num_envs, generator=generator) < probability
        by_hand.step(rewards, dones, extra)
        ops.episode_stats(
            *(rewards.to(device), dones.to(device), running, finished, count),
            intrinsic_rewards=None if extra is None else extra.to(device),
        )
        assert int(count) == len(by_hand.finished)
        assert last(finished.cpu(), count.cpu()) == by_hand.finished[-20:]
        assert torch.equal(running.cpu(), by_hand.running)


def test_order_within_a_step_is_that_of_the_environments() -> None:
    """Three episodes that end on one step enter the ring by environment; the ring goes round; lengths are counted."""
    running, finished, count = state(5, 2, 4)
    ops.episode_stats(torch.tensor([1.0, 2, 3, 4, 5]), torch.zeros(5), running, finished, count)
    ops.episode_stats(torch.ones(5), torch.tensor([True, False, True, False, True]), running, finished, count)
    assert finished.tolist() == [[2, 2], [2, 4], [2, 6], [-7, -7]]
    assert running.tolist() == [[0, 2, 0, 2, 0], [0, 3, 0, 5, 0]]
    ops.episode_stats(torch.ones(5), torch.tensor([1, 1, 0, 0, 0]), running, finished, count)
    assert finished.tolist() == [[3, 4], [2, 4], [2, 6], [1, 1]]
    assert int(count) == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("intrinsic", [False, True])
@pytest.mark.parametrize("num_envs", ENVS)
def test_equals_the_reference(
    num_envs: int, intrinsic: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain-torch text gives the same bits, through the public function, for tiles and what is left of them."""
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(_library, "_compiled", {})
            monkeypatch.setitem(_library.errors, "cpu", "no such file")
            monkeypatch.setattr(_library, "_warned", {"cpu"})
        buffers = state(num_envs, 4 if intrinsic else 2, 30, dtype)
        generator = torch.Generator().manual_seed(0)
        for probability in (0.3, 0.001, 1.0):
            rewards, extra = torch.randn(2, num_envs, generator=generator, dtype=dtype)
            dones = torch.rand(num_envs, generator=generator) < probability
            ops.episode_stats(rewards, dones, *buffers, intrinsic_rewards=extra if intrinsic else None)
        results.append(buffers)
    for got, expected in zip(*results, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("column", [(), (1,)])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32], ids=str)
def test_dones_of_any_dtype(dtype: torch.dtype, column: tuple[int, ...]) -> None:
    """Set where not zero, for every dtype that environments use, as [N] or [N, 1]."""
    dones = torch.tensor([0, 1, 0, 1, 1]).to(dtype).view(5, *column)
    running, finished, count = state(5, 2, 4)
    ops.episode_stats(torch.arange(5.0).view(5, *column), dones, running, finished, count)
    assert finished.tolist() == [[1, 1], [1, 3], [1, 4], [-7, -7]]
    assert running.tolist() == [[1, 0, 1, 0, 0], [0, 0, 2, 0, 0]]


def test_strided_views() -> None:
    """Arguments may have any strides; nothing beside what is written changes."""
    wide = {"running": torch.zeros(2, 14), "finished": torch.full((4, 6), -7.0)}
    running, finished, count = wide["running"][:, ::2], wide["finished"][:, 1:5:3], torch.tensor(3)
    rewards, dones = torch.arange(21.0).view(7, 3)[:, 1], torch.eye(7, dtype=torch.bool)[:, 2]
    ops.episode_stats(rewards, dones, running, finished, count)
    assert int(count) == 4
    assert wide["finished"].tolist() == [[-7] * 6] * 3 + [[-7, 1, -7, -7, 7, -7]]
    assert wide["running"].tolist() == [
        [0 if n % 2 or n == 4 else 1 for n in range(14)],
        [0 if n % 2 or n == 4 else 1 + 3 * (n // 2) for n in range(14)],
    ]


def good() -> dict[str, torch.Tensor]:
    """Arguments for five environments."""
    running, finished, count = state(5, 2, 3)
    return {
        "rewards": torch.ones(5),
        "dones": torch.ones(5, dtype=torch.bool),
        "running": running,
        "finished": finished,
        "count": count,
    }


BAD = [
    ({"rewards": [1.0]}, TypeError, "`rewards` must be a torch Tensor, got list"),
    ({"rewards": torch.ones(5).half()}, TypeError, "`rewards` must be float32 or float64, got float16"),
    ({"rewards": torch.ones(5, 2)}, ValueError, "`rewards` must be [N] or [N, 1], got [5, 2]"),
    ({"rewards": torch.tensor(1.0)}, ValueError, "`rewards` must be [N] or [N, 1], got []"),
    ({"dones": torch.ones(4)}, ValueError, "`dones` must be [5] as `rewards` has N = 5, got [4]"),
    ({"dones": torch.ones(1, 5)}, ValueError, "`dones` must be [5] as `rewards` has N = 5, got [1, 5]"),
    ({"dones": torch.ones(5).half()}, TypeError, "`dones` must be bool or uint8 or int32 or int64 or float32, got f"),
    ({"running": torch.zeros(2, 4)}, ValueError, "`running` must be [2, 5] without `intrinsic_rewards`, got [2, 4]"),
    ({"running": torch.zeros(4, 5)}, ValueError, "`running` must be [2, 5] without `intrinsic_rewards`, got [4, 5]"),
    ({"running": torch.zeros(2, 5).double()}, TypeError, "`running` must be float32 like `rewards`, got float64"),
    ({"finished": torch.zeros(0, 2)}, ValueError, "`finished` must be [W, 2], W > 0, without `intrinsic_rewards`, got"),
    ({"finished": torch.zeros(3, 3)}, ValueError, "`finished` must be [W, 2], W > 0, without `intrinsic_rewards`, got"),
    ({"count": torch.tensor([0])}, ValueError, "`count` must be [], got [1]"),
    ({"count": torch.tensor(0.0)}, TypeError, "`count` must be int64, got float32"),
    ({"intrinsic_rewards": torch.ones(5)}, ValueError, "`running` must be [4, 5] with `intrinsic_rewards`, got [2, 5]"),
    ({"intrinsic_rewards": torch.ones(4)}, ValueError, "`intrinsic_rewards` must be [5] as `rewards` has N = 5"),
    ({"dones": torch.ones(5, device="meta")}, ValueError, "`dones` must be on cpu like `rewards`, got meta"),
    ({"rewards": torch.ones(5, requires_grad=True)}, ValueError, "`rewards` requires a gradient, and episode_stats"),
    ({"rewards": torch.ones(5).to_sparse()}, ValueError, "`rewards` must be a dense tensor (torch.strided)"),
    ({"finished": torch.zeros(1, 2).expand(3, 2)}, ValueError, "`finished` is written to, so each element must have"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the state stays as it was."""
    arguments = good() | change
    with pytest.raises(error) as raised:
        ops.episode_stats(**arguments)
    assert str(raised.value).startswith(f"episode_stats: {message}")
    for name in {"running", "finished", "count"} - set(change):
        assert torch.equal(arguments[name], good()[name])


BUFFER = torch.zeros(40)


@pytest.mark.parametrize(
    "change",
    [
        {"running": BUFFER[:10].view(2, 5), "finished": BUFFER[9:15].view(3, 2)},
        {"running": BUFFER[:10].view(2, 5), "rewards": BUFFER[5:10]},
        {"finished": BUFFER[:6].view(3, 2), "rewards": BUFFER[5:10]},
    ],
)
def test_shared_memory_is_refused(change: dict) -> None:
    """What is written over what is read, or twice, is an error, and nothing is written."""
    with pytest.raises(ValueError, match=r"^episode_stats: .* must share no memory"):
        ops.episode_stats(**(good() | change))
    assert bool((BUFFER == 0).all())


def test_autograd_notices_what_was_written() -> None:
    """A tensor that backward needs and the operator has written since is an error, not a wrong gradient."""
    arguments = good()
    y = torch.ones(2, 5, requires_grad=True) * arguments["running"]
    ops.episode_stats(**arguments)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_same_bits_for_any_number_of_threads() -> None:
    """Environments are cut by their number alone; who enters the ring does not depend on who is first."""
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        buffers = state(50_000, 4, 100)
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            rewards, extra = torch.randn(2, 50_000, generator=generator)
            dones = torch.rand(50_000, generator=generator) < 0.01
            ops.episode_stats(rewards, dones, *buffers, intrinsic_rewards=extra)
        results.append(buffers)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


@pytest.mark.parametrize("intrinsic", [False, True])
def test_opcheck(intrinsic: bool) -> None:
    """Schema, fake kernel and tracing of the raw operator agree with what it does."""
    extra = torch.ones(5) if intrinsic else None
    args = (torch.ones(5), extra, torch.tensor([0, 1, 0, 1, 1]).bool(), *state(5, 4 if intrinsic else 2, 3))
    torch.library.opcheck(torch.ops.rslcore.episode_stats.default, args)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dones": torch.ones(4).bool()}, "`dones` must have 5 elements, got 4"),
        ({"dones": torch.ones(1, 5).bool()}, r"`dones` must be \[N\] or \[N, 1\]"),
        ({"dones": torch.ones(5)}, "`dones` must be Byte, got Float"),
        ({"running": torch.zeros(3, 5)}, r"`running` must be \[2, N\]"),
        ({"running": torch.zeros(5, 2).t()}, "`running` must be contiguous"),
        ({"finished": torch.zeros(0, 2)}, r"`finished` must be \[W, 2\], W > 0"),
        ({"count": torch.zeros(1, dtype=torch.int64)}, r"`count` must be \[\]"),
        ({"intrinsic": torch.ones(5)}, r"`finished` must be \[W, 4\], W > 0"),
    ],
)
def test_raw_operator_is_guarded(change: dict, message: str) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    x = good() | {"intrinsic": None} | change
    args = (x[name] for name in ("rewards", "intrinsic", "dones", "running", "finished", "count"))
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.episode_stats(*args)


def test_compiles_without_a_break() -> None:
    """Under torch.compile(fullgraph=True) the state is that of the eager call."""
    torch._dynamo.reset()
    eager, compiled = good(), good()
    torch.compile(lambda x: ops.episode_stats(**x), fullgraph=True, backend="aot_eager")(compiled)
    ops.episode_stats(**eager)
    for name, value in eager.items():
        assert torch.equal(compiled[name], value)


@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("intrinsic", [False, True])
def test_numpy_does_the_same(intrinsic: bool, strided: bool) -> None:
    """`rslcore.numpy.episode_stats` on arrays of any layout, and its messages."""
    buffers = state(97, 4 if intrinsic else 2, 30)
    arrays = [x.numpy().copy() for x in buffers]
    if strided:
        arrays[:2] = [np.repeat(x[..., None], 2, axis=-1)[..., 0] for x in arrays[:2]]
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        rewards, extra = torch.randn(2, 97, generator=generator)
        dones = torch.rand(97, generator=generator) < 0.2
        ops.episode_stats(rewards, dones, *buffers, intrinsic_rewards=extra if intrinsic else None)
        rn.episode_stats(
            *(rewards.numpy(), dones.numpy(), *arrays), intrinsic_rewards=extra.numpy() if intrinsic else None
        )
    for array, tensor in zip(arrays, buffers, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy())
    with pytest.raises(ValueError, match=r"^episode_stats: `dones` must be \[97\] as `rewards` has N = 97, got \[96\]"):
        rn.episode_stats(rewards.numpy(), dones.numpy()[1:], *arrays)


def test_a_negative_count_is_refused() -> None:
    """It would number a row before the ring."""
    running, finished, count = torch.zeros(2, 3), torch.zeros(4, 2), torch.tensor(-1)
    with pytest.raises(ValueError, match="episode_stats: `count` must be >= 0, got -1"):
        ops.episode_stats(torch.ones(3), torch.ones(3, dtype=torch.bool), running, finished, count)
    with pytest.raises(ValueError, match="episode_stats: `count` must be >= 0, got -1"):
        rn.episode_stats(np.ones(3), np.ones(3, bool), np.zeros((2, 3)), np.zeros((4, 2)), np.array(-1))
    assert not running.any()
    assert not finished.any()


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("intrinsic", [False, True])
@pytest.mark.parametrize("num_envs", [1, 255, 4096, 10_007, 300_001])
def test_cuda(num_envs: int, intrinsic: bool, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def make(device: str) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        rewards, extra = torch.randn(2, num_envs, generator=generator)
        dones = torch.rand(num_envs, generator=generator) < 0.01
        inputs = (rewards.to(device), extra.to(device), dones.to(device))
        return *inputs, *state(num_envs, 4 if intrinsic else 2, 100, device=device)

    def call(rewards: torch.Tensor, extra: torch.Tensor, dones: torch.Tensor, *buffers: torch.Tensor) -> tuple:
        ops.episode_stats(rewards, dones, *buffers, intrinsic_rewards=extra if intrinsic else None)
        return buffers

    check(make, call)
