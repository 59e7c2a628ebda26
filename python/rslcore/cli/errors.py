# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The errors of the command line."""

from __future__ import annotations


class CliError(Exception):
    """Something the user can put right: shown as one line on standard error, exit code 2, no traceback."""
