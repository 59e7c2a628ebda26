# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Tests pass however busy the machine is."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent


def test_time_is_limited_against_a_hang_only():
    """Law: no test has a limit in seconds of its own, and none reads a clock that the machine's load moves."""
    found = [
        f"{path.relative_to(TESTS)}: {match[0]}"
        for path in sorted(TESTS.rglob("*.py"))
        for match in re.finditer(r"timeout=\d|\bperf_counter\(\)|\bprocess_time\(\)", path.read_text())
    ]
    assert not found, "take HANG of tests/_shared/limits.py, or a clock of the test's own"
