# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Reading and writing of checkpoint files.

A file of the final name is complete at every moment. A process killed while writing leaves the previous checkpoint and
a temporary file, which :func:`latest` does not see and :func:`clean_leftovers` removes.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import torch

from rslcore._files import TEMPORARY_SUFFIX, replacing

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

    Args:
        path: The file.
        map_location: Device for the tensors; None keeps the one they were saved from.
        weights_only: Accept tensors and plain Python values only. A file may otherwise run any code while it is read:
            switch this off only for files from a source you trust.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is damaged, no checkpoint, or holds other objects than ``weights_only`` admits.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: there is no file '{path}'")
    if zipfile.is_zipfile(path) and not _is_intact(path):  # torch does not compare checksums
        raise CheckpointError(f"checkpoint: '{path}' is damaged (the checksum of a part is wrong)")
    try:
        content = torch.load(path, map_location=map_location, weights_only=weights_only)
    except pickle.UnpicklingError as error:
        if not weights_only or not zipfile.is_zipfile(path):
            raise CheckpointError(f"checkpoint: '{path}' is damaged or no checkpoint ({_first_line(error)})") from error
        raise CheckpointError(
            f"checkpoint: '{path}' holds Python objects other than tensors and plain values. Such a file can run any "
            "code while it is read; if you trust its source, load it with `weights_only=False`"
        ) from error
    except Exception as error:  # a damaged pickle makes the parser raise anything
        raise CheckpointError(f"checkpoint: '{path}' is damaged or no checkpoint ({_first_line(error)})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint: '{path}' must hold a dict, got {type(content).__name__}")
    return content


def latest(run_dir: str | os.PathLike[str]) -> Path | None:
    """Return the ``model_{iteration}.pt`` of the highest iteration in a run folder, None where there is none.

    Damaged files, cut short or with wrong checksums, are passed over.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        return None
    return next((file for _, file in sorted(_numbered(folder), reverse=True) if _is_intact(file)), None)


def resolve(path: str | os.PathLike[str]) -> Path:
    """Return the checkpoint meant by a path: the file itself, or the latest one of a run folder.

    Raises:
        FileNotFoundError: There is nothing of that name, or the folder holds no checkpoint.
    """
    path = Path(path)
    if path.is_dir():
        found = latest(path)
        if found is None:
            raise FileNotFoundError(f"checkpoint: no 'model_*.pt' in the folder '{path}'")
        return found
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint: there is no file or folder '{path}'")
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
        file.unlink(missing_ok=True)
        removed.append(file)
    return removed


def supersede(run_dir: str | os.PathLike[str], iteration: int) -> list[Path]:
    """Move the checkpoints after an iteration to ``superseded/``: they are of a branch that is not continued.

    So the latest checkpoint of a run folder is always of the branch that is being trained.

    Args:
        run_dir: Run folder.
        iteration: Iteration that the training continues from; its checkpoint and earlier ones stay.

    Returns:
        The new places of the files, by iteration. A file superseded earlier under the same name is replaced.
    """
    later = [(number, file) for number, file in _numbered(Path(run_dir)) if number > iteration]
    folder = Path(run_dir) / "superseded"
    if later:
        folder.mkdir(exist_ok=True)
    return [file.replace(folder / file.name) for _, file in sorted(later)]


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return iteration and file of every ``model_{iteration}.pt``."""
    return [(int(match[1]), file) for file in folder.iterdir() if (match := _MODEL_NAME.fullmatch(file.name))]


def _is_intact(path: Path) -> bool:
    """Return whether all of a file of torch's zip format is there, with the right checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
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
