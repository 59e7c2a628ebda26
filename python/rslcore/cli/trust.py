# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Whose code a run folder may name: docs/trust.md.

A configuration names classes and functions, and a task of a library a module to import. What the user types is the
user's will; what a file says is not, since it may be somebody else's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rslcore.cli.errors import CliError
from rslcore.cli.packages import error_text
from rslcore.cli.search_path import find_named

VARIABLE = "RSLCORE_TRUST"
"""Environment variable with modules that are trusted, separated by commas."""
ALWAYS = ("rslcore", "rsl_rl")
_SERVICES = ("tensorboard", "wandb")
"""Names of log writers that are no classes."""


class _Kind(NamedTuple):
    text: str
    admits: Callable[[Any], bool]


def _class_with(*methods: str) -> Callable[[Any], bool]:
    return lambda found: isinstance(found, type) and all(callable(getattr(found, name, None)) for name in methods)


def _is_module(found: Any) -> bool:  # noqa: ANN401
    import torch

    return isinstance(found, type) and issubclass(found, torch.nn.Module)


def _is_function(found: Any) -> bool:  # noqa: ANN401
    return callable(found) and not isinstance(found, type)


_MODEL = _Kind("a model (a class derived from torch.nn.Module)", _is_module)
_WRITER = _Kind("a log writer (a class with add_scalar)", _class_with("add_scalar"))
_CLASSES = {
    "": _Kind("a runner (a class with learn and load)", _class_with("learn", "load")),
    "algorithm": _Kind(
        "an algorithm (a class with construct_algorithm and update)", _class_with("construct_algorithm", "update")
    ),
    **dict.fromkeys(("actor", "critic", "student", "teacher", "policy"), _MODEL),
    "distribution_cfg": _Kind(
        "a distribution (a class derived from torch.nn.Module with update and sample)",
        lambda found: _is_module(found) and _class_with("update", "sample")(found),
    ),
    "logger": _WRITER,
}
"""What ``class_name`` must name, by the key of the dictionary that it is in."""
_ANY_CLASS = _Kind("a class", _class_with())
_FUNCTION = _Kind("a function", _is_function)


class _Named(NamedTuple):
    key: str
    """Place in the configuration, e.g. "algorithm.class_name"."""
    name: Any
    """What stands there; a string, if it is as it should be."""
    kind: _Kind
    """What it must name."""


def trusted_modules(given: Sequence[str]) -> tuple[str, ...]:
    """Return the modules that the user trusts: those given by ``--trust``, and those of the environment variable.

    Raises:
        CliError: One is not the name of a module.
    """
    by_variable = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    for source, names in (("--trust", given), (VARIABLE, filter(None, by_variable))):
        for name in names:
            if not all(part.isidentifier() for part in name.split(".")):
                raise CliError(f"{source} must be the name of a module, such as my_package, got '{name}'")
    return (*given, *filter(None, by_variable))


def check_task(name: str, trusted: Sequence[str], source: Path) -> None:
    """Refuse a task of which a file says that another module than the trusted ones has to be imported.

    Raises:
        CliError: The module is not trusted.
    """
    from rslcore import tasks

    module = tasks.module_of(name)
    if module and not _covers((*ALWAYS, *trusted), module):
        raise CliError(f"'{source}': `task` is '{name}', {_not_trusted(module)}")


def check_names(agent: Mapping[str, Any], trusted: Sequence[str], source: Path) -> None:
    """Refuse a training configuration from a file unless all that it names is trusted, and of the kind expected there.

    No module is imported that is not trusted.

    Raises:
        CliError: The object is of another module or kind, or there is none of this name.
    """
    from rslcore.utils.resolve import find_object

    for key, name, kind in _names(agent):
        if not isinstance(name, str):
            raise CliError(f"'{source}': `{key}` must be a name, got {type(name).__name__}")
        where = f"'{source}': `{key}` names '{name}'"

        def enter(module: str, where: str = where) -> None:
            if not _covers((*ALWAYS, *trusted), module):
                raise CliError(f"{where}, {_not_trusted(module)}")
            if not _covers(ALWAYS, module):
                find_named(module)

        try:
            found = find_object(name, enter)
        except CliError:
            raise
        except Exception as error:  # whatever the import of a module of the user's raises
            raise CliError(f"{where}, which cannot be loaded ({error_text(error)})") from error
        if not kind.admits(found):
            raise CliError(f"{where}, which is not {kind.text}")
        enter(str(getattr(found, "__module__", None)))  # it may have been imported there from elsewhere


def find_typed(agent: Mapping[str, Any]) -> None:
    """Have the modules of what a configuration names found in the current folder too; a file's has been checked before.

    Raises:
        CliError: A module is neither installed nor there.
    """
    for key, name, _ in _names(agent):
        module = name.rpartition(":")[0] or name.rpartition(".")[0] if isinstance(name, str) else ""
        if module and not _covers(ALWAYS, module):
            try:
                find_named(module)
            except ModuleNotFoundError as error:
                raise CliError(f"train: `{key}` names '{name}', but {error}") from error


def options(given: Sequence[str], task: str, agent: Mapping[str, Any]) -> list[str]:
    """Return the options with which a run folder of this task and configuration is read again: ``--trust M ...``.

    Args:
        given: What the user has trusted by such options.
        task: The task.
        agent: The training configuration, of which everything has been loaded.
    """
    from rslcore import tasks
    from rslcore.utils.resolve import find_object

    needed = [tasks.module_of(task)]
    for _, name, _ in _names(agent):
        try:
            found = find_object(name, needed.append)
        except Exception:  # a log writer that is none; who makes it says so
            continue
        needed.append(str(getattr(found, "__module__", "")))
    named = list(given)
    for module in needed:
        if module in sys.modules and not _covers((*ALWAYS, *named), module):
            named.append(module)
    return [word for module in named for word in ("--trust", module)]


def _names(agent: Mapping[str, Any]) -> Iterator[_Named]:
    """Yield all that a training configuration names: classes, the log writer, the function of the symmetry."""
    pending: list[tuple[str, Any]] = [("", agent)]
    seen: set[tuple[int, str]] = set()
    while pending:
        path, container = pending.pop()
        parent = path.rpartition(".")[2]
        if (id(container), parent) in seen:  # an alias of YAML, which may even contain itself
            continue
        seen.add((id(container), parent))
        items = container.items() if isinstance(container, Mapping) else enumerate(container)
        for key, value in items:
            place = f"{path}.{key}".lstrip(".")
            if place in ("logger", "logger.class_name") and value in _SERVICES:
                continue
            if key == "class_name":
                yield _Named(place, value, _CLASSES.get(parent, _ANY_CLASS))
            elif key == "data_augmentation_func" and value is not None:
                yield _Named(place, value, _FUNCTION)
            elif isinstance(value, (Mapping, list, tuple)):
                pending.append((place, value))
            elif place == "logger":
                yield _Named(place, value, _WRITER)


def _covers(trusted: Sequence[str], module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in trusted)


def _not_trusted(module: str) -> str:
    return (
        f"of the module '{module}', which is not trusted; files may name what is of {' and '.join(ALWAYS)}, and more "
        f"with: --trust {module}"
    )
