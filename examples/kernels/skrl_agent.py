# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rslcore's operators in a PPO agent of skrl, on the Ant of Gymnasium: its estimator, its memory and its preprocessor.

python examples/kernels/skrl_agent.py [--short] [--json]
"""

from __future__ import annotations

import tempfile
from typing import Any
from unittest import mock

import gymnasium
import skrl
import torch
from _measure import ITERATION, Report
from gymnasium.vector import AutoresetMode
from skrl.agents.torch.ppo import PPO
from skrl.agents.torch.ppo import ppo as skrl_ppo
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import nn

from rslcore import ops

EPOCHS, MINIBATCHES = 4, 8


def compute_gae(
    *,
    rewards: torch.Tensor,
    terminated: torch.Tensor,
    truncated: torch.Tensor,
    values: torch.Tensor,
    last_values: torch.Tensor,
    discount_factor: float = 0.99,
    lambda_coefficient: float = 0.95,
    time_limit_bootstrap: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns and normalized advantages [T, N, 1], in place of skrl's function of this name."""
    dones = terminated | truncated if time_limit_bootstrap else terminated
    return ops.gae(rewards, values, dones, last_values, gamma=discount_factor, lam=lambda_coefficient, normalize=True)


class RslcorePPO(PPO):
    """skrl's PPO with another estimator.

    A program that has no use for both assigns `skrl.agents.torch.ppo.ppo.compute_gae = compute_gae` once instead.
    """

    def update(self, *, timestep: int, timesteps: int) -> None:
        """Learn from the memory."""
        with mock.patch.object(skrl_ppo, "compute_gae", compute_gae):
            super().update(timestep=timestep, timesteps=timesteps)


class RslcoreMemory(RandomMemory):
    """A memory whose minibatches are views of rows that were shuffled at once."""

    def sample_by_index(
        self, names: list[str], *, indexes: torch.Tensor, mini_batches: int = 1
    ) -> list[list[torch.Tensor | None]]:
        """The rows of these indexes, in minibatches; None for tensors that the memory does not have."""
        shuffled = ops.shuffle_rows({name: self.tensors_view[name] for name in names if name in self.tensors}, indexes)
        parts = {name: rows.tensor_split(mini_batches) for name, rows in shuffled.items()}
        return [[parts[name][i] if name in parts else None for name in names] for i in range(mini_batches)]


class RslcoreScaler(RunningStandardScaler):
    """skrl's running standardization; the passes over the data are ours, its float64 statistics stay."""

    def _compute(self, x: torch.Tensor, *, train: bool = False, inverse: bool = False) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if train:
            mean, var = torch.zeros_like(rows[0]), torch.ones_like(rows[0])
            ops.update_moments(rows, mean, var, torch.zeros((), dtype=torch.int64, device=x.device))
            # skrl pools unbiased variances, the operator gives the population's.
            self._parallel_variance(mean, var * (len(rows) / (len(rows) - 1)), len(rows))
        if inverse:
            return super()._compute(x, inverse=True)
        scaled = ops.normalize(rows, self.running_mean.float(), self.running_variance.float(), eps=self.epsilon)
        return scaled.clamp_(-self.clip_threshold, self.clip_threshold).view(x.shape)


class Policy(GaussianMixin, Model):
    """Two hidden layers to the mean of a Gaussian."""

    def __init__(self, env: Any) -> None:  # noqa: ANN401 - a wrapper of skrl's
        """Build the network for an environment."""
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device=env.device)
        GaussianMixin.__init__(self)
        self.net = make_mlp(self.num_observations, self.num_actions)
        self.log_std = nn.Parameter(torch.zeros(self.num_actions))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """Mean and logarithm of the standard deviation."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    """Two hidden layers to the value."""

    def __init__(self, env: Any) -> None:  # noqa: ANN401
        """Build the network for an environment."""
        Model.__init__(self, observation_space=env.observation_space, action_space=env.action_space, device=env.device)
        DeterministicMixin.__init__(self)
        self.net = make_mlp(self.num_observations, 1)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
        """The value."""
        return self.net(inputs["observations"]), {}


def make_mlp(num_inputs: int, num_outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(num_inputs, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, num_outputs))


class Training:
    """An environment, an agent, and skrl's trainer for one rollout at a time."""

    def __init__(
        self,
        agent_class: type[PPO],
        memory_class: type[RandomMemory],
        scaler_class: type[RunningStandardScaler],
        num_envs: int,
        num_steps: int,
        directory: str,
    ) -> None:
        """Start with weights and environments that are the same every time."""
        set_seed(0)
        envs = gymnasium.make_vec(
            "Ant-v5",
            num_envs,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        )
        env = wrap_env(envs, wrapper="gymnasium", verbose=False)
        self.memory = memory_class(memory_size=num_steps, num_envs=num_envs, device=env.device)
        agent = agent_class(
            models={"policy": Policy(env), "value": Value(env)},
            memory=self.memory,
            observation_space=env.observation_space,
            action_space=env.action_space,
            device=env.device,
            cfg={
                "rollouts": num_steps,
                "learning_epochs": EPOCHS,
                "mini_batches": MINIBATCHES,
                "discount_factor": 0.99,
                "observation_preprocessor": scaler_class,
                "observation_preprocessor_kwargs": {"size": env.observation_space},
                "value_preprocessor": scaler_class,
                "value_preprocessor_kwargs": {"size": 1},
                "experiment": {"directory": directory, "write_interval": 0, "checkpoint_interval": 0},
            },
        )
        cfg = {
            "timesteps": num_steps,
            "headless": True,
            "disable_progressbar": True,
            "close_environment_at_exit": False,
        }
        self.trainer = SequentialTrainer(env=env, agents=agent, cfg=cfg)

    def iterate(self) -> None:
        """One rollout and the update that follows it."""
        self.trainer.train()


