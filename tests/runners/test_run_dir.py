# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the run folder that a runner trains in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import SavingPendulumVecEnv
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_resume import make_runner

from rslcore import checkpoint
from rslcore.logging import read_metrics


def test_going_back_in_one_folder_leaves_one_curve(tmp_path: Path) -> None:
    """Iterations repeated after ``load``, and after a crash: TensorBoard and metrics.jsonl have each step once."""

    class Crashing(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            if self.num_steps == 8 * 4 + 3:
                self.num_steps += 1
                raise RuntimeError("simulator lost")
            return super().step(actions)

    runner = make_runner(tmp_path, save_interval=1)
    runner.learn(5)
    runner.load(tmp_path / "model_2.pt")
    runner.learn(3)
    crashed = make_runner(tmp_path, Crashing(), save_interval=1)
    crashed.load(tmp_path / "model_2.pt")
    with pytest.raises(RuntimeError, match="lost"):
        crashed.learn(3)
    resumed = make_runner(tmp_path, save_interval=1)
    resumed.load(tmp_path / "model_2.pt")
    resumed.learn(3)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for tag in ("Loss/value", "Train/mean_reward"):
        steps = [event.step for event in events.Scalars(tag)]
        assert steps == list(range(steps[0], 6))
    assert [record["iteration"] for record in read_metrics(tmp_path)] == list(range(6))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writer
def test_a_folder_that_goes_away_is_told_and_what_was_learned_saved(tmp_path: Path) -> None:
    """The run folder is moved away in the third iteration: an error names it, and the last iteration done is saved."""

    class Moving(SavingPendulumVecEnv):
        def step(self, actions: torch.Tensor) -> Any:
            if self.num_steps == 20:
                (tmp_path / "run").rename(tmp_path / "moved")
            return super().step(actions)

    runner = make_runner(tmp_path / "run", Moving(), save_interval=2)
    with pytest.raises(FileNotFoundError, match="deleted or moved while it was trained in; what was learned is in"):
        runner.learn(10)
    found = checkpoint.latest(tmp_path / "run")
    assert found is not None
    assert checkpoint.read(found)["iter"] == runner.current_learning_iteration >= 1


def test_a_lock_that_the_caller_holds_is_enough(tmp_path: Path) -> None:
    """With ``run_dir_lock`` set, learn takes no lock; another runner is refused before it touches anything."""
    runner = make_runner(tmp_path)
    with checkpoint.lock(tmp_path) as runner.run_dir_lock:
        runner.learn(1)
        other = make_runner(tmp_path)
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        with pytest.raises(checkpoint.CheckpointError, match="is being trained by process"):
            other.learn(1)
        assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
