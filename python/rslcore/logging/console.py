# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a person, or a program, sees of a training run on standard output."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
from collections.abc import Iterator
from typing import Literal

from rslcore.logging.metrics_file import to_json
from rslcore.logging.report import IterationReport

ConsoleStyle = Literal["auto", "plain", "live", "json", "none"]
_STANDARD_ERROR = 2
CONSOLE_STYLES: tuple[str, ...] = ("auto", "plain", "live", "json", "none")


class Console:
    """A console that shows nothing; base of the others."""

    def start(self, start_iteration: int, end_iteration: int) -> None:
        """Training of the iterations [start, end) begins."""

    def message(self, text: str) -> None:
        """Show a line for people."""

    def iteration(self, report: IterationReport, *, minimal: bool = False, width: int = 80, pad: int = 40) -> None:
        """Show one iteration; ``minimal`` leaves out what the environment reports."""

    def notice(self, text: str) -> None:
        """Show a line while the training goes on; a signal handler calls it."""
        # `print` may have been interrupted in the middle, and refuses to be entered again.
        with contextlib.suppress(OSError):
            os.write(_STANDARD_ERROR, f"\n{text}\n".encode())

    def close(self) -> None:
        """Training ended, or was broken off."""

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Keep what other code prints in this block from disturbing the console, where it would."""
        yield


class PlainConsole(Console):
    """One block of "name: value" lines per iteration, with the names that rsl_rl prints."""

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def iteration(self, report: IterationReport, *, minimal: bool = False, width: int = 80, pad: int = 40) -> None:
        """Print the block of an iteration."""
        title = f"Learning iteration {report.iteration}/{report.end_iteration}"
        rows = [("Run name", report.run_name)] if report.run_name else []
        rows += [
            ("Total steps", f"{report.total_timesteps}"),
            ("Steps per second", f"{report.steps_per_second}"),
            ("Collection time", f"{report.collection_time:.3f}s"),
            ("Learning time", f"{report.learning_time:.3f}s"),
        ]
        rows += [(f"Mean {name} loss", f"{value:.4f}") for name, value in report.losses.items()]
        episodes = {
            "Mean extrinsic reward": report.mean_extrinsic_reward,
            "Mean intrinsic reward": report.mean_intrinsic_reward,
            "Mean reward": report.mean_reward,
            "Mean episode length": report.mean_episode_length,
        }
        rows += [(name, f"{value:.2f}") for name, value in episodes.items() if value is not None]
        rows += [("Mean action std", f"{report.mean_std:.2f}"), ("Learning rate", f"{report.learning_rate:.2e}")]
        if not minimal:
            rows += [(k if "/" in k else f"Mean episode {k}", f"{v:.4f}") for k, v in report.extras.items()]
        footer = [
            ("Total timesteps", f"{report.total_timesteps}"),
            ("Iteration time", f"{report.iteration_time:.2f}s"),
            ("Time elapsed", duration(report.total_time)),
            ("ETA", duration(report.eta)),
        ]
        lines = ["#" * width, _bold(title.center(width)), ""]
        lines += [f"{name + ':':>{pad}} {value}" for name, value in rows]
        lines += ["-" * width]
        lines += [f"{name + ':':>{pad}} {value}" for name, value in footer]
        print("\n".join(lines) + "\n", flush=True)


class JsonConsole(Console):
    """One JSON object per line: iterations as in metrics.jsonl, messages as {"message": ...}."""

    def message(self, text: str) -> None:
        """Print a message object."""
        print(json.dumps({"message": text}), flush=True)

    def iteration(self, report: IterationReport, *, minimal: bool = False, width: int = 80, pad: int = 40) -> None:
        """Print the record of an iteration."""
        progress = {"end_iteration": report.end_iteration, "eta": round(report.eta, 3)}
        print(to_json(report.record() | progress), flush=True)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Send what other code prints to standard error."""
        with contextlib.redirect_stdout(sys.stderr):
            yield


def make_console(style: str, *, silent_by_default: bool = False) -> Console:
    """Return the console of a style.

    Args:
        style: "plain", "live", "json" or "none"; "auto" is live on a terminal and plain elsewhere. "live" asks for a
            terminal too and is plain elsewhere.
        silent_by_default: "auto" means "none".

    Raises:
        ValueError: The style is unknown.
    """
    if style not in CONSOLE_STYLES:
        raise ValueError(f"Logger: `console` must be one of {', '.join(CONSOLE_STYLES)}, got '{style}'")
    if style == "none" or (style == "auto" and silent_by_default):
        return Console()
    if style == "json":
        return JsonConsole()
    if style in ("auto", "live") and sys.stdout.isatty():
        from rslcore.logging.live import LiveConsole

        return LiveConsole()
    return PlainConsole()


def duration(seconds: float) -> str:
    """Return whole seconds as H:MM:SS."""
    return str(datetime.timedelta(seconds=int(seconds)))


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text
