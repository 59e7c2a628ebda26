# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent beats memoryless where velocity is hidden: Gymnasium's Pendulum-v1, seen by its position only.

    python examples/recurrent_memory.py            # 5 seeds of 4 models, 250,000 env steps each
    python examples/recurrent_memory.py --models lstm mlp --seeds 0

The pendulum has to be swung up and held. Its observation is cos and sin of the angle; the angular velocity is taken
away. One observation does not tell which way the pendulum moves, so a perceptron cannot brake it; an LSTM or a GRU
remembers. A perceptron that does see the velocity shows what is to be had. Writes a picture, and numbers with --json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

import _curves
from rslcore.env import GymnasiumVecEnv
from rslcore.runners import OnPolicyRunner

NAMES = {
    "mlp": "MLP, position only",
    "lstm": "LSTM, position only",
    "gru": "GRU, position only",
    "mlp_velocity": "MLP that sees the velocity",
}
REWARD_SCALE = 0.1
"""Returns of Pendulum-v1 reach -1600; the value function learns faster on a tenth of that."""
SETTINGS = {"num_envs": 64, "num_steps_per_env": 32, "iterations": 122, "points": 24}
SHORT = {"num_envs": 16, "num_steps_per_env": 32, "iterations": 10, "points": 1}


class HideVelocity(gymnasium.ObservationWrapper):
    """Pendulum-v1 without the third entry of its observation."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Wrap one environment."""
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """Return cos and sin of the angle."""
        return observation[:2]


def make_env(num_envs: int, seed: int, *, velocity: bool) -> GymnasiumVecEnv:
    """Make pendulums with actions in [-1, 1] and scaled rewards."""
    wrappers = [lambda env: gymnasium.wrappers.TransformReward(env, lambda reward: REWARD_SCALE * reward)]
    if not velocity:
        wrappers.append(HideVelocity)
    return GymnasiumVecEnv.make("Pendulum-v1", num_envs, seed=seed, wrappers=wrappers, action_mode="rescale")


def make_model(model: str) -> dict[str, Any]:
    """Configuration of one network, of about the same size for all models."""
    if model in ("lstm", "gru"):
        memory = {"rnn_type": model, "rnn_hidden_dim": 64, "rnn_num_layers": 1}
        return {"class_name": "RNNModel", "hidden_dims": [64], "activation": "tanh", **memory}
    return {"class_name": "MLPModel", "hidden_dims": [128, 128], "activation": "tanh"}


def make_runner(env: GymnasiumVecEnv, model: str, num_steps_per_env: int) -> OnPolicyRunner:
    """Build PPO: all models learn by the same settings."""
    cfg = {
        "num_steps_per_env": num_steps_per_env,
        "save_interval": 1000,
        "obs_groups": env.obs_groups,
        "actor": make_model(model) | {"distribution_cfg": env.distribution_cfg},
        "critic": make_model(model),
        "algorithm": {"class_name": "PPO", "gamma": 0.95, "entropy_coef": 0.0},
    }
    return _curves.make_runner(env, cfg)


def run(model: str, seed: int, settings: dict[str, int]) -> dict[str, Any]:
    """Train one model, then play 64 new episodes with its deterministic actions."""
    torch.manual_seed(seed)
    velocity = model == "mlp_velocity"
    env = make_env(settings["num_envs"], seed, velocity=velocity)
    runner = make_runner(env, model, settings["num_steps_per_env"])
    label = f"{NAMES[model]:<28} seed {seed}"
    result = _curves.train(runner, settings["iterations"], settings["points"], label, 1 / REWARD_SCALE)
    final = _curves.evaluate(runner, make_env(64, 10_000 + seed, velocity=velocity), 1 / REWARD_SCALE)
    return {"model": model, "seed": seed, **result, "final_return": final}


def main() -> None:
    """Train all models and seeds asked for, and show the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path, help="file of numbers; runs in it that are not asked for are kept")
    parser.add_argument("--picture", type=Path, default=Path("recurrent_memory.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # these networks are too small for more
    settings = SHORT if options.short else SETTINGS
    results = _curves.load(options.json, settings)
    for seed in options.seeds:
        for model in options.models:
            _curves.add_run(results, run(model, seed, settings))
            _curves.save(options.json, results)
    title = "Pendulum swing-up: mean, least and greatest over seeds"
    _curves.draw(options.picture, results, NAMES, title, "return (last 100 episodes)")
    print(_curves.summary(results, NAMES), f"picture: {options.picture}", sep="\n")


if __name__ == "__main__":
    main()
