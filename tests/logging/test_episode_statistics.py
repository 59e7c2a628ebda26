# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the episode statistics."""

from __future__ import annotations

from collections import deque

import pytest
import torch

from rslcore.logging import Logger, statistics
from rslcore.logging.statistics import EpisodeStatistics, LogAverages
from rslcore.utils import JointRead


def by_hand(rewards: torch.Tensor, dones: torch.Tensor, window: int) -> list[list[float]]:
    """The definition: a loop over steps and environments."""
    sums, lengths = [0.0] * rewards.shape[1], [0] * rewards.shape[1]
    finished: deque[list[float]] = deque(maxlen=window)
    for t in range(rewards.shape[0]):
        for n in range(rewards.shape[1]):
            sums[n] += rewards[t, n].item()
            lengths[n] += 1
            if dones[t, n] > 0:
                finished.append([lengths[n], sums[n]])
                sums[n], lengths[n] = 0.0, 0
    return list(finished)


def collect(statistics: EpisodeStatistics) -> list[list[float]]:
    """What finished, with a read of its own."""
    return statistics.collect(statistics.numbers().tolist())


@pytest.mark.parametrize("num_envs", [1, 7, 129])
@pytest.mark.parametrize("probability", [0.0, 0.05, 0.6, 1.0])
def test_finished_episodes_equal_the_loop(num_envs: int, probability: float) -> None:
    """Lengths and sums of the last finished episodes, in their order, for no, few and more than `window` of them."""
    torch.manual_seed(num_envs)
    rewards = torch.randint(-3, 4, (12, num_envs)).float()
    dones = torch.rand(12, num_envs) < probability
    statistics = EpisodeStatistics(num_envs, "cpu", window=20)
    collected: deque[list[float]] = deque(maxlen=20)
    for t in range(12):
        statistics.step(rewards[t], dones[t])
        if t == 3:
            collected.extend(collect(statistics))  # between any two steps
    collected.extend(collect(statistics))
    assert list(collected) == by_hand(rewards, dones, 20)
    assert collect(statistics) == []


@pytest.mark.parametrize("given", [True, False])
def test_intrinsic_rewards_are_summed_apart(given: bool) -> None:
    """Rows are length, sum of both rewards, of the extrinsic and of the intrinsic ones, which count 0 where missing."""
    statistics = EpisodeStatistics(3, "cpu", window=5, intrinsic_rewards=True)
    for done in ([0, 0, 1], [1, 0, 1]):
        extra = torch.tensor([0.5, 0.25, 2.0]) if given else None
        statistics.step(torch.tensor([[1], [2], [3]]), torch.tensor(done, dtype=torch.float64), extra)
    expected = [[1, 5, 3, 2], [2, 3, 2, 1], [1, 5, 3, 2]] if given else [[1, 3, 3, 0], [2, 2, 2, 0], [1, 3, 3, 0]]
    assert collect(statistics) == expected
    assert statistics.running[:, 1].tolist() == ([2, 4.5, 4, 0.5] if given else [2, 4, 4, 0])


def test_device_is_read_once_per_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps read nothing back; log() reads once, whatever there is to report."""
    reads = []
    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__", "nonzero"):
        function = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *a, _f=function, _n=name, **k: (reads.append(_n), _f(self, *a, **k))[1]
        )
    cfg = {"num_steps_per_env": 4, "algorithm": {}}
    logger = Logger(None, cfg, {}, 8)
    for _ in range(4):
        logger.process_env_step(torch.ones(8), torch.ones(8), {"log": {"host": 1.0}})
    assert reads == []
    logger.log(0, 0, 1, 1.0, 1.0, {"value": torch.tensor(1.0)}, 1e-3, torch.ones(3))
    assert reads == ["tolist"]
    assert list(logger.rewbuffer) == [1.0] * 32


def test_another_read_may_bring_the_numbers() -> None:
    """What joined is not read again, and is reported; what a broken iteration has left behind is forgotten."""
    reports = []
    logger = Logger(None, {"num_steps_per_env": 4, "algorithm": {}}, {}, 8)
    logger.console.iteration = lambda report, **_: reports.append(report)  # type: ignore[method-assign]
    logger.join(JointRead(), lambda: torch.zeros(3))
    logger.init_logging_writer()
    for deviation in (0.25, 0.5):
        logger.process_env_step(torch.full((8,), 2.0), torch.ones(8), {})
        joint = JointRead()
        if deviation == 0.5:
            logger.join(joint, lambda: torch.full((3,), 0.5))
        joint.fetch()
        logger.log(0, 0, 1, 1.0, 1.0, {"value": 1.0}, 1e-3, torch.full((3,), 0.25))
    assert [report.mean_std for report in reports] == [0.25, 0.5]
    assert list(logger.rewbuffer) == [2.0] * 16


def test_log_averages_run_over_all_elements() -> None:
    """The mean is over all elements of all steps; nothing stays for the next iteration; text is refused by name."""
    averages = LogAverages()
    averages.add({"a": torch.tensor([1.0, 2.0, 3.0]), "b": 2})
    averages.add({"a": torch.tensor(6.0), "c": torch.tensor([True, False])})
    averages.add({"empty": torch.zeros(0)})
    means = averages.pop([])
    assert means.pop("empty") != means.get("empty")  # NaN
    assert means == {"a": 3.0, "b": 2.0, "c": 0.5}
    assert averages.pop([]) == {}
    with pytest.raises(TypeError, match=r"extras\['log'\]\['name'\] must be a number or tensor, got str"):
        averages.add({"name": "walk"})


def test_values_are_taken_at_once() -> None:
    """A tensor that the environment overwrites later counts with the value it was reported with."""
    averages, buffer = LogAverages(), torch.tensor(1.0)
    averages.add({"a": buffer})
    buffer.fill_(100.0)
    averages.add({"a": buffer})
    assert averages.pop([]) == {"a": 50.5}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_values_may_wait_on_the_device(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums that stay on a device until read mix with numbers; a key may appear in some steps only."""
    if device == "cpu":
        monkeypatch.setattr(statistics, "_on_host", lambda value: False)
    averages = LogAverages()
    averages.add({"a": torch.tensor([1.0, 3.0], device=device), "b": torch.tensor(1.0, device=device), "c": 5.0})
    averages.add({"a": torch.tensor(5.0, device=device)})
    averages.add({"a": 3.0, "b": torch.tensor(2.0, device=device)})
    assert averages.pop(torch.cat(averages.device_sums()).tolist()) == {"a": 3.0, "b": 1.5, "c": 5.0}
