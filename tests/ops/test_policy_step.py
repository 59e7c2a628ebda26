# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.policy_step`: torch's networks, the noise of `gaussian_sample`, and the operator contract."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from rslcore import ops
from rslcore.ops import PolicyNetwork, PolicyStep, _library, reference
from rslcore.utils import resolve_nn_activation

ACTIVATIONS = ["elu", "crelu", "selu", "relu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Most tests are about values, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_network(widths: list[int], *, activation: str = "elu", normalized: bool = True) -> PolicyNetwork:
    """A network with random weights."""
    generator = torch.Generator().manual_seed(sum(widths))
    pairs = list(itertools.pairwise(widths))
    weights = [torch.randn(out, width, generator=generator) / width**0.5 for width, out in pairs]
    biases = [0.3 * torch.randn(out, generator=generator) for _, out in pairs]
    network = PolicyNetwork(weights, biases, activation)
    if not normalized:
        return network
    mean, var = torch.randn(1, widths[0], generator=generator), torch.rand(1, widths[0], generator=generator) + 0.2
    return network._replace(mean=mean, var=var)


def evaluate(network: PolicyNetwork, obs: list[torch.Tensor]) -> torch.Tensor:
    """The definition, in float64 and torch's own modules."""
    x = torch.cat(obs, dim=1).double()
    if network.mean is not None and network.var is not None:
        x = (x - network.mean.double()) / (network.var.double().sqrt() + network.eps)
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        x = x @ weight.double().t() + bias.double()
        if i + 1 < len(network.weights):
            x = resolve_nn_activation(network.activation)(x)
    return x


def make(rows: int = 33, **keywords) -> dict:
    """Arguments of a small policy over two observation groups and a critic over other ones."""
    generator = torch.Generator().manual_seed(rows)
    own, shared, privileged = (2 * torch.randn(rows, width, generator=generator) for width in (3, 5, 4))
    return {
        "actor_obs": [own, shared],
        "critic_obs": [shared, privileged],
        "actor": make_network([8, 17, 12, 3], **keywords),
        "critic": make_network([9, 20, 1], **keywords),
        "std": torch.tensor([0.5, 1.0, 2.0]),
    }


def check(arguments: dict, results: PolicyStep, seed: int, offset: int) -> None:
    """All five results against their definitions."""
    mean = evaluate(arguments["actor"], arguments["actor_obs"])
    values = evaluate(arguments["critic"], arguments["critic_obs"])
    torch.testing.assert_close(results.mean.double(), mean, rtol=1e-6, atol=2e-6)
    torch.testing.assert_close(results.values.double().view(-1), values.view(-1), rtol=1e-6, atol=2e-6)
    assert torch.equal(results.std, arguments["std"].expand_as(results.mean))
    actions, log_prob = ops.gaussian_sample(results.mean, arguments["std"], seed=seed, offset=offset)
    assert torch.equal(results.actions, actions)
    assert torch.equal(results.log_prob.view(-1), log_prob)


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 16, 17, 32, 33, 64, 127, 128, 129, 300])
def test_equals_the_networks_and_the_sampling(rows: int) -> None:
    """Mean and values are those of the networks, for any number of rows; noise and density of `gaussian_sample`."""
    arguments = make(rows)
    check(arguments, ops.policy_step(**arguments, seed=-3, offset=2**40), -3, 2**40)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str) -> None:
    """By its name in a configuration."""
    arguments = make(40, activation=activation)
    check(arguments, ops.policy_step(**arguments, seed=1), 1, 0)


@pytest.mark.parametrize("widths", [[1], [5], [64, 64], [128, 1, 129], [1, 1, 1], [600]])
def test_any_widths(widths: list[int]) -> None:
    """One layer, narrow and wide ones; without normalization."""
    arguments = make(50) | {
        "actor": make_network([8, *widths, 3], normalized=False),
        "critic": make_network([9, 1], normalized=False),
    }
    check(arguments, ops.policy_step(**arguments, seed=1), 1, 0)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    """The networks' outputs for a row have the same bits whatever rows are beside it."""
    arguments = make(200)
    whole = ops.policy_step(**arguments, seed=1)
    for first, last in ((0, 1), (5, 13), (100, 177)):
        part = arguments | {name: [x[first:last] for x in arguments[name]] for name in ("actor_obs", "critic_obs")}
        got = ops.policy_step(**part, seed=1)
        assert torch.equal(got.mean, whole.mean[first:last])
        assert torch.equal(got.values, whole.values[first:last])


