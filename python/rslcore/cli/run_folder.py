# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The folder of a training run: its place, and the settings kept in ``params/``.

``params/agent.yaml`` holds the training configuration, ``params/env.yaml`` that of the environment, ``params/run.yaml``
the task, the number of environments and, for every time the run was started or resumed, the command and the versions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fnmatch
import importlib.metadata
import importlib.util
import platform
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rslcore._files import open_regular, replacing
from rslcore.cli import trust
from rslcore.cli.errors import CliError
from rslcore.cli.packages import error_text

PACKAGES = ("rslcore", "torch", "numpy", "tensordict", "mujoco", "mjbatch", "gymnasium", "envpool")
"""Packages whose versions are kept with a run."""
LONGEST_NAME = 200
"""Bytes of the names that are given for folders: file systems take 255, of which the date has its part."""
OVERWRITTEN = "params"
"""Subfolder whose files a resumed run replaces; all others are appended to or get new names."""
LARGEST_FILE = 4 * 2**20
"""Bytes of a file of settings; ours take some thousand, and half a thousand more each time a run is resumed."""
MOST_VALUES = 100_000
"""Values in a file of settings, those that are named by an alias counted each time: few bytes can stand for many."""
MADE = ("params/*", "git/*", "events.out.tfevents.*", "wandb_run.txt")
"""New files that a run makes before its first iteration ends, as it is resumed; checkpoints are not among them."""


