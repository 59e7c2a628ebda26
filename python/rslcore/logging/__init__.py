# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Logging of training runs: statistics, writers, metrics.jsonl, consoles, curves."""

from rslcore.logging.code_state import store_code_state
from rslcore.logging.console import CONSOLE_STYLES, ConsoleStyle
from rslcore.logging.curves import plot_curves
from rslcore.logging.logger import Logger
from rslcore.logging.metrics_file import read_metrics
from rslcore.logging.writers import LogWriter, WandbLogWriter

__all__ = [
    "CONSOLE_STYLES",
    "ConsoleStyle",
    "LogWriter",
    "Logger",
    "WandbLogWriter",
    "plot_curves",
    "read_metrics",
    "store_code_state",
]
