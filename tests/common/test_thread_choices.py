# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""ThreadChoices of csrc/common/thread_choice.h: which calls learn from one another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("CXX", "c++")


def test_calls_of_ever_other_sizes_learn_from_one_another(tmp_path):
    """Law: one of twenty calls at most is a trial where one thread is the best, however many units there are."""
    program = tmp_path / "thread_choices"
    sources = [Path(__file__).with_name("thread_choices.cpp"), ROOT / "csrc" / "common" / "thread_choice.cpp"]
    flags = ["-std=c++20", "-O1", "-I", str(ROOT / "csrc")]
    subprocess.run([COMPILER, *flags, *map(str, sources), "-o", str(program)], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "RSLCORE_THREADS"}
    result = subprocess.run([str(program)], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, f"{result.stdout.strip()} of 1000 calls took several threads"
