# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which code made a run: commit, status and uncommitted changes of git repositories, stored in the run folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from rslcore._files import replacing


def store_code_state(log_dir: str | os.PathLike[str], repositories: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Write ``git/<repository>.diff`` for every repository, unless a file there says the same already.

    A file that exists stays: what the code of a resumed run has become, and a repository of the same name, go to
    ``git/<repository>_2.diff``, and so on.

    Args:
        log_dir: Run folder.
        repositories: A file or folder inside each repository. What is no repository, or cannot be read by git, is
            passed over.

    Returns:
        The files written.
    """
    folder = Path(log_dir) / "git"
    written = []
    taken: set[Path] = set()
    for path in repositories:
        start = Path(path) if Path(path).is_dir() else Path(path).parent
        root = _git(start, "rev-parse", "--show-toplevel")
        if root is None:
            continue
        commit = _git(start, "rev-parse", "HEAD")
        status = _git(Path(root.strip()), "status")
        diff = _git(Path(root.strip()), "diff", "--no-ext-diff", "HEAD")
        if commit is None or status is None or diff is None:
            continue
        text = f"--- git commit ---\n{commit}\n\n--- git status ---\n{status}\n\n--- git diff ---\n{diff}".encode()
        file, attempt = folder / f"{Path(root.strip()).name}.diff", 1
        while file in taken or (os.path.lexists(file) and not _says(file, text)):
            attempt += 1
            file = folder / f"{Path(root.strip()).name}_{attempt}.diff"
        taken.add(file)
        if not os.path.lexists(file):
            with replacing(file) as target:
                target.write(text)
            written.append(str(file))
    return written


def _says(file: Path, text: bytes) -> bool:
    return file.is_file() and file.read_bytes() == text


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None if it fails or is not installed."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=30,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode("utf-8", errors="replace")
