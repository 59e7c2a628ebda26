# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""metrics.jsonl: one JSON object per iteration, readable while training runs."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from rslcore._files import open_regular, replacing

FILE_NAME = "metrics.jsonl"


class MetricsFile:
    """Appends records to ``metrics.jsonl`` in a run folder, every one flushed.

    A resumed run repeats iterations it had written before it was stopped; the first record written cuts the file back
    to the iterations before it, so that every iteration appears once, in order.
    """

    def __init__(self, run_dir: str | os.PathLike[str]) -> None:
        """Nothing is opened until the first record."""
        self.path = Path(run_dir) / FILE_NAME
        self._file: Any = None

    def write(self, record: dict[str, Any]) -> None:
        """Append one record; ``record["iteration"]`` is its number. NaN and infinity are written as null."""
        if self._file is None:
            self._cut_back(record["iteration"])
            descriptor = open_regular(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            self._file = open(descriptor, "a", encoding="utf-8")  # noqa: SIM115
        self._file.write(to_json(record) + "\n")
        self._file.flush()

    def records(self) -> list[dict[str, Any]]:
        """Return the records there are."""
        return read_metrics(self.path) if self.path.is_file() else []

    def is_in_place(self) -> bool:
        """Return whether the file that is open for writing still has its name."""
        return self._file is None or self.path.exists()

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _cut_back(self, iteration: int) -> None:
        if not self.path.is_file():
            return
        kept = [record for record in self.records() if record["iteration"] < iteration]
        with replacing(self.path) as file:
            file.write("".join(to_json(record) + "\n" for record in kept).encode())


def to_json(record: dict[str, Any]) -> str:
    """Return a record as one line of standard JSON: NaN and infinity become null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(finite, allow_nan=False)


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``, or that of a run folder; a last line cut short by a crash is passed over.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise FileNotFoundError(f"metrics: there is no file '{path}'")
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and isinstance(record.get("iteration"), int):
            records.append(record)
    return records
