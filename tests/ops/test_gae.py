# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.gae`: the recurrence, what ends an episode, and the operator contract."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from _gpu import GPU_CHECKS

import rslcore.numpy as rnp
from rslcore import ops
from rslcore.ops import reference

FLAG_DTYPES = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32]
SHAPES = [(1, 1), (24, 1), (1, 37), (5, 63), (7, 64), (7, 65), (24, 511), (24, 513), (13, 4099), (0, 4), (4, 0)]

ONE_SAMPLE = r"gae: `rewards` must have two samples at least to normalize .* got one"


def rollout(num_steps: int, num_envs: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> dict:
    """A random rollout whose episodes end often, half of them by the time limit."""
    generator = torch.Generator().manual_seed(num_steps * 10_007 + num_envs)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(device, dtype)

    def flags(probability: float) -> torch.Tensor:
        return (torch.rand(num_steps, num_envs, generator=generator) < probability).to(device)

    dones = flags(0.2)
    return {
        "rewards": normal(num_steps, num_envs),
        "values": normal(num_steps, num_envs),
        "dones": dones,
        "last_values": normal(num_envs),
        "time_outs": dones & flags(0.5),
        "terminal_values": normal(num_steps, num_envs),
    }


def expected(data: dict, gamma: float, lam: float, normalize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """What the plain-torch reference gives, in float64."""
    wide = {name: x.double() if x.is_floating_point() else x.to(torch.uint8) for name, x in data.items()}
    result = torch.empty_like(wide["rewards"]), torch.empty_like(wide["rewards"])
    arguments = [
        wide.get(name) for name in ("rewards", "values", "dones", "last_values", "time_outs", "terminal_values")
    ]
    reference.gae(*arguments, gamma, lam, normalize, *result)
    return result


def test_hand_computed_episode() -> None:
    """Three steps, no end: A_2 = 3 + 0.5*4 - 2, A_1 = 2 + 0.5*2 - 1 + 0.25*A_2, A_0 = 1 + 0.5*1 - 0 + 0.25*A_1."""
    rewards = torch.tensor([[1.0], [2.0], [3.0]])
    values = torch.tensor([[0.0], [1.0], [2.0]])
    returns, advantages = ops.gae(rewards, values, torch.zeros(3, 1), torch.tensor([4.0]), gamma=0.5, lam=0.5)
    assert advantages.flatten().tolist() == [2.1875, 2.75, 3.0]
    assert returns.flatten().tolist() == [2.1875, 3.75, 5.0]


def test_done_cuts_the_future() -> None:
    """After dones[t] = 1 nothing of step t+1 reaches step t: A_1 = 2 - 1 = 1, A_0 = 1 + 0.5*1 - 0 + 0.25*1 = 1.75."""
    rewards = torch.tensor([[1.0], [2.0], [1e6]])
    values = torch.tensor([[0.0], [1.0], [1e6]])
    dones = torch.tensor([[0], [1], [0]])
    _, advantages = ops.gae(rewards, values, dones, torch.tensor([1e6]), gamma=0.5, lam=0.5)
    assert advantages[:2].flatten().tolist() == [1.75, 1.0]


def test_time_out_is_bootstrapped_with_its_own_value() -> None:
    """A step ended by the time limit gains gamma * V(s_t), as rsl_rl does: 2 + 0.5*1 - 1 = 1.5."""
    flag = torch.tensor([[True]])
    _, advantages = ops.gae(
        torch.tensor([[2.0]]), torch.tensor([[1.0]]), flag, torch.tensor([9.0]), gamma=0.5, lam=0.5, time_outs=flag
    )
    assert advantages.item() == 1.5


def test_time_out_is_bootstrapped_with_the_final_observation() -> None:
    """Where the value of the true final observation is given it takes the place of V(s_t): 2 + 0.5*8 - 1 = 5."""
    flag = torch.tensor([[True]])
    _, advantages = ops.gae(
        torch.tensor([[2.0]]),
        torch.tensor([[1.0]]),
        flag,
        torch.tensor([9.0]),
        gamma=0.5,
        lam=0.5,
        time_outs=flag,
        terminal_values=torch.tensor([[8.0]]),
    )
    assert advantages.item() == 5.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("optional", [(), ("time_outs",), ("time_outs", "terminal_values")])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_reference(
    shape: tuple[int, int], optional: tuple[str, ...], normalize: bool, dtype: torch.dtype
) -> None:
    """Any T and N, with and without time-outs: what the plain-torch recurrence gives in float64."""
    data = rollout(*shape, dtype)
    data = {name: x for name, x in data.items() if name not in ("time_outs", "terminal_values") or name in optional}
    normalize = normalize and shape != (1, 1)  # one sample has no deviation: refused
    got = ops.gae(**data, gamma=0.99, lam=0.95, normalize=normalize)
    for result, reference_result in zip(got, expected(data, 0.99, 0.95, normalize), strict=True):
        assert result.dtype == dtype
        tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
        torch.testing.assert_close(result.double(), reference_result, equal_nan=True, **tolerance)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1)])