def test_reference_agrees() -> None:
    """The plain-torch text gives the same, up to rounding."""
    arguments = make(64)
    got = ops.policy_step(**arguments, seed=4, offset=5)
    expected = PolicyStep(*(torch.empty_like(x) for x in got))
    actor, critic = arguments["actor"], arguments["critic"]

    def plain(obs: list, network: PolicyNetwork) -> list:
        layers = [x for layer in zip(network.weights, network.biases, strict=True) for x in layer]
        return [obs, network.mean, network.var, network.eps, layers, 1]

    reference.policy_step(
        *plain(arguments["actor_obs"], actor),
        *plain(arguments["critic_obs"], critic),
        arguments["std"],
        4,
        5,
        *expected,
    )
    for name, x in got._asdict().items():
        torch.testing.assert_close(x, getattr(expected, name), rtol=1e-5, atol=1e-5)


def test_writes_into_slots_of_a_buffer() -> None:
    """`out` may be views of rollout buffers, contiguous or strided; nothing beside them changes."""
    arguments = make(33)
    expected = ops.policy_step(**arguments, seed=1)
    slots = [torch.full((3, *x.shape), 7.0) for x in expected]
    ops.policy_step(**arguments, seed=1, out=PolicyStep(*(slot[1] for slot in slots)))
    strided = [torch.full((*x.shape, 2), 7.0) for x in expected]
    ops.policy_step(**arguments, seed=1, out=PolicyStep(*(x[..., 0] for x in strided)))
    for x, slot, pair in zip(expected, slots, strided, strict=True):
        assert torch.equal(slot[1], x)
        assert bool((slot[[0, 2]] == 7.0).all())
        assert torch.equal(pair[..., 0], x)
        assert bool((pair[..., 1] == 7.0).all())


def test_strided_inputs() -> None:
    """Observations and weights may have any strides."""
    arguments = make(33)
    expected = ops.policy_step(**arguments, seed=1)
    arguments["actor_obs"] = [x.t().contiguous().t() for x in arguments["actor_obs"]]
    arguments["actor"] = arguments["actor"]._replace(
        weights=[x.t().contiguous().t() for x in arguments["actor"].weights]
    )
    for x, y in zip(ops.policy_step(**arguments, seed=1), expected, strict=True):
        assert torch.equal(x, y)


def test_bound_arguments_are_read_anew() -> None:
    """A bound call sees what its tensors hold when it is called."""
    arguments = make(33)
    out = ops.policy_step(**arguments, seed=1)
    act = ops.bind_policy_step(**arguments, out=out)
    with torch.no_grad():
        arguments["actor_obs"][0].mul_(2.0)
        arguments["critic"].weights[0].mul_(0.5)
        arguments["std"].mul_(3.0)
    act(8, 9)
    check(arguments, out, 8, 9)


def test_nan_shows_in_the_density() -> None:
    """A NaN among the observations of the actor makes the density of that row NaN, and no other."""
    arguments = make(33)
    arguments["actor_obs"][1][7, 2] = torch.nan
    log_prob = ops.policy_step(**arguments, seed=1).log_prob
    assert log_prob.isnan().nonzero().flatten().tolist() == [7]


def bad(name: str, **change) -> dict:
    """A network of the arguments, changed."""
    return {name: make()[name]._replace(**change)}


