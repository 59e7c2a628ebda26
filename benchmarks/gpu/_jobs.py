# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The same PPO in rslcore and in rsl_rl on one device, with a rollout to learn from and an environment for nothing."""

from __future__ import annotations

import contextlib
import copy
import io
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from tensordict import TensorDict

STEPS, OBSERVATIONS, ACTIONS = 24, 48, 12
SHAPES = {"XS": (64, (64, 64)), "M": (1_024, (128, 128, 128)), "S": (4_096, (512, 256, 128))}


def config(hidden: tuple[int, ...], **algorithm: object) -> dict[str, Any]:
    """A configuration that both packages take."""
    model = {"class_name": "MLPModel", "hidden_dims": list(hidden), "activation": "elu", "obs_normalization": True}
    return {
        "num_steps_per_env": STEPS,
        "save_interval": 10**9,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**model, "distribution_cfg": {"class_name": "GaussianDistribution"}},
        "critic": dict(model),
        "algorithm": {"class_name": "PPO", **algorithm},
        "multi_gpu": None,
    }


def observe(num_envs: int, device: torch.device) -> TensorDict:
    """Random observations."""
    return TensorDict({"policy": torch.randn(num_envs, OBSERVATIONS, device=device)}, [num_envs])


def construct(
    library: ModuleType, num_envs: int, hidden: tuple[int, ...], device: torch.device, **algorithm: object
) -> Any:  # noqa: ANN401 - of either package
    """PPO of a package (`rslcore` or `rsl_rl`), in training mode."""
    torch.manual_seed(0)
    env = SimpleNamespace(num_envs=num_envs, num_actions=ACTIONS, unwrapped=SimpleNamespace(step_dt=0.02))
    cfg = copy.deepcopy(config(hidden, **algorithm))
    with contextlib.redirect_stdout(io.StringIO()):
        alg = library.algorithms.PPO.construct_algorithm(observe(num_envs, device), env, cfg, str(device))
    alg.train_mode()
    return alg


class Stream:
    """An environment that only hands out prepared tensors."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        """Prepare some steps."""
        self._steps = [observe(num_envs, device) for _ in range(4)]
        self._rewards = torch.randn(num_envs, device=device)
        self._dones = [(torch.rand(num_envs, device=device) < 0.01).long() for _ in range(4)]
        self._number = 0

    def step(self) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """The next one."""
        self._number += 1
        dones = self._dones[self._number % 4]
        return self._steps[self._number % 4], self._rewards, dones, {"time_outs": dones}


def rollout(alg: Any, stream: Stream) -> None:  # noqa: ANN401 - of either package
    """A whole rollout, and its returns."""
    with torch.inference_mode():
        obs = stream.step()[0]
        for _ in range(STEPS):
            alg.act(obs)
            obs, rewards, dones, extras = stream.step()
            alg.process_env_step(obs, rewards, dones, extras)
        alg.compute_returns(obs)
