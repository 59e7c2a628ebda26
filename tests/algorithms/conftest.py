# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Twins: the same PPO in rslcore and in rsl-rl-lib 5.5.1, with the same weights and the same experience."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import rsl_rl.algorithms
import torch
from tensordict import TensorDict

import rslcore.algorithms

NUM_ACTIONS = 3
GROUPS = {"policy": 5, "critic": 4}
"""Width of each observation group; the critic sees both."""


def make_cfg(
    num_steps: int, algorithm: dict[str, Any], distribution: dict[str, Any], obs_normalization: bool
) -> dict[str, Any]:
    """A runner configuration that both libraries take."""
    model = {"class_name": "MLPModel", "hidden_dims": [16, -1], "activation": "elu"}
    return {
        "num_steps_per_env": num_steps,
        "obs_groups": {"actor": ["policy"], "critic": ["policy", "critic"]},
        "actor": {
            **model,
            "obs_normalization": obs_normalization,
            "distribution_cfg": {"class_name": "GaussianDistribution", **distribution},
        },
        "critic": {**model, "obs_normalization": obs_normalization},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 3, **algorithm},
        "multi_gpu": None,
    }


@dataclasses.dataclass
class Twins:
    """The two algorithms, and experience to feed them."""

    ours: rslcore.algorithms.PPO
    theirs: rsl_rl.algorithms.PPO
    cfg: dict[str, Any]
    num_envs: int
    num_steps: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[Any]:
        return iter((self.ours, self.theirs))

    def observe(self) -> TensorDict:
        """Random observations."""
        n = self.num_envs
        groups = {name: 2 * torch.randn(n, width, generator=self.generator) + 1 for name, width in GROUPS.items()}
        return TensorDict(groups, batch_size=[n])

    def rollout(self, time_outs: bool = True) -> None:
        """Fill both storages: the same observations, the same seed of torch's generator at every step."""
        obs = self.observe()
        for _ in range(self.num_steps):
            seed = int(torch.randint(2**31, (), generator=self.generator))
            actions = []
            for alg in self:
                torch.manual_seed(seed)
                with torch.inference_mode():
                    actions.append(alg.act(obs.clone()))
            torch.testing.assert_close(actions[0], actions[1], rtol=1e-5, atol=1e-6)
            rewards = torch.randn(self.num_envs, generator=self.generator)
            dones = torch.rand(self.num_envs, generator=self.generator) < 0.2
            extras = {"time_outs": dones & (torch.rand(self.num_envs, generator=self.generator) < 0.5)}
            obs = self.observe()
            for alg in self:
                with torch.inference_mode():
                    alg.process_env_step(obs.clone(), rewards, dones.long(), extras if time_outs else {})
        for alg in self:
            with torch.inference_mode():
                alg.compute_returns(obs.clone())

    def update(self) -> tuple[dict[str, float], dict[str, float]]:
        """Update both with the same permutation and return their losses."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        losses = []
        for alg in self:
            torch.manual_seed(seed)
            losses.append(alg.update())
        return losses[0], losses[1]


@pytest.fixture
def make_twins():
    """A function that makes twins; keywords are settings of PPO."""

    def make(
        num_envs: int = 11,
        num_steps: int = 7,
        distribution: dict[str, Any] | None = None,
        obs_normalization: bool = False,
        seed: int = 0,
        **algorithm: Any,
    ) -> Twins:
        torch.set_num_threads(1)
        cfg = make_cfg(num_steps, algorithm, distribution or {}, obs_normalization)
        env = SimpleNamespace(num_envs=num_envs, num_actions=NUM_ACTIONS)
        twins = Twins(None, None, cfg, num_envs, num_steps, torch.Generator().manual_seed(seed))
        obs = twins.observe()
        for name, library in (("ours", rslcore.algorithms), ("theirs", rsl_rl.algorithms)):
            torch.manual_seed(seed)
            alg = library.PPO.construct_algorithm(obs, env, copy.deepcopy(cfg), "cpu")
            alg.train_mode()
            setattr(twins, name, alg)
        # The oracle draws torch.randperm once per update: give ours the same permutation.
        twins.ours.storage.draw_permutation = torch.randperm
        return twins

    return make
