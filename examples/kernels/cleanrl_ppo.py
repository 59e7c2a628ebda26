# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""rslcore's operators in a PPO that fits one file, on Gymnasium's vectorized CartPole.

python examples/kernels/cleanrl_ppo.py [--short] [--json]

The loop is written once; three steps of it are done by `PlainTorch` or by `WithRslcore`, and compared: observation
normalization, returns and advantages, shuffled minibatches.
"""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import numpy as np
import torch
from _measure import ITERATION, Report
from torch import nn
from torch.distributions import Categorical

from rslcore import ops

GAMMA, LAM = 0.99, 0.95
EPOCHS, MINIBATCHES = 4, 8
CLIP, ENTROPY_COEF, VALUE_COEF, MAX_GRAD_NORM, LEARNING_RATE = 0.2, 0.01, 0.5, 0.5, 1e-3
EPS = 1e-8

Fields = dict[str, torch.Tensor]


class PlainTorch:
    """The three steps as single-file implementations write them."""

    def __init__(self, num_features: int) -> None:
        """Start with no observations seen."""
        self.mean, self.var = torch.zeros(num_features), torch.ones(num_features)
        self.count = torch.zeros((), dtype=torch.int64)

    def normalize(self, obs: torch.Tensor) -> torch.Tensor:
        """Learn from the observations [N, D], and scale them by the moments of all so far."""
        n, total = len(obs), int(self.count) + len(obs)
        delta = obs.mean(0) - self.mean
        pooled = self.var * self.count + obs.var(0, correction=0) * n + delta**2 * self.count * n / total
        self.mean, self.var, self.count = self.mean + delta * n / total, pooled / total, self.count + n
        return (obs - self.mean) / (self.var.sqrt() + EPS)

    def returns(
        self,
        rewards: torch.Tensor,
        values: torch.Tensor,
        next_values: torch.Tensor,
        terminated: torch.Tensor,
        truncated: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns and advantages [T, N], backwards through time."""
        advantages = torch.zeros_like(rewards)
        advantage = torch.zeros_like(rewards[0])
        goes_on, has_next = (~(terminated | truncated)).float(), (~terminated).float()
        for t in reversed(range(len(rewards))):
            delta = rewards[t] + GAMMA * next_values[t] * has_next[t] - values[t]
            advantage = delta + GAMMA * LAM * goes_on[t] * advantage
            advantages[t] = advantage
        return advantages + values, advantages

    def order(self, n: int) -> torch.Tensor:
        """A random order of 0..n-1."""
        return torch.randperm(n)

    def minibatches(self, fields: Fields, index: torch.Tensor) -> Iterator[Fields]:
        """Rows of every field [B, ...] in the order of the index, in pieces."""
        for part in index.chunk(MINIBATCHES):
            yield {name: field[part] for name, field in fields.items()}


