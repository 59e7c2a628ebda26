# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Names to objects, gradients across processes, rollouts as trajectories. Imports configurations and operators only."""

from rslcore.ops._tensors import is_set
from rslcore.utils.autograd import state_without_graph, without_gradient, without_graph
from rslcore.utils.compilation import compile_model
from rslcore.utils.defaults import cpu_by_default
from rslcore.utils.exporting import exporting, readable, refuse_to_be_scripted
from rslcore.utils.gradients import reduce_gradients_in_buckets
from rslcore.utils.joint_read import JointRead
from rslcore.utils.observations import check_groups, for_storage, side_by_side, warn_of_rounding
from rslcore.utils.optimizers import load_optimizer_state, make_optimizer, optimizer_state
from rslcore.utils.policies import reset_policy
from rslcore.utils.precision import tf32_products
from rslcore.utils.random_streams import StreamSeed, see_generator
from rslcore.utils.requirements import require
from rslcore.utils.resolve import (
    check_keywords,
    resolve_callable,
    resolve_class,
    resolve_nn_activation,
    resolve_obs_groups,
    resolve_optimizer,
)
from rslcore.utils.trajectories import dones_of, split_and_pad_trajectories, unpad_trajectories

__all__ = [
    "JointRead",
    "StreamSeed",
    "check_groups",
    "check_keywords",
    "compile_model",
    "cpu_by_default",
    "dones_of",
    "exporting",
    "for_storage",
    "is_set",
    "load_optimizer_state",
    "make_optimizer",
    "optimizer_state",
    "readable",
    "reduce_gradients_in_buckets",
    "refuse_to_be_scripted",
    "require",
    "reset_policy",
    "resolve_callable",
    "resolve_class",
    "resolve_nn_activation",
    "resolve_obs_groups",
    "resolve_optimizer",
    "see_generator",
    "side_by_side",
    "split_and_pad_trajectories",
    "state_without_graph",
    "tf32_products",
    "unpad_trajectories",
    "warn_of_rounding",
    "without_gradient",
    "without_graph",
]
