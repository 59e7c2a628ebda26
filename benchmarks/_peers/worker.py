# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""One trainer in a process of its own, which takes one iteration whenever it is told to."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from _peers.job import GRADIENT_STEPS, SHAPES

DISTRIBUTIONS = {"rslcore": "rslcore", "rsl_rl": "rsl-rl-lib", "skrl": "skrl", "rl_games": "rl-games"}
"""Package to the name that it is installed by."""


def memory(key: str) -> int:
    """Bytes of this process: "VmRSS" is resident now, "VmHWM" was at most."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


class Task(NamedTuple):
    """What a process is to do."""

    package: str
    variant: str | None
    shape: str
    environment: str
    threads: int
    seed: int


def run(connection: Connection, task: Task) -> None:
    """Entry of the process: build the trainer, then one iteration per message "run" until "stop"."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what packages print is no result
    try:
        _run(connection, task)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        connection.send({"failed": traceback.format_exc().strip().splitlines()[-1]})


def _run(connection: Connection, task: Task) -> None:
    import torch

    from _peers.clock import Clock
    from _peers.environments import Meter, make_env
    from _peers.trainer import Finished

    # The hook of the first iteration makes way for a fast engine: no news here.
    warnings.filterwarnings("ignore", message=".* takes over from ")
    torch.set_num_threads(task.threads)
    shape, clock, meter = SHAPES[task.shape], Clock(), Meter()
    env = make_env(task.environment, shape, task.seed)
    before = memory("VmRSS")
    if task.package == "skrl":
        from _peers import skrl_api

        trainer = skrl_api.make(shape, env, meter, clock, task.seed, task.variant)
    elif task.package == "rl_games":
        from _peers import rl_games_api

        trainer = rl_games_api.make(shape, env, meter, clock, task.seed, task.variant)
    else:
        from _peers import rsl_rl_api

        trainer = rsl_rl_api.make(task.package, shape, env, meter, clock, task.seed, task.variant)
    torch.set_num_threads(task.threads)

    rows: list[int] = []
    hook = trainer.head and trainer.head.register_forward_pre_hook(
        lambda _, inputs: rows.append(inputs[0].numel() // inputs[0].shape[-1]) if torch.is_grad_enabled() else None
    )
    previous: list[torch.Tensor] = [parameter.detach().clone() for parameter in trainer.parameters]
    steps = 0
    first = True

    def record() -> dict[str, Any]:
        nonlocal steps, first
        taken, steps = trainer.steps_taken() - steps, trainer.steps_taken()
        changes = [(p.detach() - q).abs().max() for p, q in zip(trainer.parameters, previous, strict=True)]
        for parameter, copy in zip(trainer.parameters, previous, strict=True):
            copy.copy_(parameter.detach())
        if first:
            if hook is not None:
                hook.remove()
            trainer.verified()
        result = {
            "seconds": dict(clock.seconds) | {"environment": meter.seconds},
            "gradient_steps": taken,
            "rows": list(rows) if first and hook is not None else None,
            "smallest_change": float(torch.stack(changes).min()),
            "peak_memory": memory("VmHWM"),
            "description": trainer.description(),
        }
        first = False
        return result

    def between() -> None:
        connection.send(record())
        wait()

    def wait() -> None:
        if connection.recv() != "run":
            raise Finished
        meter.seconds = 0.0

    clock.between = between
    connection.send(
        {
            "version": version(DISTRIBUTIONS[task.package]),
            "parameters": sum(parameter.numel() for parameter in trainer.parameters),
            "gradient_steps_expected": GRADIENT_STEPS,
            "memory_before": before,
            "torch": torch.__version__,
        }
    )
    try:
        wait()
        clock.start()
        trainer.train()
    except Finished:
        connection.send({"finished": True})
