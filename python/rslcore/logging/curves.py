# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a training run, drawn from its metrics.jsonl."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rslcore.logging.metrics_file import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_MAX_LINES = 6
_KNOWN_PREFIXES = ("Loss/", "Perf/", "Policy/", "Train/")
_MAX_GROUPS = 6


def plot_curves(run_dir: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """Draw the course of a run over env steps.

    Panels: return, episode length, losses, learning rate, action noise, speed, and what the environment reports.

    Args:
        run_dir: Run folder with a metrics.jsonl.
        title: Heading; by default the name of the folder.

    Returns:
        The picture, ``curves.png`` in the run folder.

    Raises:
        FileNotFoundError: There is no metrics.jsonl.
        ValueError: It holds no iteration.
        ModuleNotFoundError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("curves.png needs matplotlib: pip install 'rslcore[plot]'") from error
    records = read_metrics(run_dir)
    if not records:
        raise ValueError(f"plot_curves: no iteration in the metrics.jsonl of '{run_dir}'")
    groups = _extra_groups(records)
    rows = math.ceil((6 + len(groups)) / _COLUMNS)
    figure = Figure(figsize=(4.6 * _COLUMNS, 3.1 * rows + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    last = records[-1]
    figure.suptitle(
        f"{title or Path(run_dir).resolve().name}\n"
        f"{len(records)} iterations, {last['total_timesteps']:,} env steps, {last['total_time']:.0f} s of training",
        fontsize=12,
    )
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    scale, unit = _step_unit(last["total_timesteps"])
    steps = [record["total_timesteps"] / scale for record in records]
    _draw(axes[0], steps, records, ["Train/mean_reward"], "Return", "mean over last 100 episodes")
    _draw(axes[1], steps, records, ["Train/mean_episode_length"], "Episode length", "steps")
    losses = sorted({tag for record in records for tag in record if tag.startswith("Loss/")} - {"Loss/learning_rate"})
    _draw_losses(axes[2], steps, records, losses)
    _draw(axes[3], steps, records, ["Loss/learning_rate"], "Learning rate", "per update step")
    axes[3].set_yscale("log")
    _draw(axes[4], steps, records, ["Policy/mean_std"], "Action noise", "mean std (action units)")
    _draw_speed(axes[5], steps, records)
    for axis, (name, tags) in zip(axes[6:], groups, strict=False):
        _draw(axis, steps, records, tags, name, "mean per iteration")
    for index, axis in enumerate(axes):
        axis.set_visible(index < 6 + len(groups))
        axis.set_xlabel(unit)
        axis.set_xlim(left=0)
    path = Path(run_dir) / "curves.png"
    figure.savefig(path, dpi=110)
    return path


def _series(records: Sequence[dict[str, Any]], tag: str) -> list[float]:
    """Return one value per record; NaN (a gap in the line) where it was not recorded."""
    return [math.nan if record.get(tag) is None else float(record[tag]) for record in records]


def _draw(
    axis: Axes, steps: Sequence[float], records: Sequence[dict[str, Any]], tags: Sequence[str], title: str, label: str
) -> None:
    axis.set_title(title, fontsize=10.5)
    axis.set_ylabel(label, fontsize=9)
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=8.5)
    marker = "." if len(steps) < 12 else None
    for tag in tags:
        values = _series(records, tag)
        if not all(math.isnan(value) for value in values):
            axis.plot(steps, values, linewidth=1.3, marker=marker, label=tag.rsplit("/", 1)[-1])
    if not axis.lines:
        axis.text(0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", va="center", color="gray")
    elif len(tags) > 1:
        axis.legend(fontsize=7.5, framealpha=0.6)


def _draw_losses(axis: Axes, steps: Sequence[float], records: Sequence[dict[str, Any]], tags: Sequence[str]) -> None:
    """Draw the value loss, orders of magnitude larger than the others, on a logarithmic axis of its own."""
    _draw(axis, steps, records, [tag for tag in tags if tag != "Loss/value"], "Losses", "per sample")
    if "Loss/value" in tags:
        twin = axis.twinx()
        twin.plot(
            steps, _series(records, "Loss/value"), color="black", linewidth=1.0, alpha=0.75, label="value (right)"
        )
        twin.set_yscale("log")
        twin.tick_params(labelsize=8.5)
        handles = [*axis.lines, *twin.lines]
        axis.legend(handles, [str(handle.get_label()) for handle in handles], fontsize=7.5, framealpha=0.6)


def _draw_speed(axis: Axes, steps: Sequence[float], records: Sequence[dict[str, Any]]) -> None:
    _draw(axis, steps, records, ["Perf/total_fps"], "Speed", "env steps per second")
    axis.set_ylim(bottom=0)
    collection = sum(value for value in _series(records, "Perf/collection_time") if not math.isnan(value))
    learning = sum(value for value in _series(records, "Perf/learning_time") if not math.isnan(value))
    if collection + learning > 0:
        share = 100 * collection / (collection + learning)
        text = f"collection {share:.0f} %, learning {100 - share:.0f} % of the time"
        axis.text(0.5, 0.04, text, transform=axis.transAxes, ha="center", fontsize=8, color="dimgray")


def _extra_groups(records: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return what the environment reports: one entry per prefix, split so that no panel is crowded."""
    tags = dict.fromkeys(tag for record in records for tag in record if "/" in tag)
    prefixes: dict[str, list[str]] = {}
    for tag in tags:
        if not tag.startswith(_KNOWN_PREFIXES):
            prefixes.setdefault(tag.rsplit("/", 1)[0].strip("/") or "environment", []).append(tag)
    groups = []
    for name, members in prefixes.items():
        for first in range(0, len(members), _MAX_LINES):
            suffix = f" ({first // _MAX_LINES + 1})" if len(members) > _MAX_LINES else ""
            groups.append((name + suffix, members[first : first + _MAX_LINES]))
    return groups[:_MAX_GROUPS]


def _step_unit(total: int) -> tuple[float, str]:
    if total >= 2_000_000:
        return 1e6, "env steps (millions)"
    if total >= 10_000:
        return 1e3, "env steps (thousands)"
    return 1.0, "env steps"
