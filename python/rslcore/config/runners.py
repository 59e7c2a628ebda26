# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Settings of training runs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from rslcore.config.algorithms import DistillationCfg, PPOCfg
from rslcore.config.base import Cfg
from rslcore.config.distributions import GaussianDistributionCfg
from rslcore.config.models import MLPModelCfg


@dataclasses.dataclass
class RunnerCfg(Cfg):
    """What every training run needs besides its environment, models and algorithm."""

    ignored_keys: ClassVar[tuple[str, ...]] = ("multi_gpu",)

    class_name: str = "OnPolicyRunner"
    """Class name of the runner, or ``"module:Class"``."""
    seed: int = 42
    """Seed of the environment, of the initial weights and of everything sampled."""
    max_iterations: int = 1000
    """Iterations of one training run; one iteration is one rollout and one update."""
    num_steps_per_env: int = 24
    """Steps of every environment per rollout (T)."""
    save_interval: int = 50
    """Iterations between checkpoints."""
    logger: str | dict[str, str | int | float | bool] = "tensorboard"
    """Log writer: "tensorboard", or a dictionary with ``class_name`` and the writer's arguments."""
    check_for_nan: bool = True
    """Raise an error as soon as the environment returns NaN or inf."""
    torch_compile_mode: str | None = None
    """Mode of ``torch.compile`` for the models; None runs them as they are."""
    experiment_name: str = ""
    """Folder of the experiment under the log root; empty stands for the name of the task."""
    run_name: str = ""
    """Suffix of the run's folder, also printed with every iteration."""
    init_at_random_ep_len: bool = True
    """Start the environments at random points of their first episode."""


def _default_obs_groups() -> dict[str, list[str]]:
    return {"actor": ["policy"], "critic": ["policy"]}


def _default_actor() -> MLPModelCfg:
    return MLPModelCfg(distribution_cfg=GaussianDistributionCfg())


@dataclasses.dataclass
class OnPolicyRunnerCfg(RunnerCfg):
    """A run of PPO."""

    obs_groups: dict[str, list[str]] = dataclasses.field(default_factory=_default_obs_groups)
    """Observation set ("actor", "critic") to the observation groups of the environment it is made of."""
    actor: MLPModelCfg = dataclasses.field(default_factory=_default_actor)
    """The policy."""
    critic: MLPModelCfg = dataclasses.field(default_factory=MLPModelCfg)
    """The value function."""
    algorithm: PPOCfg = dataclasses.field(default_factory=PPOCfg)
    """The learning algorithm."""


def _default_distillation_obs_groups() -> dict[str, list[str]]:
    return {"student": ["policy"], "teacher": ["policy"]}


def _default_student() -> MLPModelCfg:
    return MLPModelCfg(distribution_cfg=GaussianDistributionCfg(init_std=0.1))


@dataclasses.dataclass
class DistillationRunnerCfg(RunnerCfg):
    """A run of distillation; the weights of the teacher come from a checkpoint."""

    class_name: str = "DistillationRunner"
    """Class name of the runner, or ``"module:Class"``."""
    num_steps_per_env: int = 120
    """Steps of every environment per rollout (T); a multiple of the gradient length."""
    obs_groups: dict[str, list[str]] = dataclasses.field(default_factory=_default_distillation_obs_groups)
    """Observation set ("student", "teacher") to the observation groups of the environment it is made of."""
    student: MLPModelCfg = dataclasses.field(default_factory=_default_student)
    """The policy that learns; its distribution is the noise it explores with."""
    teacher: MLPModelCfg = dataclasses.field(default_factory=_default_actor)
    """The policy it learns from: the actor's configuration of the run it was trained in."""
    algorithm: DistillationCfg = dataclasses.field(default_factory=DistillationCfg)
    """The learning algorithm."""
