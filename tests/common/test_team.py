# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""csrc/common/team.h, compiled with and run under a thread sanitizer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CXX", "c++")


def build_and_run(folder: Path, include: Path) -> subprocess.CompletedProcess[str]:
    """The driver with the headers of `include`, which may be others than the project's."""
    program = folder / "team"
    flags = ["-std=c++20", "-O1", "-g1", "-fsanitize=thread", "-pthread", "-I", str(include), "-I", str(ROOT / "csrc")]
    sources = [Path(__file__).with_name("team.cpp"), ROOT / "csrc" / "common" / "thread_choice.cpp"]
    subprocess.run([COMPILER, *flags, *map(str, sources), "-o", str(program)], check=True)
    environment = {**os.environ, "TSAN_OPTIONS": "halt_on_error=1"}
    return subprocess.run([str(program)], capture_output=True, text=True, env=environment, check=False)


def test_orders_are_carried_out_once(tmp_path):
    """Law: every unit is done once before the loop returns, whether threads come at once, late or never."""
    result = build_and_run(tmp_path, ROOT / "csrc")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unfinished_.load(std::memory_order_acquire) != 0", "false"),  # not waiting for those that hold a block
        ("ticket - 1, std::memory_order_acquire", "ticket, std::memory_order_acquire"),  # a block is taken twice
    ],
)
def test_planted_faults_are_found(tmp_path, old, new):
    """The check can fail."""
    header = (ROOT / "csrc" / "common" / "team.h").read_text()
    assert old in header
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "team.h").write_text(header.replace(old, new))
    for name in ("parallel.h", "thread_choice.h"):
        shutil.copy(ROOT / "csrc" / "common" / name, tmp_path / "common" / name)
    assert build_and_run(tmp_path, tmp_path).returncode != 0
