# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""How figures are shown."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console

from rslcore import tasks
from rslcore.cli.evaluation import show


def test_what_the_errors_leave_out_is_said(capsys):
    """The quadruped's errors come with the time that does not count, and with the error over all steps."""
    for package in ("mujoco", "mjbatch"):
        pytest.importorskip(package)
    task = tasks.get("quadruped-flat")
    env = task.make_env(4, seed=0)
    env.max_episode_length = 75
    assert task.evaluate is not None
    figures = task.evaluate(env, lambda observations: torch.zeros(4, 12), 4)
    assert figures["lin_vel_error_all_steps"] > 0.0
    assert figures["lin_vel_error_all_steps"] != figures["lin_vel_error"]
    show(Console(width=120), {"seed": 1, **figures})
    text = capsys.readouterr().out
    assert "The first 1 s of an episode, and after a new command, does not count in the errors" in text
    assert f"over all steps {figures['lin_vel_error_all_steps']:.3f} m/s" in " ".join(text.split())
