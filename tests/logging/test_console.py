# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the consoles."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from limits import HANG
from rich.console import Console as RichConsole

from rslcore.logging.console import Console, JsonConsole, PlainConsole, make_console
from rslcore.logging.live import LiveConsole, sparkline
from rslcore.logging.report import IterationReport


def make_report(it: int = 4, **changes: Any) -> IterationReport:
    """Return the report of an iteration between 2 and 12, with changes."""
    report = IterationReport(
        iteration=it,
        start_iteration=2,
        end_iteration=12,
        run_name="walk",
        total_timesteps=98304 * (it + 1),
        total_time=100.0 + it,
        learn_time_so_far=2.0 * (it - 1),
        collection_time=1.25,
        learning_time=0.75,
        steps_per_second=49152,
        losses={"value": 1.5, "surrogate": -0.01},
        learning_rate=1e-3,
        mean_std=0.8,
        mean_reward=-3.0 + it,
        mean_episode_length=512.0,
        mean_extrinsic_reward=None,
        mean_intrinsic_reward=None,
        rnd_weight=None,
        extras={"Metrics/velocity_error": 0.25, "upright": 0.9},
    )
    return dataclasses.replace(report, **changes)


def live(width: int, iterations: int = 6, encoding: str = "utf-8", height: int = 40, **changes: Any) -> str:
    """Return everything a live console draws on a terminal of a width."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    terminal = RichConsole(file=stream, force_terminal=True, width=width, height=height, legacy_windows=False)
    console = LiveConsole(terminal)
    console.start(2, 12)
    for it in range(2, 2 + iterations):
        console.iteration(make_report(it, **changes))
    console.close()
    stream.flush()
    text: str = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_auto_is_plain_when_piped_and_silent_without_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto: live on a terminal, plain elsewhere, nothing without a run folder; live without a terminal is plain."""
    assert type(make_console("auto")) is PlainConsole
    assert type(make_console("live")) is PlainConsole
    assert type(make_console("auto", silent_by_default=True)) is Console
    assert type(make_console("plain", silent_by_default=True)) is PlainConsole
    assert type(make_console("json")) is JsonConsole
    assert type(make_console("none")) is Console
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert type(make_console("auto")) is LiveConsole


def test_eta_counts_this_call_only() -> None:
    """Three iterations of 2 s done, seven to go: 14 s, whatever earlier calls took."""
    report = make_report(4)
    assert report.eta == pytest.approx(14.0)


def test_plain_has_old_and_new_names(capsys: pytest.CaptureFixture[str]) -> None:
    """Names that scripts look for in the output of rsl_rl 2 to 5; extras are left out on request."""
    PlainConsole().iteration(make_report())
    text = capsys.readouterr().out
    for line in (
        "Learning iteration 4/12",
        "Run name: walk",
        "Total steps: 491520",
        "Total timesteps: 491520",
        "Steps per second: 49152",
        "Collection time: 1.250s",
        "Learning time: 0.750s",
        "Mean value loss: 1.5000",
        "Mean reward: 1.00",
        "Mean episode length: 512.00",
        "Mean action std: 0.80",
        "Mean episode upright: 0.9000",
        "Metrics/velocity_error: 0.2500",
        "Iteration time: 2.00s",
        "Time elapsed: 0:01:44",
        "ETA: 0:00:14",
    ):
        assert f" {line}\n" in text or f" {line} " in text, line
    assert "\x1b" not in text
    PlainConsole().iteration(make_report(mean_reward=None, mean_episode_length=None), minimal=True)
    text = capsys.readouterr().out
    assert "Mean reward" not in text
    assert "upright" not in text


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Iterations carry tags and progress, NaN is null; messages are objects too."""
    console = JsonConsole()
    console.message('a "message"')
    console.iteration(make_report(mean_reward=float("nan")))
    message, record = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert message == {"message": 'a "message"'}
    assert record["iteration"] == 4
    assert record["end_iteration"] == 12
    assert record["eta"] == pytest.approx(14.0)
    assert record["Train/mean_reward"] is None
    assert record["Metrics/velocity_error"] == 0.25
    assert record["Episode/upright"] == 0.9


@pytest.mark.parametrize("width", [30, 50, 80, 160])
def test_live_fits_the_terminal(width: int) -> None:
    """Progress, main numbers and the course of the return are drawn, no line longer than the terminal."""
    text = live(width)
    lines = text.replace("\r", "\n").split("\n")
    assert max(len(line) for line in lines) <= width
    assert "▁" in text
    assert "█" in text
    assert "Mean reward" in text
    assert "ETA" in text
    if width >= 80:
        for part in ("Iteration 7/12", "49,152", "786,432", "Value loss", "Metrics/velocity_error", "1.00e-03", "60%"):
            assert part in text, part


@pytest.mark.parametrize("width", [60, 80, 120])
def test_live_leaves_room_for_the_echo_of_ctrl_c(width: int) -> None:
    """Two columns stay free: where the terminal echoes ^C, no new line begins, which would spoil the redraw."""
    assert max(len(line) for line in live(width).replace("\r", "\n").split("\n")) <= width - 2


EXTRAS = {f"Episode_Reward/term_{letter}": 0.5 for letter in "abcdefghijklmnopqrstuvwxyz"}


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("height", [12, 24, 60])
def test_no_metric_vanishes_silently(width: int, height: int) -> None:
    """What does not fit the terminal is counted in the last row; long names keep their ends, which differ."""
    last = live(width, height=height, extras=EXTRAS).split("Iteration 7/12")[-1]
    shown = sum(f"term_{letter} " in last for letter in "abcdefghijklmnopqrstuvwxyz")
    hidden = re.search(r"(\d+) more in metrics\.jsonl", last)
    if (2 if width >= 80 else 1) * (height - 2) >= 11 + len(EXTRAS):
        assert shown == len(EXTRAS) and hidden is None
    elif hidden:
        main = sum(name in last for name in ("Steps per second", "Episode length", "Total steps", "Action std"))
        assert int(hidden[1]) + shown >= len(EXTRAS) and main == 4 and last.count("\n") <= height
    else:
        assert shown == len(EXTRAS)


def test_live_keeps_what_was_reported_last() -> None:
    """An iteration in which no episode ended does not empty the table of what the environment reports."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    console = LiveConsole(RichConsole(file=stream, force_terminal=True, width=80, height=40, legacy_windows=False))
    console.start(2, 12)
    console.iteration(make_report(2))
    console.iteration(make_report(3, extras={}))
    console.close()
    stream.flush()
    last = stream.buffer.getvalue().decode().split("Iteration 3/12")[-1]  # type: ignore[attr-defined]
    assert "Metrics/velocity_error" in last and "upright" in last


