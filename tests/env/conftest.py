# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Makes the helpers of this folder importable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from limits import THREADS

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(THREADS)


@pytest.fixture
def default_device() -> Iterator[None]:
    """A default device where nothing can be read from: who makes a tensor without saying where fails."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that import JAX run last: its threads make the forks of Gymnasium's async environments unsafe."""
    items.sort(key=lambda item: item.path.name == "test_array_vec_env.py" or "jax" in item.name)
