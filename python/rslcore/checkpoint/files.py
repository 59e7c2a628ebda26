# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Reading and writing of checkpoint files.

A file of the final name is complete at every moment. A process killed while writing leaves the previous checkpoint and
a temporary file, which :func:`latest` does not see and :func:`clean_leftovers` removes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from rslcore._files import TEMPORARY_SUFFIX, open_regular, replacing
from rslcore.checkpoint.tensors import UnusableTensorError, own_tensors

_MODEL_NAME = re.compile(r"model_(\d+)\.pt")


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or does not fit what it is loaded into."""


def write(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint so that a crash at any moment leaves either the old or the new file, never a part of one.

    Args:
        content: What ``torch.save`` takes.
        path: Final file name; its folder is created when missing.

    Raises:
        OSError: The disk is full, or the folder is not writable. The file that was there before is untouched.
    """
    path = Path(path)
    with replacing(path) as file:
        _save(content, file, path)


def _save(content: dict[str, Any], file: BinaryIO, path: Path) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as error:  # what torch makes of a failed write, e.g. on a full disk
        raise OSError(f"checkpoint: cannot write '{path}' ({_first_line(error)})") from error


def read(
    path: str | os.PathLike[str], map_location: torch.device | str | None = None, *, weights_only: bool = True
) -> dict[str, Any]:
    """Read a checkpoint file.

    Every tensor of it, but for those in "infos", is contiguous and has memory of its own, whatever the file says.

    Args:
        path: The file.
        map_location: Device for the tensors; None keeps the one they were saved from.
        weights_only: Accept tensors and plain Python values only. A file may otherwise run any code while it is read:
            switch this off only for files from a source you trust.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is damaged, no checkpoint, no regular file, or holds other objects than
            ``weights_only`` admits, or tensors without data.
    """
    path = Path(path)
    with _opened(path) as file:
        is_zip = False
        try:
            is_zip = zipfile.is_zipfile(file)
            if is_zip and not _is_intact(file):  # torch does not compare checksums
                raise CheckpointError(f"checkpoint: '{path}' is damaged (the checksum of a part is wrong)")
            file.seek(0)
            content = torch.load(file, map_location=map_location, weights_only=weights_only)
            if not isinstance(content, dict):
                raise CheckpointError(f"checkpoint: '{path}' must hold a dict, got {type(content).__name__}")
            return own_tensors(content, leave=("infos",))
        except CheckpointError:
            raise
        except UnusableTensorError as error:
            raise CheckpointError(f"checkpoint: '{path}': {error}") from error
        except Exception as error:  # a damaged zip or pickle makes the parser raise anything
            if isinstance(error, pickle.UnpicklingError) and weights_only and is_zip:
                raise CheckpointError(
                    f"checkpoint: '{path}' holds Python objects other than tensors and plain values. Such a file can "
                    "run any code while it is read; if you trust its source, load it with `weights_only=False`"
                ) from error
            raise CheckpointError(f"checkpoint: '{path}' is damaged or no checkpoint ({_first_line(error)})") from error


def latest(run_dir: str | os.PathLike[str]) -> Path | None:
    """Return the ``model_{iteration}.pt`` of the highest iteration in a run folder, None where there is none.

    Damaged files, cut short or with wrong checksums, are passed over, and so are pipes and devices of such a name.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        return None
    return next((file for _, file in sorted(_numbered(folder), reverse=True) if _is_intact(file)), None)


def resolve(path: str | os.PathLike[str]) -> Path:
    """Return the checkpoint meant by a path: the file itself, or the latest one of a run folder.

    Raises:
        FileNotFoundError: There is nothing of that name, or the folder holds no checkpoint.
        CheckpointError: It is neither a folder nor a regular file.
    """
    path = Path(path)
    if path.is_dir():
        found = latest(path)
        if found is None:
            raise FileNotFoundError(f"checkpoint: no 'model_*.pt' in the folder '{path}'")
        return found
    if not path.exists():
        raise FileNotFoundError(f"checkpoint: there is no file or folder '{path}'")
    with _opened(path):
        return path


def clean_leftovers(run_dir: str | os.PathLike[str]) -> list[Path]:
    """Remove the temporary files that killed writers left in a run folder, but not those of live processes.

    Returns:
        The files removed.
    """
    removed = []
    for file in Path(run_dir).glob(f".*{TEMPORARY_SUFFIX}"):
        writer = file.name.removesuffix(TEMPORARY_SUFFIX).rpartition(".")[2]
        if writer.isdecimal() and int(writer) != os.getpid() and _is_alive(int(writer)):
            continue
        if file.is_symlink() or not file.is_dir():
            file.unlink(missing_ok=True)
            removed.append(file)
    return removed


def supersede(run_dir: str | os.PathLike[str], iteration: int) -> list[Path]:
    """Move the checkpoints after an iteration to ``superseded/``: they are of a branch that is not continued.

    So the latest checkpoint of a run folder is always of the branch that is being trained. Nothing is replaced: where
    that folder has a file of the same name, of an earlier branch, they go to ``superseded_2/``, and so on.

    Args:
        run_dir: Run folder.
        iteration: Iteration that the training continues from; its checkpoint and earlier ones stay.

    Returns:
        The new places of the files, by iteration.
    """
    later = sorted((number, file) for number, file in _numbered(Path(run_dir)) if number > iteration)
    if not later:
        return []
    folder, attempt = Path(run_dir) / "superseded", 1
    while folder.is_symlink() or any(os.path.lexists(folder / file.name) for _, file in later):
        attempt += 1
        folder = folder.with_name(f"superseded_{attempt}")
    folder.mkdir(exist_ok=True)
    return [file.replace(folder / file.name) for _, file in later]


def restore_superseded(moved: Iterable[Path]) -> None:
    """Move back what :func:`supersede` has moved: the other branch was never begun."""
    for file in moved:
        file.replace(file.parent.parent / file.name)
        with contextlib.suppress(OSError):  # it holds other files
            file.parent.rmdir()


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return iteration and file of every ``model_{iteration}.pt`` that is a regular file, or a link to one."""
    named = [(match, file) for file in folder.iterdir() if (match := _MODEL_NAME.fullmatch(file.name))]
    return [(int(match[1]), file) for match, file in named if file.is_file()]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a checkpoint for reading.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no regular file, or cannot be read.
    """
    try:
        descriptor = open_regular(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"checkpoint: there is no file '{path}'") from error
    except OSError as error:
        raise CheckpointError(f"checkpoint: '{path}' cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        yield file


def _is_intact(file: Path | BinaryIO) -> bool:
    """Return whether all of a file of torch's zip format is there, with the right checksums."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # of another user
    return True


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
