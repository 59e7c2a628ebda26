# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Operators of on-policy reinforcement learning on torch tensors, CPU or CUDA. Needs nothing but torch."""

from rslcore.ops.adam import clip_adam
from rslcore.ops.bias_activation import bias_activation
from rslcore.ops.cart_pole import cart_pole_reset, cart_pole_step
from rslcore.ops.episode_stats import episode_stats
from rslcore.ops.gae import gae
from rslcore.ops.gaussian import gaussian_sample
from rslcore.ops.kl_adaptive_lr import kl_adaptive_lr
from rslcore.ops.mlp import mlp
from rslcore.ops.normalization import discounted_return, normalize, update_and_normalize, update_moments
from rslcore.ops.policy_step import PolicyNetwork, PolicyStep, bind_policy_step, policy_step
from rslcore.ops.ppo_loss import PPOStats, ppo_loss
from rslcore.ops.rnn import gru, lstm
from rslcore.ops.shuffle import permutation, shuffle_rows
from rslcore.ops.trajectories import (
    Trajectories,
    gather_hidden_states,
    pad_trajectories,
    split_trajectories,
    unpad_trajectories,
)

__all__ = [
    "PPOStats",
    "PolicyNetwork",
    "PolicyStep",
    "Trajectories",
    "bias_activation",
    "bind_policy_step",
    "cart_pole_reset",
    "cart_pole_step",
    "clip_adam",
    "discounted_return",
    "episode_stats",
    "gae",
    "gather_hidden_states",
    "gaussian_sample",
    "gru",
    "kl_adaptive_lr",
    "lstm",
    "mlp",
    "normalize",
    "pad_trajectories",
    "permutation",
    "policy_step",
    "ppo_loss",
    "shuffle_rows",
    "split_trajectories",
    "unpad_trajectories",
    "update_and_normalize",
    "update_moments",
]
