# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From the names in a configuration to classes, activations, optimizers and observation groups."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rslcore.config import nearest
from rslcore.utils.observations import check_groups

if TYPE_CHECKING:
    from tensordict import TensorDict

_PUBLIC_PACKAGES = ("algorithms", "models", "modules", "extensions", "storage", "env", "runners", "logging", "utils")
"""Where a simple class name is looked up, in this order."""

_ORIGINAL = "rsl_rl"
"""Root of the names that configurations written for rsl_rl use; they mean the class of the same name here."""

_MOVED = {"utils": ("logging",), "modules": ("models",), "networks": ("modules",)}
"""Where rslcore has what rsl_rl has elsewhere: log writers; the policies of 2.x and 3.x; the networks of 3.x."""

_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "elu": torch.nn.ELU,
    "selu": torch.nn.SELU,
    "relu": torch.nn.ReLU,
    "crelu": torch.nn.CELU,  # the name is rsl_rl's
    "lrelu": torch.nn.LeakyReLU,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "softplus": torch.nn.Softplus,
    "gelu": torch.nn.GELU,
    "swish": torch.nn.SiLU,
    "mish": torch.nn.Mish,
    "identity": torch.nn.Identity,
}

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


def resolve_nn_activation(act_name: str) -> torch.nn.Module:
    """Return a new activation module by its name, upper or lower case.

    Raises:
        ValueError: The name is unknown.
    """
    return _look_up("resolve_nn_activation", "act_name", act_name, _ACTIVATIONS)()


def resolve_optimizer(optimizer_name: str) -> type[torch.optim.Optimizer]:
    """Return an optimizer class by its name, upper or lower case.

    Raises:
        ValueError: The name is unknown.
    """
    return _look_up("resolve_optimizer", "optimizer_name", optimizer_name, _OPTIMIZERS)