def test_one_sample_is_not_normalized(shape: tuple[int, ...]) -> None:
    """One sample has no deviation to be scaled by: it is refused, by torch and by NumPy, and nothing is written."""
    x, out = torch.zeros(shape), (torch.full(shape, 7.0), torch.full(shape, 7.0))
    arguments = {"gamma": 0.9, "lam": 0.9, "normalize": True}
    with pytest.raises(ValueError, match=ONE_SAMPLE):
        ops.gae(x, x, x, torch.zeros(1), **arguments, out=out)
    arrays = tuple(tensor.numpy() for tensor in out)
    with pytest.raises(ValueError, match=ONE_SAMPLE):
        rnp.gae(x.numpy(), x.numpy(), x.numpy(), np.zeros(1, np.float32), **arguments, out=arrays)
    assert all((tensor == 7).all() for tensor in out)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalization_survives_a_large_mean(dtype: torch.dtype) -> None:
    """Advantages about 1e4 with deviation 1 are scaled as exactly as their own rounding allows."""
    data = rollout(24, 777, dtype)
    data = {name: data[name] for name in ("rewards", "values", "dones", "last_values")} | {
        "rewards": data["rewards"] + 1e4,
        "dones": torch.ones(24, 777),
    }
    _, advantages = ops.gae(**data, gamma=0.99, lam=0.95, normalize=True)
    assert advantages.double().mean().abs() < 1e-6
    assert abs(advantages.double().std() - 1) < 1e-6
    _, plain = ops.gae(**data, gamma=0.99, lam=0.95)
    wide = plain.double()
    torch.testing.assert_close(advantages.double(), (wide - wide.mean()) / wide.std(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", FLAG_DTYPES, ids=str)
def test_flags_of_any_dtype(dtype: torch.dtype) -> None:
    """Non-zero means set, whatever the dtype; uint8 255 counts as one."""
    data = rollout(5, 67)
    wanted = ops.gae(**data, gamma=0.99, lam=0.95)
    scale = 255 if dtype == torch.uint8 else 1
    cast = data | {name: data[name].to(dtype) * scale for name in ("dones", "time_outs")}
    for result, other in zip(ops.gae(**cast, gamma=0.99, lam=0.95), wanted, strict=True):
        assert torch.equal(result, other)


def test_trailing_dimension_is_kept() -> None:
    """[T, N, 1] buffers, as rsl_rl stores them, give [T, N, 1] results."""
    data = rollout(6, 10)
    wanted = ops.gae(**data, gamma=0.99, lam=0.95)
    deep = {name: x.unsqueeze(-1) for name, x in data.items()}
    got = ops.gae(**deep, gamma=0.99, lam=0.95)
    for result, other in zip(got, wanted, strict=True):
        assert torch.equal(result, other.unsqueeze(-1))


@pytest.mark.parametrize("deep", ["rewards", "values", "dones", "last_values", "time_outs", "terminal_values"])
def test_trailing_dimensions_may_differ(deep: str) -> None:
    """[T, N] beside [T, N, 1], [N] beside [N, 1]: the same numbers, in the shape of `rewards`."""
    data = rollout(6, 10)
    wanted = ops.gae(**data, gamma=0.99, lam=0.95)
    got = ops.gae(**{**data, deep: data[deep].unsqueeze(-1)}, gamma=0.99, lam=0.95)
    for result, other in zip(got, wanted, strict=True):
        assert result.dim() == (3 if deep == "rewards" else 2)
        assert torch.equal(result.reshape(6, 10), other)


def test_strided_views_and_out() -> None:
    """Inputs and `out` may be views with any strides: same result, and nothing outside the view is written."""
    data = rollout(7, 33)
    wanted = ops.gae(**data, gamma=0.99, lam=0.95)
    strided = {name: torch.stack([x, x], dim=-1)[..., 0] for name, x in data.items()}
    buffers = torch.full((2, 7, 33, 3), -1.0)
    out = (buffers[0, ..., 1], buffers[1, ..., 1])
    got = ops.gae(**strided, gamma=0.99, lam=0.95, out=out)
    assert got[0] is out[0]
    for result, other in zip(got, wanted, strict=True):
        assert torch.equal(result, other)
    assert torch.equal(buffers[..., 0], torch.full((2, 7, 33), -1.0))
    assert torch.equal(buffers[..., 2], torch.full((2, 7, 33), -1.0))


def test_transposed_rollout_keeps_meaning() -> None:
    """A transposed view is read by its indices, not by its memory."""
    data = rollout(9, 31)
    transposed = {name: x.t().contiguous().t() if x.dim() == 2 else x for name, x in data.items()}
    for result, other in zip(
        ops.gae(**transposed, gamma=0.9, lam=0.8), ops.gae(**data, gamma=0.9, lam=0.8), strict=True
    ):
        torch.testing.assert_close(result, other, rtol=0, atol=0)


@pytest.mark.parametrize("num_envs", [64, 1000, 8192])
def test_threads_do_not_change_bits(num_envs: int) -> None:
    """One thread or several: the same bits, normalized or not."""
    data = rollout(24, num_envs)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(ops.gae(**data, gamma=0.99, lam=0.95, normalize=True))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(results[0][0], other[0])
        assert torch.equal(results[0][1], other[1])


_SIMD_PROGRAM = """
import sys, torch
from rslcore import build_info, ops
g = torch.Generator().manual_seed(0)
x = [torch.randn(24, 1237, generator=g) for _ in range(2)]
dones = torch.rand(24, 1237, generator=g) < 0.1
out = ops.gae(*x, dones, x[0][0], gamma=0.99, lam=0.95, normalize=True)
torch.save((build_info()["simd_in_use"], *out), sys.argv[1])
"""


def test_simd_levels_agree(tmp_path) -> None:
    """Every SIMD level that this processor has gives the same result to rounding; RSLCORE_SIMD selects it."""
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
            torch.testing.assert_close(result, other, rtol=1e-5, atol=1e-5)


BAD = [
    ({"values": torch.zeros(3, 5)}, ValueError, "gae: `values` must be [3, 4] like `rewards`, got [3, 5]"),
    ({"rewards": torch.zeros(3)}, ValueError, "gae: `rewards` must be [T, N] or [T, N, 1], got [3]"),
    ({"rewards": torch.zeros(3, 4).int()}, TypeError, "gae: `rewards` must be float32 or float64, got int32"),
    ({"values": torch.zeros(3, 4).double()}, TypeError, "gae: `values` must be float32 like `rewards`, got float64"),
    ({"dones": torch.zeros(3, 4).double()}, TypeError, "gae: `dones` must be bool or uint8 or int32"),
    ({"last_values": torch.zeros(3)}, ValueError, "gae: `last_values` must be [4] as `rewards` has N = 4, got [3]"),
    ({"time_outs": torch.zeros(4, 3).bool()}, ValueError, "gae: `time_outs` must be [3, 4] like `rewards`"),
    ({"gamma": 1.5}, ValueError, "gae: `gamma` must be in [0, 1], got 1.5"),
    ({"lam": "x"}, TypeError, "gae: `lam` must be a number, got str"),
    ({"normalize": "yes"}, TypeError, "gae: `normalize` must be a bool, got str"),
    ({"rewards": [1.0]}, TypeError, "gae: `rewards` must be a torch Tensor, got list"),
    ({"terminal_values": torch.zeros(3, 4)}, ValueError, "gae: `terminal_values` needs `time_outs`"),
    ({"out": torch.zeros(3, 4)}, TypeError, "gae: `out` must be the pair (returns, advantages), got Tensor"),
    ({"values": torch.zeros(3, 4, device="meta")}, ValueError, "gae: `values` must be on cpu like `rewards`, got meta"),
    ({"values": torch.zeros(3, 4, requires_grad=True)}, ValueError, "gae: `values` requires a gradient"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[message[5:40] for _, _, message in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the outputs stay as they were."""
    out = (torch.full((3, 4), 7.0), torch.full((3, 4), 7.0))
    good = {
        "rewards": torch.zeros(3, 4),
        "values": torch.zeros(3, 4),
        "dones": torch.zeros(3, 4),
        "last_values": torch.zeros(4),
        "gamma": 0.99,
        "lam": 0.95,
        "out": out,
    }
    with pytest.raises(error) as raised:
        ops.gae(**(good | change))
    assert message in str(raised.value)
    assert all(bool((x == 7.0).all()) for x in out)


def test_gradient_is_not_asked_for_under_no_grad() -> None:
    """Under no_grad, values that came from a network with parameters are fine."""
    data = rollout(3, 4)
    data["values"].requires_grad_()
    with torch.no_grad():
        returns, _ = ops.gae(**data, gamma=0.99, lam=0.95)
    assert not returns.requires_grad


def raw_arguments() -> list:
    """Arguments of the raw operator torch.ops.rslcore.gae."""
    data = rollout(4, 6)
    flags = {name: data[name].to(torch.uint8) for name in ("dones", "time_outs")}
    return [
        data["rewards"],
        data["values"],
        flags["dones"],
        data["last_values"],
        flags["time_outs"],
        None,
        0.99,
        0.95,
        True,
        torch.empty(4, 6),
        torch.empty(4, 6),
    ]


def test_opcheck() -> None:
    """Schema, fake kernel and tracing agree with what the operator does."""
    torch.library.opcheck(torch.ops.rslcore.gae.default, raw_arguments())


@pytest.mark.parametrize(
    ("position", "bad", "message"),
    [
        (1, torch.zeros(5, 6), "`values` must have 24 elements, got 30"),
        (1, torch.zeros(6, 4).t(), "`values` must be contiguous"),
        (2, torch.zeros(4, 6), "`dones` must be Byte, got Float"),
        (3, torch.zeros(4), "`last_values` must have 6 elements, got 4"),
        (9, torch.zeros(4, 5), "`returns` must have 24 elements, got 20"),
    ],
)
def test_raw_operator_is_guarded(position: int, bad: torch.Tensor, message: str) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    arguments = raw_arguments()
    arguments[position] = bad
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.gae(*arguments)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_without_graph_break(backend: str) -> None:
    """torch.compile(fullgraph=True) gives the eager result."""
    data = rollout(6, 33)

    def function(scale: torch.Tensor, **data: torch.Tensor) -> torch.Tensor:
        returns, advantages = ops.gae(**data, gamma=0.99, lam=0.95, normalize=True)
        return returns * scale + advantages

    scale = torch.tensor(2.0)
    got = torch.compile(function, fullgraph=True, backend=backend)(scale, **data)
    torch.testing.assert_close(got, function(scale, **data))


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (24, 4099), (5, 63)])
def test_cuda(shape: tuple[int, int], normalize: bool, check) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""
    check(
        lambda device: tuple(rollout(*shape, device=device).values()),
        lambda rewards, values, dones, last_values, time_outs, terminal_values: ops.gae(
            rewards,
            values,
            dones,
            last_values,
            gamma=0.99,
            lam=0.95,
            time_outs=time_outs,
            terminal_values=terminal_values,
            normalize=normalize and shape != (1, 1),
        ),
    )
