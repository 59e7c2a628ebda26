# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What a training loop costs per env step on a GPU apart from the environment: acting, storing, statistics, checks.

python benchmarks/gpu/rollout.py [--out FILE]
"""

from __future__ import annotations

import statistics
from typing import Any

import rsl_rl.algorithms
import rsl_rl.utils.logger
import torch
from _card import finish, parser, require_device, wall_ms
from _jobs import SHAPES, STEPS, Stream, config, construct

import rslcore.algorithms
from rslcore.logging import Logger
from rslcore.runners.step_checks import StepChecks


def steps_of(alg: Any, logger: Any, stream: Stream, num_envs: int, checked: bool) -> None:  # noqa: ANN401 - of either
    """The inner loop of the runner for one rollout."""
    checks = StepChecks(num_envs, check_for_nan=checked)
    with torch.inference_mode():
        obs = stream.step()[0]
        for step in range(STEPS):
            alg.act(obs)
            obs, rewards, dones, extras = stream.step()
            if checked:
                checks.check(obs, rewards, dones, extras, 0, step)
            alg.process_env_step(obs, rewards, dones, extras)
            logger.process_env_step(rewards, dones, extras, None)


def measure(shape: str, device: torch.device, rounds: int) -> dict[str, Any]:
    """Median microseconds per env step."""
    num_envs, hidden = SHAPES[shape]
    stream = Stream(num_envs, device)
    sides = {}
    for name, library, owner in (
        ("rslcore", rslcore, Logger),
        ("rsl_rl", rsl_rl, rsl_rl.utils.logger.Logger),
    ):
        alg = construct(library, num_envs, hidden, device)
        logger = owner(None, config(hidden), {}, num_envs, False, 1, 0, str(device))
        sides[name] = alg, logger
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(rounds + 3):
        for name, (alg, logger) in sides.items():
            ours = name == "rslcore"

            def run(alg=alg, logger=logger, ours=ours) -> None:  # noqa: ANN001 - of either package
                steps_of(alg, logger, stream, num_envs, ours)

            (ms,) = wall_ms(run, device, 1)
            alg.storage.clear()
            if round_ >= 3:
                times[name].append(ms * 1e3 / STEPS)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "case": f"rollout {shape}: all but the environment, per env step",
        "us": {name: round(us, 2) for name, us in medians.items()},
        "rsl_rl_over_rslcore": round(medians["rsl_rl"] / medians["rslcore"], 2),
        "acting": getattr(sides["rslcore"][0]._policy_steps, "reason", "") or "one operator or graph",
    }


def main() -> None:
    """Measure all shapes."""
    options = parser(__doc__).parse_args()
    device = require_device(options.device)
    shapes = ["XS"] if options.small else ["XS", "M", "S"]
    rows = [measure(shape, device, 2 if options.small else 30) for shape in shapes]
    finish("rollout", device, rows, options.out)


if __name__ == "__main__":
    main()
