# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Stored hidden states, as the networks take them."""

from __future__ import annotations

from typing import cast

import torch

from rslcore import ops
from rslcore.storage.records import HiddenState


def hidden_state_at(saved: list[torch.Tensor] | None, starts: torch.Tensor, num_envs: int) -> HiddenState:
    """The stored hidden states of a model at the starts of trajectories, as its network takes them."""
    if saved is None:
        return None
    states = ops.gather_hidden_states(saved, starts, num_envs=num_envs)
    return states[0] if len(states) == 1 else cast("tuple[torch.Tensor, torch.Tensor]", states)


def first_hidden_state(saved: list[torch.Tensor] | None, envs: slice) -> HiddenState:
    """The stored hidden states of a model before the first step, as its network takes them."""
    if saved is None:
        return None
    states = [state[0][:, envs] for state in saved]
    return states[0] if len(states) == 1 else cast("tuple[torch.Tensor, torch.Tensor]", tuple(states))
