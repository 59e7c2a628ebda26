# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.lstm` and `ops.gru`: torch's layers on trajectories that are split and padded, without the padding."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from rslcore import ops
from rslcore.ops import _library, reference

KINDS = {"lstm": (nn.LSTM, ops.lstm, 4), "gru": (nn.GRU, ops.gru, 3)}
SHAPES = [(1, 1, 1, 1), (1, 7, 3, 5), (6, 1, 17, 16), (7, 11, 5, 3), (5, 33, 33, 17), (3, 90, 2, 31), (24, 70, 9, 40)]
"""Steps, environments, inputs, units: below, at and beyond whole registers, tiles and chunks."""
EPS = torch.finfo(torch.float32).eps


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["kernel", "reference"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The compiled operator, then the plain-torch one behind the same functions."""
    if request.param == "reference":
        monkeypatch.setattr(_library, "kernel", lambda op, device: getattr(reference, op))
    return request.param


class Case:
    """A layer of torch, a rollout for it, and weights of the results that make a scalar of them."""

    def __init__(self, kind: str, shape: tuple[int, ...], *, bias: bool = True, probability: float = 0.2) -> None:
        steps, envs, inputs, units = shape
        torch.manual_seed(sum(shape))
        layer, self.operator, _ = KINDS[kind]
        self.layer = layer(inputs, units, bias=bias)
        self.x = torch.randn(steps, envs, inputs)
        self.dones = torch.rand(steps, envs) < probability
        self.states = [torch.randn(envs, units) for _ in range(2 if kind == "lstm" else 1)]
        self.weights = [torch.randn(steps, envs, units), *(torch.randn(envs, units) for _ in self.states)]

    def inputs(self, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
        """x, states and parameters, each with a gradient to come."""
        return [x.detach().to(dtype).requires_grad_() for x in (self.x, *self.states, *self.layer.parameters())]

    def run(self, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The operator."""
        return self.operator(inputs[0], self.dones, *inputs[1:])

    def padded(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Outputs and gradients in float64 of torch's layer: on the padded trajectories, as rsl_rl runs it."""
        inputs = self.inputs(torch.float64)
        split = ops.split_trajectories(self.dones)
        count = int(split.offsets[-1])
        starts, lengths = split.starts[:count], split.lengths[:count]
        num_envs = self.dones.shape[1]
        first = (starts < num_envs)[:, None]
        states = [torch.where(first, state[starts % num_envs], 0)[None] for state in inputs[1 : 1 + len(self.states)]]
        layer = self.layer.double()
        x = ops.pad_trajectories(inputs[0], starts, lengths)
        parameters = dict(zip(dict(layer.named_parameters()), inputs[1 + len(states) :], strict=True))
        state = tuple(states) if len(states) == 2 else states[0]
        y, _ = torch.func.functional_call(layer, parameters, (x, state))
        return [ops.unpad_trajectories(y, starts, lengths, num_envs=num_envs)], inputs


def assert_near(ours: torch.Tensor, expected: torch.Tensor, ulps: float) -> None:
    """Equal to so many roundings of the largest magnitude."""
    scale = max(expected.abs().max().item(), 1e-3)
    torch.testing.assert_close(ours.double(), expected.double(), rtol=0, atol=ulps * EPS * scale)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_and_gradients_are_those_of_padded_trajectories(kind: str, shape: tuple[int, ...]) -> None:
    """Law: torch's layer on split and padded trajectories in float64 gives the same, forward and backward."""
    case = Case(kind, shape)
    inputs = case.inputs()
    output = case.run(inputs)[0]
    expected, oracle = case.padded()
    assert_near(output, expected[0], 16)
    gradients = torch.autograd.grad((output * case.weights[0]).sum(), inputs)
    wanted = torch.autograd.grad((expected[0] * case.weights[0]).sum(), oracle)
    for ours, theirs in zip(gradients, wanted, strict=True):
        assert_near(ours, theirs, 100)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_the_same(kind: str, bias: bool) -> None:
    """Law: kernel and plain torch agree in all results and gradients, those of the last states among them."""
    case = Case(kind, (9, 37, 6, 20), bias=bias)
    results, gradients = [], []
    for dtype in (torch.float32, torch.float64):  # float64 runs the reference
        inputs = case.inputs(dtype)
        outputs = case.run(inputs)
        loss = sum((y * weight.to(dtype)).sum() for y, weight in zip(outputs, case.weights, strict=True))
        results.append(outputs)
        gradients.append(torch.autograd.grad(loss, inputs))
    for ours, expected in (*zip(*results, strict=True), *zip(*gradients, strict=True)):
        assert ours.dtype == torch.float32 and ours.shape == expected.shape
        assert_near(ours, expected, 100)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_may_be_scanned_in_pieces(implementation: str, kind: str, probability: float) -> None:
    """Law: the last states are those that the next step begins with: zero where the last step ended an episode."""
    case = Case(kind, (8, 21, 4, 18), probability=probability)
    inputs = case.inputs()
    whole = case.run(inputs)
    states = case.states
    pieces = []
    for part in (slice(0, 3), slice(3, 4), slice(4, 8)):
        output, *states = case.operator(inputs[0][part], case.dones[part], *states, *case.layer.parameters())
        pieces.append(output)
    for ours, expected in zip((torch.cat(pieces), *states), whole, strict=True):
        assert_near(ours, expected, 8)
        assert implementation == "reference" or torch.equal(ours, expected)
    assert not whole[1][case.dones[-1]].any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_saved_changes_nothing(kind: str) -> None:
    """Law: without gradient, where nothing is kept, the same bits; an empty rollout has its states for results."""
    case = Case(kind, (5, 40, 3, 9))
    graded = case.run(case.inputs())
    for without in (torch.no_grad(), torch.inference_mode()):
        with without:
            assert all(torch.equal(x, y) for x, y in zip(case.run(case.inputs()), graded, strict=True))
    inputs = case.inputs()
    output, *states = case.operator(inputs[0][:0], case.dones[:0], *inputs[1:])
    assert output.shape == (0, 40, 9) and torch.equal(states[0], case.states[0])
    gradients = torch.autograd.grad(states[0].sum(), inputs[1:], allow_unused=True)
    assert torch.equal(gradients[0], torch.ones(40, 9)) and not gradients[-1].any()
    output = case.operator(case.x[:, :0], case.dones[:, :0], *(s[:0] for s in case.states), *case.layer.parameters())[0]
    output.sum().backward()
    assert output.shape == (5, 0, 9) and not any(p.grad.any() for p in case.layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_no_bit(kind: str) -> None:
    """Law: outputs and gradients do not depend on the number of threads."""
    case = Case(kind, (6, 150, 5, 12))
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        inputs = case.inputs()
        output = case.run(inputs)[0]
        found.append((output, *torch.autograd.grad((output * case.weights[0]).sum(), inputs)))
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other, strict=True))


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_simd_level(level: str) -> None:
    """Law: what runs on older processors passes the same test."""
    test = f"{__file__}::test_outputs_and_gradients_are_those_of_padded_trajectories"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, env={**os.environ, "RSLCORE_SIMD": level}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_asked_for_has_a_gradient(kind: str) -> None:
    """Law: frozen arguments get no gradient and change none of the others."""
    case = Case(kind, (4, 9, 3, 5))
    inputs = case.inputs()
    wanted = torch.autograd.grad(case.run(inputs)[0].sum(), inputs)
    for free in range(len(inputs)):
        again = [x.detach().requires_grad_(i == free) for i, x in enumerate(inputs)]
        case.run(again)[0].sum().backward()
        assert torch.equal(again[free].grad, wanted[free])
        assert all(x.grad is None for i, x in enumerate(again) if i != free)


@pytest.mark.parametrize("kind", KINDS)
def test_torch_knows_the_operator(kind: str) -> None:
    """Law: schema, fake kernel and autograd pass torch's own checks; compiled in one graph it is the same."""
    case = Case(kind, (4, 9, 3, 5))
    inputs = case.inputs()
    states = [*inputs[1:2], inputs[2] if kind == "lstm" else None]
    arguments = (inputs[0], case.dones.to(torch.uint8), *states, *inputs[-4:], True)
    torch.library.opcheck(torch.ops.rslcore.rnn_scan.default, arguments)
    compiled = torch.compile(lambda *x: case.operator(x[0], case.dones, *x[1:])[0], fullgraph=True)
    assert torch.equal(compiled(*inputs), case.run(inputs)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_refused(kind: str) -> None:
    """Law: no wrong second derivative; torch.func goes through the reference."""
    case = Case(kind, (3, 4, 2, 5))
    inputs = case.inputs()
    first = torch.autograd.grad(case.run(inputs)[0].square().sum(), inputs[0], create_graph=True)[0]
    with pytest.raises(RuntimeError, match="second derivative"):
        first.sum().backward()
    plain = [x.detach() for x in inputs]
    gradient = torch.func.grad(lambda x: case.run([x, *plain[1:]])[0].square().sum())(plain[0])
    assert_near(gradient, first, 50)


REFUSALS = {
    "x": (ValueError, "`x` must be \\[T, N, D\\]", {"x": torch.zeros(3, 2)}),
    "x dtype": (TypeError, "`x` must be float32 or float64", {"x": torch.zeros(3, 4, 2, dtype=torch.int64)}),
    "dones": (ValueError, "`dones` must be \\[3, 4\\]", {"dones": torch.zeros(4, 3)}),
    "dones dtype": (TypeError, "`dones` must be", {"dones": torch.zeros(3, 4, dtype=torch.float64)}),
    "h_0": (ValueError, "`h_0` must be \\[4, 5\\]", {"h_0": torch.zeros(1, 4, 5)}),
    "h_0 kind": (TypeError, "`h_0` must be a torch Tensor, got NoneType", {"h_0": None}),
    "weight_hh": (ValueError, "`weight_hh` must be \\[. H, H\\]", {"weight_hh": torch.zeros(5, 5)}),
    "weight_ih": (ValueError, "`weight_ih` must be", {"weight_ih": torch.zeros(5, 3)}),
    "bias_ih": (ValueError, "`bias_ih` must be", {"bias_ih": torch.zeros(5)}),
    "bias_hh dtype": (TypeError, "`bias_hh` must be float32", {"bias_hh": torch.zeros(5).double()}),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("kind", KINDS)
def test_refusals(kind: str, case: str) -> None:
    """Law: what does not fit is refused with operator, argument, expected and got."""
    _, operator, gates = KINDS[kind]
    error, message, change = REFUSALS[case]
    arguments = {
        "x": torch.zeros(3, 4, 2),
        "dones": torch.zeros(3, 4),
        "h_0": torch.zeros(4, 5),
        **({"c_0": torch.zeros(4, 5)} if kind == "lstm" else {}),
        "weight_ih": torch.zeros(gates * 5, 2),
        "weight_hh": torch.zeros(gates * 5, 5),
    }
    with pytest.raises(error, match=f"^{kind}: {message}"):
        operator(**{**arguments, **change})


def test_raw_operator_guards_memory() -> None:
    """Law: the operator itself, called with what does not fit, raises instead of reading elsewhere."""
    scan = torch.ops.rslcore.rnn_scan.default
    x, dones, state = torch.zeros(3, 4, 2), torch.zeros(3, 4, dtype=torch.uint8), torch.zeros(4, 5)
    w_ih, w_hh = torch.zeros(20, 2), torch.zeros(20, 5)
    for bad in ((x[:, :3], dones, state, state, w_ih, w_hh), (x, dones, state, state, w_ih[:15], w_hh[:15])):
        with pytest.raises(RuntimeError, match="rnn_scan: `"):
            scan(*bad, None, None, False)
    without_input = (x[..., :0], dones, state, state, w_ih[:, :0], w_hh, None, None, True)
    saved = scan(*without_input)[3]
    with pytest.raises(RuntimeError, match="rnn_scan: `weight_ih` and `weight_hh` must have 20 rows, got 0 and 20"):
        torch.ops.rslcore.rnn_scan_backward(
            x.new_zeros(3, 4, 5), state, state, dones, saved, torch.zeros(0, 0), w_hh, True
        )
    saved = scan(x, dones, state, state, w_ih, w_hh, None, None, True)[3]
    with pytest.raises(RuntimeError, match="rnn_scan: `saved` must have"):
        torch.ops.rslcore.rnn_scan_backward(x.new_zeros(3, 4, 5), state, state, dones, saved[:3], w_ih, w_hh, True)
