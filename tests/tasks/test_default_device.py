# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The tasks that ship, in a program that set a default device for itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from rslcore import tasks

STEPS = 60


@pytest.fixture(autouse=True)
def _no_default() -> Iterator[None]:
    yield
    torch.set_default_device(None)


def live(name: str) -> Any:
    """Some steps, saved, continued, and evaluated: numbers that tell all of them."""
    task = tasks.get(name)
    env = task.make_env(2, seed=3, device="cpu")
    env.max_episode_length = STEPS // 2
    generator = torch.Generator("cpu").manual_seed(0)

    def act(obs: Any) -> torch.Tensor:
        return torch.rand(2, env.num_actions, generator=generator, device="cpu") - 0.5

    rewards = []
    for _ in range(STEPS):
        obs, reward, _, _ = env.step(act(None))
        rewards += reward.tolist()
    state = env.state_dict()
    env.load_state_dict(state)
    rewards += env.step(act(None))[1].tolist()
    assert all(group.device.type == "cpu" for group in obs.values())
    return rewards, task.evaluate(env, act, 2)


@pytest.mark.parametrize("name", ["cart-pole", "half-cheetah", "quadruped-flat"])
def test_a_default_device_changes_nothing(name: str) -> None:
    """Law: tasks name the device of every tensor: a default of "meta", whose tensors hold nothing, changes nothing."""
    if name != "cart-pole":
        pytest.importorskip("mujoco", reason=f"{name} needs mujoco")
        pytest.importorskip("mjbatch", reason=f"{name} needs mjbatch")
        pytest.importorskip("gymnasium", reason="half-cheetah needs gymnasium's model")
    expected = live(name)
    torch.set_default_device("meta")
    assert live(name) == expected
