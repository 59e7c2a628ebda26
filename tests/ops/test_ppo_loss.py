# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.ppo_loss`: the loss, gradients and statistics of rsl_rl's PPO, and the operator contract."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from _gpu import DEVICES, GPU_CHECKS

from rslcore import ops
from rslcore.ops import _library, reference

Data = dict[str, torch.Tensor]

SHAPES = [(1, 1), (7, 3), (97, 5), (384, 12), (1031, 1), (3, 1500)]
DTYPES = [torch.float32, torch.float64]
SETTINGS = {"clip_param": 0.2, "value_loss_coef": 1.3, "entropy_coef": 0.01}
LEARNED = ("mean", "std", "values")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(
    rows: int,
    columns: int,
    dtype: torch.dtype = torch.float32,
    *,
    std_rows: bool = False,
    samples: int | None = None,
    device: str = "cpu",
) -> Data:
    """A minibatch some steps after its rollout: a fifth of the ratios and of the values have left their range."""
    generator = torch.Generator().manual_seed(rows * 100 + columns)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    old_mean, old_std = normal(rows, columns), 0.5 + normal(*((rows,) if std_rows else ()), columns).abs()
    mean = old_mean + 0.15 / columns**0.5 * normal(rows, columns)
    std = old_std * (1 + 0.02 / columns**0.5 * normal(*old_std.shape))
    actions = old_mean + old_std * normal(rows, columns)
    old_log_prob = torch.distributions.Normal(old_mean, old_std).log_prob(actions).sum(dim=-1, keepdim=True)
    values = normal(rows, 1)
    data = {
        "mean": mean,
        "std": std,
        "values": values,
        "actions": actions,
        "old_log_prob": old_log_prob,
        "advantages": normal(rows, 1),
        "returns": values + normal(rows, 1),
        "old_values": values + 0.15 * normal(rows, 1),
        "old_mean": old_mean[:samples].contiguous(),
        "old_std": old_std.expand(rows, columns)[:samples].contiguous(),
    }
    return {name: x.to(device, dtype) for name, x in data.items()}


def learned(data: Data) -> list[torch.Tensor]:
    """The parts of the data that receive gradients, which they then require."""
    return [data[name].requires_grad_() for name in LEARNED]


def evaluate(function: Callable, data: Data, **settings: object) -> tuple[torch.Tensor, ...]:
    """Loss, statistics [5] and the three gradients of 2 * loss."""
    data = {name: x.clone() for name, x in data.items()}
    inputs = learned(data)
    loss, stats = function(**data, **(SETTINGS | settings))
    gradients = torch.autograd.grad(2 * loss, inputs)
    return loss.detach(), torch.stack(list(stats)), *gradients


def in_reference(
    clip_param: float, value_loss_coef: float, entropy_coef: float, use_clipped_value_loss: bool = True, **data: object
) -> tuple[torch.Tensor, torch.Tensor]:
    """The reference with the arguments of the operator."""
    if not use_clipped_value_loss:
        data["old_values"] = None
    names = (*LEARNED, "actions", "old_log_prob", "advantages", "returns", "old_values", "old_mean", "old_std")
    return reference.ppo_loss(*(data.get(name) for name in names), clip_param, value_loss_coef, entropy_coef)


