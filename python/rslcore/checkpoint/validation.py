# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Does a checkpoint fit an algorithm? Asked before anything is loaded, so that a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
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
    load_cfg: Mapping[str, bool] | None = None,
    strict: bool = True,
) -> None:
    """Compare a checkpoint with what the algorithm would save now.

    Args:
        expected: ``alg.save()`` of the algorithm that is to load the checkpoint.
        found: Content of the checkpoint.
        optimizer: Optimizer that is to continue from the checkpoint; None leaves its state unchecked.
        load_cfg: Parts to be loaded, as ``OnPolicyRunner.load`` takes it; None means all.
        strict: Refuse missing and surplus entries too, not only wrong shapes.

    Raises:
        CheckpointError: The checkpoint is of another kind, or an entry is missing, surplus or of the wrong shape.
    """
    for part in PARTS:
        key = f"{part}_state_dict"
        if key in expected and (load_cfg is None or load_cfg.get(part)):
            _check_entries(key, expected[key], _part(found, key), strict)
    key = "optimizer_state_dict"
    if optimizer is not None and (load_cfg is None or load_cfg.get("optimizer")):
        _check_optimizer(key, optimizer, _part(found, key))


def _part(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    if key not in found:
        hint = "; this looks like a checkpoint of rsl_rl 3 or older" if "model_state_dict" in found else ""
        raise CheckpointError(f"checkpoint: no '{key}', it holds {sorted(map(str, found))}{hint}")
    if not isinstance(found[key], Mapping):
        raise CheckpointError(f"checkpoint: '{key}' must be a dict, got {type(found[key]).__name__}")
    return found[key]


def _check_entries(name: str, expected: Mapping[str, Any], found: Mapping[str, Any], strict: bool) -> None:
    for key, tensor in expected.items():
        if key not in found:
            if strict:
                raise CheckpointError(f"checkpoint: {name}['{key}'] is missing, expected {_describe(tensor)}")
        elif _describe(found[key]) != _describe(tensor):
            raise CheckpointError(
                f"checkpoint: {name}['{key}'] must be {_describe(tensor)}, got {_describe(found[key])}"
            )
    surplus = [key for key in found if key not in expected]
    if strict and surplus:
        raise CheckpointError(f"checkpoint: {name} has entries this model does not: {surplus}")


def _check_optimizer(name: str, optimizer: torch.optim.Optimizer, found: Mapping[str, Any]) -> None:
    try:
        sizes = [len(group["params"]) for group in found["param_groups"]]
        states = dict(found["state"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint: '{name}' is not the state of a torch optimizer ({error!r})") from error
    expected_sizes = [len(group["params"]) for group in optimizer.param_groups]
    if sizes != expected_sizes:
        raise CheckpointError(
            f"checkpoint: '{name}' must be of {expected_sizes} parameters per group, got {sizes} "
            "(another model, or another optimizer set-up)"
        )
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, parameter in enumerate(parameters):
        for key, value in states.get(index, {}).items():
            if isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape != parameter.shape:
                raise CheckpointError(
                    f"checkpoint: {name}['state'][{index}]['{key}'] must be {_describe(parameter)}, "
                    f"got {_describe(value)}"
                )


def _describe(value: Any) -> str:  # noqa: ANN401
    return str(list(value.shape)) if isinstance(value, torch.Tensor) else type(value).__name__
