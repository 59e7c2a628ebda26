# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The live display of a training run on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from rslcore.logging.console import Console, duration
from rslcore.logging.report import IterationReport

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=*#"
_MAX_EXTRAS = 12


class LiveConsole(Console):
    """A progress bar with the time left, a table of the main numbers and the course of the mean reward."""

    def __init__(self, terminal: RichConsole | None = None) -> None:
        """Draw on ``terminal``, by default standard output."""
        self._terminal = terminal or RichConsole()
        self._rewards: list[float] = []
        self._live: Live | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[eta]}"),
            console=self._terminal,
            expand=True,
        )
        self._task = self._progress.add_task("Starting", total=None, eta="")

    def start(self, start_iteration: int, end_iteration: int) -> None:
        """Open the display."""
        total = max(end_iteration - start_iteration, 1)
        self._progress.reset(self._task, total=total, description=f"Iteration {start_iteration}/{end_iteration}")
        self._live = Live(self._progress, console=self._terminal, refresh_per_second=4)
        self._live.start()

    def message(self, text: str) -> None:
        """Print a line above the display."""
        self._terminal.print(text, markup=False, highlight=False)

    def iteration(self, report: IterationReport, *, minimal: bool = False, width: int = 80, pad: int = 40) -> None:
        """Redraw with the numbers of an iteration."""
        if report.mean_reward is not None:
            self._rewards.append(report.mean_reward)
        self._progress.update(
            self._task,
            completed=report.iteration + 1 - report.start_iteration,
            description=f"Iteration {report.iteration + 1}/{report.end_iteration}",
            eta=f"ETA {duration(report.eta)}",
        )
        if self._live is not None:
            self._live.update(Group(*self._parts(report, minimal)))

    def close(self) -> None:
        """Leave the last picture on the screen and give the terminal back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _parts(self, report: IterationReport, minimal: bool) -> list[RenderableType]:
        cells = [
            ("Mean reward", "-" if report.mean_reward is None else f"{report.mean_reward:.2f}"),
            ("Steps per second", f"{report.steps_per_second:,}"),
            ("Episode length", "-" if report.mean_episode_length is None else f"{report.mean_episode_length:.1f}"),
            ("Total steps", f"{report.total_timesteps:,}"),
            ("Action std", f"{report.mean_std:.3f}"),
            ("Collection time", f"{report.collection_time:.3f} s"),
            ("Learning rate", f"{report.learning_rate:.2e}"),
            ("Learning time", f"{report.learning_time:.3f} s"),
        ]
        cells += [(f"{name.capitalize()} loss", f"{value:.4f}") for name, value in report.losses.items()]
        cells += [("Time elapsed", duration(report.total_time))]
        if not minimal:
            cells += [(name, f"{value:.4f}") for name, value in list(report.extras.items())[:_MAX_EXTRAS]]
        pairs = 2 if self._terminal.width >= 72 else 1
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(pairs):
            table.add_column(style="dim", overflow="ellipsis", no_wrap=True, ratio=3)
            table.add_column(justify="right", no_wrap=True, ratio=2)
        for first in range(0, len(cells), pairs):
            table.add_row(*[text for pair in cells[first : first + pairs] for text in pair])
        parts: list[RenderableType] = [self._progress]
        if len(self._rewards) > 1:
            blocks = _BLOCKS if self._terminal.encoding.lower().startswith("utf") else _ASCII_BLOCKS
            label = f"Mean reward {min(self._rewards):.4g} .. {max(self._rewards):.4g} "
            columns = max(self._terminal.width - len(label) - 1, 8)
            parts.append(
                Text(label, style="dim", no_wrap=True).append(sparkline(self._rewards, columns, blocks), "green")
            )
        return [*parts, table]  # a terminal that is too low loses the last rows of the table


def sparkline(values: Sequence[float], columns: int, blocks: str = _BLOCKS) -> str:
    """Return the course of a series as one line of characters, averaged down to at most ``columns`` of them."""
    count = min(columns, len(values))
    edges = [len(values) * i // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(blocks[min(int((mean - low) / span * len(blocks)), len(blocks) - 1)] for mean in means)
