# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rl_games: its runner's agent for continuous actions.

What remains different: minibatches are consecutive rows, never shuffled; the optimizer is Adam's fused form; the
gradient norm of actor and critic is limited together; the running moments learn during the first epoch. Statistics of
episodes are computed, but go nowhere.
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import gymnasium
import numpy as np
import torch
from rl_games.algos_torch.a2c_continuous import A2CAgent
from rl_games.common import env_configurations, vecenv
from rl_games.common.ivecenv import IVecEnv
from rl_games.torch_runner import Runner

from _peers import job
from _peers.clock import Clock
from _peers.environments import Meter
from _peers.job import Shape
from _peers.trainer import Trainer, head_of


class EnvAdapter(IVecEnv):
    """An environment of the benchmark as rl_games sees it."""

    def __init__(self, env: Any, meter: Meter, shape: Shape) -> None:  # noqa: ANN401
        """Wrap `env`."""
        self.env, self.meter, self.shape = env, meter, shape

    def reset(self) -> torch.Tensor:
        """Return the first observations."""
        return self.env.get_observations()["policy"]

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Step the environment."""
        start = time.perf_counter()
        observations, rewards, dones, extras = self.env.step(actions)
        result = observations["policy"], rewards, dones.to(torch.uint8), {"time_outs": extras["time_outs"]}
        self.meter.since(start)
        return result

    def get_env_info(self) -> dict[str, Any]:
        """Return the spaces, which are unbounded."""
        return {
            "observation_space": gymnasium.spaces.Box(-np.inf, np.inf, self.shape.observation, np.float32),
            "action_space": gymnasium.spaces.Box(-1.0, 1.0, (job.NUM_ACTIONS,), np.float32),
        }


class NoWriter:
    """Takes what would be written to TensorBoard."""

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Write nothing."""


def network_cfg(shape: Shape) -> dict[str, Any]:
    """Configuration of the network: actor and critic apart."""
    default = {"name": "default"}
    cfg: dict[str, Any] = {
        "name": "actor_critic",
        "separate": True,
        "space": {
            "continuous": {
                "mu_activation": "None",
                "sigma_activation": "None",
                "mu_init": default,
                "sigma_init": {"name": "const_initializer", "val": 0},
                "fixed_sigma": True,
            }
        },
        "mlp": {"units": list(shape.hidden), "activation": "elu", "initializer": default},
    }
    if shape.rnn is not None:
        cfg["rnn"] = {"name": "lstm", "units": shape.rnn, "layers": 1, "before_mlp": True}
    if shape.images:
        convolutions = [
            {"filters": filters, "kernel_size": kernel, "strides": stride, "padding": 0}
            for filters, kernel, stride in job.CONVOLUTIONS
        ]
        cfg["cnn"] = {
            "type": "conv2d",
            "activation": "elu",
            "initializer": default,
            "permute_input": False,
            "convs": convolutions,
        }
    return cfg


def runner_cfg(shape: Shape, seed: int, threads: int, folder: str) -> dict[str, Any]:
    """Configuration of the runner."""
    config = {
        "name": "free",
        "env_name": "free",
        "device": "cpu",
        "train_dir": folder,
        "num_actors": shape.num_envs,
        "horizon_length": job.NUM_STEPS,
        "seq_length": job.NUM_STEPS,
        "minibatch_size": shape.rows,
        "mini_epochs": job.NUM_EPOCHS,
        "normalize_input": not shape.images,
        "normalize_value": False,
        "normalize_advantage": True,
        "value_bootstrap": True,
        "gamma": job.GAMMA,
        "tau": job.LAM,
        "e_clip": job.CLIP,
        "clip_value": True,
        "clip_actions": False,
        "critic_coef": 2 * job.VALUE_LOSS_COEF,  # halved by the agent
        "entropy_coef": job.ENTROPY_COEF,
        "bound_loss_type": "regularisation",
        "bounds_loss_coef": 0.0,
        "learning_rate": job.LEARNING_RATE,
        "lr_schedule": "adaptive",
        "schedule_type": "legacy",
        "kl_threshold": job.DESIRED_KL,
        "truncate_grads": True,
        "grad_norm": job.MAX_GRAD_NORM,
        "reward_shaper": {"scale_value": 1},
        "max_epochs": -1,
        "save_best_after": 10**9,
        "print_stats": False,
    }
    return {
        "params": {
            "seed": seed,
            "torch_threads": threads,
            "algo": {"name": "a2c_continuous"},
            "model": {"name": "continuous_a2c_logstd"},
            "network": network_cfg(shape),
            "config": config,
        }
    }


def make(
    shape: Shape,
    env: Any,  # noqa: ANN401
    meter: Meter,
    clock: Clock,
    seed: int,
    variant: str | None,
) -> Trainer:
    """Build an agent; the variant "compile" runs its model through ``torch.compile``, as is the package's default."""
    if variant not in (None, "compile"):
        raise ValueError(f"rl_games has no variant '{variant}'")
    vecenv.register("FREE", lambda config_name, num_actors, **kwargs: EnvAdapter(env, meter, shape))
    env_configurations.register("free", {"vecenv_type": "FREE", "env_creator": None})
    runner = Runner()
    with tempfile.TemporaryDirectory() as folder:
        runner.load(runner_cfg(shape, seed, torch.get_num_threads(), folder))
        agent = runner.algo_factory.create(runner.algo_name, base_name="run", params=runner.params)
        agent.writer.close()
    agent.writer = NoWriter()
    clock.time(A2CAgent, "get_values", phase="returns")
    clock.time(A2CAgent, "prepare_dataset", then="update")
    clock.time(A2CAgent, "train_epoch", then="rest")
    clock.ends_with(A2CAgent, "update_epoch", lambda: agent.epoch_num > 1)

    def verified() -> None:
        if variant == "compile":
            agent.model = torch.compile(agent.model, mode="default")

    return Trainer(
        train=agent.train,
        parameters=[p for group in agent.optimizer.param_groups for p in group["params"]],
        optimizer=agent.optimizer,
        head=head_of(agent.model, job.NUM_ACTIONS),
        description=lambda: "torch.compile mode default" if variant == "compile" else "torch_compile: False",
        verified=verified,
    )
