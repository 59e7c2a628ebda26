# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a training run, drawn from its metrics.jsonl."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rslcore._files import replacing
from rslcore.logging.metrics_file import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_MAX_LINES = 6
_FEW_POINTS = 40
_KNOWN_PREFIXES = ("Loss/", "Perf/", "Policy/", "Train/")
_MAX_GROUPS = 6


class _Panel(NamedTuple):
    """One pair of axes."""

    title: str
    label: str
    tags: list[str]
    log: bool = False
    note: str = ""


def plot_curves(run_dir: str | os.PathLike[str], *, title: str | None = None) -> Path:
    """Draw the course of a run over env steps.

    Panels: return, episode length, losses, learning rate, action noise, speed, and what the environment reports.

    Args:
        run_dir: Run folder with a metrics.jsonl.
        title: Heading; by default the names of the experiment and of the run, as the folder has them.

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
    panels = _panels(records)
    rows = math.ceil(len(panels) / _COLUMNS)
    figure = Figure(figsize=(4.6 * _COLUMNS, 3.1 * rows + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    last = records[-1]
    figure.suptitle(
        f"{_text(title or '/'.join(Path(run_dir).resolve().parts[-2:]))}\n"
        f"{len(records)} iterations, {last['total_timesteps']:,} env steps, {last['total_time']:.0f} s of training",
        fontsize=12,
    )
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    scale, unit = _step_unit(last["total_timesteps"])
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, records, panel, scale)
        axis.set_xlabel(unit, fontsize=9)
        axis.set_xlim(0, last["total_timesteps"] / scale * 1.01)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    path = Path(run_dir) / "curves.png"
    with replacing(path) as file:
        figure.savefig(file, dpi=110, format="png")
    return path


def _panels(records: Sequence[dict[str, Any]]) -> list[_Panel]:
    losses = dict.fromkeys(tag for record in records for tag in record if tag.startswith("Loss/"))
    losses.pop("Loss/learning_rate", None)
    return [
        _Panel("Return", "mean over last 100 episodes", ["Train/mean_reward"]),
        _Panel("Episode length", "steps, mean over last 100 episodes", ["Train/mean_episode_length"]),
        _Panel("Speed", "env steps per second", ["Perf/total_fps"], note=_time_shares(records)),
        *(_Panel(_loss_name(tag), "mean over the update", [tag], log=tag == "Loss/value") for tag in losses),
        _Panel("Learning rate", "after the update", ["Loss/learning_rate"], log=True),
        _Panel("Action noise", "mean std, units of the actions", ["Policy/mean_std"]),
        *(_Panel(name, "mean over the iteration", tags) for name, tags in _extra_groups(records)),
    ]


def _loss_name(tag: str) -> str:
    name = tag.removeprefix("Loss/")
    return "Entropy" if name == "entropy" else f"{name.capitalize()} loss"


def _draw(axis: Axes, records: Sequence[dict[str, Any]], panel: _Panel, scale: float) -> None:
    """Draw one panel; iterations without a value are passed over."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.set_title(_text(panel.title), fontsize=10.5)
    axis.set_ylabel(panel.label, fontsize=9)
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=8.5, which="both")
    for tag in panel.tags:
        points = [(record["total_timesteps"] / scale, record[tag]) for record in records if record.get(tag) is not None]
        if points:
            marker = "." if len(points) < _FEW_POINTS else None
            axis.plot(*zip(*points, strict=True), linewidth=1.3, marker=marker, label=_text(tag.rsplit("/", 1)[-1]))
    if not axis.lines:
        axis.text(0.5, 0.5, "nothing recorded", transform=axis.transAxes, ha="center", va="center", color="gray")
        return
    if panel.log:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        axis.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if high < 100 * low else ()))
        number = FuncFormatter(lambda value, _: f"{value:g}" if value >= 0.01 else f"{value:.0e}")
        axis.yaxis.set_major_formatter(number)
        axis.yaxis.set_minor_formatter(number)
    if len(panel.tags) > 1:
        axis.legend(fontsize=7.5, framealpha=0.6)
    if panel.note:
        axis.set_ylim(bottom=0)
        axis.text(0.5, 0.04, panel.note, transform=axis.transAxes, ha="center", fontsize=8, color="dimgray")


def _time_shares(records: Sequence[dict[str, Any]]) -> str:
    collection = sum(record.get("Perf/collection_time") or 0.0 for record in records)
    learning = sum(record.get("Perf/learning_time") or 0.0 for record in records)
    if collection + learning == 0:
        return ""
    share = 100 * collection / (collection + learning)
    return f"collection {share:.0f} %, learning {100 - share:.0f} % of the time"


def _text(text: str) -> str:
    """Return a text that matplotlib shows as it is, not as mathematics."""
    return text.replace("$", r"\$")


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
