# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Drawing the actions of a rollout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from rslcore import ops
from rslcore.models import CNNModel, MLPModel, RNNModel
from rslcore.modules import GaussianDistribution

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

    def __init__(self, seed: int, rank: int = 0) -> None:
        """Start with the first draw.

        Args:
            seed: Any 64-bit integer, the same on all ranks.
            rank: Number of this process among those that train together.
        """
        self.seed = seed
        self.offset = 0
        self._rank = rank

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
            offset = self.offset + (self._rank << _RANK_SHIFT)
            actions, log_prob = ops.gaussian_sample(mean, distribution.std, seed=self.seed, offset=offset)
            self.offset += 1
            if mean.device.type != "cpu" or math.isfinite(log_prob.sum().item()):
                return actions, log_prob
        actions = distribution.sample()
        return actions, distribution.log_prob(actions)

    def state_dict(self) -> dict[str, int]:
        """Return seed and offset."""
        return {"seed": self.seed, "offset": self.offset}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue with the draws of a state."""
        self.seed, self.offset = int(state["seed"]), int(state["offset"])


def _known_distribution(actor: Any) -> GaussianDistribution | None:  # noqa: ANN401 - torch.compile makes its own class
    """The distribution of an actor that does what its class says, so that its forward may be taken apart."""
    if type(actor) not in _MODELS or type(actor.distribution) is not GaussianDistribution:
        return None
    distribution: GaussianDistribution = actor.distribution
    if actor._forward_hooks or actor._forward_pre_hooks:
        return None
    unchanged = _METHODS.isdisjoint(vars(actor)) and _METHODS.isdisjoint(vars(distribution))
    return distribution if unchanged else None
