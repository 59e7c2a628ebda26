# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The command behind `make test-matrix`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import rslcore

TESTS = """
import os, pytest, torch

pytestmark = pytest.mark.rounding

def test_threads():
    assert torch.get_num_threads() == int(os.environ["RSLCORE_TEST_THREADS"]) == 2

def test_level():
    assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"

def test_fails():
    assert False

@pytest.mark.skip
def test_skipped():
    pass
"""


@pytest.fixture
def matrix(monkeypatch):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("matrix_script", Path(__file__).parent / "matrix.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_a_row_counts_and_names(matrix, tmp_path):
    """Law: tests run under what the row says; passed, failed and skipped are counted, and failures named."""
    file = tmp_path / "test_some.py"
    file.write_text(TESTS)
    row = matrix.run(matrix.Setting("some", "baseline", "baseline", threads=2, busy=1), [str(file)])
    assert (row.in_use, row.passed, len(row.failed), row.skipped) == ("baseline", 2, 1, 1)
    assert row.failed[0].endswith("test_some::test_fails")  # behind the folder, as seen from the project's
    assert matrix.table([row]).splitlines()[2:] == [
        "| some | baseline | baseline | baseline | 2 | 1 | 2 | 1 | 1 |",
        f"failed under 'some': {row.failed[0]}",
    ]


def test_a_level_that_is_not_there_is_not_run(matrix, monkeypatch):
    """Law: where `build_info` has another level than the one asked for, no test runs, and the table says so."""
    levels = [level for level in ("baseline", "avx2", "avx512") if level != rslcore.build_info()["simd_in_use"]]
    monkeypatch.setattr(matrix, "environment_of", lambda setting: {})  # whatever is asked for, the best one is in use
    row = matrix.run(matrix.Setting("some", levels[0], "best"), [])
    assert (row.in_use, row.passed, row.failed) == ("", 0, [])
    assert matrix.table([row]).splitlines()[2] == (
        f"| some | {levels[0]} | not on this processor | best | 1 | 0 | not run |  |  |"
    )
