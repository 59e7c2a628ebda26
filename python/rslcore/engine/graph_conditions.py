# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Which updates may be captured, and what a captured one has frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from rslcore.engine.graph_rates import refuses_capture
from rslcore.engine.known import _HOOKS
from rslcore.engine.learner import Learner
from rslcore.ops import _library
from rslcore.storage import RolloutStorage

_OWN_PACKAGES = ("rslcore.", "torch.nn.modules.")
"""Classes of these packages do what they say; others may do anything, of which a graph would keep the kernels only."""

_COUNTERS = frozenset(
    {"learning_rate", "num_updates", "weight", "update_counter", "engine_reason", "_batch", "hidden_state"}
)
"""Attributes that change all the time and that no captured kernel uses."""

_PLAIN = (bool, int, float, str, type(None))


def refusal(learner: Learner, device_type: str = "cuda") -> str | None:
    """Return why the update of an algorithm cannot be captured, in words; None if it can.

    Args:
        learner: The algorithm.
        device_type: Where its models must be; "cpu" asks for what a GPU would allow.
    """
    custom = getattr(learner, "custom_code", None)
    if custom is None:
        return f"the algorithm has code of its own: {type(learner).__name__}"
    if (reason := custom()) is not None:
        return reason
    parts = captured_parts(learner)
    devices = {parameter.device for part in parts.values() for parameter in part.parameters()}
    if any(device.type != device_type for device in devices):
        return f"the models are not on a {'CUDA device' if device_type == 'cuda' else device_type}"
    if (error := _library.errors.get(device_type)) is not None:
        return f"the compiled operators are missing: {error}"
    if len(devices) > 1:
        return f"the models are on several devices: {', '.join(sorted(map(str, devices)))}"
    if torch.is_autocast_enabled("cuda") or torch.is_anomaly_enabled():
        return "autocast or anomaly detection is on around the update"
    if torch_module._has_any_global_hook():
        return "there are hooks on all modules"
    for role, part in parts.items():
        if (reason := _refusal_of(part)) is not None:
            return f"the {role} {reason}"
    if any(getattr(part, "is_recurrent", False) for part in parts.values()) and learner.needs_padding(anywhere=True):  # type: ignore[attr-defined]
        return "recurrent models are trained on padded trajectories, whose number changes"
    for optimizer in learner.optimizers():
        if (reason := refuses_capture(optimizer)) is not None:
            return reason
    storage = learner.storage  # type: ignore[attr-defined]
    if type(storage) is not RolloutStorage or "draw_permutation" in vars(storage):
        return f"the storage has code of its own: {type(storage).__name__}"
    return None


def captured_parts(learner: Learner) -> dict[str, nn.Module]:
    """The modules that take part in an update, by their role."""
    return learner.trained_modules()  # type: ignore[attr-defined]


def fingerprint(learner: Learner) -> dict[str, Any]:
    """Return everything that a captured update has frozen, by name: where its tensors are, settings, modes.

    A captured update may be replayed as long as this stays equal. Reads nothing of a device.
    """
    print_ = {"torch": _torch_settings(), "algorithm": _plain(learner)}
    for role, part in captured_parts(learner).items():
        print_[f"the {role}"] = _print_of(part)
    symmetry = getattr(learner, "symmetry", None)
    if symmetry is not None:
        print_["the symmetry"] = (_plain(symmetry), id(symmetry.data_augmentation_func))
    for number, optimizer in enumerate(learner.optimizers()):
        print_[f"optimizer {number}"] = (id(optimizer), _print_of_optimizer(optimizer))
    storage = learner.storage  # type: ignore[attr-defined]
    settings = storage.seed, _plain(storage, without=("offset", "step"))
    print_["the storage"] = (settings, _addresses(_tensors_of(storage)))
    return print_


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what differs between two fingerprints."""
    return ", ".join(name for name in now if before.get(name) != now[name])


def _refusal_of(part: nn.Module) -> str | None:
    for name, module in part.named_modules():
        place = f" on {name}" if name else ""
        owner = type(module)
        if not f"{owner.__module__}.".startswith(_OWN_PACKAGES):
            return f"has code of its own{place}: {owner.__name__}"
        state = vars(module)
        if any(state[hooks] for hooks in _HOOKS):
            return f"has a hook{place}"
        if state.get("_compiled_call_impl") is not None:
            return f"is compiled{place}"
        for key, value in state.items():
            if not key.startswith("_") and callable(value) and callable(getattr(owner, key, None)):
                return f"has a replaced method{place}: {key}"
    for name, parameter in part.named_parameters():
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return f"has a hook on the parameter {name}"
    return None


def _print_of(part: nn.Module) -> tuple[Any, ...]:
    modules = tuple((id(module), module.training, _plain(module)) for module in part.modules())
    wants = tuple(parameter.requires_grad for parameter in part.parameters())
    return modules, wants, _addresses(part.parameters()), _addresses(part.buffers())


def _print_of_optimizer(optimizer: torch.optim.Optimizer) -> tuple[Any, ...]:
    groups = tuple(
        tuple((key, value) for key, value in group.items() if key not in ("lr", "params"))
        for group in optimizer.param_groups
    )
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = [x for p in parameters for x in optimizer.state.get(p, {}).values() if isinstance(x, torch.Tensor)]
    return groups, _addresses(parameters), _addresses(state)


def _torch_settings() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    return (
        torch.backends.cuda.matmul.fp32_precision,
        torch.are_deterministic_algorithms_enabled(),
        *(cudnn.enabled, cudnn.benchmark, cudnn.deterministic),
        torch.get_default_dtype(),
    )


def _plain(owner: Any, without: tuple[str, ...] = ()) -> tuple[Any, ...]:  # noqa: ANN401
    """Settings of an object: its attributes that are plain values, or short lists of such."""
    found: list[tuple[str, Any]] = []
    for name, value in vars(owner).items():
        if name in _COUNTERS or name in without:
            continue
        if isinstance(value, (list, tuple)) and len(value) <= 16 and all(isinstance(x, _PLAIN) for x in value):
            found.append((name, tuple(value)))
        elif isinstance(value, _PLAIN):
            found.append((name, value))
    return tuple(found)


def _tensors_of(storage: Any) -> list[torch.Tensor]:  # noqa: ANN401
    own = [value for value in vars(storage).values() if isinstance(value, torch.Tensor)]
    params = getattr(storage, "distribution_params", None) or ()
    saved = [x for name in ("a", "c") for x in getattr(storage, f"saved_hidden_state_{name}", None) or ()]
    return [*own, *params, *saved, *storage.observations.values(), *storage._rooms.tensors()]


def _addresses(tensors: Iterable[torch.Tensor]) -> tuple[Any, ...]:
    return tuple((tensor.data_ptr(), tensor.shape, tensor.dtype) for tensor in tensors)
