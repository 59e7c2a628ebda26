# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The real rsl-rl-lib 5.5.1 as the oracle of tags, values and the names on the console."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rslcore.logging import Logger
from rslcore.logging.metrics_file import read_metrics

original = pytest.importorskip("rsl_rl.utils.logger", reason="rsl-rl-lib is the oracle")

NUM_ENVS, NUM_STEPS = 37, 6
Events = dict[str, list[tuple[int, float]]]


def read_events(folder: Path) -> Events:
    """Return tag -> [(step, value)] from the TensorBoard files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def feed(logger: Any, iterations: int, cfg: dict[str, Any], *, key: str = "log") -> None:
    """Give a logger of either library the same rollouts and updates."""
    torch.manual_seed(0)
    rnd = bool(cfg["algorithm"].get("rnd_cfg"))
    logger.init_logging_writer()
    for it in range(iterations):
        for step in range(NUM_STEPS):
            rewards = torch.randn(NUM_ENVS)
            probability = 0.0 if it == 0 else (0.9 if it == 2 else 0.1)  # none, some, and more than 100 episodes
            dones = (torch.rand(NUM_ENVS) < probability).long()
            log = {
                "plain": 0.5 * step,
                "tensor": torch.randn(()),
                "rows": torch.randn(step + 1),
                "Group/value": torch.tensor([float(it)]),
                "/leading": 3,
            }
            if step % 2:
                log["sometimes"] = step
            extras = {key: log} if key else {}
            logger.process_env_step(rewards, dones, extras, torch.rand(NUM_ENVS) if rnd else None)
        logger.log(
            it=it,
            start_it=0,
            total_it=iterations,
            collect_time=0.5,
            learn_time=0.25,
            loss_dict={"value": 1.0 + it, "surrogate": -0.5, "entropy": 2.0},
            learning_rate=1e-3 * (it + 1),
            action_std=torch.full((3,), 0.7),
            rnd_weight=0.1 if rnd else None,
        )
    logger.stop_logging_writer()
    logger.writer.close()


def both(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, key: str = "log", rnd: bool = False) -> Any:
    """Run both loggers; returns the events and the console texts."""
    results = []
    for name, logger_class in (("theirs", original.Logger), ("ours", Logger)):
        cfg = {
            "num_steps_per_env": NUM_STEPS,
            "run_name": "a run",
            "algorithm": {"rnd_cfg": {"weight": 1.0} if rnd else None},
        }
        arguments = (str(tmp_path / name), cfg, {}, NUM_ENVS, False, 1, 0, "cpu")
        options = {"console": "plain"} if logger_class is Logger else {}
        logger = logger_class(*arguments, **options)
        capsys.readouterr()
        feed(logger, 4, cfg, key=key)
        results.append((logger, read_events(tmp_path / name), capsys.readouterr().out))
    return results


@pytest.mark.parametrize(("key", "rnd"), [("log", False), ("episode", False), ("", False), ("log", True)])
def test_tags_steps_and_values_are_those_of_rsl_rl(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, rnd: bool
) -> None:
    """Every tag of the real package, no other, with the same steps and values; and the same attributes after it."""
    (theirs, their_events, _), (ours, our_events, _) = both(tmp_path, capsys, key=key, rnd=rnd)
    assert set(our_events) == set(their_events)
    for tag, points in their_events.items():
        assert [step for step, _ in our_events[tag]] == [step for step, _ in points], tag
        torch.testing.assert_close([v for _, v in our_events[tag]], [v for _, v in points], rtol=1e-5, atol=1e-6)
    for name in ("rewbuffer", "lenbuffer"):
        torch.testing.assert_close(list(getattr(ours, name)), list(getattr(theirs, name)))
    assert (ours.tot_timesteps, ours.tot_time) == (theirs.tot_timesteps, theirs.tot_time)
    torch.testing.assert_close(ours.cur_reward_sum, theirs.cur_reward_sum)
    torch.testing.assert_close(ours.cur_episode_length, theirs.cur_episode_length)


def test_console_has_every_field_of_rsl_rl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each "name: value" that the real package prints is printed, with the same value; the title likewise."""
    (_, _, their_text), (_, _, our_text) = both(tmp_path, capsys)
    field = re.compile(r"^ +([^:\n]+): (\S+)", re.MULTILINE)
    ours = field.findall(our_text)
    expected = [pair for pair in field.findall(their_text) if pair[0] != "ETA"]
    assert len(expected) > 40
    assert [pair for pair in expected if pair not in ours] == []
    assert "Learning iteration 3/4" in their_text
    assert "Learning iteration 3/4" in our_text


def test_metrics_file_has_the_same_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """metrics.jsonl has one record per iteration, with the values of the events."""
    _, (_, events, _) = both(tmp_path, capsys)
    records = read_metrics(tmp_path / "ours")
    assert [record["iteration"] for record in records] == [0, 1, 2, 3]
    assert [record["total_timesteps"] for record in records] == [NUM_ENVS * NUM_STEPS * (i + 1) for i in range(4)]
    for tag, points in events.items():
        if not tag.endswith("/time"):
            torch.testing.assert_close([float(r[tag]) for r in records if tag in r], [v for _, v in points])
