# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`ops.episode_stats` against the bookkeeping of rsl_rl 5.5.1's logger, per step of all environments.

python benchmarks/ops/episode_stats.py [--json] [--seconds S]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from _bench import Report, copy_of
from rsl_rl.utils.logger import Logger

from rslcore import ops

CASES = [(64, 0.03), (4_096, 0.001), (4_096, 0.01), (65_536, 0.001)]
"""Environments, and the part of them whose episode ends on a step."""


def rsl_rl_logger(rewards: torch.Tensor, dones: torch.Tensor, intrinsic: torch.Tensor | None) -> Callable[[], object]:
    """process_env_step() of rsl_rl's logger, with a writer that is never written to."""
    cfg = {"num_steps_per_env": 24, "algorithm": {"rnd_cfg": {} if intrinsic is None else {"weight": 1.0}}}
    logger = Logger(None, cfg, {}, rewards.numel(), False, 1, 0, "cpu")
    logger.writer = object()
    return lambda: logger.process_env_step(rewards, dones, {}, intrinsic)


def python_loop(rewards: torch.Tensor, dones: torch.Tensor) -> Callable[[], object]:
    """A loop over environments, as single-file trainers have it (CleanRL's and Gymnasium's episode statistics)."""
    sums, lengths = torch.zeros_like(rewards), torch.zeros_like(rewards)
    kept: deque[tuple[float, float]] = deque(maxlen=100)

    def run() -> None:
        sums.add_(rewards)
        lengths.add_(1)
        for n, done in enumerate(dones.tolist()):
            if done:
                kept.append((float(sums[n]), float(lengths[n])))
                sums[n] = lengths[n] = 0

    return run


def main() -> None:
    """Time every case, without and with intrinsic rewards."""
    report = Report(__doc__.splitlines()[0])
    for num_envs, share in CASES:
        for rows in (2, 4):
            generator = torch.Generator().manual_seed(0)
            rewards, extra = torch.randn(2, num_envs, generator=generator)
            intrinsic = extra if rows == 4 else None
            dones = torch.rand(num_envs, generator=generator) < share
            state = (torch.zeros(rows, num_envs), torch.zeros(100, rows), torch.tensor(0))
            calls = {
                "rslcore.ops.episode_stats": lambda r=rewards, d=dones, s=state, i=intrinsic: ops.episode_stats(
                    r, d, *s, intrinsic_rewards=i
                ),
                "rsl_rl 5.5.1 Logger.process_env_step": rsl_rl_logger(rewards, dones, intrinsic),
                "memcpy of the same bytes (sums read and written)": copy_of(4 * num_envs * rows),
            }
            if rows == 2:
                calls["Python loop over environments"] = python_loop(rewards, dones)
            kind = "with intrinsic rewards" if rows == 4 else "returns and lengths"
            report.add(f"episode_stats {num_envs:,} environments, {int(dones.sum())} done, {kind}", calls)
    report.finish()


if __name__ == "__main__":
    main()
