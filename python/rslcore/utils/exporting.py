# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What modules need to be exported by whatever exporter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from torch import nn

from rslcore.ops._exporting import exporting

__all__ = ["exporting", "readable", "refuse_to_be_scripted"]


def readable(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Those of `names` that can be read now: not the properties of a module that raise an error.

    For ``__dir__``: ``torch.jit.trace`` reads all that it names, and takes no error but ``AttributeError`` for an
    answer, which ``nn.Module`` would replace by one that says less.
    """

    def can_be_read(name: str) -> bool:
        if not isinstance(getattr(type(module), name, None), property):
            return True
        try:
            getattr(module, name)
        except Exception:
            return False
        return True

    return [name for name in names if can_be_read(name)]


def refuse_to_be_scripted(module: nn.Module, instead: str) -> NoReturn:
    """Raise the error of a module that ``torch.jit.script`` cannot compile; for ``__prepare_scriptable__``."""
    raise TypeError(
        f"torch.jit.script: expected modules that TorchScript can compile, got a {type(module).__name__}; "
        f"take {instead} in its place"
    )