def compare(report: Report, memory: RandomMemory, rounds: int) -> None:
    """Both versions of each piece on a rollout that an agent has stored: the same results, and their times."""
    names = ["observations", "states", "actions", "log_prob", "values", "returns", "advantages"]
    num_steps, num_envs = memory.memory_size, memory.num_envs
    arguments = {name: memory.get_tensor_by_name(name) for name in ("rewards", "terminated", "truncated", "values")}
    arguments |= {"last_values": arguments["values"][-1].clone(), "time_limit_bootstrap": True}
    results = skrl_ppo.compute_gae(**arguments), compute_gae(**arguments)
    for i, name in enumerate(("returns", "advantages")):
        report.equal(name, results[0][i], results[1][i])
    report.time(
        "returns and advantages",
        lambda: skrl_ppo.compute_gae(**arguments),
        lambda: compute_gae(**arguments),
        rounds,
        per_iteration=1,
    )

    ours = RslcoreMemory(memory_size=num_steps, num_envs=num_envs)
    ours.tensors, ours.tensors_view, ours.filled = memory.tensors, memory.tensors_view, True
    size = num_steps * num_envs
    batches = []
    for side in (memory, ours):
        torch.manual_seed(0)
        batches.append(side.sample(names, batch_size=size, mini_batches=MINIBATCHES))
    for theirs, mine in zip(*batches, strict=True):
        for name, expected, field in zip(names, theirs, mine, strict=True):
            assert (expected is None) == (field is None), name
            if expected is not None:
                report.equal("minibatches", expected, field, tolerance=0.0)
    report.time(
        "minibatches of one epoch",
        lambda: memory.sample(names, batch_size=size, mini_batches=MINIBATCHES),
        lambda: ours.sample(names, batch_size=size, mini_batches=MINIBATCHES),
        rounds,
        per_iteration=EPOCHS,
    )

    observations = memory.get_tensor_by_name("observations")
    scalers = [cls(observations.shape[-1], device="cpu") for cls in (RunningStandardScaler, RslcoreScaler)]
    outputs = [torch.stack([scaler(obs, train=True) for obs in observations]) for scaler in scalers]
    report.equal("standardized observations", *outputs)
    report.equal("running variance", *(scaler.running_variance for scaler in scalers))
    batches = observations.flatten(0, 1).tensor_split(MINIBATCHES)
    for name, parts, train, per_iteration in (
        ("standardization of one epoch, training", batches, True, 1),
        ("standardization of one epoch", batches, False, EPOCHS - 1),
        ("standardization while acting", observations, False, 1),
    ):
        calls = [lambda s=s, p=parts, t=train: [s(part, train=t) for part in p] for s in scalers]
        report.time(name, *calls, rounds=rounds, per_iteration=per_iteration)

    # Where thousands of robots are simulated at once, a batch is larger.
    wide = torch.randn(4096, 48)
    scalers = [cls(wide.shape[-1], device="cpu") for cls in (RunningStandardScaler, RslcoreScaler)]
    for name, train in (("standardization, 4096 x 48, training", True), ("standardization, 4096 x 48", False)):
        report.time(name, *(lambda s=s, t=train: s(wide, train=t) for s in scalers), rounds=rounds)


def main() -> None:
    """Train with both versions in turns, then compare the pieces on what was stored."""
    report = Report(__doc__.splitlines()[0])
    skrl.logger.setLevel("WARNING")
    num_envs, num_steps, iterations = (4, 16, 2) if report.short else (32, 256, 4)
    report.note(environment="Ant-v5", num_envs=num_envs, num_steps=num_steps, iterations=iterations + 1)
    with tempfile.TemporaryDirectory() as directory:
        library, ours = (
            Training(*classes, num_envs, num_steps, directory)
            for classes in ((PPO, RandomMemory, RunningStandardScaler), (RslcorePPO, RslcoreMemory, RslcoreScaler))
        )
        report.time(ITERATION, library.iterate, ours.iterate, rounds=iterations)
        compare(report, library.memory, rounds=3 if report.short else 30)
    report.finish()


if __name__ == "__main__":
    main()
