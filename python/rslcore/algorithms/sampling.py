# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Drawing the actions of a rollout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from operator import is_
from typing import TYPE_CHECKING, Any

import torch

from rslcore import ops
from rslcore.engine import KnownMLP, changed_classes, describe_mlp
from rslcore.models import CNNModel, MLPModel, RNNModel
from rslcore.modules import GaussianDistribution
from rslcore.modules.distribution.base import can_inspect
from rslcore.storage import RolloutStorage, Slot
from rslcore.utils import StreamSeed, side_by_side

if TYPE_CHECKING:
    from tensordict import TensorDict

_MODELS = (MLPModel, RNNModel, CNNModel)

_METHODS = frozenset({"forward", "get_output_log_prob", "sample", "log_prob", "update"})
"""Methods that an object may have replaced by its own."""

_RANK_SHIFT = 48
"""Every process draws under offsets of its own: its rank stands above this bit, the number of its draw below."""


class ActionSampler:
    """Actions of a Gaussian policy and their log-probability from one operator, :func:`rslcore.ops.gaussian_sample`.

    The noise is a function of ``seed``, ``offset`` and the rank: no generator's state is involved, and a resumed run
    continues with the same actions. Where actor or distribution are not exactly those of this library (a subclass, a
    forward hook, a replaced method, a compiled model), the actor draws by itself, from torch's generator.
    """

    def __init__(self, seed: int | StreamSeed, rank: int = 0) -> None:
        """Start with the first draw.

        Args:
            seed: Any 64-bit integer, or one that is not settled yet.
            rank: Number of this process among those that train together.
        """
        self._seed = seed if isinstance(seed, StreamSeed) else StreamSeed(seed)
        self.offset = 0
        self._rank = rank

    @property
    def seed(self) -> int:
        """Seed of the noise."""
        return self._seed.value

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = StreamSeed(seed)

    def act(self, actor: MLPModel, obs: TensorDict) -> tuple[torch.Tensor, torch.Tensor]:
        """Return actions [N, A] and their log-probability density [N]; the actor's distribution is that of ``obs``.

        Raises:
            RuntimeError: The distribution has a NaN or is infinite (looked at on the CPU only).
        """
        distribution = _known_distribution(actor)
        if distribution is None:
            actions = actor(obs, stochastic_output=True)
            return actions, actor.get_output_log_prob(actions)
        distribution.update(actor.mlp(actor.get_latent(obs)))
        mean = distribution.mean
        if mean.dim() == 2 and mean.dtype == distribution.std.dtype == torch.float32:
            actions, log_prob = ops.gaussian_sample(mean, distribution.std, seed=self.seed, offset=self.next_offset())
            self.offset += 1
            if not can_inspect(mean) or math.isfinite(log_prob.sum().item()):
                return actions, log_prob
        actions = distribution.sample()
        return actions, distribution.log_prob(actions)

    def next_offset(self) -> int:
        """Return what the coming draw has for the ``offset`` of the operator: its number, and the rank above it."""
        return self.offset + (self._rank << _RANK_SHIFT)

    def state_dict(self) -> dict[str, int]:
        """Return seed and offset."""
        return {"seed": self._seed.foreseen(), "offset": self.offset}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue with the draws of a state."""
        self.seed, self.offset = int(state["seed"]), int(state["offset"])


class PolicySteps:
    """The steps of known models on the CPU: one operator each, :func:`rslcore.ops.policy_step`, into the storage.

    Actor and critic are looked at when a rollout begins; the arguments of its steps are put together in the first
    rollout, and used again as long as the models, and the buffers of the storage, are the same.
    """

    reason: str
    """Why the models' own code acts; empty where the operator does."""

    def __init__(self, *, enabled: bool = True) -> None:
        """Start without models; not ``enabled``, their own code always acts."""
        self._enabled = enabled
        self.reason = "" if enabled else "the eager engine was asked for"
        self._looked_at: tuple[Any, Any, Any] = (None, None, None)
        self._known: tuple[KnownMLP, GaussianDistribution, KnownMLP] | None = None
        self._tensors: tuple[Any, ...] = ()
        self._std = torch.empty(0, device="cpu")
        self._calls: list[tuple[Slot, Callable[[int, int], None]] | None] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the models: a copy has others, and finds them when it acts."""
        return vars(PolicySteps(enabled=self._enabled))

    def act(self, actor: MLPModel, critic: MLPModel, sampler: ActionSampler | None, storage: RolloutStorage) -> bool:
        """Let the models act on the observations stored in the current step.

        Returns:
            Whether mean, standard deviation, actions, log-probability and values were written into the step's slot.
            Otherwise the models' own code must run, which also says what is wrong where a result is not finite.
        """
        if not self._enabled:
            return False
        models = self._looked_at
        if storage.step == 0 or actor is not models[0] or critic is not models[1] or sampler is not models[2]:
            self._looked_at = (actor, critic, sampler)
            self.reason = self._look(actor, critic, sampler, storage)
        if self.reason or self._known is None or sampler is None:
            return False
        slot = storage.slot()
        call = self._calls[storage.step]
        if call is None or call[0] is not slot:
            try:
                call = self._calls[storage.step] = slot, self._bind(slot, *self._known)
            except (TypeError, ValueError) as error:
                self.reason = str(error)
                return False
        self._std.copy_(self._known[1].current_std())  # weights are read as they are now, so is the noise
        call[1](sampler.seed, sampler.next_offset())
        if not math.isfinite(slot.actions_log_prob.sum().item()):
            return False
        sampler.offset += 1
        self._known[1].take(slot.distribution_params[0], self._std)
        return True

    def values(self, critic: MLPModel, obs: TensorDict) -> torch.Tensor | None:
        """Values [N, 1] of observations from our operators, which choose their threads; None: the critic's own code.

        torch's products share their work out to all threads, and beside a busy program wait for each of them.
        """
        value = describe_mlp(critic) if self._enabled else ""
        if isinstance(value, str) or value.device.type != "cpu":
            return None
        latent = side_by_side(type(critic).__name__, obs, value.groups, critic.mlp)
        if latent.dim() != 2 or latent.shape[1] != value.weights[0].shape[1]:
            return None  # the model says what is wrong
        if value.normalizer is not None:
            mean, var, eps = _normalization(value)
            latent = ops.normalize(latent, mean.view(-1), var.view(-1), eps=eps)
        return ops.mlp(latent, value.weights, value.biases, value.activation)

    def _look(self, actor: Any, critic: Any, sampler: Any, storage: RolloutStorage) -> str:  # noqa: ANN401
        """Remember what the models consist of; return why the operator cannot act for them."""
        if type(sampler) is not ActionSampler or "act" in vars(sampler):
            return "actions are drawn otherwise"
        policy, value = describe_mlp(actor), describe_mlp(critic)
        if isinstance(policy, str):
            return f"the actor {policy}"
        if isinstance(value, str):
            return f"the critic {value}"
        if policy.distribution is None or value.distribution is not None:
            return "the actor needs a distribution, and the critic none"
        if policy.device.type != "cpu" or value.device.type != "cpu":
            return "the models are not on the CPU"
        std = policy.distribution.current_std()
        storage.make_distribution_params([std.expand(storage.num_envs, -1)] * 2)
        tensors = (policy, value, storage, *_normalization(policy), *_normalization(value))
        if len(tensors) != len(self._tensors) or not all(map(is_, tensors, self._tensors)):
            self._tensors, self._known = tensors, (policy, policy.distribution, value)
            self._calls = [None] * storage.num_transitions_per_env
            with torch.inference_mode(False):
                self._std = std.clone()
        return ""

    def _bind(
        self, slot: Slot, policy: KnownMLP, _: GaussianDistribution, value: KnownMLP
    ) -> Callable[[int, int], None]:
        mean, std = slot.distribution_params
        return ops.bind_policy_step(
            [slot.groups[group] for group in policy.groups],
            [slot.groups[group] for group in value.groups],
            _network(policy),
            _network(value),
            self._std,
            ops.PolicyStep(mean, std, slot.actions, slot.actions_log_prob, slot.values),
        )


def _normalization(known: KnownMLP) -> tuple[Any, ...]:
    normalizer = known.normalizer
    return () if normalizer is None else (normalizer._mean, normalizer._var, normalizer.eps)


def _network(known: KnownMLP) -> ops.PolicyNetwork:
    """A known model as the operator takes it."""
    network = ops.PolicyNetwork(known.weights, known.biases, known.activation)
    if known.normalizer is None:
        return network
    mean, var, eps = _normalization(known)
    return network._replace(mean=mean, var=var, eps=eps)


def _known_distribution(actor: Any) -> GaussianDistribution | None:  # noqa: ANN401 - torch.compile makes its own class
    """The distribution of an actor that does what its class says, so that its forward may be taken apart."""
    if type(actor) not in _MODELS or type(actor.distribution) is not GaussianDistribution:
        return None
    distribution: GaussianDistribution = actor.distribution
    if actor._forward_hooks or actor._forward_pre_hooks or changed_classes() is not None:
        return None
    if type(actor).get_output_log_prob is not MLPModel.get_output_log_prob:  # set on a class that inherits it
        return None
    unchanged = _METHODS.isdisjoint(vars(actor)) and _METHODS.isdisjoint(vars(distribution))
    return distribution if unchanged else None
