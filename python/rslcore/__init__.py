# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""On-policy reinforcement learning for massively parallel robot simulation.

Importing `rslcore` loads nothing else: `rslcore.ops` needs torch alone, `rslcore.numpy` needs NumPy alone.
"""

from rslcore._build import __version__, build_info

__all__ = ["__version__", "build_info"]
