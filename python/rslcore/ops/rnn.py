# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Recurrent layers over rollouts: the hidden state is reset inside the scan, so that nothing is split and padded."""

from __future__ import annotations

from typing import Any

import torch

from rslcore import _checks as checks
from rslcore.ops import _library, _tensors, reference


def lstm(
    x: torch.Tensor,
    dones: torch.Tensor,
    h_0: torch.Tensor,
    c_0: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None = None,
    bias_hh: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One LSTM layer (Hochreiter & Schmidhuber 1997, as torch.nn.LSTM has it) over a rollout with episodes that end.

    i, f, g, o = weight_ih x_t + bias_ih + weight_hh h + bias_hh
    c = sigmoid(f) c + sigmoid(i) tanh(g),  h = sigmoid(o) tanh(c),  output_t = h;  then h = c = 0 where dones_t is set

    That is what rsl_rl 5.5.1 computes by cutting the rollout into trajectories and padding them, without the padding.
    Differentiable, once, with respect to all arguments but `dones`. Compiled for float32 on the CPU, where a second
    derivative is refused: the environments are cut into groups that go through all steps while their state stays in
    cache; what a gradient needs, about (6 H + D) T N numbers, is saved. float64 and CUDA run as a loop of torch
    operators over the steps.

    Args:
        x: Inputs [T, N, D], float32 or float64.
        dones: Where episodes ended: the state after such a step is not handed on. [T, N] or [T, N, 1]; bool, uint8,
            int32, int64 or float32.
        h_0: Hidden state before the first step [N, H].
        c_0: Cell state before the first step [N, H].
        weight_ih: Input weights [4 H, D], gates in the order i, f, g, o.
        weight_hh: Hidden weights [4 H, H].
        bias_ih: Input biases [4 H]; None for zeros.
        bias_hh: Hidden biases [4 H]; None for zeros.

    Returns:
        output [T, N, H], and the state that step T would begin with: h_n and c_n, each [N, H].

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit.
    """
    output, h_n, c_n = _scan("lstm", 4, x, dones, h_0, c_0, weight_ih, weight_hh, bias_ih, bias_hh)
    return output, h_n, c_n


def gru(
    x: torch.Tensor,
    dones: torch.Tensor,
    h_0: torch.Tensor,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None = None,
    bias_hh: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One GRU layer (Cho et al. 2014, as torch.nn.GRU has it) over a rollout with episodes that end.

    r, z, n = weight_ih x_t + bias_ih;  r', z', n' = weight_hh h + bias_hh
    m = tanh(n + sigmoid(r + r') n'),  h = (1 - sigmoid(z + z')) m + sigmoid(z + z') h,  output_t = h;
    then h = 0 where dones_t is set

    In everything else like `lstm`.

    Args:
        x: Inputs [T, N, D], float32 or float64.
        dones: Where episodes ended: the state after such a step is not handed on. [T, N] or [T, N, 1]; bool, uint8,
            int32, int64 or float32.
        h_0: Hidden state before the first step [N, H].
        weight_ih: Input weights [3 H, D], gates in the order r, z, n.
        weight_hh: Hidden weights [3 H, H].
        bias_ih: Input biases [3 H]; None for zeros.
        bias_hh: Hidden biases [3 H]; None for zeros.

    Returns:
        output [T, N, H], and the state that step T would begin with, h_n [N, H].

    Raises:
        TypeError: An argument is no tensor or has another dtype.
        ValueError: A shape or a device does not fit.
    """
    output, h_n, _ = _scan("gru", 3, x, dones, h_0, None, weight_ih, weight_hh, bias_ih, bias_hh)
    return output, h_n


def _scan(
    op: str,
    gates: int,
    x: torch.Tensor,
    dones: torch.Tensor,
    h_0: torch.Tensor,
    c_0: torch.Tensor | None,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None,
    bias_hh: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    floats = {"x": x, "h_0": h_0, "c_0": c_0, "weight_ih": weight_ih, "weight_hh": weight_hh}
    floats |= {"bias_ih": bias_ih, "bias_hh": bias_hh}
    optional = {"bias_ih", "bias_hh"} | ({"c_0"} if gates == 3 else set())
    given = {name: tensor for name, tensor in floats.items() if tensor is not None or name not in optional}
    _check(op, gates, given, dones)  # type: ignore[arg-type]
    num_steps, num_envs = x.shape[:2]
    flags = _tensors.as_flags(dones.reshape(num_steps, num_envs)).contiguous()
    if x.device.type != "cpu" or x.dtype != torch.float32 or _library.in_plain_torch():
        return reference.rnn_scan(x, flags, h_0, c_0, weight_ih, weight_hh, bias_ih, bias_hh, False)[:3]
    save = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given.values())  # type: ignore[union-attr]
    dense = {name: tensor.contiguous() for name, tensor in given.items()}  # type: ignore[union-attr]
    args = (dense["x"], flags, dense["h_0"], dense.get("c_0"), dense["weight_ih"], dense["weight_hh"])
    return _library.run("rnn_scan", x.device, (*args, dense.get("bias_ih"), dense.get("bias_hh"), save))[:3]


def _check(op: str, gates: int, given: dict[str, torch.Tensor], dones: torch.Tensor) -> None:
    for name, tensor in (*given.items(), ("dones", dones)):
        checks.kind(op, name, tensor, torch.Tensor)
    x, hidden = given["x"], given["weight_hh"]
    checks.dtype(op, "x", x, checks.FLOATS)
    for name, tensor in given.items():
        checks.dtype(op, name, tensor, (checks.dtype_name(x),), like="x")
    checks.dtype(op, "dones", dones, checks.FLAGS)
    if x.dim() != 3:
        raise ValueError(f"{op}: `x` must be [T, N, D], got {list(x.shape)}")
    if hidden.dim() != 2 or hidden.shape[1] < 1 or hidden.shape[0] != gates * hidden.shape[1]:
        raise ValueError(f"{op}: `weight_hh` must be [{gates} H, H], got {list(hidden.shape)}")
    num_steps, num_envs, width = x.shape
    units = hidden.shape[1]
    state, rows = (num_envs, units), gates * units
    expected = {"h_0": state, "c_0": state, "weight_ih": (rows, width), "bias_ih": (rows,), "bias_hh": (rows,)}
    checks.rollout(op, "dones", dones, num_steps, num_envs, "x")
    for name in given.keys() & expected.keys():
        checks.shape(op, name, given[name], expected[name])
    _tensors.check_devices(op, {**given, "dones": dones})


def _saved_per_env(lstm: bool, num_steps: int, width: int, units: int) -> int:
    """What csrc/rnn/launch.h saves of an environment; tracers have to know."""
    padded = -(-units // 16) * 16

    def stride(columns: int) -> int:
        return (-(-columns // 16) | 1) * 16

    row = stride(padded + width + 2) + (stride(padded) if lstm else 0)
    return (num_steps + 1) * row + num_steps * stride(4 * padded)


def _fake(x: Any, dones: Any, h_0: Any, c_0: Any, weight_ih: Any, weight_hh: Any, *rest: Any) -> Any:  # noqa: ANN401
    num_steps, num_envs, width = x.shape
    units = weight_hh.shape[1]
    lstm, save = c_0 is not None, rest[-1]
    saved = _saved_per_env(lstm, num_steps, width, units)
    return (
        x.new_empty((num_steps, num_envs, units)),
        x.new_empty((num_envs, units)),
        x.new_empty((num_envs if lstm else 0, units)),
        x.new_empty((num_envs if save else 0, saved)),
    )


def _fake_backward(
    grad_output: Any,  # noqa: ANN401
    grad_h_n: Any,  # noqa: ANN401
    grad_c_n: Any,  # noqa: ANN401
    dones: Any,  # noqa: ANN401
    saved: Any,  # noqa: ANN401
    weight_ih: Any,  # noqa: ANN401
    weight_hh: Any,  # noqa: ANN401
    with_x: bool,
) -> Any:  # noqa: ANN401
    num_steps, num_envs, units = grad_output.shape
    rows, width = weight_ih.shape
    shapes = [(num_steps if with_x else 0, num_envs, width), (num_envs, units)]
    shapes += [(num_envs if grad_c_n is not None else 0, units), (rows, width), (rows, units), (rows,), (rows,)]
    return tuple(grad_output.new_empty(shape) for shape in shapes)


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:  # noqa: ANN401
    x, dones, _, c_0, weight_ih, weight_hh, bias_ih, bias_hh, save = inputs
    ctx.mark_non_differentiable(output[3])
    ctx.set_materialize_grads(False)
    learned = (x for x, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed)
    ctx.save_for_backward(dones, output[3], weight_ih, weight_hh, *learned)
    ctx.lstm, ctx.biased, ctx.save = c_0 is not None, (bias_ih is not None, bias_hh is not None), save
    ctx.shape = (*x.shape[:2], weight_hh.shape[1])


def _backward(
    ctx: Any,  # noqa: ANN401
    grad_output: torch.Tensor | None,
    grad_h_n: torch.Tensor | None,
    grad_c_n: torch.Tensor | None,
    _: None,
) -> tuple[torch.Tensor | None, ...]:
    dones, saved, weight_ih, weight_hh, *learned = ctx.saved_tensors
    num_steps, num_envs, units = ctx.shape

    def dense(grad: torch.Tensor | None, *shape: int) -> torch.Tensor:
        return weight_ih.new_zeros(shape) if grad is None else grad.contiguous()

    if not ctx.save:
        raise RuntimeError("rnn_scan: a gradient is asked for, but `save` was False")
    # Neither `x` nor the initial state is read below, but `saved`, which has no graph.
    of_output = dense(grad_output, num_steps, num_envs, units)
    of_output = _library.first_order_only("lstm" if ctx.lstm else "gru", of_output, learned)
    x, h_0, c_0, *weights, bias_ih, bias_hh = torch.ops.rslcore.rnn_scan_backward(
        of_output,
        dense(grad_h_n, num_envs, units),
        dense(grad_c_n, num_envs, units) if ctx.lstm else None,
        dones,
        saved,
        weight_ih,
        weight_hh,
        ctx.needs_input_grad[0],
    )
    biases = (bias_ih if ctx.biased[0] else None, bias_hh if ctx.biased[1] else None)
    return x if ctx.needs_input_grad[0] else None, None, h_0, c_0 if ctx.lstm else None, *weights, *biases, None


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:  # noqa: ANN401
    ctx.op = "gru" if inputs[2] is None else "lstm"


def _backward_of_backward(ctx: Any, *grads: Any) -> None:  # noqa: ANN401
    _library.refuse_second_order(ctx.op)


if _library.errors["cpu"] is None:
    torch.library.register_fake("rslcore::rnn_scan", _fake)
    torch.library.register_fake("rslcore::rnn_scan_backward", _fake_backward)
    torch.library.register_autograd("rslcore::rnn_scan", _backward, setup_context=_context)
    torch.library.register_autograd(
        "rslcore::rnn_scan_backward", _backward_of_backward, setup_context=_backward_context
    )