OUT = ops.policy_step(**make(), seed=0)
BAD = [
    ({"actor_obs": torch.zeros(33, 8)}, TypeError, "`actor_obs` must be a sequence of tensors, got Tensor"),
    ({"critic_obs": []}, TypeError, "`critic_obs` must be a sequence of tensors, got list"),
    ({"actor_obs": [torch.zeros(33, 9)]}, ValueError, "`actor.mean` must be [9] like the observations, got [1, 8]"),
    ({"critic_obs": [torch.zeros(32, 9)]}, ValueError, "`critic_obs[0]` must be [33, D], got [32, 9]"),
    ({"actor_obs": [torch.zeros(33, 8).double()]}, TypeError, "`actor_obs[0]` must be float32, got float64"),
    ({"actor": None}, TypeError, "`actor` must be a PolicyNetwork, got NoneType"),
    (bad("actor", biases=[]), ValueError, "`actor` must have a bias for every weight, got 3 weights and 0 biases"),
    (bad("actor", activation="step"), ValueError, "`actor.activation` must be one of identity, elu"),
    (bad("critic", mean=None), ValueError, "`critic` must have both `mean` and `var` or neither, got one"),
    (bad("critic", eps=-1.0), ValueError, "`critic.eps` must be in [0, inf], got -1.0"),
    (
        bad("critic", weights=[torch.ones(20, 9), torch.ones(2, 20)]),
        ValueError,
        "`critic.weights[1]` must be [1, 20], got [2, 20]",
    ),
    (bad("critic", biases=[torch.ones(20), torch.ones(2)]), ValueError, "`critic.biases[1]` must be [1], got [2]"),
    ({"std": torch.ones(4)}, ValueError, "`actor.weights[2]` must be [4, 12], got [3, 12]"),
    ({"std": torch.ones(1, 3)}, ValueError, "`std` must be [A], got [1, 3]"),
    ({"std": 1.0}, TypeError, "`std` must be a torch Tensor, got float"),
    ({"std": torch.ones(3, device="meta")}, ValueError, "must be on cpu like `actor_obs[0]`, got meta"),
    ({"std": torch.ones(3, requires_grad=True)}, ValueError, "`std` requires a gradient, and policy_step has none"),
    ({"seed": 1.0}, TypeError, "`seed` must be an integer, got float"),
    ({"offset": 2**63}, ValueError, "`offset` must fit a signed 64-bit integer"),
    ({"out": OUT[:4]}, TypeError, "`out` must be (mean, std, actions, log_prob, values), got tuple"),
    ({"out": OUT._replace(mean=torch.ones(3, 33))}, ValueError, "`out.mean` must be [33, 3], got [3, 33]"),
    ({"out": OUT._replace(values=torch.ones(1, 33))}, ValueError, "`out.values` must be [33] or [33, 1], got [1, 33]"),
    ({"out": OUT._replace(actions=OUT.mean)}, ValueError, "`out` must share no memory with the other arguments"),
    ({"out": OUT._replace(std=torch.ones(3).expand(33, 3))}, ValueError, "`out.std` is written to"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD, ids=[entry[2][:60] for entry in BAD])
def test_bad_input_is_named_and_nothing_written(change: dict, error: type[Exception], message: str) -> None:
    """The message names operator, argument, expected and got; the outputs stay as they were."""
    out = PolicyStep(*(torch.full_like(x, 7.0) for x in OUT))
    arguments = {**make(), "seed": 0, "out": out} | change
    with pytest.raises(error) as raised:
        ops.policy_step(**arguments)
    assert str(raised.value).startswith("policy_step: ")
    assert message in str(raised.value)
    assert all(bool((x == 7.0).all()) for x in out)


def test_parameters_are_fine_under_no_grad() -> None:
    """Weights that are learned go in as they are where nothing asks for a gradient."""
    arguments = make()
    for weight in arguments["actor"].weights:
        weight.requires_grad_()
    with pytest.raises(ValueError, match=r"`actor.weights\[0\]` requires a gradient"):
        ops.policy_step(**arguments, seed=0)
    with torch.no_grad():
        assert not ops.policy_step(**arguments, seed=0).mean.requires_grad


def test_autograd_notices_what_was_written() -> None:
    """A tensor that backward needs and the operator has written since is an error, not a wrong gradient."""
    arguments, saved = make(), torch.ones(33, 1)
    y = torch.ones(33, 1, requires_grad=True) * saved
    ops.policy_step(**arguments, seed=0, out=OUT._replace(values=saved))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_fallback_runs_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiled library the public function gives the same."""
    arguments = make()
    expected = ops.policy_step(**arguments, seed=1)
    monkeypatch.setattr(_library, "_compiled", {})
    monkeypatch.setitem(_library.errors, "cpu", "no such file")
    monkeypatch.setattr(_library, "_warned", {"cpu"})
    for x, y in zip(ops.policy_step(**arguments, seed=1), expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_same_bits_for_any_number_of_threads() -> None:
    """The cut into tiles follows from the shape alone."""
    arguments = make(5003) | {"actor": make_network([8, 200, 200, 3])}
    one = ops.policy_step(**arguments, seed=1)
    torch.set_num_threads(3)
    for x, y in zip(ops.policy_step(**arguments, seed=1), one, strict=True):
        assert torch.equal(x, y)


LEVEL_PROGRAM = """
import sys, torch
sys.path.insert(0, {folder!r})
from test_policy_step import make, ops
results = ops.policy_step(**make(77), seed=1)
sys.stdout.buffer.write(torch.cat([x.flatten() for x in results]).numpy().tobytes())
"""


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_simd_level_gives_the_same(level: str) -> None:
    """Lower levels differ by rounding only."""
    folder = os.path.dirname(__file__)
    output = subprocess.run(
        [sys.executable, "-c", LEVEL_PROGRAM.format(folder=folder)],
        env={**os.environ, "RSLCORE_SIMD": level},
        capture_output=True,
        check=True,
    ).stdout
    got = torch.frombuffer(bytearray(output), dtype=torch.float32)
    expected = torch.cat([x.flatten() for x in ops.policy_step(**make(77), seed=1)])
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def raw_arguments() -> list:
    """Arguments of the raw operator."""
    arguments, lists = make(9), []
    for name in ("actor", "critic"):
        network = arguments[name]
        layers = [x for layer in zip(network.weights, network.biases, strict=True) for x in layer]
        lists += [arguments[f"{name}_obs"], network.mean, network.var, network.eps, layers, 1]
    results = [torch.empty(9, 3), torch.empty(9, 3), torch.empty(9, 3), torch.empty(9), torch.empty(9, 1)]
    return [*lists, arguments["std"], 1, 2, *results]


def test_opcheck() -> None:
    """Schema, fake kernel and tracing of the raw operator agree with what it does."""
    torch.library.opcheck(torch.ops.rslcore.policy_step.default, tuple(raw_arguments()))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, [torch.zeros(9, 7)], r"weight of layer 0 of `actor` must be \[out, 7\]"),
        (0, [torch.zeros(8, 8)], r"observations of `actor` must be \[9, D\]"),
        (1, None, "`actor` must have both mean and var"),
        (4, [torch.ones(3, 8)], "`actor` must have weight and bias of every layer, got 1 tensors"),
        (5, 11, "`actor` must have an activation below 11, got 11"),
        (10, [torch.ones(2, 9), torch.ones(2)], "`critic` must have one output, got 2"),
        (12, torch.ones(2), "`std` must have 3 elements, got 2"),
        (15, torch.ones(3, 9).t(), "must be contiguous"),
        (18, torch.ones(8), "`out.log_prob` must have 9 elements, got 8"),
        (19, torch.ones(9).double(), "`out.values` must be Float, got Double"),
    ],
)
def test_raw_operator_is_guarded(place: int, value: object, message: str) -> None:
    """A direct call of the raw operator with what does not fit raises; it never reads or writes out of bounds."""
    arguments = raw_arguments()
    arguments[place] = value
    with pytest.raises(RuntimeError, match=message):
        torch.ops.rslcore.policy_step(*arguments)


def test_compiles() -> None:
    """Under torch.compile(fullgraph=True) results are those of the eager call."""
    torch._dynamo.reset()
    arguments = make()
    out = PolicyStep(*(torch.empty_like(x) for x in OUT))
    compiled = torch.compile(lambda: ops.policy_step(**arguments, seed=3, out=out), fullgraph=True, backend="aot_eager")
    for x, y in zip(compiled(), ops.policy_step(**arguments, seed=3), strict=True):
        assert torch.equal(x, y)
