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
from limits import THREADS
from rounding import Bounds, make_lipschitz, move_policy
from tensordict import TensorDict

import rslcore.algorithms

NUM_ACTIONS = 3
GROUPS = {"policy": 5, "critic": 4}
"""Width of each observation group; the critic sees both."""

IMAGE = (2, 6, 6)
"""Channels, height and width of the group "image", which convolutional models see besides."""

STEP_DT = 0.02
"""Seconds per env step."""

_MLP = {"class_name": "MLPModel", "hidden_dims": [16, -1], "activation": "elu"}
_RNN = {**_MLP, "class_name": "RNNModel", "hidden_dims": [16], "rnn_hidden_dim": 8}
MODELS = {
    "mlp": _MLP,
    "lstm": {**_RNN, "rnn_type": "lstm"},
    "gru": {**_RNN, "rnn_type": "gru", "rnn_num_layers": 2},
    "cnn": {**_MLP, "class_name": "CNNModel", "cnn_cfg": {"output_channels": [3, 4], "kernel_size": 3}},
}
"""Settings of each kind of model."""


def make_cfg(
    num_steps: int,
    algorithm: dict[str, Any],
    distribution: dict[str, Any],
    obs_normalization: bool,
    actor: str,
    critic: str,
) -> dict[str, Any]:
    """A runner configuration that both libraries take."""
    groups = {"actor": ["policy"], "critic": ["policy", "critic"]}
    for role, kind in (("actor", actor), ("critic", critic)):
        groups[role] += ["image"] if kind == "cnn" else []
    return {
        "num_steps_per_env": num_steps,
        "obs_groups": {**groups, "rnd_state": ["critic", "policy"]},
        "actor": {
            **MODELS[actor],
            "obs_normalization": obs_normalization,
            "distribution_cfg": {"class_name": "GaussianDistribution", **distribution},
        },
        "critic": {**MODELS[critic], "obs_normalization": obs_normalization},
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
    bounds: Bounds = dataclasses.field(default_factory=Bounds)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.ours, self.theirs))

    def observe(self) -> TensorDict:
        """Random observations."""
        n = self.num_envs
        groups = {name: 2 * torch.randn(n, width, generator=self.generator) + 1 for name, width in GROUPS.items()}
        if "image" in self.cfg["obs_groups"]["actor"] + self.cfg["obs_groups"]["critic"]:
            groups["image"] = torch.rand(n, *IMAGE, generator=self.generator)
        return TensorDict(groups, batch_size=[n])

    def rollout(self, time_outs: bool = True) -> None:
        """Fill both storages: the same observations, the same seed of torch's generator at every step."""
        self.ours.sampler = None  # then ours draws from that generator too
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
        """Update both with the same permutation, both policies moved since they acted; return their losses."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        losses = []
        for alg in self:
            move_policy(alg.actor, torch.Generator().manual_seed(seed))
            torch.manual_seed(seed)
            with self.bounds.watch(optimizers_of(self.theirs)):
                losses.append(alg.update())
        return losses[0], losses[1]

    def share_advantages(self) -> None:
        """Give ours the oracle's advantages: what is a rounding of float32 may become one of bfloat16, 1e5 as large."""
        for name in ("returns", "advantages"):
            getattr(self.ours.storage, name).copy_(getattr(self.theirs.storage, name))

    def assert_same_after(self, updates: int = 1) -> None:
        """Rollouts and updates of both, and everything that comes of them, agree."""
        for _ in range(updates):
            self.rollout()
            self.bounds.assert_same_losses(*self.update())
            assert self.ours.learning_rate == self.theirs.learning_rate
            for alg in self:
                assert {group["lr"] for group in alg.optimizer.param_groups} == {alg.learning_rate}
            self.assert_same_parameters()

    def assert_same_parameters(self) -> None:
        """Parameters and buffers of models and extension, and what the optimizers keep, agree by name."""
        for role in ("actor", "critic", "rnd") if self.ours.rnd is not None else ("actor", "critic"):
            self.bounds.assert_same_model(*(getattr(alg, role) for alg in self), role)
        for ours, theirs in zip(*map(optimizers_of, self), strict=True):
            self.bounds.assert_same_moments(ours, theirs)


def optimizers_of(alg: Any) -> list[torch.optim.Optimizer]:
    """That of the models, and that of RND."""
    return [alg.optimizer] if alg.rnd is None else [alg.optimizer, alg.rnd.optimizer]


@pytest.fixture
def make_twins():
    """A function that makes twins; `actor` and `critic` are kinds of models, further keywords settings of PPO."""

    def make(
        num_envs: int = 11,
        num_steps: int = 7,
        distribution: dict[str, Any] | None = None,
        obs_normalization: bool = False,
        seed: int = 0,
        actor: str = "mlp",
        critic: str | None = None,
        **algorithm: Any,
    ) -> Twins:
        torch.set_num_threads(THREADS)
        cfg = make_cfg(num_steps, algorithm, distribution or {}, obs_normalization, actor, critic or actor)
        env = SimpleNamespace(num_envs=num_envs, num_actions=NUM_ACTIONS, unwrapped=SimpleNamespace(step_dt=STEP_DT))
        twins = Twins(None, None, cfg, num_envs, num_steps, torch.Generator().manual_seed(seed))
        obs = twins.observe()
        for name, library in (("ours", rslcore.algorithms), ("theirs", rsl_rl.algorithms)):
            torch.manual_seed(seed)
            alg = library.PPO.construct_algorithm(obs, env, copy.deepcopy(cfg), "cpu")
            alg.train_mode()
            make_lipschitz(optimizers_of(alg))
            setattr(twins, name, alg)
        # The oracle draws torch.randperm once per update: give ours the same permutation.
        twins.ours.storage.draw_permutation = torch.randperm
        return twins

    return make
