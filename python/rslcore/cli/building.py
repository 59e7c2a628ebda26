# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Building tasks, environments and runners from names and settings, with errors for the user."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rslcore.cli import run_folder
from rslcore.cli.errors import CliError
from rslcore.cli.packages import error_text
from rslcore.cli.search_path import find_named
from rslcore.cli.trust import trusted_modules
from rslcore.config import RunnerCfg, nearest

if TYPE_CHECKING:
    from rslcore.env import VecEnv
    from rslcore.runners import OnPolicyRunner
    from rslcore.tasks import TaskSpec


@contextlib.contextmanager
def user_errors(prefix: str) -> Iterator[None]:
    """Turn whatever bad settings and missing packages raise into errors of one line.

    For blocks that only turn settings into objects: there, any error is about the settings.
    """
    try:
        yield
    except CliError:
        raise
    except Exception as error:
        raise CliError(f"{prefix}: {error_text(error)}") from error


def find_task(name: str, command: str) -> TaskSpec:
    """Return a task by name.

    Raises:
        CliError: There is no such task, or its library is missing.
    """
    from rslcore import tasks

    if ":" not in name and name not in tasks.names():
        raise CliError(f"{command}: unknown task '{name}'; {nearest(name, tasks.names())}")
    with user_errors(command):
        if module := tasks.module_of(name):
            find_named(module)
        return tasks.get(name)


def find_run(path: Path, task: str | None, trust: Sequence[str], command: str) -> tuple[Path, TaskSpec, RunnerCfg]:
    """Return the checkpoint that a file or a run folder stands for, with the task and the configuration it is of.

    Args:
        path: A model_*.pt file, or a run folder, whose latest one is taken.
        task: Name of the task; None is the one kept in the run folder.
        trust: Modules whose classes and tasks the run folder may name.
        command: The command, for errors.

    Raises:
        CliError: There is no such checkpoint, nobody says of which task it is, or it names what is not trusted.
    """
    from rslcore import checkpoint

    with user_errors(command):
        file = checkpoint.resolve(path)
    settings = run_folder.read(file.parent, trusted_modules(trust), task_given=task is not None)
    name = task or (settings.task if settings else None)
    if name is None:
        raise CliError(f"{command}: '{file.parent}' does not say which task this is; give it with --task")
    spec = find_task(name, command)
    return file, spec, make_cfg(settings.agent, spec, file.parent / "params", command) if settings else spec.cfg()


def choose_device(name: str, command: str) -> str:
    """Return a device that torch can use: "auto" is this process's GPU where there is one, else the CPU.

    Raises:
        CliError: The name is no device, or torch cannot use it here.
    """
    import torch

    if name == "auto":
        from rslcore.runners.distributed import read_ranks

        with user_errors(command):
            return f"cuda:{read_ranks().local_rank}" if torch.cuda.is_available() else "cpu"
    try:
        torch.device(name)
    except RuntimeError:
        raise CliError(f"{command}: --device must be auto, cpu, cuda or cuda:N, got '{name}'") from None
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CliError(f"{command}: cannot use --device {name} ({reason}); 'rslcore doctor' tells more") from error
    return name


def make_env(spec: TaskSpec, num_envs: int, seed: int, device: str, command: str) -> VecEnv:
    """Create the environments of a task."""
    if num_envs < 1:
        raise CliError(f"{command}: --num-envs must be at least 1, got {num_envs}")
    with user_errors(command):
        return spec.make_env(num_envs, seed=seed, device=device)


def make_cfg(values: dict[str, Any], spec: TaskSpec, source: Path, command: str) -> RunnerCfg:
    """Build the training configuration kept in a run folder."""
    with user_errors(f"{command}: {source}"):
        return type(spec.cfg()).from_dict(values)


def make_runner(
    env: VecEnv, cfg: RunnerCfg, log_dir: Path | None, device: str, console: str, command: str
) -> OnPolicyRunner:
    """Build the runner that a configuration asks for."""
    from rslcore.logging.console import make_console
    from rslcore.utils import resolve_callable

    with user_errors(command):
        runner_class: Any = resolve_callable(cfg.class_name)
        # A runner of the user's own may have the signature of rsl_rl's.
        if "console" in inspect.signature(runner_class).parameters:
            return runner_class(env, cfg.to_dict(), log_dir, device, console=console)
        own_console = make_console(console, silent_by_default=log_dir is None)
        with own_console.quiet():
            runner = runner_class(env, cfg.to_dict(), log_dir, device)
        if hasattr(getattr(runner, "logger", None), "console"):
            runner.logger.console = own_console
        return runner


def load_policy(env: VecEnv, cfg: RunnerCfg, file: Path, device: str, command: str) -> OnPolicyRunner:
    """Return a silent runner without a run folder, with the policy of a checkpoint loaded and nothing else of it."""
    with contextlib.redirect_stdout(io.StringIO()):
        runner = make_runner(env, cfg, None, device, "none", command)
    with user_errors(f"{command}: {file}"):
        runner.load(file, load_cfg={"actor": True, "student": True})
    return runner
