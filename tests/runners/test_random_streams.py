# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the random numbers of runners: which are the same, and which are independent."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from pendulum import PendulumVecEnv, make_cfg

from rslcore.runners import OnPolicyRunner


def make_runner(engine: str = "auto") -> OnPolicyRunner:
    """Return a silent runner, with whatever random numbers there are."""
    cfg = make_cfg()
    cfg["algorithm"]["engine"] = engine
    return OnPolicyRunner(PendulumVecEnv(), cfg, None, "cpu", console="none")


def draws_of(runner: OnPolicyRunner) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of the first rollout, in standard deviations, and the first order of its rows."""
    kept: list[torch.Tensor] = []
    update = runner.alg.update

    def keep_and_update() -> dict[str, float]:
        storage = runner.alg.storage
        mean, std = storage.distribution_params
        kept.append(((storage.actions - mean) / std).flatten().clone())
        losses: dict[str, float] = update()
        return losses

    runner.alg.update = keep_and_update
    draw = runner.alg.storage.draw_permutation

    def keep_and_draw(n: int) -> torch.Tensor:
        index: torch.Tensor = draw(n)
        kept.append(index.clone())
        return index

    runner.alg.storage.draw_permutation = keep_and_draw
    runner.learn(1)
    return kept[0], kept[1]


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Correlation of two samples."""
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])


@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_runners_made_after_one_seed_are_independent(engine: str) -> None:
    """Law: two runners after one seed have other noise and other orders; both are the same in the next process."""

    def program() -> list[tuple[torch.Tensor, torch.Tensor]]:
        torch.manual_seed(3)
        runners = [make_runner(engine) for _ in range(2)]
        return [draws_of(runner) for runner in runners]

    (noise_a, order_a), (noise_b, order_b) = program()
    assert abs(correlation(noise_a, noise_b)) < 5 / len(noise_a) ** 0.5  # five standard deviations of none
    assert not torch.equal(order_a, order_b)
    again = program()
    assert torch.equal(again[0][0], noise_a) and torch.equal(again[1][1], order_b)


def test_a_seed_set_before_learn_counts() -> None:
    """Law: as in rsl_rl, the noise is that of the seed set last before ``learn``."""
    draws = []
    for seed in (5, 5, 6):
        torch.manual_seed(1)
        runner = make_runner()
        torch.manual_seed(seed)
        draws.append(draws_of(runner))
    assert torch.equal(draws[0][0], draws[1][0]) and torch.equal(draws[0][1], draws[1][1])
    assert abs(correlation(draws[0][0], draws[2][0])) < 5 / len(draws[0][0]) ** 0.5
    assert not torch.equal(draws[0][1], draws[2][1])


def test_a_runner_leaves_torchs_generator_to_others() -> None:
    """Law: construction draws the weights from torch's generator, and training nothing."""
    torch.manual_seed(3)
    runner = make_runner()
    before = torch.get_rng_state()
    runner.learn(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_settles_nothing(tmp_path: Any) -> None:
    """Law: a runner that was saved, or loaded weights, before ``learn`` still takes the seed set last."""
    torch.manual_seed(1)
    saved = make_runner()
    saved.save(tmp_path / "model.pt")
    torch.manual_seed(5)
    expected = draws_of(saved)
    torch.manual_seed(2)
    loaded = make_runner()
    loaded.load(tmp_path / "model.pt", {"actor": True, "critic": True})
    torch.manual_seed(5)
    actual = draws_of(loaded)
    assert torch.equal(actual[0], expected[0]) and torch.equal(actual[1], expected[1])


def test_numpy_and_python_continue_with_a_checkpoint(tmp_path: Any) -> None:
    """Law: the global generators of NumPy and Python, which environments draw from, are part of a checkpoint."""
    runner = make_runner()
    runner.learn(1)
    random.seed(3)
    np.random.seed(3)
    runner.save(tmp_path / "model.pt")
    expected = random.random(), np.random.rand()
    other = make_runner()
    other.load(tmp_path / "model.pt")
    other.learn(0)
    assert (random.random(), np.random.rand()) == expected
