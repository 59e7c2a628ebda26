# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""On-policy reinforcement learning for massively parallel robot simulation.

Importing `rslcore` loads nothing else: `rslcore.ops` needs torch alone, `rslcore.numpy` needs NumPy alone.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # a name that type checkers know; typing itself would be a third of the import
    from rslcore._build import __version__, build_info

__all__ = ["__version__", "build_info"]


if not TYPE_CHECKING:  # for type checkers every name would exist

    def __getattr__(name: str) -> object:
        # Reading the version takes as long as all else that `rslcore.numpy` adds to NumPy.
        if name not in __all__:
            raise AttributeError(f"module 'rslcore' has no attribute '{name}'")
        from rslcore import _build

        return getattr(_build, name)