def assert_close(got: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...], tolerance: float) -> None:
    """Every result to `tolerance` of its largest element."""
    for result, other in zip(got, expected, strict=True):
        assert result.shape == other.shape
        scale = max(float(other.abs().max()), 1.0 if other.dim() <= 1 else 0.0)
        torch.testing.assert_close(result.double(), other.double(), rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize("std_rows", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_the_reference(
    shape: tuple[int, int], dtype: torch.dtype, std_rows: bool, clipped: bool, device: str
) -> None:
    """Loss, statistics and gradients are those that autograd finds for the text, in float64."""
    data = make(*shape, dtype, std_rows=std_rows, samples=shape[0] - shape[0] // 3, device=device)
    got = evaluate(ops.ppo_loss, data, use_clipped_value_loss=clipped)
    wide = {name: x.double() for name, x in data.items()}
    expected = evaluate(in_reference, wide, use_clipped_value_loss=clipped)
    # A log-probability of many actions is a large number, whose last digits the ratio is made of.
    tolerance = 1e-12 if dtype == torch.float64 else 3e-6 * max(1.0, shape[1] / 12)
    assert_close(got, expected, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 5e-6), (torch.float64, 1e-12)], ids=str)
@pytest.mark.parametrize("clipped", [True, False])
def test_is_the_rule_of_the_algorithm(clipped: bool, dtype: torch.dtype, tolerance: float) -> None:
    """The loss is that of `PPO`, of distribution and rule, with the gradients of both models."""
    data = make(384, 12, dtype, samples=192)
    module = pytest.importorskip("rslcore.algorithms.ppo_rule", reason="operators alone are installed")
    distribution = pytest.importorskip("rslcore.modules").GaussianDistribution(12)

    def rule(mean: torch.Tensor, std: torch.Tensor, values: torch.Tensor, **rest: torch.Tensor) -> tuple:
        distribution._batch = mean, std
        terms = module.ppo_terms(
            distribution.log_prob(rest["actions"]),
            distribution.entropy[:192],
            values,
            *(rest[name] for name in ("old_log_prob", "advantages", "old_values", "returns")),
            clip_param=0.2,
            use_clipped_value_loss=clipped,
        )
        old, new = (rest["old_mean"], rest["old_std"]), tuple(x[:192] for x in distribution.params)
        kl = distribution.kl_divergence(old, new).mean()
        loss = terms.surrogate + 1.3 * terms.value - 0.01 * terms.entropy
        return loss, [x.detach() for x in (*terms, kl)]

    expected = evaluate(rule, data)
    loss, stats, *gradients = evaluate(ops.ppo_loss, data, use_clipped_value_loss=clipped)
    assert_close((loss, stats[:4], *gradients), expected, tolerance)


def test_by_hand() -> None:
    """Two rows, one action: every number worked out on paper."""
    data = {
        "mean": torch.tensor([[0.0], [1.0]]),
        "std": torch.tensor([1.0]),
        "values": torch.tensor([1.0, 0.0]),
        "actions": torch.tensor([[1.0], [1.0]]),
        "old_log_prob": torch.tensor([-0.5, -1.0]) - 0.5 * torch.log(torch.tensor(2 * torch.pi)),
        "advantages": torch.tensor([2.0, 1.0]),
        "returns": torch.tensor([3.0, 0.0]),
        "old_values": torch.tensor([0.5, 0.0]),
        "old_mean": torch.tensor([[0.0], [0.0]]),
        "old_std": torch.tensor([1.0]),
    }
    settings = {"clip_param": 0.2, "value_loss_coef": 1.0, "entropy_coef": 0.5}
    inputs = learned(data)
    loss, stats = ops.ppo_loss(**data, **settings)
    # Ratios 1 and e: the second is clipped to 1.2. Values: (1 - 3)^2 against (0.7 - 3)^2, then 0.
    entropy = 0.5 * (1 + torch.log(torch.tensor(2 * torch.pi)))
    surrogate, value = (-2.0 - 1.2) / 2, 2.3**2 / 2
    expected = [surrogate, value, entropy, (0.0 + 0.5) / 2, 0.5]
    torch.testing.assert_close(torch.stack(list(stats)), torch.tensor(expected))
    torch.testing.assert_close(loss, surrogate + value - 0.5 * entropy)
    mean_gradient, std_gradient, value_gradient = torch.autograd.grad(loss, inputs)
    torch.testing.assert_close(mean_gradient, torch.tensor([[-1.0], [0.0]]))
    torch.testing.assert_close(std_gradient, torch.tensor([-0.5]))  # (1 - 1) * -1 and the entropy's 1 / std
    torch.testing.assert_close(value_gradient, torch.tensor([0.0, 0.0]))  # the clipped value does not move


def test_symmetry_rows_count_for_the_loss_alone() -> None:
    """Entropy and KL are means over the rows of `old_mean`; surrogate and value loss over all."""
    data = make(60, 4, std_rows=True, samples=20)
    _, stats = ops.ppo_loss(**data, **SETTINGS)
    first = {name: x[:20] for name, x in data.items()}
    _, of_samples = ops.ppo_loss(**first, **SETTINGS)
    torch.testing.assert_close(stats.entropy, of_samples.entropy)
    torch.testing.assert_close(stats.kl, of_samples.kl)
    assert stats.value != of_samples.value


def test_kl_of_an_unchanged_policy_is_exactly_zero() -> None:
    """Nothing learned yet: the adaptive learning rate treats 0 apart."""
    data = make(97, 12)
    data["old_mean"], data["old_std"] = data["mean"].clone(), data["std"].expand(97, 12).clone()
    assert ops.ppo_loss(**data, **SETTINGS)[1].kl == 0.0


def test_kl_without_the_old_law_is_estimated() -> None:
    """mean(r - 1 - log r), for those who keep log-probabilities only."""
    data = make(500, 3)
    exact = ops.ppo_loss(**data, **SETTINGS)[1]
    del data["old_mean"], data["old_std"]
    estimate = ops.ppo_loss(**data, **SETTINGS)[1]
    law = torch.distributions.Normal(data["mean"], data["std"])
    log_ratio = law.log_prob(data["actions"]).sum(-1) - data["old_log_prob"].flatten()
    torch.testing.assert_close(estimate.kl, (log_ratio.exp() - 1 - log_ratio).mean(), rtol=1e-5, atol=1e-7)
    assert estimate.kl == pytest.approx(float(exact.kl), rel=0.3)
    assert estimate[:3] == exact[:3]


@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_a_ratio_beyond_all_bounds(advantage: float) -> None:
    """Where the clipped term counts nothing is learned from the row, even if its ratio overflows; NaN stays NaN."""
    data = make(4, 2)
    data["advantages"] = torch.full((4, 1), advantage)
    data["old_log_prob"][1] = -1000.0
    loss, _, mean_gradient, *_ = evaluate(ops.ppo_loss, data)
    if advantage > 0:
        assert loss.isfinite()
        assert not mean_gradient[1].any()
    else:
        assert loss == torch.inf
    data["old_log_prob"][1] = torch.nan
    loss, _, mean_gradient, *_ = evaluate(ops.ppo_loss, data)
    assert loss.isnan()
    assert mean_gradient.isnan().all(dim=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize("of_returns", [-torch.inf, 0.0, torch.inf, torch.nan], ids=lambda x: f"returns {x}")
@pytest.mark.parametrize("of_old", [-torch.inf, 0.0, torch.inf, torch.nan], ids=lambda x: f"old {x}")
@pytest.mark.parametrize("of_value", [-torch.inf, 0.0, torch.inf, torch.nan], ids=lambda x: f"value {x}")
def test_values_that_are_no_numbers(
    of_value: float, of_old: float, of_returns: float, clipped: bool, dtype: torch.dtype
) -> None:
    """Infinities and NaN among values, old values and returns give the loss and the gradients that torch has."""
    data = make(37, 2, dtype)
    for name, x in (("values", of_value), ("old_values", of_old), ("returns", of_returns)):
        data[name][5] = x
    got = evaluate(ops.ppo_loss, data, use_clipped_value_loss=clipped)
    expected = evaluate(in_reference, data, use_clipped_value_loss=clipped)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-11}
    torch.testing.assert_close(got, expected, equal_nan=True, **tolerance)
    assert got[-1][torch.arange(37) != 5].isfinite().all()


def test_gradients_of_what_is_asked_for() -> None:
    """Frozen parts receive none; the statistics have no graph; the loss may be part of a larger one."""
    data = make(33, 5)
    data["values"].requires_grad_()
    loss, stats = ops.ppo_loss(**data, **SETTINGS)
    (3 * loss + data["values"].sum()).backward()
    assert not any(x.requires_grad for x in stats)
    expected = evaluate(in_reference, make(33, 5))[4] * 1.5 + 1
    torch.testing.assert_close(data["values"].grad, expected)
    assert not ops.ppo_loss(**make(33, 5), **SETTINGS)[0].requires_grad


def test_expanded_std() -> None:
    """The [B, A] that a distribution expands from its parameter [A] gives the parameter the same gradient."""
    data = make(33, 5)
    parameter = data["std"].clone().requires_grad_()
    ops.ppo_loss(**{**data, "std": parameter.expand(33, 5)}, **SETTINGS)[0].backward()
    assert torch.equal(2 * parameter.grad, evaluate(ops.ppo_loss, data)[3])


def test_strided_arguments() -> None:
    """Views of any strides, and columns [B] for [B, 1]."""
    data = make(33, 5, std_rows=True)
    expected = evaluate(ops.ppo_loss, data)
    views = {name: torch.stack([x, x + 1], dim=-1)[..., 0].detach() for name, x in data.items()}
    inputs = learned(views)
    loss, stats = ops.ppo_loss(**views, **SETTINGS)
    gradients = torch.autograd.grad(2 * loss, inputs)
    for got, other in zip((loss, torch.stack(list(stats)), *gradients), expected, strict=True):
        assert torch.equal(got, other)
    flat = {name: x.detach().flatten() if x.shape[1:] == (1,) else x.detach() for name, x in data.items()}
    assert torch.equal(ops.ppo_loss(**flat, **SETTINGS)[0], expected[0])


def test_same_bits_for_any_number_of_threads() -> None:
    """The cut into units follows from the shape alone."""
    data = make(20_003, 12)
    one = evaluate(ops.ppo_loss, data)
    torch.set_num_threads(3)
    three = evaluate(ops.ppo_loss, data)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_simd_level(level: str) -> None:
    """Lower levels differ by rounding only."""
    program = (
        "import torch, sys; sys.path.insert(0, 'tests/ops'); import test_ppo_loss as t; "
        "torch.save(t.evaluate(t.ops.ppo_loss, t.make(97, 5)), sys.argv[1])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = f"/dev/shm/ppo_loss_{os.getpid()}.pt"
    environment = {**os.environ, "RSLCORE_SIMD": level}
    try:
        subprocess.run([sys.executable, "-c", program, path], env=environment, check=True, cwd=root)
        assert_close(tuple(torch.load(path)), evaluate(ops.ppo_loss, make(97, 5)), 3e-6)
    finally:
        if os.path.exists(path):
            os.remove(path)


def test_no_rows() -> None:
    """A mean of nothing is NaN, as in torch, and nothing receives a gradient."""
    loss, stats, mean_gradient, std_gradient, value_gradient = evaluate(ops.ppo_loss, make(0, 3))
    assert loss.isnan()
    assert stats.isnan().all()
    assert (mean_gradient.shape, value_gradient.shape) == ((0, 3), (0, 1))
    assert not std_gradient.any()


GOOD = make(3, 4)
BAD = [
    ({"mean": [0.0]}, TypeError, "`mean` must be a torch Tensor, got list"),
    ({"mean": GOOD["mean"].half()}, TypeError, "`mean` must be float32 or float64, got float16"),
    ({"mean": torch.zeros(4)}, ValueError, "`mean` must be [B, A], got [4]"),
    ({"std": GOOD["std"].double()}, TypeError, "`std` must be float32 like `mean`, got float64"),
    ({"std": torch.ones(3)}, ValueError, "`std` must be [4] or [3, 4], got [3]"),
    ({"values": None}, TypeError, "`values` must be a torch Tensor, got NoneType"),
    ({"values": torch.zeros(1, 3)}, ValueError, "`values` must be [3] or [3, 1], got [1, 3]"),
    ({"actions": torch.zeros(3, 5)}, ValueError, "`actions` must be [3, 4] like `mean`, got [3, 5]"),
    ({"returns": torch.zeros(4)}, ValueError, "`returns` must be [3] or [3, 1], got [4]"),
    ({"old_values": None}, ValueError, "`old_values` must be given where the value loss is clipped, got None"),
    ({"old_mean": torch.zeros(4, 4)}, ValueError, "`old_mean` must be [S, 4], S <= 3, got [4, 4]"),
    ({"old_std": torch.ones(2, 4)}, ValueError, "`old_std` must be [4] or [3, 4], got [2, 4]"),
    ({"old_std": None}, ValueError, "`old_mean` and `old_std` must be given together, got None for `old_std`"),
    ({"actions": torch.zeros(3, 4, device="meta")}, ValueError, "`actions` must be on cpu like `mean`, got meta"),
    ({"returns": torch.zeros(3, requires_grad=True)}, ValueError, "`returns` requires a gradient"),
    ({"actions": torch.zeros(3, 4).to_sparse()}, ValueError, "`actions` must be a dense tensor (torch.strided)"),
    ({"clip_param": -0.1}, ValueError, "`clip_param` must be in [0, inf], got -0.1"),
    ({"entropy_coef": "0"}, TypeError, "`entropy_coef` must be a number, got str"),
    ({"use_clipped_value_loss": 1}, TypeError, "`use_clipped_value_loss` must be a bool, got int"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[bad[2][:60] for bad in BAD])
def test_bad_input_is_named(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got."""
    with pytest.raises(error) as raised:
        ops.ppo_loss(**({**GOOD, **SETTINGS} | change))
    assert str(raised.value).startswith(f"ppo_loss: {message}")


def test_numbers_of_any_kind() -> None:
    """An integer is a number."""
    as_float = ops.ppo_loss(**GOOD, clip_param=1.0, value_loss_coef=1.0, entropy_coef=0.0)[0]
    assert ops.ppo_loss(**GOOD, clip_param=1, value_loss_coef=1, entropy_coef=0)[0] == as_float


def test_transforms_go_through_the_text() -> None:
    """torch.func differentiates the reference."""
    data = make(33, 5)
    expected = evaluate(ops.ppo_loss, data)[2] / 2
    mean = data.pop("mean")
    got = torch.func.grad(lambda x: ops.ppo_loss(x, **data, **SETTINGS)[0])(mean)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_fallback_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled library the public function gives the same."""
    data = make(33, 5, torch.float64)
    expected = evaluate(ops.ppo_loss, data)
    monkeypatch.setattr(_library, "_compiled", {})
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    monkeypatch.setattr(_library, "_warned", {"cpu"})
    assert_close(evaluate(ops.ppo_loss, data), expected, 1e-12)


@pytest.mark.parametrize("std_rows", [False, True])
def test_opcheck(std_rows: bool) -> None:
    """Schema, fake kernel and autograd registration are consistent."""
    data = make(9, 4, std_rows=std_rows)
    for requires_grad in (False, True):
        args = [x.clone().requires_grad_(requires_grad and name in LEARNED) for name, x in data.items()]
        torch.library.opcheck(torch.ops.rslcore.ppo_loss.default, (*args, *SETTINGS.values()))


def test_compiles_whole() -> None:
    """Forward and backward in one graph each, with the results of the eager call."""
    torch._dynamo.reset()
    data = make(33, 5)
    expected = evaluate(ops.ppo_loss, data)

    def function(**arguments: object) -> tuple:
        return ops.ppo_loss(**arguments)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for got, other in zip(evaluate(compiled, data), expected, strict=True):
        assert torch.equal(got, other)


@pytest.mark.gpu
@pytest.mark.parametrize("check", GPU_CHECKS)
@pytest.mark.parametrize("std_rows", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (384, 12), (24_576, 12), (1009, 37), (70_001, 3)])
def test_cuda(shape: tuple[int, int], std_rows: bool, check: Callable) -> None:
    """On CUDA: the CPU result, on the current stream, in a graph, compiled with graphs."""
    names = list(make(1, 1))

    def arguments(device: str) -> tuple[torch.Tensor, ...]:
        data = make(*shape, std_rows=std_rows, samples=shape[0] - shape[0] // 3, device=device)
        return tuple(data.values())

    def call(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        data = dict(zip(names, (x.detach() for x in tensors), strict=True))
        loss, stats = ops.ppo_loss(**data, **SETTINGS)
        return loss, *stats

    check(arguments, call)


@pytest.mark.gpu
@pytest.mark.parametrize("std_rows", [False, True])
def test_cuda_gradients(std_rows: bool) -> None:
    """The gradients of the CPU, and the same bits every time."""
    got = [evaluate(ops.ppo_loss, make(5003, 12, std_rows=std_rows, device="cuda")) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*got, strict=True))
    expected = evaluate(ops.ppo_loss, make(5003, 12, std_rows=std_rows))
    assert_close(tuple(x.cpu() for x in got[0]), expected, 3e-6)
