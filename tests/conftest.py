# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import signal

import pytest
import torch

GPU_REASON = "no GPU: needs an NVIDIA GPU, a CUDA build of torch and librslcore_cuda"


def pytest_configure() -> None:
    """Ctrl-C works in the tests, and in what they start, even where a shell has them ignore it as a background job."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` skip, with the reason, where they cannot run."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=GPU_REASON))
