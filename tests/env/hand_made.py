# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Episodes written by hand, and what every adapter has to make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rslcore import ops

EPISODES = ((3, "terminated"), (2, "truncated"), (1, "terminated"), (4, "both"), (5, "truncated"))
"""Length and end of the episodes of environment 0; environment i begins with episode i. Then they repeat."""
NUM_ENVS = 3
STEPS = 24
GAMMA, LAM = 0.9, 0.8


@dataclass
class Counter:
    """One environment: its observation is (environment, episode, step), its reward tells episode, step and action."""

    index: int
    episode: int = 0
    step_count: int = 0

    @property
    def script(self) -> tuple[int, str]:
        """Length and end of the present episode."""
        return EPISODES[(self.index + self.episode) % len(EPISODES)]

    @property
    def observation(self) -> np.ndarray:
        """Three numbers that tell everything."""
        return np.array([self.index, self.episode, self.step_count], dtype=np.float32)

    def step(self, action: float) -> tuple[float, bool, bool]:
        """Go one step; returns reward, terminated, truncated."""
        self.step_count += 1
        length, end = self.script
        over = self.step_count == length
        reward = 10.0 * self.episode + self.step_count + 100.0 * action
        return reward, over and end != "truncated", over and end != "terminated"

    def restart(self) -> None:
        """Begin the next episode."""
        self.episode += 1
        self.step_count = 0


@dataclass
class Row:
    """What one step of one environment must look like."""

    observation: list[float]
    reward: float
    done: bool
    time_out: bool
    next_observation: list[float]
    final_observation: list[float]


def actions_of(step: int) -> torch.Tensor:
    """Discrete actions that differ between environments and steps: float32 [N, 1]."""
    return torch.tensor([[float((step + index) % 2)] for index in range(NUM_ENVS)])


def expected_rows(index: int, steps: int = STEPS) -> list[Row]:
    """The transitions of one environment, derived from the script alone."""
    counter, rows = Counter(index), []
    for step in range(steps):
        before = counter.observation.tolist()
        reward, terminated, truncated = counter.step(actions_of(step)[index, 0].item())
        final = counter.observation.tolist()
        if terminated or truncated:
            counter.restart()
        rows.append(
            Row(
                before,
                reward,
                terminated or truncated,
                truncated and not terminated,
                counter.observation.tolist(),
                final,
            )
        )
    return rows


def check_transitions(env, group: str = "policy", has_final_obs: bool = True) -> None:
    """Step a fresh environment of `Counter`s and compare every transition with the script."""
    expected = [expected_rows(index) for index in range(NUM_ENVS)]
    steps_in_episode = torch.zeros(NUM_ENVS, dtype=torch.int64)
    for step in range(STEPS):
        rows = [expected[index][step] for index in range(NUM_ENVS)]
        assert env.get_observations()[group].tolist() == [row.observation for row in rows], step
        observations, rewards, dones, extras = env.step(actions_of(step))
        assert rewards.dtype == torch.float32 and rewards.tolist() == [row.reward for row in rows], step
        assert dones.dtype == torch.bool and dones.tolist() == [row.done for row in rows], step
        assert extras["time_outs"].dtype == torch.bool
        assert extras["time_outs"].tolist() == [row.time_out for row in rows], step
        assert observations[group].tolist() == [row.next_observation for row in rows], step
        steps_in_episode = torch.where(dones, 0, steps_in_episode + 1)
        assert torch.equal(env.episode_length_buf, steps_in_episode), step
        assert ("log" in extras) == bool(dones.any())
        assert ("final_obs" in extras) == (bool(dones.any()) and has_final_obs)
        if "final_obs" in extras:
            for index, row in enumerate(rows):
                assert extras["final_obs"][group][index].tolist() == row.final_observation, step
        if dones.any():
            share = sum(row.time_out for row in rows) / sum(row.done for row in rows)
            assert float(extras["log"]["Episode_Termination/time_out"]) == np.float32(share)


def value_of(observation) -> float:
    """A value function that tells all states apart."""
    index, episode, step = observation
    return 0.5 * index + 2.0 * episode - 0.25 * step


def check_returns(env, group: str = "policy") -> None:
    """GAE of a rollout equals, for every episode, the sum written out by hand.

    A_t = sum over k of (gamma * lam)^k * delta_{t + k} up to the end of the episode or of the rollout; the last delta
    of a terminated episode has no value behind it; that of a timed-out one has gamma * V(s_t), as rsl_rl 5.5.1 does.
    """
    values, rewards, dones = (torch.zeros(STEPS, NUM_ENVS) for _ in range(3))
    for step in range(STEPS):
        observations = env.get_observations()[group]
        values[step] = torch.tensor([value_of(row.tolist()) for row in observations])
        _, reward, done, extras = env.step(actions_of(step))
        rewards[step] = reward + GAMMA * values[step] * extras["time_outs"]
        dones[step] = done
    last = torch.tensor([value_of(row.tolist()) for row in env.get_observations()[group]])
    returns, advantages = ops.gae(rewards, values, dones, last, gamma=GAMMA, lam=LAM)

    for index in range(NUM_ENVS):
        rows = expected_rows(index)
        deltas = []
        for row in rows:
            value = value_of(row.observation)
            behind = 0.0 if row.done else value_of(row.next_observation)
            cut_off = value if row.time_out else 0.0
            deltas.append(row.reward + GAMMA * (behind + cut_off) - value)
        for step in range(STEPS):
            advantage, weight = 0.0, 1.0
            for k in range(step, STEPS):
                advantage += weight * deltas[k]
                weight *= GAMMA * LAM
                if rows[k].done:
                    break
            assert abs(advantages[step, index].item() - advantage) < 1e-3, (step, index)
            assert abs(returns[step, index].item() - advantage - value_of(rows[step].observation)) < 1e-3
