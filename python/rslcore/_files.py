# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Files that are complete at every moment. Needs the standard library alone."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TEMPORARY_SUFFIX = ".rslcore-tmp"
"""End of the name of a file that is being written: ``.<name>.<process id><suffix>`` beside the final one."""


def open_regular(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """Open a file by its descriptor if it is a regular one: a pipe may never open, a device may never end.

    Args:
        path: The file. A link is followed for reading; for writing it is refused, as what it points to is not ours.
        flags: Of :func:`os.open`.

    Raises:
        FileNotFoundError: There is no such file, and ``flags`` create none.
        OSError: It is no regular file, or a link that would be written through; or what :func:`os.open` raises.
    """
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
    if writes and os.path.islink(path):
        raise OSError(errno.EINVAL, "it is a symbolic link", str(path))
    if os.path.lexists(path) or not flags & os.O_CREAT:
        _require_regular(os.stat(path), path)  # before it is opened: opening alone may wait, or start a device
    for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY", *(("O_NOFOLLOW",) if writes else ())):
        flags |= getattr(os, name, 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing so that a crash at any moment leaves either the old or the new one, never a part.

    Content goes to a temporary file in the same folder, is forced to the disk, and takes the final name in one rename
    where the block ends without an error. A link of that name is replaced; what it points to stays.

    Args:
        path: Final file name; its folder is created when missing.

    Raises:
        OSError: The disk is full, or the folder is not writable. The file that was there before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}"
    try:
        temporary.unlink(missing_ok=True)  # of a dead process of the same number; or a link, which is not followed
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Force a rename to the disk; a no-op on systems that cannot open folders (Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