class WithRslcore(PlainTorch):
    """The same three steps by operators; the signatures stay."""

    def __init__(self, num_features: int) -> None:
        """Number the permutations."""
        super().__init__(num_features)
        self.permutations_drawn = 0

    def normalize(self, obs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        return ops.update_and_normalize(obs, self.mean, self.var, self.count, eps=EPS)

    def returns(  # noqa: D102
        self,
        rewards: torch.Tensor,
        values: torch.Tensor,
        next_values: torch.Tensor,
        terminated: torch.Tensor,
        truncated: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return ops.gae(
            rewards,
            values,
            terminated | truncated,
            next_values[-1],
            gamma=GAMMA,
            lam=LAM,
            time_outs=truncated & ~terminated,
            terminal_values=next_values,
        )

    def order(self, n: int) -> torch.Tensor:  # noqa: D102
        self.permutations_drawn += 1
        return ops.permutation(n, seed=0, offset=self.permutations_drawn)

    def minibatches(self, fields: Fields, index: torch.Tensor) -> Iterator[Fields]:  # noqa: D102
        parts = {name: field.chunk(MINIBATCHES) for name, field in ops.shuffle_rows(fields, index).items()}
        for i in range(len(parts["actions"])):
            yield {name: chunks[i] for name, chunks in parts.items()}


class Training:
    """Environments, networks, and an iteration of PPO."""

    def __init__(self, steps: type[PlainTorch], num_envs: int, num_steps: int) -> None:
        """Start with weights and environments that are the same every time."""
        torch.manual_seed(0)
        self.envs = gymnasium.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")
        num_features, num_actions = self.envs.single_observation_space.shape[0], int(self.envs.single_action_space.n)
        self.steps = steps(num_features)
        self.actor, self.critic = make_mlp(num_features, num_actions), make_mlp(num_features, 1)
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=LEARNING_RATE)
        self.num_steps = num_steps
        self.obs = self.steps.normalize(torch.as_tensor(self.envs.reset(seed=0)[0]))
        self.is_reset = torch.zeros(num_envs, dtype=torch.bool)
        self.running_return = np.zeros(num_envs)
        self.finished: list[float] = []

    @torch.no_grad()
    def rollout(self) -> tuple[Fields, torch.Tensor]:
        """Act T times; everything about it [T, N, ...], and the value of the last observations [N]."""
        history: list[Fields] = []
        for _ in range(self.num_steps):
            policy = Categorical(logits=self.actor(self.obs))
            actions = policy.sample()
            row = {
                "obs": self.obs,
                "actions": actions,
                "log_prob": policy.log_prob(actions),
                "values": self.critic(self.obs).squeeze(-1),
                # This environment spends one step on a reset: the action is ignored and the row teaches nothing.
                "is_reset": self.is_reset,
            }
            obs, rewards, terminated, truncated, _ = self.envs.step(actions.numpy())
            row["rewards"] = torch.as_tensor(rewards, dtype=torch.float32)
            row["terminated"], row["truncated"] = torch.as_tensor(terminated), torch.as_tensor(truncated)
            history.append(row)
            self.is_reset = row["terminated"] | row["truncated"]
            self.obs = self.steps.normalize(torch.as_tensor(obs))
            self.running_return += rewards
            self.finished += self.running_return[self.is_reset.numpy()].tolist()
            self.running_return[self.is_reset.numpy()] = 0
        return {name: torch.stack([row[name] for row in history]) for name in history[0]}, self.critic(self.obs)[:, 0]

    def estimate(self, data: Fields, last_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The arguments of `returns`: after an episode's end, the next row still shows its final observation."""
        next_values = torch.cat([data["values"][1:], last_values[None]])
        return data["rewards"], data["values"], next_values, data["terminated"], data["truncated"]

    def iterate(self) -> None:
        """One iteration of PPO."""
        data, last_values = self.rollout()
        returns, advantages = self.steps.returns(*self.estimate(data, last_values))
        fields = {name: data[name].flatten(0, 1) for name in ("obs", "actions", "log_prob")}
        fields |= {"returns": returns.flatten(), "advantages": advantages.flatten()}
        rows = (~data["is_reset"]).flatten().nonzero().flatten()
        for _ in range(EPOCHS):
            for batch in self.steps.minibatches(fields, rows[self.steps.order(len(rows))]):
                self.learn(**batch)

    def learn(
        self,
        obs: torch.Tensor,
        actions: torch.Tensor,
        log_prob: torch.Tensor,
        returns: torch.Tensor,
        advantages: torch.Tensor,
    ) -> None:
        """One gradient step."""
        policy = Categorical(logits=self.actor(obs))
        ratio = (policy.log_prob(actions) - log_prob).exp()
        scaled = (advantages - advantages.mean()) / (advantages.std() + EPS)
        surrogate = -torch.min(scaled * ratio, scaled * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
        value = (self.critic(obs).squeeze(-1) - returns).square().mean()
        loss = surrogate + VALUE_COEF * value - ENTROPY_COEF * policy.entropy().mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, MAX_GRAD_NORM)
        self.optimizer.step()


def make_mlp(num_inputs: int, num_outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(num_inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, num_outputs))


def compare(report: Report, training: Training, rounds: int) -> None:
    """Both versions of each step on one rollout: the same results, and the time they take."""
    data, last_values = training.rollout()
    num_features = data["obs"].shape[-1]
    plain, ours = PlainTorch(num_features), WithRslcore(num_features)

    report.equal(
        "normalized observations",
        torch.stack([plain.normalize(obs) for obs in data["obs"]]),
        torch.stack([ours.normalize(obs) for obs in data["obs"]]),
    )
    report.time(
        "normalization, one rollout",
        lambda: [plain.normalize(obs) for obs in data["obs"]],
        lambda: [ours.normalize(obs) for obs in data["obs"]],
        rounds,
        per_iteration=1,
    )

    arguments = training.estimate(data, last_values)
    results = plain.returns(*arguments), ours.returns(*arguments)
    for i, name in enumerate(("returns", "advantages")):
        report.equal(name, results[0][i], results[1][i])
    calls = [lambda steps=steps: steps.returns(*arguments) for steps in (plain, ours)]
    report.time("returns and advantages", *calls, rounds=rounds, per_iteration=1)

    fields = {name: data[name].flatten(0, 1) for name in ("obs", "actions", "log_prob", "rewards", "values")}
    index = plain.order(data["rewards"].numel())
    for name in fields:
        parts = (torch.cat([batch[name] for batch in side.minibatches(fields, index)]) for side in (plain, ours))
        report.equal("minibatches", *parts, tolerance=0.0)
    report.time(
        "minibatches of one epoch",
        lambda: list(plain.minibatches(fields, plain.order(len(index)))),
        lambda: list(ours.minibatches(fields, ours.order(len(index)))),
        rounds,
        per_iteration=EPOCHS,
    )


def main() -> None:
    """Compare the steps, then train with both versions in turns."""
    report = Report(__doc__.splitlines()[0])
    num_envs, num_steps, iterations = (64, 16, 3) if report.short else (1024, 64, 8)
    report.note(environment="CartPole-v1", num_envs=num_envs, num_steps=num_steps, iterations=iterations + 1)
    library, ours = (Training(steps, num_envs, num_steps) for steps in (PlainTorch, WithRslcore))
    compare(report, library, rounds=3 if report.short else 30)
    report.time(ITERATION, library.iterate, ours.iterate, rounds=iterations)
    returns = {name: side.finished[-500:] for name, side in (("plain_torch", library), ("rslcore", ours))}
    report.note(mean_return_of_last_500_episodes={name: float(np.mean(last)) for name, last in returns.items()})
    report.finish()


if __name__ == "__main__":
    main()
