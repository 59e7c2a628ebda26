# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tensors of a file as everybody expects them: with data, contiguous, and each with memory of its own."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch

_KINDS = (torch.Tensor, torch.nn.Parameter)
_LARGEST_REPETITION = 2**30
"""Bytes that one tensor may take beyond what the file holds of it: a stride of 0 makes a few bytes any size."""


class UnusableTensorError(ValueError):
    """A tensor that holds no numbers to go on from."""


def own_tensors(content: dict[Any, Any], leave: Container[str] = ()) -> dict[Any, Any]:
    """Give every tensor in nested dicts, lists and tuples contiguous memory that nothing else uses.

    A file says strides and offset of every tensor and which of them share memory; kernels and optimizers that write in
    place rely on none of it.

    Args:
        content: Content of a checkpoint; its containers are changed in place.
        leave: Keys of ``content`` that are left as they are.

    Returns:
        ``content``.

    Raises:
        UnusableTensorError: A tensor is sparse, quantized or nested, has no data ("meta"), or claims far more than the
            file holds.
    """
    owner = _Owner()
    for key, value in content.items():
        if key not in leave:
            content[key] = owner.own(value, str(key))
    return content


class _Owner:
    def __init__(self) -> None:
        self._storages: set[int] = set()
        self._done: dict[int, tuple[Any, Any]] = {}
        """By identity, a container and what has become of it; kept, so that no other one gets its identity."""

    def own(self, value: Any, name: str) -> Any:  # noqa: ANN401
        """Return a value with tensors of their own; containers that occur twice stay one."""
        if type(value) in _KINDS:
            return self._own_tensor(value, name)
        if not isinstance(value, (dict, list)) and type(value) is not tuple:
            return value
        if id(value) not in self._done:
            self._done[id(value)] = (value, value)  # for one that contains itself
            self._done[id(value)] = (value, self._own_container(value, name))
        return self._done[id(value)][1]

    def _own_container(self, value: Any, name: str) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            for key, item in value.items():
                value[key] = self.own(item, f"{name}[{key!r}]")
            return value
        items = [self.own(item, f"{name}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, tuple):
            return tuple(items)
        value[:] = items
        return value

    def _own_tensor(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
            kind = "without data (meta)" if tensor.is_meta else "nested" if tensor.is_nested else str(tensor.layout)
            kind = "quantized" if tensor.is_quantized else kind
            raise UnusableTensorError(f"{name} must be a dense tensor with data, got one that is {kind}")
        storage = tensor.untyped_storage()
        size = tensor.numel() * tensor.element_size()
        if size > storage.nbytes() + _LARGEST_REPETITION:
            raise UnusableTensorError(f"{name} of shape {list(tensor.shape)} claims {size} bytes of {storage.nbytes()}")
        tensor = tensor.detach().resolve_conj().resolve_neg()
        whole = tensor.is_contiguous() and size == storage.nbytes() and storage.data_ptr() not in self._storages
        if size and not whole:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        self._storages.add(storage.data_ptr())
        return tensor
