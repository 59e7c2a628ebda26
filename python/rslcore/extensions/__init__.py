# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What may be added to an algorithm: intrinsic rewards and symmetry."""

from rslcore.extensions.rnd import RandomNetworkDistillation, resolve_rnd_config
from rslcore.extensions.symmetry import Symmetry, resolve_symmetry_config

__all__ = ["RandomNetworkDistillation", "Symmetry", "resolve_rnd_config", "resolve_symmetry_config"]
