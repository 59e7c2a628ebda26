# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the tensors that a file is read to."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from rslcore import checkpoint


def read(tmp_path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Save as anybody can, and read."""
    torch.save(content, tmp_path / "model_0.pt")
    return checkpoint.read(tmp_path / "model_0.pt")


def test_every_tensor_has_contiguous_memory_of_its_own(tmp_path: Path) -> None:
    """Expanded, transposed, offset and shared tensors, in every container: equal numbers, nothing shared."""
    base = torch.arange(12.0).reshape(3, 4)
    content = {
        "expanded": torch.ones(1).expand(3, 4),
        "transposed": OrderedDict(x=base.t()),
        "offset": [base[1:], (base[2, 1:],)],
        "twice": {"a": base, "b": base},
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "complex": torch.tensor([1 + 2j]).conj(),
        "empty": torch.zeros(0, 3),
    }
    back = read(tmp_path, content)
    pairs = [
        (back["expanded"], torch.ones(3, 4)),
        (back["transposed"]["x"], base.t()),
        (back["offset"][0], base[1:]),
        (back["offset"][1][0], base[2, 1:]),
        (back["twice"]["a"], base),
        (back["twice"]["b"], base),
        (back["parameter"], torch.ones(2)),
        (back["complex"], torch.tensor([1 - 2j])),
    ]
    for got, expected in pairs:
        assert torch.equal(got, expected)
        assert got.is_contiguous() and got.storage_offset() == 0 and not got.requires_grad
        assert got.untyped_storage().nbytes() == got.nbytes
    assert len({got.data_ptr() for got, _ in pairs}) == len(pairs)
    assert back["empty"].shape == (0, 3)


def test_tensors_without_numbers_are_refused_by_name(tmp_path: Path) -> None:
    """Meta, sparse, quantized and endlessly repeated tensors are refused; "infos" are the user's own."""
    unusable = {
        "meta": torch.zeros(2, device="meta"),
        "sparse": torch.eye(2).to_sparse(),
        "csr": torch.eye(2).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
        "repeated": torch.zeros(1).expand(2**40),
    }
    for name, tensor in unusable.items():
        with pytest.raises(checkpoint.CheckpointError, match=rf"a\['{name}'\]\[0\] "):
            read(tmp_path, {"a": {name: [tensor]}})
    assert read(tmp_path, {"infos": {"a": unusable["sparse"]}})["infos"]["a"].is_sparse


def test_a_cycle_ends(tmp_path: Path) -> None:
    """A list that contains itself is read, or refused as every damaged file is; it does not hang."""
    cycle: list[Any] = [torch.ones(1)]
    cycle.append(cycle)
    assert torch.equal(read(tmp_path, {"a": cycle})["a"][0], torch.ones(1))
