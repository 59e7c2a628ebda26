# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Running policies of any kind."""

from __future__ import annotations

from typing import Any

import torch


def reset_policy(policy: Any, dones: torch.Tensor | None = None) -> None:  # noqa: ANN401
    """Let a policy that remembers forget the episodes that ended, by its ``reset`` as models have it.

    Args:
        policy: Observations to actions; a plain function remembers nothing and is left alone.
        dones: Episodes that ended [N]; None for all.
    """
    reset = getattr(policy, "reset", None)
    if callable(reset):
        reset(dones)
