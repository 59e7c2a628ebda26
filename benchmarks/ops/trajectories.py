# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Trajectories for recurrent models against rsl_rl's functions, and against a memcpy of the bytes that must be moved.

python benchmarks/ops/trajectories.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from _bench import Report, copy_of
from rsl_rl import utils as rsl_rl
from rsl_rl.storage import RolloutStorage as RslRlStorage
from tensordict import TensorDict

from rslcore import ops
from rslcore.storage import RolloutStorage
from rslcore.utils import split_and_pad_trajectories, unpad_trajectories

STEPS = 24
SIZES = [64, 1_024, 4_096]
EPISODE_LENGTHS = [10, 1_000]
OBSERVATIONS, ACTIONS, HIDDEN = 48, 12, 128
EPOCHS, MINI_BATCHES = 5, 4


def rollout_dones(num_envs: int, episode_length: int) -> torch.Tensor:
    """Dones [T, N, 1] of episodes of this mean length."""
    return (torch.rand(STEPS, num_envs, 1) < 1 / episode_length).byte()


def filled(cls: type, dones: torch.Tensor) -> RolloutStorage | RslRlStorage:
    """A storage with a rollout of a policy and a value function with an LSTM each."""
    num_envs = dones.shape[1]
    obs = TensorDict({"policy": torch.randn(num_envs, OBSERVATIONS)}, batch_size=[num_envs])
    storage = cls("rl", num_envs, STEPS, obs, [ACTIONS], "cpu")
    for step in range(STEPS):
        transition = cls.Transition()
        transition.observations = obs
        transition.actions = torch.randn(num_envs, ACTIONS)
        transition.rewards, transition.dones = torch.randn(num_envs), dones[step, :, 0]
        transition.values, transition.actions_log_prob = torch.randn(num_envs, 1), torch.randn(num_envs)
        transition.distribution_params = (torch.randn(num_envs, ACTIONS), torch.rand(num_envs, ACTIONS))
        state = (torch.randn(1, num_envs, HIDDEN), torch.randn(1, num_envs, HIDDEN))
        transition.hidden_states = (state, state)
        storage.add_transition(transition)
    return storage


def drained(batches: Iterator[object]) -> None:
    """Goes through all minibatches of an update."""
    for _ in batches:
        pass


def functions(report: Report, num_envs: int, episode_length: int) -> None:
    """The functions by themselves, on the data that an update hands to them."""
    dones = rollout_dones(num_envs, episode_length)
    x = torch.randn(STEPS, num_envs, OBSERVATIONS)
    padded, masks = split_and_pad_trajectories(x, dones)
    count = padded.shape[1]
    split = ops.split_trajectories(dones)
    starts, lengths = split.starts[:count], split.lengths[:count]
    padded_out = torch.empty_like(padded)
    case = f"{STEPS} x {num_envs:,}, episodes of {episode_length:,}, {count:,} trajectories"
    report.add(
        f"split and pad observations {case}",
        {
            "rslcore split_and_pad_trajectories": lambda: split_and_pad_trajectories(x, dones),
            "rsl_rl split_and_pad_trajectories": lambda: rsl_rl.split_and_pad_trajectories(x, dones),
            "rslcore.ops.split_trajectories": lambda: ops.split_trajectories(dones),
            "rslcore.ops.pad_trajectories(out=)": lambda: ops.pad_trajectories(x, starts, lengths, out=padded_out),
            "memcpy of the padded bytes": copy_of(padded.nbytes),
        },
    )
    features = torch.randn(STEPS, count, HIDDEN)
    out = torch.empty(STEPS, num_envs, HIDDEN)
    report.add(
        f"unpad features {case}",
        {
            "rslcore unpad_trajectories": lambda: unpad_trajectories(features, masks),
            "rsl_rl unpad_trajectories": lambda: rsl_rl.unpad_trajectories(features, masks),
            "rslcore.ops.unpad_trajectories(out=)": lambda: ops.unpad_trajectories(
                features, starts, lengths, num_envs=num_envs, out=out
            ),
            "memcpy of the rollout's bytes": copy_of(out.nbytes),
        },
    )
    leaf = features.clone().requires_grad_()
    weight = torch.randn(STEPS, num_envs, HIDDEN)
    report.add(
        f"unpad features, forward and backward {case}",
        {
            "rslcore unpad_trajectories": lambda: torch.autograd.grad(unpad_trajectories(leaf, masks), leaf, weight),
            "rsl_rl unpad_trajectories": lambda: torch.autograd.grad(
                rsl_rl.unpad_trajectories(leaf, masks), leaf, weight
            ),
        },
    )


def updates(report: Report, num_envs: int, episode_length: int) -> None:
    """All minibatches of an update with two LSTMs, without the learning."""
    dones = rollout_dones(num_envs, episode_length)
    ours, theirs = filled(RolloutStorage, dones), filled(RslRlStorage, dones)
    report.add(
        f"minibatches of an update, {EPOCHS} epochs x {MINI_BATCHES}, {STEPS} x {num_envs:,}, "
        f"episodes of {episode_length:,}",
        {
            "rslcore RolloutStorage": lambda: drained(ours.recurrent_mini_batch_generator(MINI_BATCHES, EPOCHS)),
            "rsl_rl RolloutStorage": lambda: drained(theirs.recurrent_mini_batch_generator(MINI_BATCHES, EPOCHS)),
        },
    )


def main() -> None:
    """Rollouts of few and many environments, of short and long episodes."""
    report = Report(__doc__.splitlines()[0])
    torch.manual_seed(0)
    for num_envs in SIZES:
        for episode_length in EPISODE_LENGTHS:
            functions(report, num_envs, episode_length)
            updates(report, num_envs, episode_length)
    report.finish()


if __name__ == "__main__":
    main()
