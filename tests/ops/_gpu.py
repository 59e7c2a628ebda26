# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What every CUDA operator must do, written once: equal the CPU, use the current stream, replay in a graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=pytest.mark.gpu)]
"""For `@pytest.mark.parametrize("device", DEVICES)`."""

Make = Callable[[str], tuple[torch.Tensor, ...]]
"""Makes the operator's arguments on a device, the same values at every call."""

Call = Callable[..., tuple[torch.Tensor, ...]]
"""Calls the operator on what `Make` made; returns all that it wrote or returned."""


def _assert_equal(got: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    for result, reference in zip(got, expected, strict=True):
        torch.testing.assert_close(result.cpu(), reference)


def check_against_cpu(make: Make, call: Call) -> None:
    """CUDA gives what the CPU gives, and the same bits every time."""
    expected = call(*make("cpu"))
    first = call(*make("cuda"))
    _assert_equal(first, expected)
    for again, result in zip(call(*make("cuda")), first, strict=True):
        assert torch.equal(again, result)


def check_side_stream(make: Make, call: Call) -> None:
    """The kernel runs on torch's current stream: it waits for work queued there, and later work there waits for it.

    The arguments are filled on the side stream behind a long spin, so that a kernel on any other stream reads garbage.
    """
    expected = call(*make("cpu"))
    source = make("cuda")
    buffers = tuple(torch.empty_like(x) for x in source)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        for buffer, x in zip(buffers, source, strict=True):
            buffer.copy_(x)
        got = tuple(x.clone() for x in call(*buffers))
    stream.synchronize()
    _assert_equal(got, expected)


def check_cuda_graph(make: Make, call: Call) -> None:
    """The call can be captured, so it neither waits for the device nor allocates outside torch, and replays."""
    expected = call(*make("cpu"))
    source = make("cuda")
    buffers = tuple(x.clone() for x in source)
    warm_up = torch.cuda.Stream()
    with torch.cuda.stream(warm_up):
        call(*(x.clone() for x in source))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = call(*buffers)
    for _ in range(2):
        for buffer, x in zip(buffers, source, strict=True):
            buffer.copy_(x)
        graph.replay()
        torch.cuda.synchronize()
        _assert_equal(results, expected)


def check_reduce_overhead(make: Make, call: Call) -> None:
    """Compiled with CUDA graphs by inductor, results stay right over several calls.

    Arguments that the operator writes into are cloned inside the compiled function: inductor skips CUDA graphs for
    functions that mutate their inputs.
    """
    expected = call(*make("cpu"))

    def function(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return call(*(x.clone() for x in arguments))

    compiled = torch.compile(function, mode="reduce-overhead", fullgraph=True)
    for _ in range(4):
        torch.compiler.cudagraph_mark_step_begin()
        _assert_equal(tuple(x.clone() for x in compiled(*make("cuda"))), expected)


GPU_CHECKS = [check_against_cpu, check_side_stream, check_cuda_graph, check_reduce_overhead]
"""For `@pytest.mark.gpu` tests parametrized over `check`: `check(make, call)`."""
