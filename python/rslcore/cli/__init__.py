# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The command ``rslcore``. Importing it loads neither torch nor a simulator."""

from rslcore.cli.main import main

__all__ = ["main"]
