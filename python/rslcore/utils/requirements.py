# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Refusal of settings that are of the right type but make no sense."""

from __future__ import annotations

import math
import numbers
from typing import Any


def require(
    owner: str,
    name: str,
    value: Any,  # noqa: ANN401
    *,
    integer: bool = False,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> None:
    """Refuse what is no finite number within its bounds.

    Args:
        owner: Class the setting belongs to, for the message.
        name: Name of the setting.
        value: Its value.
        integer: Whether it must be an int.
        least: Smallest value allowed.
        above: Largest value not allowed.
        most: Largest value allowed.

    Raises:
        ValueError: The message names the setting, what is allowed and what was given.
    """
    allowed = isinstance(value, numbers.Integral if integer else numbers.Real) and not isinstance(value, bool)
    allowed = allowed and math.isfinite(value)
    expected = ["an integer" if integer else "a finite number"]
    for bound, words, holds in (
        (least, "at least", lambda bound: value >= bound),
        (above, "greater than", lambda bound: value > bound),
        (most, "at most", lambda bound: value <= bound),
    ):
        if bound is not None:
            expected.append(f"{words} {bound}")
            allowed = allowed and holds(bound)
    if not allowed:
        raise ValueError(f"{owner}: `{name}` must be {' and '.join(expected)}, got {value!r}")
