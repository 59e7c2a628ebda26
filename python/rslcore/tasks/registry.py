# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The tasks by name: how to make the environment, how to train on it, how to judge a policy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rslcore.config import OnPolicyRunnerCfg, RunnerCfg, nearest
from rslcore.tasks import external, training
from rslcore.tasks.quadruped_flat import training as quadruped_training

if TYPE_CHECKING:
    import torch
    from tensordict import TensorDict

    from rslcore.env.vec_env import VecEnv

Policy = Callable[["TensorDict"], "torch.Tensor"]
"""Observations of N environments to actions [N, A]; a model from ``runner.get_inference_policy()`` is one."""


@dataclass(frozen=True)
class TaskSpec:
    """A task that can be trained by name."""

    name: str
    """Name on the command line."""
    description: str
    """One line for a listing."""
    make_env: Callable[..., VecEnv]
    """``make_env(num_envs, seed=0, device="cpu")``. Imports the simulator."""
    cfg: Callable[[], RunnerCfg]
    """Training configuration, a new object per call."""
    num_envs: int
    """Environments to train with."""
    extras: tuple[str, ...] = ()
    """Extras of the package that the environment needs, e.g. "mujoco"."""
    evaluate: Callable[[VecEnv, Policy, int], dict[str, Any]] | None = None
    """``evaluate(env, policy, episodes)`` returns measures of the policy, numbers or nested dicts of numbers."""
    teacher_task: str = ""
    """Task in which the teacher of a student learns; empty for tasks without a teacher."""


def _later(name: str) -> Callable[..., Any]:
    """Return a function that stands for one of a module (``"module:function"``), and imports it when it is called."""
    module, _, attribute = name.partition(":")

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return getattr(importlib.import_module(f"rslcore.{module}"), attribute)(*args, **kwargs)

    return call


_evaluate_quadruped = _later("tasks.quadruped_flat:evaluate")

_TASKS = {
    spec.name: spec
    for spec in (
        TaskSpec(
            name="quadruped-flat",
            description="four-legged robot follows velocity commands (vx, vy, yaw rate) on flat ground",
            make_env=_later("tasks.quadruped_flat:QuadrupedFlatEnv"),
            cfg=quadruped_training.training_cfg,
            num_envs=quadruped_training.NUM_ENVS,
            extras=("mujoco",),
            evaluate=_evaluate_quadruped,
        ),
        TaskSpec(
            name="quadruped-flat-teacher",
            description="the same, by a policy that sees what no robot can measure, such as its velocity and friction",
            make_env=_later("tasks.quadruped_flat:QuadrupedTeacherStudentEnv"),
            cfg=quadruped_training.teacher_cfg,
            num_envs=quadruped_training.NUM_ENVS,
            extras=("mujoco",),
            evaluate=_evaluate_quadruped,
        ),
        TaskSpec(
            name="quadruped-flat-student",
            description="the same, by an LSTM that sees what a robot measures and imitates a teacher (--teacher RUN)",
            make_env=_later("tasks.quadruped_flat:QuadrupedTeacherStudentEnv"),
            cfg=quadruped_training.student_cfg,
            num_envs=quadruped_training.NUM_STUDENT_ENVS,
            extras=("mujoco",),
            evaluate=_evaluate_quadruped,
            teacher_task="quadruped-flat-teacher",
        ),
        TaskSpec(
            name="half-cheetah",
            description="Gymnasium's HalfCheetah-v5: run forward (needs Gymnasium for the model file)",
            make_env=_later("tasks.half_cheetah:HalfCheetahEnv"),
            cfg=training.half_cheetah_cfg,
            num_envs=64,
            extras=("mujoco", "gymnasium"),
            evaluate=_later("tasks.half_cheetah:evaluate"),
        ),
        TaskSpec(
            name="cart-pole",
            description="a pole is balanced on a cart; built in, learned in seconds",
            make_env=_later("env.cart_pole_vec_env:CartPoleVecEnv"),
            cfg=training.cart_pole_cfg,
            num_envs=training.CART_POLE_NUM_ENVS,
            evaluate=_later("tasks.cart_pole:evaluate"),
        ),
    )
}


def names() -> list[str]:
    """Return the names of the tasks that ship with rslcore."""
    return list(_TASKS)


def get(name: str) -> TaskSpec:
    """Return the task called `name`: one of `names`, or ``gymnasium:ID`` or ``envpool:ID`` for those of a library.

    Raises:
        ImportError: The library is not installed.
        ValueError: There is no such task, or its spaces are not supported; the message has the nearest name.
    """
    found = external.split(name)
    if found is not None:
        return _external_task(name, *found)
    if name not in _TASKS:
        raise ValueError(f"tasks.get: unknown task '{name}'; {nearest(name, _TASKS)}")
    return _TASKS[name]


def _external_task(name: str, library: external.Library, id: str) -> TaskSpec:
    # Made here and not when it is asked for: what is wrong with the environment shows when the task is named.
    cfg = external.training_cfg(library, id, experiment_name=name.replace(":", "-").replace("/", "-")).to_dict()
    return TaskSpec(
        name=name,
        description=f"{id}: {library.description}",
        make_env=functools.partial(library.make_env, id),
        cfg=lambda: OnPolicyRunnerCfg.from_dict(cfg),
        num_envs=library.num_envs,
        extras=(library.extra,),
        evaluate=external.evaluate,
    )
