# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Does a checkpoint fit an algorithm? Asked before anything is loaded, so that a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
        CheckpointError: The checkpoint is of another kind or of another optimizer, an entry is missing, surplus or of
            the wrong shape, or a weight is NaN.
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


def _part(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key not in found:
        hint = "; this looks like a checkpoint of rsl_rl 3 or older" if "model_state_dict" in found else ""
        raise CheckpointError(f"checkpoint: no '{key}', it holds {sorted(map(str, found))}{hint}")
    if not isinstance(found[key], Mapping):
        raise CheckpointError(f"checkpoint: '{key}' must be a dict, got {type(found[key]).__name__}")
    return found[key]


def check_structure(name: str, expected: Any, found: Any) -> None:  # noqa: ANN401
    """Refuse nested state that lacks a key, or has a value of another kind; shapes and surplus keys are not compared.

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
        if isinstance(found[key], torch.Tensor) and bool(found[key].isnan().any()):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must not contain NaN: the training had diverged; take an earlier file"
            )
    surplus = [key for key in found if key not in expected]
    if strict and surplus:
        raise CheckpointError(f"checkpoint: {name} has entries this model does not: {surplus}")


def _check_optimizer(name: str, optimizer: torch.optim.Optimizer, found: Mapping[str, Any]) -> None:
    try:
        groups = [dict(group) for group in found["param_groups"]]
        sizes = [len(group["params"]) for group in groups]
        states = {index: dict(state) for index, state in found["state"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"checkpoint: '{name}' is not the state of a torch optimizer ({error!r})") from error
    expected_sizes = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != expected_sizes:
        raise CheckpointError(
            f"checkpoint: '{name}' must be of {expected_sizes} parameters per group, got {sizes} "
            "(another model, or another optimizer set-up)"
        )
    kind = type(optimizer).__name__
    for number, (group, own) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        _check_settings(f"{name}['param_groups'][{number}]", kind, own, group)
    expected_state = _state_after_one_step(optimizer)
    numbers = [number for group in groups for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in zip(numbers, parameters, strict=True):
        if state := states.get(number):
            _check_moments(f"{name}['state'][{number}]", kind, expected_state, state, parameter)


def _check_settings(name: str, kind: str, own: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare a parameter group: what no default stands for must be there, and it must be of the same optimizer."""
    for key, value in own.items():
        if key == "params" or value is None or isinstance(value, bool):
            continue  # torch fills in switches that files of older versions lack
        if key not in found:
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] is missing, expected the settings of {kind}, got {sorted(found)} "
                "(another optimizer)"
            )
        is_number = isinstance(found[key], (int, float, torch.Tensor))
        if is_number != isinstance(value, (int, float, torch.Tensor)):
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
        is_moment = isinstance(value, torch.Tensor) and value.dim() > 0
        if is_moment and _describe(found[key]) != _describe(parameter):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must be {_describe(parameter)}, got {_describe(found[key])}"
            )
        if not is_moment and not isinstance(found[key], (int, float, torch.Tensor)):
            raise CheckpointError(f"checkpoint: {name}['{key}'] must be a number, got {_describe(found[key])}")


def _state_after_one_step(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return what an optimizer of this kind and these settings keeps for a parameter [1]."""
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    kind: Callable[..., torch.optim.Optimizer] = type(optimizer)
    trial = kind([{**optimizer.param_groups[0], "params": [parameter]}])
    trial.step()
    return dict(trial.state[parameter])


def _describe(value: Any) -> str:  # noqa: ANN401
    return str(list(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