def resolve_callable(callable_or_name: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return a class or function from itself or from its name.

    Accepted names are ``"module:Class"``, ``"module:Class.attribute"``, ``"module.Class"``, and the simple name of a
    public class of rslcore, such as ``"PPO"``. A name within rsl_rl (``"rsl_rl.algorithms:PPO"``,
    ``"rsl_rl.algorithms.ppo.PPO"``) means the class of that name here, if there is one.

    Raises:
        TypeError: Neither a callable nor a string was given.
        ImportError: The module does not exist.
        AttributeError: The module has no such attribute.
        ValueError: No public class has this simple name.
    """
    if not isinstance(callable_or_name, str):
        if callable(callable_or_name):
            return callable_or_name
        raise TypeError(
            "resolve_callable: `callable_or_name` must be a callable or a string, "
            f"got {type(callable_or_name).__name__}"
        )
    return find_object(callable_or_name)


def find_object(name: str, enter: Callable[[str], object] = lambda module: None) -> Any:  # noqa: ANN401
    """Return what a name stands for; see :func:`resolve_callable`, which raises the same errors.

    Args:
        name: The name.
        enter: Called with the name of every module on the way to the object, but rslcore's own: before it is imported,
            and before something is taken from it. What it raises ends the search.
    """
    if ":" not in name and "." not in name:
        return _resolve_simple_name(name)
    if name.startswith(f"{_ORIGINAL}."):
        ours = _resolve_original_name(name)
        if ours is not None:
            return ours
    if ":" in name:
        module_name, _, attributes = name.rpartition(":")
        enter(module_name)
        return _attribute(importlib.import_module(module_name), attributes, enter)
    return _resolve_dotted_name(name, enter)


def resolve_class(cfg: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the class that ``cfg["class_name"]`` names, and a deep copy of the other entries.

    Raises:
        KeyError: ``cfg`` has no ``class_name``.
    """
    arguments = copy.deepcopy(dict(cfg))
    if "class_name" not in arguments:
        raise KeyError(f"resolve_class: `cfg` must have the key 'class_name', got {list(arguments)}")
    return resolve_callable(arguments.pop("class_name")), arguments


def check_keywords(function: Callable[..., Any], keywords: Iterable[str], where: str) -> None:
    """Refuse keyword arguments that a constructor does not take, naming the nearest one it does.

    Args:
        function: Class or function that is to be called.
        keywords: Names of the keyword arguments.
        where: What they are, for the message: the key of the configuration they come from.

    Raises:
        ValueError: A keyword is unknown.
    """
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for keyword in keywords:
        if keyword not in parameters:
            title = getattr(function, "__name__", repr(function))
            raise ValueError(f"{title}: unknown key '{keyword}' in `{where}`; {nearest(keyword, parameters)}")


def resolve_obs_groups(
    obs: TensorDict | Mapping[str, torch.Tensor],
    obs_groups: Mapping[str, Sequence[str]],
    default_sets: Sequence[str],
) -> dict[str, list[str]]:
    """Check which observation groups make up each observation set, and fill in sets that are missing.

    A set in ``default_sets`` that ``obs_groups`` lacks becomes the observation group of the same name, else the group
    "policy", with a warning; the result is printed (as rsl_rl 5.5.1 does).

    Args:
        obs: Observations of the environment, one entry per group.
        obs_groups: Observation set (e.g. "actor") to the groups it is made of, in the order they are concatenated.
        default_sets: Sets that the algorithm needs.

    Returns:
        All sets, in a new dictionary of lists.

    Raises:
        TypeError: The observations are no tensors by group.
        ValueError: A set is empty, names a group that the environment does not have, or cannot be filled in.
    """
    check_groups("env.get_observations", obs)
    available = list(obs.keys())
    resolved = {name: list(groups) for name, groups in obs_groups.items()}
    for name, groups in resolved.items():
        if not groups:
            raise ValueError(f"obs_groups: the set '{name}' must name at least one observation group, got none")
        for group in groups:
            if group not in available:
                raise ValueError(
                    f"obs_groups: the set '{name}' names the group '{group}', but the environment returns "
                    f"{available}; {nearest(group, available)}"
                )
    for name in default_sets:
        if name in resolved:
            continue
        group = name if name in available else "policy"
        if group not in available:
            raise ValueError(
                f"obs_groups: the set '{name}' is missing, and the environment returns neither a group '{name}' nor "
                f"'policy' to fill it with, got {available}"
            )
        warnings.warn(
            f"obs_groups: the set '{name}' is missing; taking the observation group '{group}' for it. "
            f"Write `'{name}': ['{group}']` to say so.",
            UserWarning,
            stacklevel=2,
        )
        resolved[name] = [group]
    print("Resolved observation sets:", *(f"\t{name}: {groups}" for name, groups in resolved.items()), sep="\n")
    return resolved


def _look_up(function: str, argument: str, name: str, table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    if name.lower() not in table:
        raise ValueError(f"{function}: `{argument}` '{name}' is unknown; {nearest(name.lower(), table)}")
    return table[name.lower()]


def _attribute(module: Any, path: str, enter: Callable[[str], object]) -> Any:  # noqa: ANN401
    for part in path.split("."):
        if isinstance(module, types.ModuleType):
            enter(module.__name__)
        module = getattr(module, part)
    return module


def _resolve_simple_name(name: str) -> Callable[..., Any]:
    known: list[str] = []
    for package in _PUBLIC_PACKAGES:
        if importlib.util.find_spec(f"rslcore.{package}") is None:
            continue
        module = importlib.import_module(f"rslcore.{package}")
        if name in module.__all__:
            return getattr(module, name)
        known += [exported for exported in module.__all__ if isinstance(getattr(module, exported), type)]
    raise ValueError(
        f"resolve_callable: no class '{name}' in rslcore; {nearest(name, sorted(known))} "
        f"(name a class of your own as 'module:Class')"
    )


def _resolve_original_name(name: str) -> Callable[..., Any] | None:
    """The public class here of a name within rsl_rl; None if there is none."""
    parts = name.replace(":", ".").split(".")
    for package in (parts[1], *_MOVED.get(parts[1], ())):
        if package not in _PUBLIC_PACKAGES or importlib.util.find_spec(f"rslcore.{package}") is None:
            continue
        module = importlib.import_module(f"rslcore.{package}")
        for part in parts[2:]:
            if part in module.__all__:
                return getattr(module, part)
    return None


def _resolve_dotted_name(name: str, enter: Callable[[str], object]) -> Any:  # noqa: ANN401
    """``package.module.Class.attribute``: the longest prefix that is a module, then attributes."""
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        enter(module_name)
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
                raise
            continue
        return _attribute(module, ".".join(parts[split:]), enter)
    raise ImportError(f"resolve_callable: '{name}' names no module that can be imported")
