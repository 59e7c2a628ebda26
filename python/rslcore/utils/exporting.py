# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What modules need to be exported by whatever exporter."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from rslcore.ops._library import exporting

__all__ = ["exporting", "readable"]


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
