# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""skrl: its sequential trainer and its PPO agent.

What remains different: the learning rate follows the mean KL divergence of an epoch, estimated from samples, and the
gradient norm of actor and critic is limited together. With an LSTM, skrl leaves the network to its user and takes
minibatches of whole environments.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import gymnasium
import numpy as np
import skrl
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG, PPO_RNN
from skrl.agents.torch.ppo import ppo as ppo_module
from skrl.agents.torch.ppo import ppo_rnn as ppo_rnn_module
from skrl.envs.wrappers.torch import Wrapper
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from skrl.trainers.torch import SequentialTrainer

from _peers import job
from _peers.clock import Clock
from _peers.environments import Meter
from _peers.job import Shape
from _peers.networks import Network
from _peers.trainer import Trainer, head_of

ENDLESS = 10**9
"""Steps of a loop that is left from inside."""


class EnvWrapper(Wrapper):
    """An environment of the benchmark as skrl sees it."""

    def __init__(self, env: Any, meter: Meter, shape: Shape) -> None:  # noqa: ANN401
        """Wrap `env`."""
        super().__init__(env)
        self.meter = meter
        self._num_envs, self._size = shape.num_envs, int(np.prod(shape.observation))

    @property
    def num_envs(self) -> int:
        """Number of environments."""
        return self._num_envs

    @property
    def observation_space(self) -> gymnasium.Space:
        """Flat and unbounded."""
        return gymnasium.spaces.Box(-np.inf, np.inf, (self._size,), np.float32)

    @property
    def action_space(self) -> gymnasium.Space:
        """Unbounded."""
        return gymnasium.spaces.Box(-np.inf, np.inf, (job.NUM_ACTIONS,), np.float32)

    def reset(self) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the first observations."""
        return self._env.get_observations()["policy"].flatten(1), {}

    def step(self, actions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, dict]:
        """Step the environment; the agent adds to the rewards, so they are copied."""
        start = time.perf_counter()
        observations, rewards, dones, extras = self._env.step(actions)
        truncated = extras["time_outs"].unsqueeze(1)
        terminated = dones.bool().unsqueeze(1) & ~truncated
        result = observations["policy"].flatten(1), rewards.unsqueeze(1).clone(), terminated, truncated, {}
        self.meter.since(start)
        return result

    def state(self) -> torch.Tensor | None:
        """There is none."""
        return None

    def render(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Show nothing."""

    def close(self) -> None:
        """Hold nothing."""


class _Base(Model):
    """A network of the job as a model of skrl."""

    def setup(self, shape: Shape, outputs: int) -> None:
        self.network = Network(shape, outputs)
        self._shape = shape

    def get_specification(self) -> dict[str, Any]:
        """Size of the state of an LSTM."""
        if self._shape.rnn is None:
            return {}
        size = (1, self._shape.num_envs, self._shape.rnn)
        return {"rnn": {"sequence_length": job.NUM_STEPS, "sizes": [size, size]}}

    def forward_network(self, inputs: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
        observations = inputs["observations"]
        if self._shape.rnn is None:
            return self.network(observations), {}
        if self.training:
            ends = inputs["terminated"] | inputs["truncated"]
            return self.network.sequences(observations, inputs["rnn"], ends), {}
        output, state = self.network.step(observations, inputs["rnn"])
        return output, {"rnn": state}


class Policy(GaussianMixin, _Base):
    """The actor."""

    def __init__(self, shape: Shape, spaces: dict[str, Any]) -> None:
        """Build it."""
        _Base.__init__(self, **spaces)
        GaussianMixin.__init__(self)
        self.setup(shape, job.NUM_ACTIONS)
        self.log_std = torch.nn.Parameter(torch.zeros(job.NUM_ACTIONS))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """Mean actions, and what else skrl wants."""
        mean, outputs = self.forward_network(inputs)
        return mean, outputs | {"log_std": self.log_std}


class Value(DeterministicMixin, _Base):
    """The critic."""

    def __init__(self, shape: Shape, spaces: dict[str, Any]) -> None:
        """Build it."""
        _Base.__init__(self, **spaces)
        DeterministicMixin.__init__(self)
        self.setup(shape, 1)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """Values."""
        return self.forward_network(inputs)


def make(
    shape: Shape,
    env: Any,  # noqa: ANN401
    meter: Meter,
    clock: Clock,
    seed: int,
    variant: str | None,
) -> Trainer:
    """Build a trainer that writes nothing; there are no variants."""
    if variant is not None:
        raise ValueError(f"skrl has no variant '{variant}'")
    torch.manual_seed(seed)
    skrl.logger.setLevel(logging.WARNING)
    env = EnvWrapper(env, meter, shape)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": "cpu"}
    models = {"policy": Policy(shape, spaces), "value": Value(shape, spaces)}
    cfg = PPO_CFG(
        rollouts=job.NUM_STEPS,
        learning_epochs=job.NUM_EPOCHS,
        mini_batches=job.NUM_MINI_BATCHES,
        discount_factor=job.GAMMA,
        gae_lambda=job.LAM,
        learning_rate=job.LEARNING_RATE,
        learning_rate_scheduler=KLAdaptiveLR,
        learning_rate_scheduler_kwargs={"kl_threshold": job.DESIRED_KL, "min_lr": 1e-5},
        observation_preprocessor=None if shape.images else RunningStandardScaler,
        observation_preprocessor_kwargs={} if shape.images else {"size": env.observation_space, "device": "cpu"},
        grad_norm_clip=job.MAX_GRAD_NORM,
        ratio_clip=job.CLIP,
        value_clip=job.CLIP,
        entropy_loss_scale=job.ENTROPY_COEF,
        value_loss_scale=job.VALUE_LOSS_COEF,
        time_limit_bootstrap=True,
    )
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    agent_class, module = (PPO, ppo_module) if shape.rnn is None else (PPO_RNN, ppo_rnn_module)
    memory = RandomMemory(memory_size=job.NUM_STEPS, num_envs=shape.num_envs, device="cpu")
    agent = agent_class(models=models, memory=memory, cfg=cfg, **spaces)
    trainer = SequentialTrainer(
        env=env,
        agents=agent,
        cfg={
            "timesteps": ENDLESS,
            "headless": True,
            "disable_progressbar": True,
            "close_environment_at_exit": False,
        },
    )
    clock.time(agent_class, "update", phase="returns", then="rest")
    clock.time(module, "compute_gae", then="update")
    clock.ends_with(agent_class, "post_interaction", lambda: clock.phase == "rest")
    return Trainer(
        train=trainer.train,
        parameters=[p for group in agent.optimizer.param_groups for p in group["params"]],
        optimizer=agent.optimizer,
        head=head_of(models["policy"], job.NUM_ACTIONS),
        description=lambda: "SequentialTrainer",
    )
