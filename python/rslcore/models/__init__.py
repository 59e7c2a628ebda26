# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What acts: models from observation groups to actions or values."""

from rslcore.models.cnn_model import CNNModel
from rslcore.models.mlp_model import MLPModel
from rslcore.models.rnn_model import RNNModel

__all__ = ["CNNModel", "MLPModel", "RNNModel"]
