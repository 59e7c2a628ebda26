# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.clip_adam`: torch's gradient clipping and optimizers, and the operator contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from rslcore import ops
from rslcore.ops import _library

State = dict[str, list[torch.Tensor]]

SHAPES = [(12,), (64, 48), (64,), (12, 64), (12,), (3, 5, 7), (0, 4), (), (20_011,)]
GROUPS = [5, 4]
OPTIONS = [
    {},
    {"betas": (0.5, 0.9), "eps": 1e-5, "lr": 0.1},
    {"weight_decay": 0.01},
    {"weight_decay": 0.01, "decoupled_weight_decay": True},
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(dtype: torch.dtype = torch.float32, scale: float = 1.0) -> State:
    """Parameters with gradients, before the first step."""
    generator = torch.Generator().manual_seed(0)

    def normal(factor: float) -> list[torch.Tensor]:
        return [(factor * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype) for shape in SHAPES]

    params, grads = normal(0.3), normal(scale)
    return {
        "params": params,
        "grads": grads,
        "exp_avgs": [torch.zeros_like(x) for x in params],
        "exp_avg_sqs": [torch.zeros_like(x) for x in params],
        "steps": [torch.zeros(()) for _ in params],
    }


def in_torch(state: State, **options: object) -> tuple[list[torch.nn.Parameter], torch.optim.Optimizer]:
    """The same parameters in torch's optimizer."""
    params = [torch.nn.Parameter(x.clone()) for x in state["params"]]
    optimizer = torch.optim.AdamW if options.pop("decoupled_weight_decay", False) else torch.optim.Adam
    return params, optimizer(params, **({"lr": 1e-3, "weight_decay": 0.0} | options))


def torch_step(
    params: list[torch.nn.Parameter], grads: list[torch.Tensor], optimizer: torch.optim.Optimizer, max_norm: float
) -> list[torch.Tensor]:
    """What `clip_adam` does, by torch; returns the norms."""
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.clone()
    norms = [torch.nn.utils.clip_grad_norm_(group, max_norm) for group in (params[: GROUPS[0]], params[GROUPS[0] :])]
    optimizer.step()
    return norms


@pytest.mark.parametrize("scale", [1e-4, 1.0], ids=["free", "clipped"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_equals_torch(dtype: torch.dtype, options: dict, scale: float) -> None:
    """Parameters, gradients, norms and the optimizer's state over ten steps are those of torch."""
    torch.manual_seed(0)
    state = make(dtype)
    params, optimizer = in_torch(state, **options)
    for _ in range(10):
        grads = [scale * torch.randn_like(x) for x in params]
        expected = torch_step(params, grads, optimizer, 1.0)
        state["grads"] = [x.detach() for x in grads]
        norms = ops.clip_adam(**state, group_sizes=GROUPS, max_norm=1.0, **({"lr": 1e-3} | options))
        tolerance = {"rtol": 3e-6, "atol": 0} if dtype == torch.float32 else {"rtol": 1e-13, "atol": 0}
        torch.testing.assert_close(norms, torch.stack(expected), **tolerance)
    # The first steps have the size of lr whatever that of the gradient: where gradient and decay cancel to some eps,
    # what rounding leaves of their sum counts for percents of a step, in torch as here.
    coupled = "weight_decay" in options and "decoupled_weight_decay" not in options
    cancels = 2e4 if dtype == torch.float32 and coupled else 10
    size = options.get("lr", 1e-3)
    tight = 2e-6 if dtype == torch.float32 else 1e-13
    for number, param in enumerate(params):
        kept = optimizer.state[param]
        torch.testing.assert_close(state["params"][number], param.data, rtol=1e-6, atol=cancels * tight * size)
        for ours, theirs in ((state["grads"], param.grad), (state["exp_avgs"], kept["exp_avg"])):
            torch.testing.assert_close(ours[number], theirs, rtol=10 * tight, atol=tight * scale)
        torch.testing.assert_close(state["exp_avg_sqs"][number], kept["exp_avg_sq"], rtol=10 * tight, atol=1e-20)
        assert state["steps"][number] == kept["step"] == 10


def test_continues_an_optimizer() -> None:
    """The lists of an optimizer's state go in as they are, and the optimizer goes on from there."""
    torch.manual_seed(0)
    state = make()
    params, optimizer = in_torch(state)
    others, other_optimizer = in_torch(state)
    for step in range(4):
        grads = [torch.randn_like(x) for x in params]
        torch_step(others, grads, other_optimizer, 1.0)
        if step % 2 == 0:
            torch_step(params, grads, optimizer, 1.0)
            continue
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
        kept = [optimizer.state[param] for param in params]
        ops.clip_adam(
            params,
            [param.grad for param in params],
            *([entry[key] for entry in kept] for key in ("exp_avg", "exp_avg_sq", "step")),
            group_sizes=GROUPS,
            max_norm=1.0,
            lr=1e-3,
        )
    for param, other in zip(params, others, strict=True):
        torch.testing.assert_close(param, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_norms_that_are_not_finite(bad: float) -> None:
    """As in torch: a NaN norm makes all gradients of its group NaN, an infinite one zero or NaN; other groups go on."""
    state = make()
    state["grads"][1][0, 0] = bad
    params, optimizer = in_torch(state)
    torch_step(params, state["grads"], optimizer, 1.0)
    ops.clip_adam(**state, group_sizes=GROUPS, max_norm=1.0, lr=1e-3)
    for number, param in enumerate(params):
        assert torch.equal(state["params"][number].isnan(), param.isnan())
        assert torch.equal(state["grads"][number].isnan(), param.grad.isnan())
    assert not state["params"][6].isnan().any()


def test_without_clipping() -> None:
    """`max_norm=None` leaves the gradients; one group is the default."""
    state, other = make(), make()
    grads = [x.clone() for x in state["grads"]]
    assert ops.clip_adam(**state, max_norm=None, lr=1e-3).tolist() == [0.0]
    assert all(torch.equal(a, b) for a, b in zip(state["grads"], grads, strict=True))
    norms = ops.clip_adam(**other, max_norm=1e9, lr=1e-3)
    torch.testing.assert_close(norms[0], torch.cat([x.flatten() for x in grads]).norm())
    assert all(torch.equal(a, b) for a, b in zip(state["params"], other["params"], strict=True))


def test_nothing_to_do() -> None:
    """No tensors, and empty groups."""
    assert ops.clip_adam([], [], [], [], [], group_sizes=[0, 0], max_norm=1.0, lr=1e-3).tolist() == [0.0, 0.0]


def test_same_bits_for_any_number_of_threads() -> None:
    """Tensors are cut by their sizes alone."""
    big = torch.Generator().manual_seed(1)
    lists = [[torch.randn(300_007, generator=big).abs(), torch.randn(70_001, generator=big).abs()] for _ in range(4)]
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        copies = [[x.clone() for x in tensors] for tensors in lists]
        ops.clip_adam(*copies, [torch.zeros(()) for _ in range(2)], max_norm=1.0, lr=1e-3)
        results.append([x for tensors in copies for x in tensors])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_strided_tensors() -> None:
    """Views of any strides are updated in place, and nothing beside them; tuples do as well as lists."""
    state, expected = make(), make()
    ops.clip_adam(**expected, group_sizes=GROUPS, max_norm=1.0, lr=1e-3)
    buffers = {name: [torch.stack([x, x + 7], dim=-1) for x in tensors] for name, tensors in state.items()}
    views = {name: tuple(x[..., 0] for x in tensors) for name, tensors in buffers.items()}
    ops.clip_adam(**views, group_sizes=GROUPS, max_norm=1.0, lr=1e-3)
    for name, tensors in buffers.items():
        for number, x in enumerate(tensors):
            assert torch.equal(x[..., 0], expected[name][number])
            assert torch.equal(x[..., 1], make()[name][number] + 7)


def test_fallback_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled library the public function gives the same."""
    state, other = make(torch.float64), make(torch.float64)
    norms = ops.clip_adam(**state, group_sizes=GROUPS, max_norm=1.0, lr=1e-3, weight_decay=0.1)
    monkeypatch.setattr(_library, "_compiled", {})
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    monkeypatch.setattr(_library, "_warned", {"cpu"})
    torch.testing.assert_close(
        ops.clip_adam(**other, group_sizes=GROUPS, max_norm=1.0, lr=1e-3, weight_decay=0.1), norms, rtol=1e-12, atol=0
    )
    for name, tensors in state.items():
        torch.testing.assert_close(other[name], tensors, rtol=1e-12, atol=1e-15)


def one(change: torch.Tensor) -> list[torch.Tensor]:
    """The first parameter's tensors of a list, with the first one changed."""
    return [change, *make()["params"][1:]]


SHARED = torch.zeros(12)
BAD = [
    ({"params": torch.zeros(3)}, TypeError, "`params` must be a list of tensors, got Tensor"),
    ({"grads": [torch.zeros(12)]}, ValueError, "`grads` must have 9 tensors, got 1"),
    ({"grads": one(torch.zeros(13))}, ValueError, "`grads[0]` must be [12] like `params[0]`, got [13]"),
    ({"grads": [None, *make()["grads"][1:]]}, TypeError, "`grads[0]` must be a torch Tensor, got NoneType"),
    ({"exp_avgs": one(torch.zeros(12).double())}, TypeError, "`exp_avgs[0]` must be float32 like `params[0]`, got"),
    ({"params": one(torch.zeros(12).half())}, TypeError, "`params[0]` must be float32 or float64, got float16"),
    ({"steps": [torch.zeros(1)] * 9}, ValueError, "`steps[0]` must be [], got [1]"),
    (
        {"grads": one(torch.zeros(12, device="meta"))},
        ValueError,
        "`grads[0]` must be on cpu like `params[0]`, got meta",
    ),
    ({"grads": one(SHARED), "exp_avgs": one(SHARED)}, ValueError, "the tensors must share no memory, got two that do"),
    ({"group_sizes": [5, 5]}, ValueError, "`group_sizes` must add up to 9 tensors, got [5, 5]"),
    ({"group_sizes": [10, -1]}, ValueError, "`group_sizes` must add up to 9 tensors, got [10, -1]"),
    ({"group_sizes": [9.0]}, TypeError, "`group_sizes[0]` must be an integer, got float"),
    ({"max_norm": -1.0}, ValueError, "`max_norm` must be in [0, inf], got -1.0"),
    ({"lr": -1.0}, ValueError, "`lr` must be in [0, inf], got -1.0"),
    ({"betas": (0.9, 1.0)}, ValueError, "`betas[1]` must be below 1, got 1.0"),
    ({"betas": 0.9}, TypeError, "`betas` must be a pair, got float"),
    ({"eps": "0"}, TypeError, "`eps` must be a number, got str"),
    ({"decoupled_weight_decay": 1}, TypeError, "`decoupled_weight_decay` must be a bool, got int"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; no tensor changes."""
    state = make()
    with pytest.raises(error) as raised:
        ops.clip_adam(**({**state, "group_sizes": GROUPS, "max_norm": 1.0, "lr": 1e-3} | change))
    assert str(raised.value).startswith(f"clip_adam: {message}")
    for name, tensors in make().items():
        assert all(torch.equal(a, b) for a, b in zip(state[name], tensors, strict=True))


def test_autograd_notices_what_was_written() -> None:
    """A parameter that backward needs and the step has changed since is an error, not a wrong gradient."""
    weight = torch.nn.Parameter(torch.ones(3))
    y = (weight * torch.ones(3, requires_grad=True)).sum()
    zeros = [[torch.zeros(3)] for _ in range(3)]
    ops.clip_adam([weight], *zeros, [torch.zeros(())], max_norm=1.0, lr=1e-3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_opcheck() -> None:
    """Schema and fake kernel are consistent."""
    state = make()
    args = (*state.values(), GROUPS, 1.0, 1e-3, 0.9, 0.999, 1e-8, 0.0, False, torch.zeros(2))
    torch.library.opcheck(torch.ops.rslcore.clip_adam.default, args)


@pytest.mark.gpu
def test_cuda_is_referred_to_torch() -> None:
    """There is no kernel of ours on CUDA, and the message says what to use."""
    state = {name: [x.cuda() for x in tensors] for name, tensors in make().items()}
    with pytest.raises(ValueError, match=r"`params\[0\]` must be on cpu, got cuda:0: there torch.optim.Adam"):
        ops.clip_adam(**state, group_sizes=GROUPS, max_norm=1.0, lr=1e-3)