def test_live_does_not_break_messages() -> None:
    """A message is written in one line however narrow the terminal is, so that a path in it can be copied."""
    stream = io.StringIO()
    console = LiveConsole(RichConsole(file=stream, force_terminal=True, width=30))
    text = "Interrupted: checkpoint saved in runs/quadruped-flat/2026-01-31_12-00-00/model_778.pt"
    console.message(text)
    assert stream.getvalue() == f"{text}\n"


def test_live_shows_a_notice_within_its_picture(capfd: pytest.CaptureFixture[str]) -> None:
    """What Ctrl-C makes the runner say is part of the display: written beside, it leaves stale lines."""
    stream = io.StringIO()
    console = LiveConsole(RichConsole(file=stream, force_terminal=True, width=80, height=40))
    console.start(2, 12)
    console.iteration(make_report(2))
    console.notice("Stopping after this iteration")
    assert console._live is not None
    console._live.refresh()
    assert "Stopping after this iteration" in stream.getvalue()
    before = len(stream.getvalue())
    console.close()
    assert "Stopping" not in stream.getvalue()[before:] and "Iteration 2/12" in stream.getvalue()[before:]
    assert capfd.readouterr().err == ""
    console.notice("Too late for the display")
    Console().notice("No display")
    assert capfd.readouterr().err == "\nToo late for the display\n\nNo display\n"


def test_live_keeps_progress_on_low_terminals() -> None:
    """The progress bar and the return are above the table, whose last rows go when the terminal is too low."""
    last = live(60, height=10).split("Iteration 7/12")[-1]
    assert 0 < last.index("ETA") < last.index("Mean reward -1 .. 4") < last.index("Total steps")


def test_live_without_episodes_and_unicode() -> None:
    """Before the first episode a dash stands for the return; terminals without Unicode get ASCII."""
    assert "▁" not in live(80, mean_reward=None, mean_episode_length=None)
    live(80, encoding="ascii").encode("ascii")


def test_sparkline_scales_from_lowest_to_highest() -> None:
    """Lowest value first block, highest last block, long series averaged down, constant series flat."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 0, 7, 7], 2) == "▁█"
    assert sparkline([5.0, 5.0, 5.0], 10) == "▁▁▁"
    assert len(sparkline(list(range(1000)), 30)) == 30


LIVE_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from test_console import make_report
from rslcore.logging.console import make_console
console = make_console("auto")
console.message("Engine: eager [not markup]")
console.start(2, 12)
for it in range(2, 5):
    console.iteration(make_report(it))
print("a line of the environment " + "x" * 100)
console.close()
"""


def test_live_on_a_real_terminal() -> None:
    """On a pseudo-terminal auto draws live, messages and prints appear as written, and the cursor is given back."""
    leader, follower = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-c", LIVE_PROGRAM, str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.PIPE, env=environment)
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 65536):
            chunks.append(chunk)
    except OSError:  # end of a pseudo-terminal on Linux
        pass
    _, error = process.communicate(timeout=HANG)
    os.close(leader)
    text = b"".join(chunks).decode()
    assert process.returncode == 0, error
    assert "Engine: eager [not markup]" in text
    assert f"a line of the environment {'x' * 100}" in text  # the terminal breaks it, not the console
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # cursor hidden, and shown again
