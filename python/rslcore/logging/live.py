# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The live display of a training run on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from rslcore.logging.console import Console, duration
from rslcore.logging.report import IterationReport

_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=*#"
_NAME, _SHORT_NAME = 24, 16
"""Columns that names must get for two of them side by side; the second is enough where there is no room below."""
_MARGIN = 2
"""Columns left free on the right: a terminal that shows Ctrl-C as ^C must not begin a new line for it."""


class LiveConsole(Console):
    """A progress bar with the time left, a table of the main numbers and the course of the mean reward."""

    def __init__(self, terminal: RichConsole | None = None) -> None:
        """Draw on ``terminal``, by default standard output."""
        self._terminal = terminal or RichConsole(soft_wrap=True)  # lines that others print stay whole too
        self._rewards: list[float] = []
        self._extras: dict[str, float] = {}
        self._notice = ""
        self._parts: list[RenderableType] = []
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
        self._notice, self._parts = "", [self._progress]
        self._live = Live(console=self._terminal, refresh_per_second=4, get_renderable=self._picture)
        self._live.start()

    def message(self, text: str) -> None:
        """Print a line above the display; the terminal itself breaks it, so that a path can be copied."""
        self._terminal.print(text, markup=False, highlight=False, soft_wrap=True)

    def iteration(self, report: IterationReport, *, minimal: bool = False, width: int = 80, pad: int = 40) -> None:
        """Redraw with the numbers of an iteration."""
        if report.mean_reward is not None:
            self._rewards.append(report.mean_reward)
        self._extras |= report.extras  # most are reported where an episode ends, which is not in every iteration
        self._progress.update(
            self._task,
            completed=report.iteration + 1 - report.start_iteration,
            description=f"Iteration {report.iteration}/{report.end_iteration}",  # as checkpoints and metrics count
            eta=f"ETA {duration(report.eta)}",
        )
        if self._live is not None:
            self._parts = self._draw(report, minimal)

    def notice(self, text: str) -> None:
        """Show a line on top of the display with its next picture, for as long as it is open."""
        if self._live is None:
            super().notice(text)
        self._notice = text

    def close(self) -> None:
        """Leave the last picture on the screen and give the terminal back."""
        if self._live is not None:
            self._notice = ""
            self._live.stop()
            self._live = None

    def _picture(self) -> RenderableType:
        notice = [Text(self._notice, "bold", no_wrap=True, overflow="ellipsis")] if self._notice else []
        return Constrain(Group(*notice, *self._parts), self._terminal.width - _MARGIN)

    def _draw(self, report: IterationReport, minimal: bool) -> list[RenderableType]:
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
            cells += [(name, f"{value:.4f}") for name, value in self._extras.items()]
        width, height = self._terminal.width - _MARGIN, self._terminal.height
        parts: list[RenderableType] = [self._progress]
        if len(self._rewards) > 1:
            blocks = _BLOCKS if self._unicode else _ASCII_BLOCKS
            label = f"Mean reward {min(self._rewards):.4g} .. {max(self._rewards):.4g} "
            columns = max(width - len(label), 8)
            parts.append(
                Text(label, style="dim", no_wrap=True).append(sparkline(self._rewards, columns, blocks), "green")
            )
        return [*parts, *self._table(cells, width, height - len(parts))]

    def _table(self, cells: list[tuple[str, str]], width: int, height: int) -> list[RenderableType]:
        """Return the numbers in as many columns as their names fit in, and how many rows do not fit the terminal."""
        longest, values = max(len(name) for name, _ in cells), max(len(value) for _, value in cells)
        name = _NAME if len(cells) <= height else _SHORT_NAME
        pairs = 2 if 2 * (min(longest, name) + values + 4) <= width else 1
        names = (width + 2) // pairs - values - 4
        rows = [cells[first : first + pairs] for first in range(0, len(cells), pairs)]
        shown = rows if len(rows) <= height else rows[: max(height - 1, 1)]
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(pairs):
            table.add_column(style="dim", no_wrap=True, ratio=1)
            table.add_column(justify="right", no_wrap=True, min_width=values)
        for row in shown:
            table.add_row(*(text for name, value in row for text in (self._ending(name, names), value)))
        hidden = sum(map(len, rows[len(shown) :]))
        if not hidden:
            return [table]
        return [table, Text(f"{hidden} more in metrics.jsonl; this terminal is too low", style="dim", no_wrap=True)]

    def _ending(self, name: str, columns: int) -> str:
        """Return a name, or its end where it is too long: ends are what differs, 'Episode_Reward/...' what is alike."""
        if len(name) <= columns:
            return name
        dots = "…" if self._unicode else ".."
        return dots + name[len(name) - max(columns - len(dots), 1) :]

    @property
    def _unicode(self) -> bool:
        return self._terminal.encoding.lower().startswith("utf")


def sparkline(values: Sequence[float], columns: int, blocks: str = _BLOCKS) -> str:
    """Return the course of a series as one line of characters, averaged down to at most ``columns`` of them."""
    count = min(columns, len(values))
    edges = [len(values) * i // count for i in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(blocks[min(int((mean - low) / span * len(blocks)), len(blocks) - 1)] for mean in means)
