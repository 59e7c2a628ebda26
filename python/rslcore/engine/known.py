# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Models that are exactly what their class says, so that a kernel may compute what they would."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from operator import attrgetter, itemgetter, methodcaller
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from rslcore.models import CNNModel, MLPModel, RNNModel
from rslcore.modules import MLP, Distribution, EmpiricalNormalization, GaussianDistribution

_ACTIVATIONS: dict[type[nn.Module], tuple[str, dict[str, Any]]] = {
    nn.ELU: ("elu", {"alpha": 1.0}),
    nn.SELU: ("selu", {}),
    nn.ReLU: ("relu", {}),
    nn.CELU: ("crelu", {"alpha": 1.0}),
    nn.LeakyReLU: ("lrelu", {"negative_slope": 0.01}),
    nn.Tanh: ("tanh", {}),
    nn.Sigmoid: ("sigmoid", {}),
    nn.Softplus: ("softplus", {"beta": 1.0, "threshold": 20.0}),
    nn.GELU: ("gelu", {"approximate": "none"}),
    nn.SiLU: ("swish", {}),
    nn.Mish: ("mish", {}),
    nn.Identity: ("identity", {}),
}
"""Name of every activation, as in a configuration, and the settings that it must have (torch's defaults)."""

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _methods(*classes: type) -> frozenset[str]:
    """Names of what classes define themselves, but for special methods."""
    return frozenset(name for owner in classes for name in vars(owner) if not name.startswith("__"))


_MODEL_METHODS = _methods(MLPModel)
_PART_METHODS = _methods(Distribution, GaussianDistribution, EmpiricalNormalization)


def _definition(owner: type, names: frozenset[str]) -> tuple[type, attrgetter[Any], Any]:
    read = attrgetter("forward", "__call__", *sorted(names))
    return owner, read, read(owner)


_DEFINITIONS = [
    _definition(MLPModel, _MODEL_METHODS - {"is_recurrent"}),
    _definition(GaussianDistribution, _methods(Distribution, GaussianDistribution)),
    _definition(EmpiricalNormalization, _methods(EmpiricalNormalization)),
    *(_definition(owner, _methods(owner)) for owner in (RNNModel, CNNModel)),
    *(_definition(owner, frozenset()) for owner in (MLP, nn.Linear, *_ACTIVATIONS)),
]
"""What the known classes do: somebody may replace a method of a class, too."""

_read_hooks = itemgetter(*_HOOKS)
_read_facts = attrgetter("requires_grad", "_backward_hooks", "_post_accumulate_grad_hooks", "dtype", "device")
_read_contiguous = methodcaller("is_contiguous")


@dataclasses.dataclass(frozen=True, eq=False)
class KnownMLP:
    """What there is to know of an :class:`~rslcore.models.MLPModel` to compute its output, and its gradient."""

    groups: tuple[str, ...]
    """Observation groups, in the order they are concatenated."""
    normalizer: EmpiricalNormalization | None
    """Normalizes the concatenated groups; None takes them as they are."""
    weights: tuple[nn.Parameter, ...]
    """Weight of every linear layer [out, in], float32, contiguous."""
    biases: tuple[nn.Parameter, ...]
    """Bias of every linear layer [out]."""
    activation: str
    """Name of the activation after every layer but the last, as in a configuration."""
    distribution: GaussianDistribution | None
    """Output distribution; None for a deterministic output."""

    @property
    def device(self) -> torch.device:
        """Where all parameters are."""
        return self.weights[0].device


class _Record(NamedTuple):
    """A description, and what it was read from."""

    known: KnownMLP
    modules: tuple[nn.Module, ...]
    types: tuple[type, ...]
    states: tuple[dict[str, Any], ...]
    """Attributes of the modules."""
    children: tuple[tuple[dict[str, nn.Module | None], tuple[nn.Module | None, ...]], ...]
    """Submodules by name, of those modules that have some, and what they were."""
    activations: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...]
    owners: tuple[dict[str, nn.Parameter | None], ...]
    """Parameters by name, of the linear layers."""
    facts: tuple[Any, ...]
    """What `_read_facts` reads of the parameters."""


_records: WeakKeyDictionary[nn.Module, _Record] = WeakKeyDictionary()


