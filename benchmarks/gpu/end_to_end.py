# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Whole training iterations on a GPU with the built-in environment: env steps per second of everything together.

python benchmarks/gpu/end_to_end.py [--num-envs 65536 262144] [--out FILE]
"""

from __future__ import annotations

import contextlib
import io
import statistics
import time
from typing import Any

import torch
from _card import finish, parser, require_device, synchronize

from rslcore.env.cart_pole_vec_env import CartPoleVecEnv
from rslcore.runners import OnPolicyRunner
from rslcore.tasks.cart_pole import training_cfg


def measure(num_envs: int, tf32: bool, device: torch.device, rounds: int) -> dict[str, Any]:
    """Median iteration of the runner with nothing written, after five that are not timed."""
    cfg = training_cfg().to_dict()
    cfg["algorithm"]["use_tf32"] = tf32
    env = CartPoleVecEnv(num_envs, device=device)
    with contextlib.redirect_stdout(io.StringIO()):
        runner = OnPolicyRunner(env, cfg, log_dir=None, device=str(device), console="none")
        runner.learn(5)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        times = []
        for _ in range(rounds):
            synchronize(device)
            start = time.perf_counter()
            runner.learn(1)
            synchronize(device)
            times.append(time.perf_counter() - start)
    steps = num_envs * cfg["num_steps_per_env"]
    median = statistics.median(times)
    return {
        "case": f"cart-pole, {num_envs:,} environments, 64-64, {'tf32' if tf32 else 'float32'}",
        "ms_per_iteration": round(median * 1e3, 3),
        "env_steps_per_second": round(steps / median),
        "engine": f"{runner.alg.engine.name}: {runner.alg.engine_reason}",
        "peak_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if device.type == "cuda" else None,
    }


def main() -> None:
    """Measure several numbers of environments."""
    made = parser(__doc__)
    made.add_argument("--num-envs", type=int, nargs="+", default=[4_096, 65_536, 262_144, 1_000_000])
    options = made.parse_args()
    device = require_device(options.device)
    sizes = [64] if options.small else options.num_envs
    rounds = 2 if options.small else 15
    rows = [measure(num_envs, tf32, device, rounds) for num_envs in sizes for tf32 in (False, True)]
    finish("end_to_end", device, rows, options.out)


if __name__ == "__main__":
    main()
