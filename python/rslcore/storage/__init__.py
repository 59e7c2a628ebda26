# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The data of one rollout."""

from rslcore.storage.records import Batch, HiddenState, Slot, Transition
from rslcore.storage.rollout_storage import RolloutStorage

__all__ = ["Batch", "HiddenState", "RolloutStorage", "Slot", "Transition"]
