# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a policy does in one env step, in one operator: observations to actions, log-probability and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from rslcore import _checks as checks
from rslcore.ops import _activations, _library, _tensors, reference

_OP = "policy_step"


class PolicyNetwork(NamedTuple):
    """A multilayer perceptron over observations: normalized, then linear layers, an activation after all but the last.

    All tensors are float32.
    """

    weights: Sequence[torch.Tensor]
    """Weight of every layer [out, in]."""
    biases: Sequence[torch.Tensor]
    """Bias of every layer [out]."""
    activation: str = "elu"
    """Name of the activation, as in a configuration."""
    mean: torch.Tensor | None = None
    """Running mean of the observations [D] or [1, D]; None takes them as they are."""
    var: torch.Tensor | None = None
    """Running variance of the observations, given with ``mean``."""
    eps: float = 1e-2
    """Added to the standard deviation of the observations."""


class PolicyStep(NamedTuple):
    """What :func:`policy_step` returns, or writes into."""

    mean: torch.Tensor
    """Means of the actions [B, A]."""
    std: torch.Tensor
    """Their standard deviations, the same in every row [B, A]."""
    actions: torch.Tensor
    """Actions [B, A]."""
    log_prob: torch.Tensor
    """Log-probability density of the actions, [B] or [B, 1]."""
    values: torch.Tensor
    """Values [B, 1] or [B]."""


def policy_step(
    actor_obs: Sequence[torch.Tensor],
    critic_obs: Sequence[torch.Tensor],
    actor: PolicyNetwork,
    critic: PolicyNetwork,
    std: torch.Tensor,
    *,
    seed: int,
    offset: int = 0,
    out: PolicyStep | None = None,
) -> PolicyStep:
    """Let a Gaussian policy act, and a critic value the observations it acts on.

    For both networks: the observation groups side by side, (x - mean) / (sqrt(var) + eps), linear layers with the
    activation after all but the last. The actor's output is the mean of the actions; from there it is
    :func:`rslcore.ops.gaussian_sample`, with its bits for a mean with the same bits. There is no gradient. Networks
    that are as small as policies of robots spend most of their time in the overhead of one operator after the other;
    here a tile of rows stays in cache through all layers, and nothing is written but the results.

    On other devices than the CPU the plain-torch reference runs.

    Args:
        actor_obs: Observation groups of the actor, each [B, D_group].
        critic_obs: Observation groups of the critic, which may be the same tensors.
        actor: The policy, with A outputs.
        critic: The value function, with one output.
        std: Standard deviations of the actions [A]; see :func:`rslcore.ops.gaussian_sample` for one that is not
            positive.
        seed: Any 64-bit integer.
        offset: Number of the draw under this seed, any 64-bit integer.
        out: Where to write, for example slots of a rollout buffer.

    Returns:
        The results, or ``out``.

    Raises:
        TypeError: An argument is no tensor, not float32, or `seed` or `offset` is no integer.
        ValueError: A shape or device does not fit, the activation is unknown, `out` shares memory with another
            argument, or a gradient is asked for: acting has none.
    """
    checks.integer(_OP, "seed", seed)
    checks.integer(_OP, "offset", offset)
    if out is None:
        checks.kind(_OP, "std", std, torch.Tensor)
        first = actor_obs[0] if len(actor_obs) else None
        rows = len(first) if isinstance(first, torch.Tensor) and first.dim() else 0
        mean, stds, actions = (std.new_empty(rows, std.numel()) for _ in range(3))
        out = PolicyStep(mean, stds, actions, std.new_empty(rows), std.new_empty(rows, 1))
    bind_policy_step(actor_obs, critic_obs, actor, critic, std, out)(seed, offset)
    return out


def bind_policy_step(
    actor_obs: Sequence[torch.Tensor],
    critic_obs: Sequence[torch.Tensor],
    actor: PolicyNetwork,
    critic: PolicyNetwork,
    std: torch.Tensor,
    out: PolicyStep,
) -> Callable[[int, int], None]:
    """Check the arguments of :func:`policy_step` once, for calls with the same tensors in every rollout.

    Returns:
        A function of ``seed`` and ``offset``, 64-bit integers, that reads the tensors as they are when it is called,
        and writes into ``out``.

    Raises:
        TypeError: See :func:`policy_step`.
        ValueError: See :func:`policy_step`.
    """
    targets = _targets(out)
    inputs = _inputs("actor", actor_obs, actor) | _inputs("critic", critic_obs, critic) | {"std": std}
    for name, x in {**inputs, **targets}.items():
        checks.kind(_OP, name, x, torch.Tensor)
        checks.dtype(_OP, name, x, ("float32",))
    if len(std.shape) != 1:
        raise ValueError(f"{_OP}: `std` must be [A], got {list(std.shape)}")
    _check_network("actor", actor_obs, actor, len(actor_obs[0]), len(std))
    _check_network("critic", critic_obs, critic, len(actor_obs[0]), 1)
    _check_targets(targets, len(actor_obs[0]), len(std))
    _tensors.check_devices(_OP, {**inputs, **targets})
    _tensors.check_targets(_OP, targets)
    device, written = std.device, list(targets.values())
    plain = all(x.is_contiguous() for x in (*inputs.values(), *written))
    arguments = [*_arguments(actor_obs, actor), *_arguments(critic_obs, critic), std]

    def call(seed: int, offset: int) -> None:
        _tensors.refuse_gradient(_OP, inputs)
        if plain and device.type != "cuda":
            _library.run(_OP, device, (*arguments, seed, offset, *written), written)
            return
        contiguous = [_contiguous(argument) for argument in arguments]
        results = [x.contiguous() for x in written]
        if device.type == "cuda":
            reference.policy_step(*contiguous, seed, offset, *results)
        else:
            _library.run(_OP, device, (*contiguous, seed, offset, *results), results)
        for result, target in zip(results, written, strict=True):
            _tensors.write_back(result, target)

    return call


