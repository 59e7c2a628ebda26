# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The picture of the results: one panel per shape, one bar per trainer, the phases of an iteration stacked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from _peers.job import SHAPES
from _peers.measure import fastest

COLORS = {"rollout": "tab:blue", "returns": "tab:green", "update": "tab:orange", "rest": "tab:gray"}
LABELS = {
    "rollout": "rollout",
    "returns": "returns and advantages",
    "update": "update",
    "rest": "logging and the rest",
}


def newest(folder: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Machine and result of every shape that has a file of its name."""
    found = []
    for name in SHAPES:
        path = folder / f"{name}.json"
        if path.exists():
            document = json.loads(path.read_text())
            found += [(document["machine"], result) for result in document["results"] if result["shape"] == name]
    return found


def size(result: dict[str, Any]) -> str:
    """The shape in words."""
    network = "-".join(str(width) for width in result["hidden"])
    if result["rnn"]:
        network = f"LSTM {result['rnn']}, {network}"
    if len(result["observation"]) > 1:
        network = f"{'x'.join(str(side) for side in result['observation'][1:])} images, CNN, {network}"
    return f"{result['shape']}: {result['num_envs']:,} environments, {network}"


def draw(folder: Path, target: Path) -> None:
    """Read the results of all shapes and draw them.

    Raises:
        FileNotFoundError: The folder holds no results.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = newest(folder)
    if not found:
        raise FileNotFoundError(f"no results of a shape in '{folder}'")
    rows = (len(found) + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(13, 2.9 * rows + 0.9), layout="constrained", squeeze=False)
    panels = list(grid.flat)
    for axes, (_, result) in zip(panels, found, strict=False):
        draw_shape(axes, result)
    for axes in panels[len(found) :]:
        axes.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in COLORS.values()]
    figure.legend(handles, LABELS.values(), loc="outside lower center", ncols=len(COLORS), frameon=False)
    machine = found[0][0]
    figure.suptitle(
        "One iteration of PPO, 24 steps, 5 epochs x 4 minibatches, on an environment that costs nothing\n"
        f"{machine['processor']}, {machine['cores']} cores; each on the number of threads that suits it best. "
        "Medians; whiskers: quartiles of the total; 2x: twice as long as rslcore"
    )
    figure.savefig(target, dpi=110)


def draw_shape(axes: Any, result: dict[str, Any]) -> None:  # noqa: ANN401
    """Draw one panel."""
    names = dict.fromkeys(peer["peer"] for peer in result["peers"])
    peers = [fastest([peer for peer in result["peers"] if peer["peer"] == name], "total") for name in names]
    for row, peer in enumerate(peers):
        left = 0.0
        for phase, color in COLORS.items():
            width = peer["phases"][phase]["median_ms"]
            axes.barh(row, width, left=left, color=color, height=0.7)
            left += width
        low, high = peer["phases"]["total"]["quartiles_ms"]
        axes.plot([low, high], [row, row], color="black", linewidth=1.5)
        update, total = (peer["phases"][phase]["median_ms"] for phase in ("update", "total"))
        text = f" {total:,.3g} ms" if total < 1000 else f" {total / 1000:,.3g} s"
        text += f", {peer['env_steps_per_second']:,.0f} steps/s"
        if peer is not peers[0]:
            own = peers[0]["phases"]
            text += (
                f"\n update {update / own['update']['median_ms']:.2f}x, all {total / own['total']['median_ms']:.2f}x"
            )
        axes.text(max(left, high), row, text, va="center", fontsize=8)
    labels = [
        f"{peer['peer']} {peer['version']}\n{peer['threads']} thread{'s' * (peer['threads'] > 1)}" for peer in peers
    ]
    axes.set_yticks(range(len(peers)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.42 * max(peer["phases"]["total"]["quartiles_ms"][1] for peer in peers))
    axes.set_xlabel("milliseconds per iteration")
    axes.set_title(size(result), fontsize=10)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