def describe_mlp(model: Any) -> KnownMLP | str:  # noqa: ANN401 - torch.compile makes its own class
    """Return what a model consists of, or why its own code must run.

    Known is an :class:`~rslcore.models.MLPModel` of float32 linear layers with biases and one kind of activation, with
    an :class:`~rslcore.modules.EmpiricalNormalization` or none and a :class:`~rslcore.modules.GaussianDistribution` or
    none, all of exactly these classes; without hooks (on modules, on all modules, on parameters), replaced methods,
    parametrizations, frozen weights, compilation and autocast. All of it is looked at in every call, which takes some
    microseconds where the model is the one described before.

    Returns:
        The description, the same object as long as nothing changed; or the reason in words, without a subject
        ("is a subclass: MyModel", "has a hook on mlp.2").
    """
    if (reason := _state_of_torch()) is not None:
        return reason
    try:
        record = _records.get(model)
    except TypeError:  # no module
        record = None
    if record is None or not _unchanged(model, record):
        described = _describe(model)
        if isinstance(described, str):
            _records.pop(model, None) if record is not None else None
            return described
        record = _records[model] = described
    return record.known


def _state_of_torch() -> str | None:
    """What changes the meaning of every module."""
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return "runs under autocast"
    return changed_classes()


def changed_classes() -> str | None:
    """Return what makes all modules of a class do something else than it says: a hook, a replaced method; or None."""
    if torch_module._has_any_global_hook():
        return "runs under hooks on all modules"
    for owner, read, definition in _DEFINITIONS:
        if read(owner) != definition:
            return f"has a replaced method of its class {owner.__name__}"
    return None


def _unchanged(model: Any, record: _Record) -> bool:  # noqa: ANN401
    """Whether a record still describes its model: everything that `_describe` looks at is the same."""
    known = record.known
    if tuple(map(type, record.modules)) != record.types:
        return False
    for state in record.states:
        if any(_read_hooks(state)) or "forward" in state or "_compiled_call_impl" in state:
            return False
    for submodules, children in record.children:
        if tuple(submodules.values()) != children:
            return False
    for own, weight, bias in zip(record.owners, known.weights, known.biases, strict=True):
        if own.get("weight") is not weight or own.get("bias") is not bias:
            return False
    return (
        tuple(map(_read_facts, record.parameters)) == record.facts
        and all(map(_read_contiguous, record.parameters))
        and tuple(model.obs_groups) == known.groups
        and _MODEL_METHODS.isdisjoint(record.states[0])
        and _other_activation(record.activations) is None
        and _other_part(known) is None
    )


def _describe(model: Any) -> _Record | str:  # noqa: ANN401
    if type(model) is not MLPModel:
        base = isinstance(model, MLPModel) or MLPModel in type(model).__mro__
        return f"is {'a subclass of MLPModel' if base else 'no MLPModel'}: {type(model).__name__}"
    named = dict(model.named_modules())
    for name, module in named.items():
        place = f" on {name}" if name else ""
        if any(getattr(module, hooks) for hooks in _HOOKS):
            return f"has a hook{place}"
        if "forward" in vars(module):
            return f"has a replaced method{place}: forward"
        if "_compiled_call_impl" in vars(module):
            return f"is compiled{place}"
    if replaced := sorted(_MODEL_METHODS & vars(model).keys()):
        return f"has a replaced method: {replaced[0]}"
    parts = _describe_parts(model, {"obs_normalizer", "distribution", "mlp"})
    if isinstance(parts, str):
        return parts
    known, activations, layers = parts
    weights, biases = known.weights, known.biases
    modules, parameters = tuple(named.values()), (*weights, *biases)
    return _Record(
        known,
        modules,
        types=tuple(map(type, modules)),
        states=tuple(map(vars, modules)),
        children=tuple((module._modules, tuple(module._modules.values())) for module in modules if module._modules),
        activations=activations,
        parameters=parameters,
        owners=tuple(layer._parameters for layer in layers),
        facts=tuple(map(_read_facts, parameters)),
    )


def describe_head(model: RNNModel | MLPModel) -> KnownMLP | str:
    """Return what surrounds the recurrent layers of a model, or why its own code must run: as :func:`describe_mlp`.

    Hooks, replaced methods and the recurrent layers are not looked at.
    """
    parts = _describe_parts(model, {"obs_normalizer", "distribution", "mlp", "rnn"})
    if isinstance(parts, str):
        return parts
    for name, parameter in model.named_parameters():
        if name.startswith("rnn.") and not parameter.requires_grad:
            return f"has a frozen parameter: {name}"
        if name.startswith("rnn.") and (parameter._backward_hooks or parameter._post_accumulate_grad_hooks):
            return f"has a hook on the parameter {name}"
    return parts[0]


