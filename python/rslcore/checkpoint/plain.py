# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a checkpoint may hold so that it loads with ``torch.load(weights_only=True)``."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch

_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None), torch.Tensor, torch.dtype, torch.device, torch.Size)


def first_not_plain(value: Any, path: str) -> str | None:  # noqa: ANN401
    """Return where the first value sits that ``weights_only=True`` would refuse, None when there is none.

    Args:
        value: Tensors and plain values in nested dicts, lists, tuples and sets.
        path: Name of ``value`` in the answer, e.g. "infos" in "infos['camera'] (ndarray)".
    """
    if type(value) in (dict, OrderedDict):
        items = [(f"{path}[{key!r}]", item) for key, item in value.items()]
        items += [(f"key {key!r} of {path}", key) for key in value if not isinstance(key, (str, int))]
    elif type(value) in (list, tuple, set):
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    elif type(value) in _PLAIN_TYPES or isinstance(value, torch.nn.Parameter):
        return None
    else:
        return f"{path} ({type(value).__name__})"
    return next((found for name, item in items if (found := first_not_plain(item, name))), None)
