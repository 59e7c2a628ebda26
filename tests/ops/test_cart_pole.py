# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.cart_pole_step`: the equations of the paper, Gymnasium's CartPole-v1, starts of episodes, time limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

from rslcore import ops
from rslcore.ops import _library, reference

SHAPES = [(1, 1), (3, 2), (255, 1), (256, 1), (700, 3), (17, 12)]
"""N and P; a tile has 256 environments."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def begin(
    num_envs: int, num_poles: int, dtype: torch.dtype = torch.float32, device: str = "cpu", seed: int = 5
) -> dict[str, torch.Tensor]:
    """State and counts of a fresh start."""
    world = {
        "state": torch.full((num_poles, 4, num_envs), torch.nan, dtype=dtype, device=device),
        "episode_lengths": torch.full((num_envs,), -7, device=device),
        "episodes": torch.zeros(num_envs, dtype=torch.int64, device=device),
    }
    ops.cart_pole_reset(**world, seed=seed)
    return world | {"ended": torch.zeros(2, dtype=torch.int64, device=device)}


def draw_actions(steps: int, num_envs: int, num_poles: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Actions of which some are beyond the limits."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(steps, num_envs, num_poles, generator=generator, dtype=torch.float64).to(dtype)


def by_the_paper(state: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The equations of motion as Barto, Sutton and Anderson print them, friction 0, in float64. state [P, 4, N]."""
    g, m_c, m, half, tau = 9.8, 1.0, 0.1, 0.5, 0.02
    _, x_dot, theta, theta_dot = state.transpose(1, 0, 2)
    force = 10.0 * np.clip(actions.T, -1.0, 1.0)
    sin, cos = np.sin(theta), np.cos(theta)
    theta_acc = (g * sin + cos * (-force - m * half * theta_dot**2 * sin) / (m_c + m)) / (
        half * (4 / 3 - m * cos**2 / (m_c + m))
    )
    x_acc = (force + m * half * (theta_dot**2 * sin - theta_acc * cos)) / (m_c + m)
    rates = np.stack([x_dot, x_acc, theta_dot, theta_acc], axis=1)
    return state + tau * rates


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-6), (torch.float64, 1e-13)], ids=str)
@pytest.mark.parametrize(("num_envs", "num_poles"), SHAPES)
def test_equals_the_equations(num_envs: int, num_poles: int, dtype: torch.dtype, tolerance: float, device: str) -> None:
    """Every step from every state that episodes pass through, and who has fallen after it."""
    world = begin(num_envs, num_poles, dtype, device)
    total = torch.zeros(2, dtype=torch.int64)
    for actions in draw_actions(40, num_envs, num_poles, dtype):
        before = world["state"].double().cpu().clone().numpy()
        lengths = world["episode_lengths"].cpu() + 1
        last = torch.full((num_envs, 4 * num_poles), 7.0, dtype=dtype, device=device)
        results = ops.cart_pole_step(
            actions.to(device), **world, seed=5, max_episode_length=25, final_observations=last
        )
        observations, rewards, dones, time_outs = (x.cpu() for x in results)
        expected = by_the_paper(before, actions.double().numpy())
        fell = ((abs(expected[:, 0]) > 2.4) | (abs(expected[:, 2]) > math.radians(12))).any(axis=0)
        rows = expected.transpose(2, 0, 1).reshape(num_envs, -1)
        running = ~dones.numpy()
        np.testing.assert_allclose(observations.numpy()[running], rows[running], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(last.cpu().numpy()[~running], rows[~running], rtol=tolerance, atol=tolerance)
        assert bool((last.cpu()[running] == 7.0).all())
        assert (rewards == 1).all()
        assert torch.equal(time_outs, (lengths >= 25) & ~torch.from_numpy(fell))
        assert torch.equal(dones, time_outs | torch.from_numpy(fell))
        assert torch.equal(world["episode_lengths"].cpu(), lengths.masked_fill(dones, 0))
        assert torch.equal(observations.view(num_envs, num_poles, 4).permute(1, 2, 0), world["state"].cpu())
        assert bool((observations[dones].abs() <= 0.05).all())
        total += torch.stack([torch.from_numpy(fell).sum(), time_outs.sum()])
    assert torch.equal(world["ended"].cpu(), total)
    assert int(world["episodes"].sum()) == num_envs + int(total.sum())


def test_equals_gymnasium() -> None:
    """With full force to either side, states, rewards and ends are those of CartPole-v1."""
    gymnasium = pytest.importorskip("gymnasium")
    oracle = gymnasium.make("CartPole-v1").unwrapped
    world = begin(64, 1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        side = torch.randint(0, 2, (64, 1), generator=generator)
        before = world["state"][0].t().double().numpy()
        last = torch.zeros(64, 4)
        observations, rewards, dones, _ = ops.cart_pole_step(
            2.0 * side - 1.0, **world, seed=5, max_episode_length=500, final_observations=last
        )
        after = torch.where(dones[:, None], last, observations)
        for n in range(0, 64, 9):
            oracle.reset()
            oracle.state = before[n]
            expected, reward, terminated, _, _ = oracle.step(int(side[n]))
            np.testing.assert_allclose(after[n].numpy(), expected, rtol=1e-5, atol=2e-6)
            assert (float(rewards[n]), bool(dones[n])) == (reward, terminated)
    assert int(world["ended"][0]) > 50


@pytest.mark.parametrize("angle", [-700.0, -4.0, -1.7, -1.5, 0.0, 1e-4, 0.2, 1.6, 3.2, 50.0])
def test_any_angle(angle: float) -> None:
    """Sine and cosine are right far beyond where an episode ends, for states that a caller brings."""
    world = begin(32, 1)
    world["state"][0, 2] = angle + torch.linspace(-0.1, 0.1, 32)
    before = world["state"].double().numpy()
    last = torch.zeros(32, 4)
    observations, _, dones, _ = ops.cart_pole_step(
        torch.ones(32, 1), **world, seed=5, max_episode_length=500, final_observations=last
    )
    after = torch.where(dones[:, None], last, observations)
    np.testing.assert_allclose(after.numpy(), by_the_paper(before, np.ones((32, 1)))[0].T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("num_envs", "num_poles"), SHAPES)
def test_equals_the_reference(
    num_envs: int, num_poles: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain-torch text through the public functions: starts exactly, motion to rounding, over several episodes."""
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(_library, "_compiled", {})
            monkeypatch.setitem(_library.errors, "cpu", "no such file")
            monkeypatch.setattr(_library, "_warned", {"cpu"})
        world = begin(num_envs, num_poles, dtype, seed=-(2**63) + 11)
        first = world["state"].clone()
        last = torch.zeros(num_envs, 4 * num_poles, dtype=dtype)
        for actions in draw_actions(30, num_envs, num_poles, dtype):
            out = ops.cart_pole_step(actions, **world, seed=3, max_episode_length=9, final_observations=last)
        results.append([first, *world.values(), last, *out])
    assert torch.equal(results[0][0], results[1][0])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_starts_are_uniform_and_independent() -> None:
    """Within 0.05 of upright with the moments of a uniform law; no two environments, episodes or seeds alike."""
    first, second = begin(40_000, 2), begin(40_000, 2, seed=6)
    start = first["state"].double().clone()
    ops.cart_pole_reset(*(first[name] for name in ("state", "episode_lengths", "episodes")), seed=5)
    assert float(start.abs().max()) <= 0.05
    torch.testing.assert_close(start.mean(-1), torch.zeros(2, 4).double(), rtol=0, atol=1e-3)
    torch.testing.assert_close(start.std(-1), torch.full((2, 4), 0.1 / 12**0.5).double(), rtol=0.02, atol=0)
    rows = torch.cat([start.flatten(0, 1), first["state"].flatten(0, 1), second["state"].flatten(0, 1)])
    assert float((torch.corrcoef(rows) - torch.eye(24)).abs().max()) < 0.03
    assert bool((first["episode_lengths"] == 0).all())
    assert bool((first["episodes"] == 2).all())


@pytest.mark.parametrize("num_poles", [1, 3])
def test_an_environment_does_not_know_of_the_others(num_poles: int) -> None:
    """Its episodes are the same bits however many environments and threads there are."""
    actions = draw_actions(60, 20_000, num_poles)
    results = []
    for num_envs, threads in ((20_000, 1), (20_000, 3), (37, 1)):
        torch.set_num_threads(threads)
        world = begin(num_envs, num_poles)
        steps = [ops.cart_pole_step(x[:num_envs].contiguous(), **world, seed=5, max_episode_length=40) for x in actions]
        results.append([torch.stack(x)[:, :37] for x in zip(*steps, strict=True)])
        assert int(world["ended"].sum()) == int(world["episodes"].sum()) - num_envs
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("implementation", ["kernel", "reference"])
@pytest.mark.parametrize("place", ["position", "velocity", "angle", "angular velocity", "action"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nan_ends_the_episode(
    dtype: torch.dtype, place: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A NaN is a fall, on the step that brings it: the episode after it has numbers, the others never notice."""
    if implementation == "reference":
        monkeypatch.setattr(_library, "_compiled", {})
        monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    world, twin = begin(300, 2, dtype), begin(300, 2, dtype)
    actions = torch.zeros(300, 2, dtype=dtype)
    ops.cart_pole_step(actions.clone(), **twin, seed=5, max_episode_length=50)
    components = ("position", "velocity", "angle", "angular velocity")
    (actions[7, 1:] if place == "action" else world["state"][1, components.index(place), 7:8]).fill_(torch.nan)
    observations, _, dones, time_outs = ops.cart_pole_step(actions, **world, seed=5, max_episode_length=50)
    assert dones.nonzero().flatten().tolist() == [7]
    assert not time_outs.any()
    assert not observations.isnan().any()
    assert not world["state"].isnan().any()
    others = torch.arange(300) != 7
    assert torch.equal(world["state"][..., others], twin["state"][..., others])


def good() -> dict:
    """Arguments for five environments of two poles."""
    return {
        "actions": torch.zeros(5, 2),
        **begin(5, 2),
        "seed": 5,
        "max_episode_length": 50,
        "final_observations": torch.zeros(5, 8),
        "out": (torch.zeros(5, 8), torch.zeros(5), torch.zeros(5).bool(), torch.zeros(5).byte()),
    }


def out(position: int, value: object) -> tuple:
    """`out` of `good` with one part changed."""
    parts = list(good()["out"])
    parts[position] = value
    return tuple(parts)


BAD = [
    ({"state": [1.0]}, TypeError, "`state` must be a torch Tensor, got list"),
    ({"state": torch.zeros(2, 4, 5).half()}, TypeError, "`state` must be float32 or float64, got float16"),
    ({"state": torch.zeros(4, 5)}, ValueError, "`state` must be [P, 4, N], P > 0, got [4, 5]"),
    ({"state": torch.zeros(0, 4, 5)}, ValueError, "`state` must be [P, 4, N], P > 0, got [0, 4, 5]"),
    ({"state": torch.zeros(1).expand(2**20, 4, 2**13)}, ValueError, "`state` must have at most 2^32 poles, got"),
    ({"state": torch.zeros(2, 4, 1).expand(2, 4, 5)}, ValueError, "`state` is written to, so each element must have"),
    ({"actions": torch.zeros(5)}, ValueError, "`actions` must be [5, 2], got [5]"),
    ({"actions": torch.zeros(2, 5)}, ValueError, "`actions` must be [5, 2], got [2, 5]"),
    ({"actions": torch.zeros(5, 2).double()}, TypeError, "`actions` must be float32 like `state`, got float64"),
    ({"actions": torch.zeros(5, 2, requires_grad=True)}, ValueError, "`actions` requires a gradient, and cart_pole"),
    ({"actions": torch.zeros(5, 2, device="meta")}, ValueError, "`actions` must be on cpu like `state`, got meta"),
    ({"episode_lengths": torch.zeros(5)}, TypeError, "`episode_lengths` must be int64, got float32"),
    ({"episodes": torch.zeros(4).long()}, ValueError, "`episodes` must be [5], got [4]"),
    ({"ended": torch.zeros(5).long()}, ValueError, "`ended` must be [2], got [5]"),
    ({"seed": 1.5}, TypeError, "`seed` must be an integer, got float"),
    ({"max_episode_length": 0}, ValueError, "`max_episode_length` must be in [1, inf], got 0"),
    ({"max_episode_length": 2**64}, ValueError, "`max_episode_length` must fit a signed 64-bit integer"),
    ({"final_observations": torch.zeros(5, 4)}, ValueError, "`final_observations` must be [5, 8], got [5, 4]"),
    ({"out": torch.zeros(5, 8)}, TypeError, "`out` must be (observations, rewards, dones, time_outs), got Tensor"),
    ({"out": out(0, torch.zeros(8, 5))}, ValueError, "`out[0]` must be [5, 8], got [8, 5]"),
    ({"out": out(1, torch.zeros(5).double())}, TypeError, "`out[1]` must be float32 like `state`, got float64"),
    ({"out": out(2, torch.zeros(5))}, TypeError, "`out[2]` must be bool or uint8, got float32"),
    ({"out": out(3, torch.zeros(6).bool())}, ValueError, "`out[3]` must be [5], got [6]"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the state stays as it was."""
    arguments = good() | change
    with pytest.raises(error) as raised:
        ops.cart_pole_step(**arguments)
    assert str(raised.value).startswith(f"cart_pole_step: {message}")
    for name in {"state", "episode_lengths", "episodes", "ended"} - set(change):
        assert torch.equal(arguments[name], good()[name])


def test_bad_reset_is_named() -> None:
    """The same of the other function."""
    world = {name: good()[name] for name in ("state", "episode_lengths", "episodes")}
    for change, error, message in (
        ({"out": torch.zeros(5, 4)}, ValueError, "`out` must be [5, 8], got [5, 4]"),
        ({"episodes": torch.zeros(5)}, TypeError, "`episodes` must be int64, got float32"),
        ({"seed": True}, TypeError, "`seed` must be an integer, got bool"),
        ({"out": world["state"].view(5, 8)}, ValueError, "the arguments must share no memory with each other"),
    ):
        with pytest.raises(error) as raised:
            ops.cart_pole_reset(**({**world, "seed": 1} | change))
        assert str(raised.value).startswith(f"cart_pole_reset: {message}")


BUFFER = torch.zeros(80)
INTEGERS = torch.zeros(12, dtype=torch.int64)


@pytest.mark.parametrize(
    "change",
    [
        {"state": BUFFER[:40].view(2, 4, 5), "actions": BUFFER[39:49].view(5, 2)},
        {"state": BUFFER[:40].view(2, 4, 5), "final_observations": BUFFER[20:60].view(5, 8)},
        {"state": BUFFER[:40].view(2, 4, 5), "out": out(0, BUFFER[:40].view(5, 8))},
        {"episode_lengths": INTEGERS[:5], "episodes": INTEGERS[4:9]},
        {"episodes": INTEGERS[:5], "ended": INTEGERS[4:6]},
    ],
)
def test_shared_memory_is_refused(change: dict) -> None:
    """What is written over what is read, or twice, is an error, and nothing is written."""
    with pytest.raises(ValueError, match=r"^cart_pole_step: the arguments must share no memory with each other"):
        ops.cart_pole_step(**(good() | change))
    assert not BUFFER.any()
    assert not INTEGERS.any()


def test_strided_views() -> None:
    """Arguments may have any strides; nothing beside what is written changes."""
    plain, strided = good(), good()
    wide = torch.full((2, 4, 10), 7.0)
    strided["state"] = wide[..., ::2].copy_(plain["state"])
    strided["actions"] = torch.zeros(2, 5).t()
    strided["out"] = out(0, torch.zeros(8, 5).t())
    for arguments in (plain, strided):
        arguments["max_episode_length"] = 1  # every episode ends
        ops.cart_pole_step(**arguments)
    assert torch.equal(strided["state"], plain["state"])
    assert torch.equal(strided["out"][0], plain["out"][0])
    assert bool((wide[..., 1::2] == 7.0).all())


def test_no_environments() -> None:
    """Nothing to do is done."""
    world = begin(0, 3)
    results = ops.cart_pole_step(torch.zeros(0, 3), **world, seed=5, max_episode_length=50)
    assert [list(x.shape) for x in results] == [[0, 12], [0], [0], [0]]


def test_autograd_notices_what_was_written() -> None:
    """A tensor that backward needs and the operator has written since is an error, not a wrong gradient."""
    arguments = good()
    y = torch.ones(2, 4, 5, requires_grad=True) * arguments["state"]
    ops.cart_pole_step(**arguments)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def raw(arguments: dict) -> tuple:
    """The arguments of the raw operator."""
    names = ("actions", "state", "episode_lengths", "episodes", "ended", "seed", "max_episode_length")
    return *(arguments[name] for name in names), *arguments["out"], arguments["final_observations"]


@pytest.mark.parametrize("final", [False, True])
def test_opcheck(final: bool) -> None:
    """Schema, fake kernel and tracing of the raw operators agree with what they do."""
    arguments = good()
    if not final:
        arguments["final_observations"] = None
    torch.library.opcheck(torch.ops.rslcore.cart_pole_step.default, raw(arguments))
    reset = (arguments["state"], arguments["episode_lengths"], arguments["episodes"], 5, arguments["out"][0])
    torch.library.opcheck(torch.ops.rslcore.cart_pole_reset.default, reset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": torch.zeros(5, 3)}, "`actions` must have 10 elements, got 15"),
        ({"actions": torch.zeros(10)}, r"`actions` must be \[5, 2\]"),
        ({"state": torch.zeros(8, 5)}, r"`state` must be \[P, 4, N\]"),
        ({"state": torch.zeros(5, 4, 2).permute(2, 1, 0)}, "`state` must be contiguous"),
        ({"episodes": torch.zeros(5)}, "`episodes` must be Long, got Float"),
        ({"ended": torch.zeros(1, dtype=torch.int64)}, "`ended` must have 2 elements, got 1"),
        ({"max_episode_length": 0}, "`max_episode_length` must be at least 1, got 0"),
        ({"final_observations": torch.zeros(8, 5)}, "`final_observations` must have the shape"),
        ({"out": out(0, torch.zeros(40))}, r"`observations` must be \[5, 8\]"),
        ({"out": out(2, torch.zeros(5))}, r"`out\[2\]` must be Byte, got Float"),
        ({"out": out(3, torch.zeros(4).bool())}, r"`out\[3\]` must have 5 elements, got 4"),
    ],
)
def test_raw_operator_is_guarded(change: dict, message: str) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.cart_pole_step(*raw(good() | change))


def test_compiles_without_a_break() -> None:
    """Under torch.compile(fullgraph=True) everything written is as in the eager call."""
    torch._dynamo.reset()
    eager, compiled = good(), good()
    torch.compile(lambda x: ops.cart_pole_step(**x), fullgraph=True, backend="aot_eager")(compiled)
    ops.cart_pole_step(**eager)
    for got, expected in zip(raw(compiled), raw(eager), strict=True):
        assert got == expected if isinstance(got, int) else torch.equal(got, expected)


def test_streams_of_random_numbers_differ() -> None:
    """Starts do not repeat the words of the other operators under the same seed."""
    streams = (reference.PERMUTATION_STREAM, reference.GAUSSIAN_STREAM, reference.CART_POLE_STREAM)
    assert len(set(streams)) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize(("num_envs", "num_poles"), [(1, 1), (4096, 1), (1000, 12), (1_000_003, 1)])
def test_cuda(num_envs: int, num_poles: int, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""

    def make(device: str) -> tuple[torch.Tensor, ...]:
        world = begin(num_envs, num_poles)
        world["episode_lengths"] += torch.arange(num_envs) % 50
        world["state"] *= 4.5  # some fall
        actions = draw_actions(1, num_envs, num_poles)[0]
        return (
            actions.to(device),
            *(x.to(device) for x in world.values()),
            torch.zeros(num_envs, 4 * num_poles).to(device),
        )

    def call(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        *world, last = arguments
        results = ops.cart_pole_step(*world, seed=5, max_episode_length=50, final_observations=last)
        return *arguments, *results

    check(make, call)
