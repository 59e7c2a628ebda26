# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``torch.compile`` for models."""

from __future__ import annotations

from typing import cast

import torch

_CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")


def compile_model(model: torch.nn.Module, mode: str | None = None) -> torch.nn.Module:
    """Wrap a model in ``torch.compile``.

    Args:
        model: The model.
        mode: Mode of ``torch.compile``, for example "default" or "max-autotune-no-cudagraphs"; None returns the model
            as it is.

    Raises:
        ValueError: The mode captures CUDA graphs. Their outputs live in buffers that the next call overwrites, while an
            algorithm holds outputs of several calls at a time (rsl_rl 5.5.1 refuses them too).
    """
    if mode is None:
        return model
    if mode in _CUDA_GRAPH_MODES:
        raise ValueError(
            f"compile_model: `mode` must not use CUDA graphs, which overwrite outputs the algorithm still holds; "
            f"expected 'default', 'max-autotune-no-cudagraphs' or None, got '{mode}'"
        )
    return cast(torch.nn.Module, torch.compile(model, mode=mode))
