# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.shuffle_rows` and `ops.permutation` against torch, and against a memcpy of the bytes that must be moved.

python benchmarks/ops/shuffle.py [--json] [--seconds S]
"""

from __future__ import annotations

import torch
from _bench import Report, copy_of

from rslcore import ops

ROWS = [24 * 1_024, 24 * 4_096]
LENGTHS = [24 * 4_096, 128 * 16_384]
WIDTHS = {
    "observations": 48,
    "actions": 12,
    "old_mean": 12,
    "old_std": 12,
    "old_log_prob": 1,
    "advantages": 1,
    "returns": 1,
}
"""Floats per row of the fields of a locomotion rollout."""


def main() -> None:
    """Time a whole rollout of each size, then permutations alone."""
    report = Report(__doc__.splitlines()[0])
    for rows in ROWS:
        fields = [torch.randn(rows, width) for width in WIDTHS.values()]
        out = [torch.empty_like(field) for field in fields]
        index = ops.permutation(rows, seed=1)
        num_bytes = sum(field.nbytes for field in fields)
        calls = {
            "rslcore.ops.shuffle_rows(out=)": lambda fields=fields, index=index, out=out: ops.shuffle_rows(
                fields, index, out=out
            ),
            "memcpy of the same bytes": copy_of(num_bytes),
            "rslcore.ops.shuffle_rows": lambda fields=fields, index=index: ops.shuffle_rows(fields, index),
            "torch field[index] per field": lambda fields=fields, index=index: [field[index] for field in fields],
            "torch index_select(out=) per field": lambda fields=fields, index=index, out=out: [
                torch.index_select(field, 0, index, out=target) for field, target in zip(fields, out, strict=True)
            ],
        }
        report.add(f"shuffle_rows {rows:,} rows, {len(fields)} fields, {num_bytes / 1e6:.0f} MB", calls)
    for n in LENGTHS:
        target = torch.empty(n, dtype=torch.int64)
        calls = {
            "rslcore.ops.permutation(out=)": lambda n=n, target=target: ops.permutation(n, seed=1, out=target),
            "memcpy of the same bytes": copy_of(8 * n),
            "rslcore.ops.permutation": lambda n=n: ops.permutation(n, seed=1),
            "torch.randperm": lambda n=n: torch.randperm(n),
        }
        report.add(f"permutation {n:,}", calls)
    report.finish()


if __name__ == "__main__":
    main()
