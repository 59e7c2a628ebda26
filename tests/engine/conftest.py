# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Pairs of the same PPO, one on the engine under test and one on the eager engine, with the same experience.

Makes the helpers of this folder importable.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from limits import THREADS
from rounding import Bounds, make_lipschitz, move_policy
from tensordict import TensorDict

from rslcore.algorithms import PPO

sys.path.insert(0, str(Path(__file__).parent))

NUM_ENVS, NUM_STEPS, NUM_ACTIONS = 13, 7, 3
GROUPS = {"policy": (5,), "critic": (4,), "image": (2, 6, 6)}


@dataclasses.dataclass
class Pair:
    """Two algorithms that are to learn the same."""

    tested: PPO
    eager: PPO
    bounds: Bounds = dataclasses.field(default_factory=Bounds)

    def __iter__(self):
        return iter((self.tested, self.eager))

    def rollout(self, seed):
        """The same experience for both, sampled by the eager one."""
        generator = torch.Generator().manual_seed(seed)

        def observe():
            groups = {
                name: 2 * torch.randn(NUM_ENVS, *shape, generator=generator) + 1 for name, shape in GROUPS.items()
            }
            return TensorDict(groups, batch_size=[NUM_ENVS])

        with torch.inference_mode():
            obs = observe()
            for _ in range(NUM_STEPS):
                for alg in self:
                    torch.manual_seed(seed)
                    alg.act(obs)
                rewards = torch.randn(NUM_ENVS, generator=generator)
                dones = torch.rand(NUM_ENVS, generator=generator) < 0.2
                obs = observe()
                for alg in self:
                    alg.process_env_step(obs.clone(), rewards, dones, {})
            for alg in self:
                alg.compute_returns(obs)

    def update(self, seed):
        """One update of both, both policies moved since they acted; the losses."""
        losses = []
        for alg in self:
            move_policy(alg.actor, torch.Generator().manual_seed(seed))
            torch.manual_seed(seed)
            with self.bounds.watch(self.eager.optimizers()):
                losses.append(alg.update())
        return losses

    def assert_same_after(self, updates=2, engine=None):
        """Rollouts and updates lead to the same losses, learning rate, models and state of the optimizers."""
        for seed in range(updates):
            self.rollout(seed)
            losses = self.update(seed)
            if engine is not None:
                assert (self.tested.engine.name, self.eager.engine.name) == (engine, "eager")
            self.bounds.assert_same_losses(*losses)
            assert self.tested.learning_rate == self.eager.learning_rate
            self.assert_same_state()

    def assert_same_state(self):
        """Models and the state of the optimizers agree."""
        for role in ("actor", "critic"):
            self.bounds.assert_same_model(*(getattr(alg, f"_raw_{role}") for alg in self), role)
        for tested, eager in zip(*(alg.optimizers() for alg in self), strict=True):
            self.bounds.assert_same_moments(tested, eager)


def make_cfg(**settings):
    """A configuration; keywords are settings of PPO, of both models with `model_`, of one with its name."""
    cfg = {
        "num_steps_per_env": NUM_STEPS,
        "obs_groups": {"actor": ["policy"], "critic": ["policy", "critic"], "rnd_state": ["critic"]},
        "actor": {
            "class_name": "MLPModel",
            "hidden_dims": [16, 24],
            "activation": "elu",
            "obs_normalization": True,
            "distribution_cfg": {"class_name": "GaussianDistribution"},
        },
        "critic": {"class_name": "MLPModel", "hidden_dims": [40], "activation": "elu", "obs_normalization": True},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 3, "clip_param": 0.1},
        "multi_gpu": None,
    }
    for key, value in settings.items():
        part, _, name = key.partition("__")
        if part in ("actor", "critic"):
            cfg[part][name] = value
        elif part == "models":
            cfg["actor"][name] = cfg["critic"][name] = value
        elif part == "distribution":
            cfg["actor"]["distribution_cfg"][name] = value
        elif part == "obs_groups":
            cfg["obs_groups"][name] = value
        else:
            cfg["algorithm"][key] = value
    return cfg


@pytest.fixture
def make_pair():
    """A function that makes a pair; keywords as for `make_cfg`."""

    def make(engine="auto", **settings) -> Pair:
        torch.set_num_threads(THREADS)
        cfg = make_cfg(**settings)
        env = SimpleNamespace(num_envs=NUM_ENVS, num_actions=NUM_ACTIONS, unwrapped=SimpleNamespace(step_dt=0.02))
        obs = TensorDict({name: torch.randn(NUM_ENVS, *shape) for name, shape in GROUPS.items()}, [NUM_ENVS])
        algorithms = []
        for name in (engine, "eager"):
            own = copy.deepcopy(cfg)
            own["algorithm"]["engine"] = name
            torch.manual_seed(0)
            algorithms.append(PPO.construct_algorithm(obs, env, own, "cpu"))
            algorithms[-1].train_mode()
            make_lipschitz(algorithms[-1].optimizers())
        return Pair(*algorithms)

    return make
