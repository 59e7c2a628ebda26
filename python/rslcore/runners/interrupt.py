# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C that waits for the end of an iteration."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType


class DeferredInterrupt:
    """While it is entered, the first Ctrl-C (SIGINT) only sets :attr:`requested`; the second one interrupts at once.

    Does nothing outside of the main thread, and where the program has a SIGINT handler of its own.
    """

    requested: bool = False
    """Whether Ctrl-C was pressed."""

    def __init__(self, tell: Callable[[str], None], *, enabled: bool = True) -> None:
        """With ``enabled`` False, Ctrl-C stays as it is; ``tell`` shows a line, and is called by the signal handler."""
        self._tell = tell
        self._enabled = enabled

    def __enter__(self) -> DeferredInterrupt:
        """Take over SIGINT."""
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._enabled &= in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._enabled:
            signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give SIGINT back."""
        if self._enabled:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            signal.default_int_handler(number, frame)
        self.requested = True
        self._tell("Stopping after this iteration (Ctrl-C again: at once, without saving)")