def _describe_parts(
    model: MLPModel, own: set[str]
) -> tuple[KnownMLP, tuple[nn.Module, ...], tuple[nn.Linear, ...]] | str:
    """A model of the parts `own`, with the activations and the linear layers of its MLP."""
    network = _network(model)
    if isinstance(network, str):
        return network
    layers, activations, activation = network
    if type(model.obs_normalizer) not in (EmpiricalNormalization, nn.Identity):
        return f"has another normalizer: {type(model.obs_normalizer).__name__}"
    if model.distribution is not None and type(model.distribution) is not GaussianDistribution:
        return f"has another distribution: {type(model.distribution).__name__}"
    surplus = set(model._modules) - own
    if surplus:
        return f"has a part that is not known: {sorted(surplus)[0]}"
    weights = tuple(cast(nn.Parameter, layer.weight) for layer in layers)
    biases = tuple(layer.bias for layer in layers)
    normalizer = model.obs_normalizer
    known = KnownMLP(
        groups=tuple(model.obs_groups),
        normalizer=normalizer if isinstance(normalizer, EmpiricalNormalization) else None,
        weights=weights,
        biases=biases,
        activation=activation,
        distribution=model.distribution,
    )
    reason = _other_parameter(model, (*weights, *biases)) or _other_part(known)
    return (known, activations, layers) if reason is None else reason


def _network(model: MLPModel) -> tuple[tuple[nn.Linear, ...], tuple[nn.Module, ...], str] | str:
    """The linear layers of the MLP, the activations between them, and the name of those."""
    if type(model.mlp) is not MLP:
        return f"has another network: {type(model.mlp).__name__}"
    layers = list(model.mlp)
    if len(layers) % 2 == 0:
        return f"has an MLP that ends with {type(layers[-1]).__name__}"
    for number, layer in enumerate(layers[::2]):
        if type(layer) is not nn.Linear:
            return f"has another layer: {type(layer).__name__} at mlp.{2 * number}"
        if {"weight", "bias"} != {name for name, value in layer._parameters.items() if value is not None}:
            return f"has a linear layer without weight and bias of its own: mlp.{2 * number}"
    activations = layers[1::2]
    kinds = {type(layer) for layer in activations} or {nn.Identity}
    if len(kinds) > 1:
        return "has several kinds of activations"
    kind = kinds.pop()
    if kind not in _ACTIVATIONS:
        return f"has another activation: {kind.__name__}"
    if (other := _other_activation(activations)) is not None:
        return other
    return cast("tuple[nn.Linear, ...]", tuple(layers[::2])), tuple(activations), _ACTIVATIONS[kind][0]


def _other_activation(activations: Sequence[nn.Module]) -> str | None:
    """An activation with settings of its own, in words; None if there is none."""
    for activation in activations:
        for setting, value in _ACTIVATIONS[type(activation)][1].items():
            if getattr(activation, setting) != value:
                return (
                    f"has another activation: {type(activation).__name__} with {setting} {getattr(activation, setting)}"
                )
    return None


def _other_parameter(model: MLPModel, parameters: tuple[nn.Parameter, ...]) -> str | None:
    """Why the weights and biases cannot be taken for plain ones; None where they can."""
    names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        return "has layers that share a parameter"
    device = parameters[0].device
    for parameter in parameters:
        name = names[id(parameter)]
        if type(parameter) is not nn.Parameter:
            return f"has a parameter of another class: {name} is {type(parameter).__name__}"
        if not parameter.requires_grad:
            return f"has a frozen parameter: {name}"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return f"has a hook on the parameter {name}"
        if parameter.dtype is not torch.float32:
            return f"is not float32: {name} is {str(parameter.dtype).removeprefix('torch.')}"
        if parameter.device != device:
            return f"is on several devices: {device} and {parameter.device}"
        if not parameter.is_contiguous():
            return f"has a parameter that is not contiguous: {name}"
        if not parameter.numel():
            return f"has no inputs: {name} is {list(parameter.shape)}"
    return None


def _other_part(known: KnownMLP) -> str | None:
    """Why normalizer and distribution are not plain ones; None where they are."""
    normalizer, distribution = known.normalizer, known.distribution
    if normalizer is not None:
        if not _PART_METHODS.isdisjoint(normalizer.__dict__):
            return "has a replaced method of its normalizer"
        mean = normalizer._mean
        if mean.dtype is not torch.float32 or mean.device != known.device:
            return "has a normalizer of another dtype or device"
    if distribution is not None:
        if not _PART_METHODS.isdisjoint(distribution.__dict__):
            return "has a replaced method of its distribution"
        parameter = distribution.std_param if distribution.std_type == "scalar" else distribution.log_std_param
        if type(parameter) is not nn.Parameter or parameter.dtype is not torch.float32:
            return "has a distribution whose noise is no float32 parameter"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return "has a hook on the parameter of its distribution"
    return None
