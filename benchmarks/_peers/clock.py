# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Times the phases of an iteration inside the public training loop of a package, from the first one to the last.

Methods are wrapped in their class, not in an object: what a trainer checks of its own objects stays as it is.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any


class Clock:
    """Adds up the time of the phases "rollout", "returns", "update" and "rest"."""

    def __init__(self) -> None:
        """Make a clock that stands still."""
        self.seconds: dict[str, float] = {}
        self.between: Callable[[], None] = lambda: None
        """Called when an iteration has ended; the next one starts when it returns."""
        self.phase = "rest"
        """What is timed at present."""
        self._start = 0.0

    def start(self) -> None:
        """Begin an iteration with its rollout."""
        self.seconds = dict.fromkeys(("rollout", "returns", "update", "rest"), 0.0)
        self.phase, self._start = "rollout", time.perf_counter()

    def enter(self, phase: str) -> None:
        """End the present phase."""
        now = time.perf_counter()
        self.seconds[self.phase] += now - self._start
        self.phase, self._start = phase, now

    def end(self) -> None:
        """End an iteration, and begin the next one once others had their turn."""
        self.enter("rest")
        self.between()
        self.start()

    def time(self, owner: Any, name: str, *, phase: str | None = None, then: str | None = None) -> None:  # noqa: ANN401
        """Let calls of `owner.name` enter `phase`, and their return enter the phase `then`."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            if phase is not None:
                self.enter(phase)
            result = function(*args, **kwargs)
            if then is not None:
                self.enter(then)
            return result

        setattr(owner, name, timed)

    def ends_with(self, owner: Any, name: str, condition: Callable[[], bool] = lambda: True) -> None:  # noqa: ANN401
        """Let an iteration end with every call of `owner.name` after which `condition` holds."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def last(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            result = function(*args, **kwargs)
            if condition():
                self.end()
            return result

        setattr(owner, name, last)
