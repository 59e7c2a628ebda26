# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Does a checkpoint fit an algorithm? Asked before anything is loaded, so that a refusal changes nothing."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rslcore.checkpoint.files import CheckpointError

PARTS = ("actor", "critic", "student", "teacher", "rnd")
"""Parts of an algorithm, by the names ``load_cfg`` uses; a checkpoint holds each as ``{part}_state_dict``."""


def check_compatible(
    expected: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    rnd_optimizer: torch.optim.Optimizer | None = None,
    load_cfg: Mapping[str, bool] | None = None,
    strict: bool = True,
) -> None:
    """Compare a checkpoint with what the algorithm would save now.

    Args:
        expected: ``alg.save()`` of the algorithm that is to load the checkpoint.
        found: Content of the checkpoint.
        optimizer: Optimizer that is to continue from the checkpoint; None leaves its state unchecked.
        rnd_optimizer: That of random network distillation, likewise.
        load_cfg: Parts to be loaded, as ``OnPolicyRunner.load`` takes it; None means all.
        strict: Refuse missing and surplus entries too, not only wrong shapes.

    Raises:
        CheckpointError: The checkpoint is of another kind or of another optimizer, an entry is missing, surplus, or of
            the wrong shape or kind of number, or a weight is NaN or infinite.
    """
    for part in PARTS:
        key = f"{part}_state_dict"
        if key in expected and (load_cfg is None or load_cfg.get(part)):
            _check_entries(key, expected[key], _part(found, key), strict)
    for key, part, own in (
        ("optimizer_state_dict", "optimizer", optimizer),
        ("rnd_optimizer_state_dict", "rnd", rnd_optimizer),
    ):
        if own is not None and (load_cfg is None or load_cfg.get(part)):
            _check_optimizer(key, own, _part(found, key))
    own_keys = {"shuffle_state": "iteration", "sampling_state": "iteration", "rnd_progress": "rnd"}
    for key, part in own_keys.items():  # not in files of rsl_rl
        if key in expected and key in found and (load_cfg is None or load_cfg.get(part)):
            check_structure(key, expected[key], found[key])
            for name, value in found[key].items():
                _check_numbers(f"{key}['{name}']", name, value)


def _part(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key not in found:
        hint = "; this looks like a checkpoint of rsl_rl 3 or older" if "model_state_dict" in found else ""
        raise CheckpointError(f"checkpoint: no '{key}', it holds {sorted(map(str, found))}{hint}")
    if not isinstance(found[key], Mapping):
        raise CheckpointError(f"checkpoint: '{key}' must be a dict, got {type(found[key]).__name__}")
    return found[key]


def check_structure(name: str, expected: Any, found: Any) -> None:  # noqa: ANN401
    """Refuse nested state that lacks a key, or has a value of another kind; shapes and surplus keys are not compared.

    Numbers must be finite, and whole 64-bit ones where one is expected; lists hold numbers.

    Args:
        name: Name of the state in messages.
        expected: State that would be accepted; None stands for anything.
        found: State of a checkpoint.

    Raises:
        CheckpointError: The message names the key.
    """
    if expected is None:
        return
    number = isinstance(expected, (int, float))
    kind = Mapping if isinstance(expected, Mapping) else (int, float) if number else type(expected)
    if not isinstance(found, kind):
        wanted = "a number" if number else "a dict" if kind is Mapping else f"a {type(expected).__name__}"
        raise CheckpointError(f"checkpoint: {name} must be {wanted}, got {type(found).__name__}")
    if number and not _is_like(expected, found):
        wanted = "a 64-bit integer" if isinstance(expected, int) else "finite"
        raise CheckpointError(f"checkpoint: {name} must be {wanted}, got {found}")
    if isinstance(expected, torch.Tensor) and isinstance(found, torch.Tensor) and _kind(found) != _kind(expected):
        raise CheckpointError(f"checkpoint: {name} must hold {_kind(expected)} numbers, got {found.dtype}")
    if isinstance(found, list) and not all(isinstance(item, (int, float)) for item in found):
        raise CheckpointError(f"checkpoint: {name} must hold numbers, got {found}")
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key, value in expected.items():
            if key not in found:
                raise CheckpointError(f"checkpoint: {name}['{key}'] is missing, got the keys {sorted(map(str, found))}")
            check_structure(f"{name}['{key}']", value, found[key])


def _check_entries(name: str, expected: Mapping[str, Any], found: Mapping[str, Any], strict: bool) -> None:
    for key, tensor in expected.items():
        if key not in found:
            if strict:
                raise CheckpointError(f"checkpoint: {name}['{key}'] is missing, expected {_describe(tensor)}")
            continue
        if _describe(found[key]) != _describe(tensor):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must be {_describe(tensor)}, got {_describe(found[key])}"
            )
        if not isinstance(tensor, torch.Tensor):
            continue
        if _kind(found[key]) != _kind(tensor):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must hold {_kind(tensor)} numbers, got {found[key].dtype}"
            )
        _check_numbers(f"{name}['{key}']", key, found[key], infinite=bool(tensor.isinf().any()))
    surplus = [key for key in found if key not in expected]
    if strict and surplus:
        raise CheckpointError(f"checkpoint: {name} has entries this model does not: {surplus}")


