# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a second core brings: the operators on one thread and on two, at sizes that are worth it, and memcpy.

python benchmarks/ops/threads.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from _bench import Report, copy_of

from rslcore import ops

ENVS, STEPS = 4_096, 24
ROWS = ENVS * STEPS


def on(threads: int, call: Callable[[], object]) -> Callable[[], object]:
    """The call with as many threads."""

    def run() -> object:
        torch.set_num_threads(threads)
        return call()

    return run


def calls() -> dict[str, Callable[[], object]]:
    """One call of each operator at shape S: 4,096 environments, 24 steps, 48 observations, 12 actions."""
    rewards, values = torch.randn(2, STEPS, ENVS)
    dones, last = torch.rand(STEPS, ENVS) < 0.02, torch.randn(ENVS)
    targets = torch.empty(STEPS, ENVS), torch.empty(STEPS, ENVS)
    x, out = torch.randn(2, ROWS, 48)
    mean, var, count = torch.zeros(48), torch.ones(48), torch.tensor(0)
    means, std = torch.randn(ROWS, 12), torch.rand(12) + 0.5
    actions, log_prob = torch.empty(ROWS, 12), torch.empty(ROWS)
    index = ops.permutation(ROWS, seed=0)
    running, finished, episodes_seen = torch.zeros(2, 65_536), torch.zeros(100, 2), torch.tensor(0)
    step_rewards, step_dones = torch.randn(65_536), torch.rand(65_536) < 0.01
    state = torch.empty(1, 4, 65_536)
    lengths, episodes, ended = torch.zeros(2, 65_536, dtype=torch.int64), torch.zeros(65_536).long(), torch.zeros(2)
    world = (state, lengths[0], episodes, ended.long())
    ops.cart_pole_reset(*world[:3], seed=0)
    pushes = torch.randn(65_536, 1)
    step_out = ops.cart_pole_step(pushes, *world, seed=0, max_episode_length=500)
    return {
        "gae": lambda: ops.gae(rewards, values, dones, last, gamma=0.99, lam=0.95, out=targets),
        "gae, normalize": lambda: ops.gae(
            rewards, values, dones, last, gamma=0.99, lam=0.95, normalize=True, out=targets
        ),
        "update_moments": lambda: ops.update_moments(x, mean, var, count),
        "normalize": lambda: ops.normalize(x, mean, var, out=out),
        "shuffle_rows": lambda: ops.shuffle_rows([x], index, out=[out]),
        "permutation": lambda: ops.permutation(ROWS, seed=0, out=index),
        "gaussian_sample": lambda: ops.gaussian_sample(means, std, seed=0, out=(actions, log_prob)),
        "episode_stats, 65,536": lambda: ops.episode_stats(step_rewards, step_dones, running, finished, episodes_seen),
        "cart_pole_step, 65,536": lambda: ops.cart_pole_step(
            pushes, *world, seed=0, max_episode_length=500, out=step_out
        ),
        "memcpy by torch, 19 MB": copy_of(ROWS * 48 * 4),
    }


def main() -> None:
    """Time every operator."""
    report = Report(__doc__.splitlines()[0])
    for name, call in calls().items():
        report.add(name, {"two threads": on(2, call), "one thread": on(1, call)})
    report.finish()


if __name__ == "__main__":
    main()
