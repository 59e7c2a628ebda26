# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How to train on quadruped-flat, -teacher and -student, apart from their environments: reading this loads no torch."""

from __future__ import annotations

from rslcore.config import (
    DistillationCfg,
    DistillationRunnerCfg,
    GaussianDistributionCfg,
    MLPModelCfg,
    OnPolicyRunnerCfg,
    PPOCfg,
    RNNModelCfg,
)

NUM_ENVS = 512
NUM_STUDENT_ENVS = 256

_OBS_GROUPS = {"teacher": ["measured", "privileged"], "student": ["policy"]}


def training_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration: 512 environments x 24 steps x 250 iterations, 3.1 million env steps.

    The KL target is twice rsl_rl's default: with 0.01 the adaptive schedule falls to a learning rate of 5e-5 within
    25 iterations and takes about twice the steps to the same tracking error.
    """
    return OnPolicyRunnerCfg(
        max_iterations=250,
        experiment_name="quadruped-flat",
        obs_groups={"actor": ["policy"], "critic": ["critic"]},
        actor=MLPModelCfg(hidden_dims=(128, 128), obs_normalization=True, distribution_cfg=GaussianDistributionCfg()),
        critic=MLPModelCfg(hidden_dims=(128, 128), obs_normalization=True),
        algorithm=PPOCfg(entropy_coef=0.002, desired_kl=0.02),
    )


def teacher_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration of the teacher: that of quadruped-flat, with an actor that sees more."""
    cfg = training_cfg()
    cfg.experiment_name = "quadruped-flat-teacher"
    cfg.obs_groups = {"actor": _OBS_GROUPS["teacher"], "critic": ["critic"]}
    return cfg


def student_cfg() -> DistillationRunnerCfg:
    """Return the training configuration of the student: an LSTM on noisy measurements."""
    return DistillationRunnerCfg(
        max_iterations=150,
        experiment_name="quadruped-flat-student",
        num_steps_per_env=40,
        obs_groups={name: list(groups) for name, groups in _OBS_GROUPS.items()},
        student=RNNModelCfg(
            hidden_dims=(128,),
            rnn_hidden_dim=64,
            obs_normalization=True,
            distribution_cfg=GaussianDistributionCfg(init_std=0.1),
        ),
        teacher=teacher_cfg().actor,
        algorithm=DistillationCfg(gradient_length=10, num_learning_epochs=2, max_grad_norm=1.0),
    )
