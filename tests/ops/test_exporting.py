# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Operators under exporters are plain torch: nothing of them is left out, or becomes a constant."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import nn

from rslcore import ops

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

T, N, D, H = 4, 3, 5, 4


def r(*shape):
    """Random numbers."""
    return torch.randn(*shape)


def ends():
    """Where episodes end."""
    return torch.rand(T, N) < 0.3


def moments(x, mean, var, count):
    """Merge into copies."""
    mean, var, count = mean.clone(), var.clone(), count.clone()
    ops.update_moments(x, mean, var, count, until=9)
    return mean, var, count


def counted():
    """Samples and moments; half of the time there were enough samples before."""
    return r(N, D), r(D), r(D).abs(), torch.randint(5, 14, ())


OPERATORS = {
    "gae": (lambda *x: ops.gae(*x, gamma=0.9, lam=0.8), lambda: (r(T, N), r(T, N), ends(), r(N))),
    "gae of columns": (lambda *x: ops.gae(*x, gamma=0.9, lam=0.8), lambda: (r(T, N, 1), r(T, N, 1), ends(), r(N))),
    "normalize": (ops.normalize, lambda: (r(N, D), r(D), r(D).abs())),
    "update_moments": (moments, counted),
    "gaussian_sample": (
        lambda m, s, n: ops.gaussian_sample(m, s, seed=1, noise=n),
        lambda: (r(N, 2), r(2).exp(), r(N, 2)),
    ),
    "mlp": (lambda x, w, b, v: ops.mlp(x, [w, v], [b, None]), lambda: (r(N, D), r(4, D), r(4), r(2, 4))),
    "bias_activation": (ops.bias_activation, lambda: (r(N, D), r(D))),
    "gru": (ops.gru, lambda: (r(T, N, D), ends(), r(N, H), r(3 * H, D), r(3 * H, H))),
    "shuffle_rows": (lambda x, i: ops.shuffle_rows([x], i)[0], lambda: (r(6, D), torch.randperm(6))),
}


class Module(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        """Call it."""
        return self.function(*args)


def traced(function, inputs):
    """What torch.jit.trace makes, without our operators."""
    result = torch.jit.trace(function, inputs, check_trace=False)
    assert "rslcore::" not in str(result.inlined_graph)
    return result


def onnx(function, inputs):
    """What the ONNX exporter that traces makes; all inputs are in it."""
    file, names = io.BytesIO(), [f"x{i}" for i in range(len(inputs))]
    torch.onnx.export(Module(function), inputs, file, dynamo=False, input_names=names, opset_version=18)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    assert [node.name for node in session.get_inputs()] == names
    return lambda *args: tuple(
        torch.from_numpy(x) for x in session.run(None, dict(zip(names, (x.numpy() for x in args), strict=True)))
    )


@pytest.mark.parametrize("exporter", [traced, onnx])
@pytest.mark.parametrize("name", OPERATORS)
def test_exported_operators_compute(name, exporter):
    """Law: what was exported with one input gives the operator's result for others."""
    function, inputs = OPERATORS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = exporter(function, inputs())
    for _ in range(4):
        args = inputs()
        expected, got = function(*args), run(*args)
        as_tuple = [(x,) if isinstance(x, torch.Tensor) else tuple(x) for x in (got, expected)]
        torch.testing.assert_close(*as_tuple, rtol=1e-5, atol=1e-5)


def test_what_the_host_decides_is_not_exported():
    """Law: operators that read numbers on the host are refused by name, not frozen."""
    with pytest.raises(ValueError, match="permutation: expected to run, got an exporter"):
        torch.jit.trace(lambda x: x[ops.permutation(6, seed=1)], r(6))