class _Loader(yaml.SafeLoader):
    """YAML, but 1e-3 is a number as in Python and JSON: YAML 1.1 takes it for text, for want of a point."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


@dataclasses.dataclass
class RunSettings:
    """What a run folder says about its run."""

    task: str
    """Name of the task."""
    num_envs: int
    """Number of environments."""
    agent: dict[str, Any]
    """Training configuration as a dictionary."""


def check_names(experiment: str, run_name: str) -> None:
    """Refuse names that are no names of folders, or would lead out of the folder of all runs.

    Args:
        experiment: Name of a folder, or several with "/" between them.
        run_name: End of the name of a folder.

    Raises:
        CliError: A name is wrong; the message has the option.
    """
    for option, name, meaning, parts in (
        ("--experiment-name", experiment, "a folder within the folder of all runs", experiment.split("/")),
        ("--run-name", run_name, "part of the name of one folder", [run_name]),
    ):
        for part in parts if name else []:
            if part in ("", ".", "..") or "/" in part:
                wanted = meaning
            elif not part.isprintable():  # NUL, newlines, bytes that are no text
                wanted = "of printable characters"
            elif len(part.encode()) > LONGEST_NAME:
                wanted = f"at most {LONGEST_NAME} bytes long"
            else:
                continue
            raise CliError(f"train: {option} must be {wanted}, got {name!r}")


def create(root: Path, experiment: str, run_name: str) -> Path:
    """Create the folder ``<root>/<experiment>/<date-time>[_<run name>]`` and return it.

    Raises:
        CliError: The folder cannot be created.
    """
    check_names(experiment, run_name)
    stem = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}" + (f"_{run_name}" if run_name else "")
    for attempt in range(1, 100):
        folder = root / experiment / (stem if attempt == 1 else f"{stem}_{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise CliError(f"train: cannot create the run folder '{folder}' ({error.strerror})") from error
        return folder
    raise CliError(f"train: cannot create a run folder '{stem}' in '{root / experiment}'")


def read(folder: Path, trusted: Sequence[str] = (), *, task_given: bool = False) -> RunSettings | None:
    """Return the settings kept in a run folder, None where there are none.

    All that they name has been checked: see :mod:`rslcore.cli.trust`.

    Args:
        folder: The run folder.
        trusted: Modules that the user trusts, of which the files may name classes and tasks.
        task_given: Whether the task in the files is not used, as the user has named one.

    Raises:
        CliError: The files are there but not what this program writes, or name what is not trusted.
    """
    params = folder / "params"
    if not (params / "run.yaml").is_file():
        return None
    run, agent = _read_yaml(params / "run.yaml"), _read_yaml(params / "agent.yaml")
    if not isinstance(run.get("task"), str) or not isinstance(run.get("num_envs"), int):
        raise CliError(f"'{params / 'run.yaml'}' must have the keys 'task' and 'num_envs'")
    if not task_given:
        trust.check_task(run["task"], trusted, params / "run.yaml")
    trust.check_names(agent, trusted, params / "agent.yaml")
    return RunSettings(task=run["task"], num_envs=run["num_envs"], agent=agent)


@contextlib.contextmanager
def unchanged_on_error(folder: Path, *, new: bool) -> Iterator[None]:
    """Leave a run folder as it was where the block ends with a `CliError`; a new one is removed.

    For who holds the lock of the folder. What others may have written into it meanwhile, as the command play does,
    stays.
    """
    before = {} if new else {path: _content(path) for path in _files(folder)}
    try:
        yield
    except CliError:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        for path in set(_files(folder)) - before.keys():
            if any(fnmatch.fnmatch(path.relative_to(folder).as_posix(), pattern) for pattern in MADE):
                path.unlink()
        for path, content in before.items():
            if content is not None and _content(path) != content:
                with replacing(path) as file:
                    file.write(content)
        raise


def write(
    folder: Path,
    settings: RunSettings,
    env_cfg: object,
    *,
    command: str,
    device: str,
    threads: int,
    resumed_from: Path | None,
) -> None:
    """Write the settings of a run; what earlier sessions of the run wrote about themselves is kept.

    Raises:
        CliError: A file cannot be written.
    """
    from rslcore import build_info

    params = folder / "params"
    earlier = _read_yaml(params / "run.yaml").get("sessions") if (params / "run.yaml").is_file() else None
    sessions = earlier if isinstance(earlier, list) else []
    session = {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": command,
        "resumed_from": None if resumed_from is None else str(resumed_from),
        "device": device,
        "torch_threads": threads,
        "build_git_revision": build_info()["git_revision"],
        "versions": {"python": platform.python_version(), **_versions()},
    }
    run = {"task": settings.task, "num_envs": settings.num_envs, "sessions": [*sessions, session]}
    for name, content in (("run", run), ("agent", settings.agent), ("env", env_cfg)):
        text = yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True)
        file = params / f"{name}.yaml"
        try:
            with replacing(file) as target:
                target.write(text.encode())
        except OSError as error:
            raise CliError(f"train: cannot write '{file}' ({error.strerror or error})") from error


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return a configuration as dictionaries, lists, strings and numbers."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    return str(value)


def _files(folder: Path) -> list[Path]:
    """Return the files of a run but hidden ones, which are locks and temporary files."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def _content(path: Path) -> bytes | None:
    """Return the content of a file that a resumed run replaces, None for others, which may be large."""
    return path.read_bytes() if path.parent.name == OVERWRITTEN else None


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES if importlib.util.find_spec(name) is not None}


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with open(open_regular(path), "rb") as file:
            text = file.read(LARGEST_FILE + 1)
        if len(text) > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE} bytes")
        content = yaml.load(text.decode(), Loader=_Loader)
        _check_extent(content)
    except RecursionError as error:
        raise CliError(f"cannot read '{path}' (it is nested too deeply)") from error
    except Exception as error:  # a tag such as !!bool makes PyYAML raise anything
        raise CliError(f"cannot read '{path}' ({error_text(error)})") from error
    if not isinstance(content, dict):
        raise CliError(f"'{path}' must hold a mapping, got {type(content).__name__}")
    return content


def _check_extent(content: Any) -> None:  # noqa: ANN401
    """Refuse what would not end, or not fit into memory, once it is copied: aliases of YAML may contain themselves."""
    pending, count = [content], 0
    while pending:
        value = pending.pop()
        count += 1
        if isinstance(value, (dict, list, tuple, set)):
            count += len(value)
            pending += value.values() if isinstance(value, dict) else value
        if count > MOST_VALUES:
            raise ValueError(
                f"it stands for more than {MOST_VALUES} values; aliases (*name) may not contain themselves"
            )
