# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How to train on half-cheetah and cart-pole, apart from their environments: reading settings loads no torch."""

from __future__ import annotations

from rslcore.config import GaussianDistributionCfg, MLPModelCfg, OnPolicyRunnerCfg, PPOCfg

CART_POLE_NUM_ENVS = 64


def half_cheetah_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration: 64 environments x 24 steps x 651 iterations are 1,000,000 env steps."""
    return OnPolicyRunnerCfg(
        max_iterations=651,
        experiment_name="half-cheetah",
        init_at_random_ep_len=False,
        actor=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True, distribution_cfg=GaussianDistributionCfg()),
        critic=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True),
        algorithm=PPOCfg(entropy_coef=0.0),
    )


def cart_pole_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration: 64 environments x 32 steps x 50 iterations are 102,400 env steps.

    Returns are about a hundred; a value that may change by 0.2 per update would need hundreds of updates to get there.
    """
    return OnPolicyRunnerCfg(
        max_iterations=50,
        num_steps_per_env=32,
        experiment_name="cart-pole",
        init_at_random_ep_len=False,
        actor=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True, distribution_cfg=GaussianDistributionCfg()),
        critic=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True),
        algorithm=PPOCfg(gamma=0.995, entropy_coef=0.0, use_clipped_value_loss=False),
    )
