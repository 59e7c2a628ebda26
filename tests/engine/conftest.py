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
from tensordict import TensorDict

from rslcore.algorithms import PPO

sys.path.insert(0, str(Path(__file__).parent))

NUM_ENVS, NUM_STEPS, NUM_ACTIONS = 13, 7, 3
GROUPS = {"policy": (5,), "critic": (4,), "image": (2, 6, 6)}

RTOL = 1e-5
"""Largest difference of parameters, as a part of the largest magnitude within their tensor."""


@dataclasses.dataclass
class Pair:
    """Two algorithms that are to learn the same."""

    tested: PPO
    eager: PPO

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
        """One update of both; the losses."""
        losses = []
        for alg in self:
            torch.manual_seed(seed)
            losses.append(alg.update())
        return losses

    def assert_same_after(self, updates=2, engine=None):
        """Rollouts and updates lead to the same parameters, losses, learning rate and state of the optimizer."""
        for seed in range(updates):
            self.rollout(seed)
            losses = self.update(seed)
            if engine is not None:
                assert (self.tested.engine.name, self.eager.engine.name) == (engine, "eager")
            assert list(losses[0]) == list(losses[1])
            for name, loss in losses[1].items():
                assert losses[0][name] == pytest.approx(loss, rel=RTOL, abs=RTOL), name
            assert self.tested.learning_rate == self.eager.learning_rate
            for role in ("actor", "critic"):
                tested, eager = (getattr(alg, f"_raw_{role}").state_dict() for alg in self)
                for name, expected in eager.items():
                    assert_close(tested[name], expected, f"{role} {name}")
            tested, eager = (alg.optimizer.state_dict()["state"] for alg in self)
            assert list(tested) == list(eager)
            for number, state in eager.items():
                assert list(tested[number]) == list(state)
                for name, expected in state.items():
                    if expected is not None:
                        assert_close(tested[number][name], expected, f"{name} of parameter {number}", rtol=20 * RTOL)


def assert_close(actual, expected, what, rtol=RTOL):
    """Tensors agree relative to the largest magnitude."""
    atol = rtol * max(expected.abs().max().item(), 1e-30)
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol, msg=lambda m: f"{what}: {m}")


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
        torch.set_num_threads(1)
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
        return Pair(*algorithms)

    return make
