# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Torch's default device, which a program sets for itself."""

from __future__ import annotations

import contextlib

import torch


def cpu_by_default() -> contextlib.AbstractContextManager[object]:
    """Let tensors that name no device be made on the CPU, as torch does where no default device was set.

    For code that is not ours (constructors of models, torch's optimizers); what we make names its device.
    """
    return contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
