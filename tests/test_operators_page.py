# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""docs/operators.md names every operator, with the signature that it has."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import rslcore.numpy as rn
from rslcore import ops

PAGE = Path(__file__).resolve().parents[1] / "docs" / "operators.md"
ROWS = {name: (args, mark) for name, args, mark in re.findall(r"^\| `(\w+)\((.*?)\)` \| (N?)", PAGE.read_text(), re.M)}


def test_page_has_all_operators() -> None:
    """One row for each function, no other."""
    assert set(ROWS) == {name for name in ops.__all__ if inspect.isfunction(getattr(ops, name))}


@pytest.mark.parametrize("name", ROWS)
def test_signature_is_the_function_s(name: str) -> None:
    """Names, order, defaults, what is keyword-only, and whether there is one for arrays."""
    arguments, mark = ROWS[name]
    function = getattr(ops, name)
    parameters = [
        p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(function).parameters.values()
    ]
    assert f"({arguments})" == str(inspect.Signature(parameters)).replace("'", '"').replace("0.01", "1e-2")
    assert (mark == "N") == hasattr(rn, name)
