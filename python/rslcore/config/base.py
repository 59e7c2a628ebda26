# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Conversion of configurations from and to plain dictionaries."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

_SCALARS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "an integer"),
    float: ((int, float), "a number"),
}
"""Declared type to the types accepted for it, and its name in messages."""

_CfgT = TypeVar("_CfgT", bound="Cfg")


@dataclasses.dataclass
class Cfg:
    """Base of all configurations: conversion from and to plain dictionaries."""

    ignored_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that :meth:`from_dict` skips: a runner writes them into the dictionary it was given."""

    own_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that rsl_rl does not take: :meth:`to_dict` leaves them out while they have their default."""

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary of new containers: nested configurations are dicts, tuples are lists."""
        return {
            field.name: _to_plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if not (field.name in self.own_keys and getattr(self, field.name) == field.default)
        }

    @classmethod
    def from_dict(cls: type[_CfgT], values: Mapping[str, Any]) -> _CfgT:
        """Build the configuration from a dictionary; absent keys keep their default.

        Args:
            values: Plain dictionary as :meth:`to_dict` returns it; nested dictionaries become nested configurations.

        Raises:
            ValueError: A key is unknown, or a value is not of its type. The message names the nearest valid key, or
                what is expected and what was given.
            TypeError: ``values``, or the value of a nested configuration, is not a mapping.
        """
        return _from_plain(cls, values, path="")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message: which valid name is meant, else all of them."""
    names = list(valid)
    match = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{match[0]}'?" if match else f"valid: {', '.join(names)}"


def _to_plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Cfg):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    return value


def _variant(configurations: list[type[Cfg]], values: Any) -> type[Cfg]:  # noqa: ANN401
    """Return the configuration that ``class_name`` asks for: one given or derived, else the first."""
    name = values.get("class_name") if isinstance(values, Mapping) else None
    pending = list(configurations)
    while pending:
        candidate = pending.pop()
        if name is not None and getattr(candidate, "class_name", None) == str(name).replace(":", ".").split(".")[-1]:
            return candidate
        pending += candidate.__subclasses__()
    return configurations[0]


def _from_plain(cls: type[_CfgT], values: Mapping[str, Any], path: str) -> _CfgT:
    if not isinstance(values, Mapping):
        raise TypeError(f"{cls.__name__}: `{path.rstrip('.') or 'values'}` must be a dict, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key in cls.ignored_keys:
            continue
        if key not in names:
            raise ValueError(f"{cls.__name__}: unknown key '{path}{key}'; {nearest(str(key), names)}")
        arguments[key] = _to_typed(hints[key], value, f"{path}{key}", cls.__name__)
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in arguments:
            raise ValueError(f"{cls.__name__}: the key '{path}{field.name}' is missing")
    return cls(**arguments)


def _to_typed(hint: Any, value: Any, path: str, owner: str) -> Any:  # noqa: ANN401
    """Convert a plain value to the declared type: nested configurations, tuples, and copies of containers.

    Names (str, Literal) are not compared here: who looks them up knows the nearest valid one.
    """
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    configurations = [option for option in options if isinstance(option, type) and issubclass(option, Cfg)]
    is_sequence = isinstance(value, (list, tuple))
    entries = list(value.values()) if isinstance(value, Mapping) else []
    is_nested = bool(entries) and all(isinstance(entry, (Mapping, Cfg)) for entry in entries)
    for option in options:
        if option in configurations:
            is_typed = isinstance(value, tuple(configurations))
            return value if is_typed else _from_plain(_variant(configurations, value), value, f"{path}.")
        if typing.get_origin(option) is dict and is_nested and len(options) > 1:
            item_type = typing.get_args(option)[1]
            return {key: _to_typed(item_type, item, f"{path}.{key}", owner) for key, item in value.items()}
        if typing.get_origin(option) is tuple:
            if not is_sequence and len(options) > 1:
                continue
            if not is_sequence:
                raise ValueError(f"{owner}: `{path}` must be a sequence of numbers, got {value!r}")
            item_types = typing.get_args(option)
            item_types = item_types[:1] * len(value) if item_types[-1] is Ellipsis else item_types
            if len(value) != len(item_types):
                raise ValueError(f"{owner}: `{path}` must have {len(item_types)} numbers, got {list(value)}")
            typed = zip(item_types, value, strict=True)
            return tuple(_to_typed(kind, item, f"{path}[{i}]", owner) for i, (kind, item) in enumerate(typed))
        if option in _SCALARS and not (is_sequence and len(options) > 1):
            accepted, name = _SCALARS[option]
            if not isinstance(value, accepted) or (isinstance(value, bool) and option is not bool):
                raise ValueError(f"{owner}: `{path}` must be {name}, got {value!r}")
    return _to_plain(value)
