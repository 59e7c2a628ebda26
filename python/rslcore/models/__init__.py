# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What acts: models from observation groups to actions or values."""

from rslcore.models.mlp_model import MLPModel

__all__ = ["MLPModel"]
