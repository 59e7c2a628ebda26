# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rslcore and rsl_rl: one API, one configuration."""

from __future__ import annotations

import importlib
import time
from typing import Any

import torch
from tensordict import TensorDict

from _peers import job
from _peers.clock import Clock
from _peers.environments import Meter
from _peers.job import Shape
from _peers.trainer import Trainer, head_of

ENDLESS = 10**9
"""Iterations of a loop that is left from inside."""


class MeteredEnv:
    """Pass-through around an environment that takes the time of its steps."""

    def __init__(self, env: Any, meter: Meter) -> None:  # noqa: ANN401
        """Wrap `env`."""
        self.env, self.meter = env, meter
        self.num_envs, self.num_actions = env.num_envs, env.num_actions
        self.max_episode_length, self.episode_length_buf = env.max_episode_length, env.episode_length_buf
        self.device, self.cfg = env.device, env.cfg

    def get_observations(self) -> TensorDict:
        """Return the environment's observations."""
        return self.env.get_observations()

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Step the environment."""
        start = time.perf_counter()
        result = self.env.step(actions)
        self.meter.since(start)
        return result


def model_cfg(shape: Shape, *, actor: bool) -> dict[str, Any]:
    """Configuration of one model."""
    cfg: dict[str, Any] = {
        "class_name": "MLPModel",
        "hidden_dims": list(shape.hidden),
        "activation": "elu",
        "obs_normalization": not shape.images,
    }
    if shape.rnn is not None:
        cfg |= {"class_name": "RNNModel", "rnn_type": "lstm", "rnn_hidden_dim": shape.rnn, "rnn_num_layers": 1}
    if shape.images:
        channels, kernels, strides = zip(*job.CONVOLUTIONS, strict=True)
        cnn = {"output_channels": list(channels), "kernel_size": list(kernels), "stride": list(strides)}
        cfg |= {"class_name": "CNNModel", "cnn_cfg": cnn | {"activation": "elu"}}
    if actor:
        cfg["distribution_cfg"] = {"class_name": "GaussianDistribution", "init_std": 1.0, "std_type": "scalar"}
    return cfg


def runner_cfg(shape: Shape) -> dict[str, Any]:
    """Configuration of the runner."""
    return {
        "num_steps_per_env": job.NUM_STEPS,
        "save_interval": ENDLESS,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": model_cfg(shape, actor=True),
        "critic": model_cfg(shape, actor=False),
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": job.NUM_EPOCHS,
            "num_mini_batches": job.NUM_MINI_BATCHES,
            "clip_param": job.CLIP,
            "gamma": job.GAMMA,
            "lam": job.LAM,
            "value_loss_coef": job.VALUE_LOSS_COEF,
            "entropy_coef": job.ENTROPY_COEF,
            "learning_rate": job.LEARNING_RATE,
            "max_grad_norm": job.MAX_GRAD_NORM,
            "optimizer": "adam",
            "use_clipped_value_loss": True,
            "schedule": "adaptive",
            "desired_kl": job.DESIRED_KL,
            "normalize_advantage_per_mini_batch": False,
        },
        "multi_gpu": None,
    }


def make(
    package: str,
    shape: Shape,
    env: Any,  # noqa: ANN401
    meter: Meter,
    clock: Clock,
    seed: int,
    variant: str | None,
) -> Trainer:
    """Build a runner of `package` without a run folder: neither of the two writes or prints anything.

    Args:
        package: "rslcore" or "rsl_rl".
        shape: What to run.
        env: The environment.
        meter: Told about the time spent in it.
        clock: Told about the phases.
        seed: Of weights and noise.
        variant: Of rsl_rl: "compile" runs the models through ``torch.compile``. Of rslcore: the engine.
    """
    torch.manual_seed(seed)
    cfg = runner_cfg(shape) | {"seed": seed}
    if package == "rslcore" and variant is not None:
        cfg["algorithm"]["engine"] = variant
    runner_class = importlib.import_module(f"{package}.runners").OnPolicyRunner
    ppo = importlib.import_module(f"{package}.algorithms").PPO
    logger = importlib.import_module("rslcore.logging" if package == "rslcore" else "rsl_rl.utils.logger").Logger
    runner = runner_class(MeteredEnv(env, meter), cfg, log_dir=None, device="cpu")
    algorithm = runner.alg
    clock.time(ppo, "compute_returns", phase="returns", then="rest")
    clock.time(ppo, "update", phase="update", then="rest")
    clock.ends_with(logger, "log")

    def description() -> str:
        if package == "rsl_rl":
            return "torch.compile mode default" if variant == "compile" else "as it is"
        engine = algorithm.engine
        return f"engine {getattr(engine, 'name', type(engine).__name__)} ({algorithm.engine_reason})"

    def verified() -> None:
        if package == "rsl_rl" and variant == "compile":
            algorithm.compile("default")

    return Trainer(
        train=lambda: runner.learn(ENDLESS),
        parameters=[p for group in algorithm.optimizer.param_groups for p in group["params"]],
        optimizer=algorithm.optimizer,
        # A hook would be refused by an engine that must run.
        head=None if variant in ("fused", "graph") else head_of(algorithm.get_policy(), job.NUM_ACTIONS),
        description=description,
        verified=verified,
    )