def _check_optimizer(name: str, optimizer: torch.optim.Optimizer, found: Mapping[str, Any]) -> None:
    try:
        groups = [dict(group) for group in found["param_groups"]]
        sizes = [len(group["params"]) for group in groups]
        states = dict(found["state"])
        numbers = [number for group in groups for number in group["params"]]
        surplus = set(states) - set(numbers)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"checkpoint: '{name}' is not the state of a torch optimizer ({error!r})") from error
    expected_sizes = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != expected_sizes:
        raise CheckpointError(
            f"checkpoint: '{name}' must be of {expected_sizes} parameters per group, got {sizes} "
            "(another model, or another optimizer set-up)"
        )
    if surplus:
        raise CheckpointError(
            f"checkpoint: {name}['state'] has parameters that no group has: {sorted(map(str, surplus))}"
        )
    kind = type(optimizer).__name__
    for number, (group, own) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        _check_settings(f"{name}['param_groups'][{number}]", kind, own, group)
    for place, (group, own) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        expected_state = _state_after_one_step(f"{name}['param_groups'][{place}]", type(optimizer), own, group)
        for number, parameter in zip(group["params"], own["params"], strict=True):
            state = states.get(number, {})
            if not isinstance(state, Mapping):
                raise CheckpointError(
                    f"checkpoint: {name}['state'][{number}] must be a dict, got {type(state).__name__}"
                )
            if state:
                _check_moments(f"{name}['state'][{number}]", kind, expected_state, state, parameter)