def _inputs(name: str, obs: Sequence[torch.Tensor], network: PolicyNetwork) -> dict[str, torch.Tensor]:
    """Everything that a network reads, by name."""
    if not isinstance(network, PolicyNetwork):
        raise TypeError(f"{_OP}: `{name}` must be a PolicyNetwork, got {type(network).__name__}")
    if not (isinstance(obs, (list, tuple)) and len(obs)):
        raise TypeError(f"{_OP}: `{name}_obs` must be a sequence of tensors, got {type(obs).__name__}")
    if not (len(network.weights) == len(network.biases) > 0):
        raise ValueError(
            f"{_OP}: `{name}` must have a bias for every weight, got {len(network.weights)} weights and "
            f"{len(network.biases)} biases"
        )
    inputs = {f"{name}_obs[{i}]": x for i, x in enumerate(obs)}
    inputs |= {f"{name}.weights[{i}]": x for i, x in enumerate(network.weights)}
    inputs |= {f"{name}.biases[{i}]": x for i, x in enumerate(network.biases)}
    if (network.mean is None) != (network.var is None):
        raise ValueError(f"{_OP}: `{name}` must have both `mean` and `var` or neither, got one")
    if network.mean is not None and network.var is not None:
        inputs |= {f"{name}.mean": network.mean, f"{name}.var": network.var}
    return inputs


def _check_network(name: str, obs: Sequence[torch.Tensor], network: PolicyNetwork, rows: int, outputs: int) -> None:
    """Refuse shapes that do not fit together, and unknown activations."""
    if network.activation not in _activations.NUMBERS:
        raise ValueError(
            f"{_OP}: `{name}.activation` must be one of {', '.join(_activations.NUMBERS)}, got {network.activation!r}"
        )
    checks.number(_OP, f"{name}.eps", network.eps, 0.0, float("inf"))
    for i, group in enumerate(obs):
        if group.dim() != 2 or len(group) != rows:
            raise ValueError(f"{_OP}: `{name}_obs[{i}]` must be [{rows}, D], got {list(group.shape)}")
    width = sum(group.shape[1] for group in obs)
    for part, x in (("mean", network.mean), ("var", network.var)):
        if x is not None and tuple(x.shape) not in ((width,), (1, width)):
            raise ValueError(f"{_OP}: `{name}.{part}` must be [{width}] like the observations, got {list(x.shape)}")
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        last = i == len(network.weights) - 1
        if weight.dim() != 2 or weight.shape[1] != width or (last and len(weight) != outputs):
            expected = f"[{outputs if last else 'out'}, {width}]"
            raise ValueError(f"{_OP}: `{name}.weights[{i}]` must be {expected}, got {list(weight.shape)}")
        width = len(weight)
        checks.shape(_OP, f"{name}.biases[{i}]", bias, (width,))


def _targets(out: PolicyStep) -> dict[str, torch.Tensor]:
    if not (isinstance(out, tuple) and len(out) == len(PolicyStep._fields)):
        raise TypeError(f"{_OP}: `out` must be ({', '.join(PolicyStep._fields)}), got {type(out).__name__}")
    return {f"out.{name}": x for name, x in zip(PolicyStep._fields, out, strict=True)}


def _check_targets(targets: dict[str, torch.Tensor], rows: int, columns: int) -> None:
    for name in ("out.mean", "out.std", "out.actions"):
        checks.shape(_OP, name, targets[name], (rows, columns))
    for name in ("out.log_prob", "out.values"):
        if tuple(targets[name].shape) not in ((rows,), (rows, 1)):
            raise ValueError(f"{_OP}: `{name}` must be [{rows}] or [{rows}, 1], got {list(targets[name].shape)}")


def _arguments(obs: Sequence[torch.Tensor], network: PolicyNetwork) -> list[Any]:
    """A network as the operator takes it."""
    layers = [x for layer in zip(network.weights, network.biases, strict=True) for x in layer]
    number = _activations.NUMBERS[network.activation]
    return [list(obs), network.mean, network.var, float(network.eps), layers, number]


def _contiguous(argument: Any) -> Any:  # noqa: ANN401 - a tensor, tensors, or a number
    if isinstance(argument, list):
        return [x.contiguous() for x in argument]
    return argument.contiguous() if isinstance(argument, torch.Tensor) else argument
