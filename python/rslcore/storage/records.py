# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What goes into a storage step by step, and what comes out of it batch by batch; fields as in rsl_rl 5.5.1."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import torch
from tensordict import TensorDict

HiddenState: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None
"""Of a GRU h, of an LSTM (h, c), each [layers, N, H]; None stands for zeros, and for models without memory."""

_ABSENT: Any = None
"""Default of a field that the type of training it belongs to always has, and the others leave None."""


@dataclasses.dataclass
class Transition:
    """One step of all environments, filled in piece by piece."""

    observations: TensorDict | None = None
    """Observations acted on, [N, ...] per group."""
    actions: torch.Tensor | None = None
    """Actions [N, A]."""
    rewards: torch.Tensor | None = None
    """Rewards [N]."""
    dones: torch.Tensor | None = None
    """Episode ended on this step [N]."""
    values: torch.Tensor | None = None
    """Values of the observations [N, 1] (reinforcement learning)."""
    actions_log_prob: torch.Tensor | None = None
    """Log-probability density of the actions [N] (reinforcement learning)."""
    distribution_params: tuple[torch.Tensor, ...] | None = None
    """Parameters of the distribution the actions were drawn from, each [N, ...] (reinforcement learning)."""
    privileged_actions: torch.Tensor | None = None
    """Actions of the teacher [N, A] (distillation)."""
    hidden_states: tuple[HiddenState, HiddenState] = (None, None)
    """Hidden states of actor and critic before this step."""

    def clear(self) -> None:
        """Forget everything."""
        vars(self).update(_EMPTY)


_EMPTY = {field.name: field.default for field in dataclasses.fields(Transition)}


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """Where a storage keeps one step: views of its buffers, which may be written into directly.

    What a transition holds that is such a view itself is stored already.
    """

    observations: TensorDict
    """Observations, [N, ...] per group."""
    groups: dict[str, torch.Tensor]
    """The same as a dictionary."""
    actions: torch.Tensor
    """Actions [N, A]."""
    rewards: torch.Tensor
    """Rewards [N]."""
    dones: torch.Tensor
    """Episode ended on this step, uint8 [N]."""
    values: torch.Tensor = _ABSENT
    """Values of the observations [N, 1] (reinforcement learning)."""
    actions_log_prob: torch.Tensor = _ABSENT
    """Log-probability density of the actions [N] (reinforcement learning)."""
    distribution_params: tuple[torch.Tensor, ...] = ()
    """Parameters of the action distribution, each [N, ...] (reinforcement learning); none before there are buffers."""
    privileged_actions: torch.Tensor = _ABSENT
    """Actions of the teacher [N, A] (distillation)."""


@dataclasses.dataclass
class Batch:
    """What one gradient step sees. Its tensors belong to the storage: do not write to them.

    Of models without memory a minibatch has b rows, and b stands below for [b]; of recurrent ones it has n
    environments: b stands for [T, n], and observations are K trajectories, padded with zeros to [T, K], or whole
    rollouts, K = n. In distillation a batch is one step, and b stands for [N].
    """

    observations: TensorDict = _ABSENT
    """Observations, [b, ...] per group, of recurrent models [T, K, ...]."""
    actions: torch.Tensor = _ABSENT
    """Actions [b, A] (reinforcement learning, as all fields to ``old_distribution_params``)."""
    values: torch.Tensor = _ABSENT
    """Values at the time of the rollout [b, 1]."""
    advantages: torch.Tensor = _ABSENT
    """Advantages [b, 1]."""
    returns: torch.Tensor = _ABSENT
    """Returns [b, 1]."""
    old_actions_log_prob: torch.Tensor = _ABSENT
    """Log-probability density of the actions at the time of the rollout [b, 1]."""
    old_distribution_params: tuple[torch.Tensor, ...] = _ABSENT
    """Parameters of the action distribution at the time of the rollout, each [b, ...]."""
    hidden_states: tuple[HiddenState, HiddenState] = (None, None)
    """Hidden states of actor and critic at the start of every trajectory, tensors of [layers, K, H]."""
    masks: torch.Tensor | None = None
    """Steps of the trajectories that are no padding, bool [T, K]; None where nothing is padded."""
    privileged_actions: torch.Tensor = _ABSENT
    """Actions of the teacher [b, A] (distillation)."""
    dones: torch.Tensor = _ABSENT
    """Episode ended on this step [b, 1] (distillation)."""

    def copy(self) -> Batch:
        """Return a batch of the same tensors."""
        batch = Batch.__new__(Batch)
        vars(batch).update(vars(self))
        return batch
