# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Writing a model's ``as_jit()`` and ``as_onnx()`` copies to files."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from rslcore._files import replacing
from rslcore.utils import cpu_by_default

OPSET_VERSION = 18
"""Version of the ONNX operators, that of rsl_rl 5.5.1."""


def export_to_jit(policy: Any, path: str | os.PathLike[str]) -> None:  # noqa: ANN401
    """Write a policy as TorchScript, for ``torch.jit.load`` and libtorch. It acts deterministically, on the CPU.

    Args:
        policy: A model with ``as_jit()``, see :meth:`rslcore.models.MLPModel.as_jit`. It is not changed.
        path: The file; its folder is created when missing. It is replaced in one step.

    Raises:
        TypeError: The policy has no ``as_jit``.
        OSError: The file cannot be written.
    """
    model = _deployed(policy, "as_jit", "export_to_jit")
    content = io.BytesIO()
    with _quiet(), cpu_by_default():
        torch.jit.save(torch.jit.script(model), content)
    with replacing(path) as file:
        file.write(content.getbuffer())


def export_to_onnx(policy: Any, path: str | os.PathLike[str], *, verbose: bool = False) -> None:  # noqa: ANN401
    """Write a policy as one ONNX file for a single robot (batch of 1), operators of version 18.

    Names and shapes are those of the model's ``as_onnx()``: input ``obs`` [1, D], for recurrent models ``h_in`` (and
    ``c_in``) [layers, 1, H], for image groups one input of the group's name; output ``actions`` [1, A], and ``h_out``
    (and ``c_out``), to be passed as ``h_in`` (and ``c_in``) of the next step, zeros where an episode starts.

    Args:
        policy: A model with ``as_onnx(verbose)``, see :meth:`rslcore.models.MLPModel.as_onnx`. It is not changed.
        path: The file; its folder is created when missing. It is replaced in one step.
        verbose: Print the graph, and the warnings of the exporter.

    Raises:
        ImportError: The package onnx is missing.
        TypeError: The policy has no ``as_onnx``.
        OSError: The file cannot be written.
    """
    require_onnx()
    model = _deployed(policy, "as_onnx", "export_to_onnx", verbose=verbose)
    content = io.BytesIO()
    with contextlib.nullcontext() if verbose else _quiet(), cpu_by_default():
        torch.onnx.export(
            model,
            model.get_dummy_inputs(),
            content,  # type: ignore[arg-type]
            verbose=verbose,
            input_names=model.input_names,
            output_names=model.output_names,
            opset_version=OPSET_VERSION,
            dynamo=False,  # the exporter that needs onnx alone, and keeps recurrent layers whole
        )
    with replacing(path) as file:
        file.write(content.getbuffer())


def require_onnx() -> None:
    """Raise an ``ImportError`` that says what to install where the package onnx is missing."""
    if not _has_onnx():
        raise ImportError('export to ONNX needs the package onnx; install it with: pip install "rslcore[onnx]"')


def _has_onnx() -> bool:
    return importlib.util.find_spec("onnx") is not None


def _deployed(policy: Any, method: str, operation: str, **arguments: Any) -> Any:  # noqa: ANN401
    """Return the copy of a policy that is to be exported, on the CPU and in evaluation mode."""
    if not hasattr(policy, method):
        raise TypeError(f"{operation}: `policy` must have a method `{method}`, got {type(policy).__name__}")
    return getattr(policy, method)(**arguments).to("cpu").eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings: that TorchScript and its exporter are on their way out, and that shapes become constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
