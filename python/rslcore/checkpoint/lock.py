# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""One training per run folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from rslcore._files import open_regular
from rslcore.checkpoint.files import CheckpointError

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LOCK_NAME = ".lock"


class RunDirLock:
    """The right to train in a run folder, for as long as the block of :func:`lock` lasts."""

    def __init__(self, run_dir: str | os.PathLike[str]) -> None:
        """Remember which folder it is, whatever becomes of its name."""
        self.run_dir = Path(run_dir).absolute()
        self._folder = os.stat(self.run_dir)

    def is_in_place(self) -> bool:
        """Return whether the folder is still there, under its name: it may have been deleted, or moved away."""
        try:
            return os.path.samestat(os.stat(self.run_dir), self._folder)
        except OSError:
            return False


@contextlib.contextmanager
def lock(run_dir: str | os.PathLike[str]) -> Iterator[RunDirLock]:
    """Keep other trainings out of a run folder for the length of the block; the death of the process ends it too.

    The file ``.lock`` stays, and holds the number of the last process. Without effect where the system or the file
    system has no locks.

    Args:
        run_dir: Run folder; created when missing.

    Raises:
        CheckpointError: Another training holds the folder.
        OSError: ``.lock`` is a link or no regular file, or the folder is not writable.
    """
    Path(run_dir).mkdir(parents=True, exist_ok=True)
    held = RunDirLock(run_dir)
    if fcntl is None:
        yield held
        return
    descriptor = open_regular(Path(run_dir) / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    with open(descriptor, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CheckpointError(
                f"run folder '{run_dir}' is being trained by process {file.read().strip() or '(just starting)'}; "
                "wait for its end, or train in another folder"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield held
