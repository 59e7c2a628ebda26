# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Whether models may see whole rollouts, in which they reset their hidden states, instead of padded trajectories."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rslcore.engine.known import _HOOKS, _methods, _state_of_torch
from rslcore.models import MLPModel, RNNModel
from rslcore.modules import RNN, EmpiricalNormalization
from rslcore.ops import _library

_OWN_METHODS = {RNNModel: _methods(MLPModel, RNNModel), MLPModel: _methods(MLPModel), RNN: _methods(RNN)}
_DEFINITIONS = {owner: {name: getattr(owner, name) for name in names} for owner, names in _OWN_METHODS.items()}
"""What the known classes do: somebody may replace a method."""

_NETWORKS = (nn.LSTM, nn.GRU)
_FORWARDS = {network: network.forward for network in _NETWORKS}


def refuses_whole_rollouts(model: Any, *, anywhere: bool = False) -> str | None:  # noqa: ANN401 - torch.compile makes its own class
    """Return why a model must see its observations as trajectories padded with zeros; None if it need not.

    What is known: exactly an :class:`~rslcore.models.RNNModel` with a float32 LSTM or GRU on the CPU, for which there
    is a kernel, or an :class:`~rslcore.models.MLPModel`; without hooks, replaced methods, parametrizations and
    autocast. Distribution, MLP and what is trained are free: they do not see the padding.

    Args:
        model: The model.
        anywhere: Whether the network may be on another device, where the scan is a loop of torch operators: its shapes
            do not depend on where episodes end, which is what a captured graph needs.
    """
    if (error := _library.errors["cpu"]) is not None:
        return f"cannot use the compiled operators: {error}"
    if (reason := _state_of_torch()) is not None:
        return reason
    if type(model) not in (RNNModel, MLPModel):
        return f"is no RNNModel: {type(model).__name__}"
    for name, module in model.named_modules():
        place = f" on {name}" if name else ""
        if any(getattr(module, hooks) for hooks in _HOOKS):
            return f"has a hook{place}"
        if "_compiled_call_impl" in vars(module):
            return f"is compiled{place}"
        if "forward" in vars(module):
            return f"has a replaced method{place}: forward"
    if (reason := _replaced_method(model)) is not None:
        return reason
    if type(model.obs_normalizer) not in (EmpiricalNormalization, nn.Identity):
        return f"has another normalizer: {type(model.obs_normalizer).__name__}"
    return _refusal_of_network(model.rnn, anywhere) if type(model) is RNNModel else None


def _replaced_method(module: nn.Module) -> str | None:
    definitions = _DEFINITIONS[type(module)]
    for name, definition in definitions.items():
        if name in vars(module):
            return f"has a replaced method: {name}"
        if getattr(type(module), name) is not definition:
            return f"has a replaced method of its class {type(module).__name__}: {name}"
    return None


def _refusal_of_network(rnn: Any, anywhere: bool) -> str | None:  # noqa: ANN401
    if type(rnn) is not RNN:
        return f"has another recurrent network: {type(rnn).__name__}"
    if (reason := _replaced_method(rnn)) is not None:
        return reason
    network = rnn.rnn
    if type(network) not in _NETWORKS or type(network).forward is not _FORWARDS[type(network)]:
        return f"has another recurrent network: {type(network).__name__}"
    if network.bidirectional or network.proj_size or network.dropout or network.batch_first:
        return "has a recurrent network with settings of its own"
    for name, parameter in network.named_parameters():
        if type(parameter) is not nn.Parameter:
            return f"has a parameter of another class: rnn.rnn.{name} is {type(parameter).__name__}"
        if parameter.dtype is not torch.float32 or (parameter.device.type != "cpu" and not anywhere):
            dtype = str(parameter.dtype).removeprefix("torch.")
            return f"has a recurrent network without a kernel: {dtype} on {parameter.device.type}"
    if len(list(network.parameters())) != len(network._flat_weights_names):
        return "has a recurrent network whose parameters are not its own"
    return None
