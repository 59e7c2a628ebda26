# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

ROUNDING = (
    "algorithms",
    "engine",
    "env/test_training.py",
    "examples/test_kernels_in_other_code.py",
    "export",
    "extensions",
    "models",
    "modules",
    "ops",
    "storage",
    "tasks/test_cart_pole.py",
    "test_numpy.py",
    "utils",
)
"""Folders and files below this one whose results depend on how sums are rounded: `make test-matrix` runs them."""

GPU_REASON = "no GPU: needs an NVIDIA GPU, a CUDA build of torch and librslcore_cuda"


def pytest_configure() -> None:
    """Ctrl-C works in the tests, and in what they start, even where a shell has them ignore it as a background job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of `ROUNDING` are marked so; tests marked `gpu` skip, with the reason, where they cannot run."""
    rounding = [Path(__file__).parent / name for name in ROUNDING]
    for item in items:
        if any(item.path.is_relative_to(path) for path in rounding):
            item.add_marker(pytest.mark.rounding)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=GPU_REASON))