def _check_settings(name: str, kind: str, own: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare a parameter group: what no default stands for must be there, and it must be of the same optimizer."""
    for key, value in own.items():
        is_switch = isinstance(value, bool)
        if key == "params" or value is None or (is_switch and found.get(key) is None):
            continue  # torch fills in switches that files of older versions lack
        if key not in found:
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] is missing, expected the settings of {kind}, got {sorted(found)} "
                "(another optimizer)"
            )
        if not _is_like(value if is_switch or not isinstance(value, int) else float(value), found[key]):
            raise CheckpointError(f"checkpoint: {name}['{key}'] must be like {value!r}, got {found[key]!r}")
    decoupled = "decoupled_weight_decay"  # the one setting in which Adam and AdamW differ
    if decoupled in own and bool(found.get(decoupled, own[decoupled])) != own[decoupled]:
        raise CheckpointError(
            f"checkpoint: {name}['{decoupled}'] must be {own[decoupled]} ({kind}), got {found[decoupled]}"
        )


def _check_moments(
    name: str, kind: str, expected: Mapping[str, Any], found: Mapping[str, Any], parameter: torch.Tensor
) -> None:
    """Compare the state of one parameter with that of a scalar parameter."""
    for key, value in expected.items():
        if key not in found:
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] is missing, expected the state of {kind}, got {sorted(map(str, found))}"
            )
        if value is None:
            continue
        is_moment = isinstance(value, torch.Tensor) and value.dim() > 0
        if is_moment and _describe(found[key]) != _describe(parameter):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must be {_describe(parameter)}, got {_describe(found[key])}"
            )
        if is_moment and _kind(found[key]) != _kind(parameter):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must hold {_kind(parameter)} numbers, got {found[key].dtype}"
            )
        if not is_moment and not _is_number(found[key]):
            raise CheckpointError(f"checkpoint: {name}['{key}'] must be a number, got {_describe(found[key])}")
        _check_numbers(f"{name}['{key}']", key, found[key])


def _state_after_one_step(
    name: str,
    kind: Any,  # noqa: ANN401
    own: Mapping[str, Any],
    found: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what an optimizer of these settings keeps for a parameter [1].

    Raises:
        CheckpointError: The optimizer refuses the settings.
    """
    parameter = torch.zeros(1, device="cpu", requires_grad=True)
    parameter.grad = torch.zeros(1, device="cpu")
    how = {"fused": None, "foreach": None, "capturable": False}  # computed as here, not as where the file was written
    settings = {**own, **found, **{key: value for key, value in how.items() if key in own}}
    named = {key: settings[key] for key in inspect.signature(kind).parameters if key in settings and key != "params"}
    try:
        trial = kind([{**settings, "params": [parameter]}], **named)  # what is named is looked at
        with torch.device("cpu"):
            trial.step()
    except Exception as error:
        raise CheckpointError(f"checkpoint: {name} is refused by {kind.__name__} ({error})") from error
    return dict(trial.state[parameter])


_NOT_NEGATIVE = ("step", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "_var", "_std", "count", "update_counter")
"""State whose square root is taken, or that counts."""


def _check_numbers(name: str, key: str, value: Any, *, infinite: bool = False) -> None:  # noqa: ANN401
    """Refuse a tensor or number that is NaN, infinite (unless ``infinite``), or negative where none of its kind is."""
    if not isinstance(value, (int, float, torch.Tensor)):
        return
    tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value, device="cpu")
    if not tensor.numel():
        return
    wrong = (
        "NaN" if bool(tensor.isnan().any()) else "infinities" if bool(tensor.isinf().any()) and not infinite else None
    )
    if wrong is not None:
        raise CheckpointError(
            f"checkpoint: {name} must not contain {wrong}: the training had diverged; take an earlier file"
        )
    if key.rpartition(".")[2] in _NOT_NEGATIVE and bool((tensor < 0).any()):
        raise CheckpointError(f"checkpoint: {name} must not be negative, got {tensor.min().item():g}")


def _is_number(value: Any) -> bool:  # noqa: ANN401
    """Return whether a value is a real, finite number, also as a tensor of one."""
    if isinstance(value, torch.Tensor):
        return value.dim() == 0 and _kind(value) in ("floating", "integer") and _is_number(value.item())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_like(own: Any, found: Any) -> bool:  # noqa: ANN401
    """Return whether a setting or a count is of the kind of one's own: a finite number, or as many of them."""
    if isinstance(own, bool):
        return isinstance(found, (bool, int)) and found in (0, 1)
    if isinstance(own, int):
        return _is_number(found) and found == int(found) and -(2**63) <= found < 2**63
    if isinstance(own, (float, torch.Tensor)):
        return _is_number(found)
    if isinstance(own, Sequence) and not isinstance(own, str):
        return isinstance(found, (list, tuple)) and len(own) == len(found) and all(map(_is_number, found))
    return isinstance(found, type(own))


def _kind(tensor: torch.Tensor) -> str:
    """Return the kind of number that a tensor holds: those of one kind are converted to each other."""
    if tensor.dtype == torch.bool:
        return "bool"
    return "complex" if tensor.is_complex() else "floating" if tensor.is_floating_point() else "integer"


def _describe(value: Any) -> str:  # noqa: ANN401
    return str(list(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
