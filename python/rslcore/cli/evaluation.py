# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Evaluation of a policy on a task, and how the figures are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from rslcore.cli.building import make_env

if TYPE_CHECKING:
    from rslcore.tasks import TaskSpec
    from rslcore.tasks.registry import Policy

UNSEEN_SEED_OFFSET = 1_000_003
"""Added to the seed of the training: the evaluation draws other commands and robots than the training did."""
MAX_ENVS = 1024
"""Episodes beyond this number are run one after another in the same environments."""

_FIGURES = {
    "lin_vel_error": ("Velocity tracking error", "{:.3f} m/s", 1.0),
    "lin_vel_error_all_steps": ("    over all steps", "{:.3f} m/s", 1.0),
    "yaw_rate_error": ("Yaw rate tracking error", "{:.3f} rad/s", 1.0),
    "fall_fraction": ("Falls", "{:.1f} % of the episodes", 100.0),
    "return_mean": ("Mean return", "{:.2f}", 1.0),
    "return_std": ("Spread of the return", "{:.2f}", 1.0),
    "episode_length_s": ("Mean episode length", "{:.1f} s", 1.0),
    "fraction": ("Share of time", "{:.1f} %", 100.0),
}
"""Name, format and factor of the figures that the tasks report."""


def evaluate(
    spec: TaskSpec, policy: Policy, *, episodes: int, seed: int, device: str, command: str, num_envs: int | None = None
) -> dict[str, Any]:
    """Run whole episodes in new environments and return what the task measures.

    Args:
        spec: The task; it must have an ``evaluate``.
        policy: Observations to actions; it must not explore.
        episodes: Number of episodes.
        seed: Seed of the environments, and of the global generators that they may draw from.
        device: Device of policy and environments.
        command: The command, for errors.
        num_envs: Number of environments; by default one per episode, at most `MAX_ENVS`.
    """
    from rslcore.checkpoint import seed_generators

    assert spec.evaluate is not None
    seed_generators(seed)
    env = make_env(spec, min(episodes, num_envs or MAX_ENVS), seed, device, command)
    return {"seed": seed, **spec.evaluate(env, policy, episodes)}


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print figures: single numbers line by line, a mapping of mappings as a table.

    "settling_time_s" is no figure of the policy, but says what the others leave out.
    """
    grid = Table.grid(padding=(0, 2))
    for key, value in figures.items():
        if not isinstance(value, dict) and key not in ("episodes", "seed", "settling_time_s"):
            grid.add_row("", _name(key), _text(key, value))
    head = f"Evaluation over {figures['episodes']} episodes with unseen seed {figures['seed']}"
    console.print(head, highlight=False, soft_wrap=False)
    if "settling_time_s" in figures:
        seconds = figures["settling_time_s"]
        note = f"The first {seconds:g} s of an episode, and after a new command, does not count in the errors"
        console.print(note, soft_wrap=False)
    console.print(grid)
    for key, value in figures.items():
        if isinstance(value, dict) and value:
            console.print(_table(key, value))


def _table(key: str, rows: dict[str, dict[str, float]]) -> Table:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Command (m/s)" if key == "bins" else _name(key))
    for column in columns:
        table.add_column(_name(column).replace(" tracking", ""), justify="right")
    for name, row in rows.items():
        table.add_row(name, *(_text(column, row[column]) if column in row else "" for column in columns))
    return table


def _name(key: str) -> str:
    return _FIGURES[key][0] if key in _FIGURES else key.replace("_", " ").capitalize()


def _text(key: str, value: Any) -> str:  # noqa: ANN401
    if key in _FIGURES:
        _, form, factor = _FIGURES[key]
        return form.format(value * factor)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
