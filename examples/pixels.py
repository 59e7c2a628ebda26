# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From pixels: a robot that must catch a ball it only sees, with CNNModel on uint8 images.

    python examples/pixels.py                      # 3 seeds of 3 policies, 340,000 env steps each
    python examples/pixels.py --policies pixels --seeds 0

A ball falls through a court and bounces off its walls; a paddle at the bottom has to be where it lands. The policy
feels where its paddle is (a vector), and sees the ball (an image of two frames, one per channel). The value function,
which is needed in training only, is given the true state. A policy that cannot see, and one that is given the true
state, show what the image is worth. Writes a picture, and numbers with --json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

import _curves
from rslcore.env import VecEnv

NAMES = {"pixels": "CNN: image and paddle", "blind": "MLP: paddle only", "state": "MLP: true state"}
GROUPS = {"pixels": ["paddle", "camera"], "blind": ["paddle"], "state": ["state"]}
ENCODER = {"output_channels": [16, 32], "kernel_size": [4, 3], "stride": 2, "activation": "relu"}
"""Two convolutions: 24x24 pixels to 11x11 to 5x5."""
SETTINGS = {"num_envs": 128, "num_steps_per_env": 24, "iterations": 110, "points": 22}
SHORT = {"num_envs": 64, "num_steps_per_env": 24, "iterations": 10, "points": 2}


class CatchEnv(VecEnv):
    """N courts, drawn and simulated in one batch; lengths in pixels, speeds in pixels per env step.

    Observation groups: "camera", uint8 [N, 2, 24, 24], the ball now and one step ago; "paddle", float32 [N, 1], its
    position; "state", float32 [N, 4], positions of paddle and ball, and the ball's horizontal speed, all within -1..1.
    The action [N, 1] in [-1, 1] is the speed of the paddle. The reward is 1 for a ball caught; an episode is one ball.
    """

    SIZE = 24
    """Side of the court."""
    REACH = 2.5
    """Distance from the middle of the paddle at which a ball is still caught."""
    MAX_SPEED = 1.5
    """Largest horizontal speed of the ball; it falls one pixel per step."""

    def __init__(self, num_envs: int, seed: int = 0, device: str = "cpu") -> None:
        """Throw the first balls."""
        self.num_envs, self.num_actions = num_envs, 1
        self.max_episode_length = self.SIZE - 1
        self.device, self.cfg = device, {"task": "catch", "seed": seed}
        self._random = torch.Generator(device).manual_seed(seed)
        self._pixels = torch.arange(self.SIZE, device=device) + 0.5
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64, device=device)
        self._paddle, self._x, self._speed = torch.zeros(3, num_envs, device=device)
        self._previous = torch.zeros(num_envs, self.SIZE, self.SIZE, dtype=torch.uint8, device=device)
        self._frame = torch.zeros_like(self._previous)
        self._throw(torch.ones(num_envs, dtype=torch.bool, device=device))

    def get_observations(self) -> TensorDict:
        """Return the three groups."""
        half = self.SIZE / 2
        paddle, x, y = (value / half - 1 for value in (self._paddle, self._x, self._height()))
        groups = {
            "camera": torch.stack([self._frame, self._previous], dim=1),
            "paddle": paddle.unsqueeze(-1),
            "state": torch.stack([paddle, x, y, self._speed / self.MAX_SPEED], dim=-1),
        }
        return TensorDict(groups, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Move paddle and ball; where the ball has landed, throw the next one."""
        self._paddle = (self._paddle + actions[:, 0].clamp(-1, 1)).clamp(0, self.SIZE)
        x = self._x + self._speed
        bounces = (x < 0) | (x > self.SIZE)
        self._x = torch.where(x < 0, -x, torch.where(x > self.SIZE, 2 * self.SIZE - x, x))
        self._speed = torch.where(bounces, -self._speed, self._speed)
        self.episode_length_buf += 1
        landed = self.episode_length_buf >= self.max_episode_length
        rewards = (landed & ((self._paddle - self._x).abs() <= self.REACH)).float()
        self._previous, self._frame = self._frame, self._draw()
        self._throw(landed)
        return self.get_observations(), rewards, landed, {"time_outs": torch.zeros_like(landed)}

    def _throw(self, where: torch.Tensor) -> None:
        """Begin new episodes where the flags [N] are set."""
        uniform = torch.rand(3, self.num_envs, generator=self._random, device=self.device)
        self._paddle = torch.where(where, uniform[0] * self.SIZE, self._paddle)
        self._x = torch.where(where, uniform[1] * self.SIZE, self._x)
        self._speed = torch.where(where, (2 * uniform[2] - 1) * self.MAX_SPEED, self._speed)
        self.episode_length_buf = self.episode_length_buf.masked_fill(where, 0)
        images = where.view(-1, 1, 1)
        self._frame = torch.where(images, self._draw(), self._frame)
        self._previous = torch.where(images, self._frame, self._previous)

    def _height(self) -> torch.Tensor:
        """How far the balls have fallen [N]."""
        return self.episode_length_buf + 0.5

    def _draw(self) -> torch.Tensor:
        """Pictures of the balls, uint8 [N, height, width]: 255 within 1.5 pixels of the ball's middle."""
        columns = (self._pixels - self._x.unsqueeze(-1)).abs() <= 1.5
        rows = (self._pixels - self._height().unsqueeze(-1)).abs() <= 1.5
        return 255 * (rows.unsqueeze(-1) & columns.unsqueeze(-2)).to(torch.uint8)


def run(policy: str, seed: int, settings: dict[str, int]) -> dict[str, Any]:
    """Train one policy, then let it catch 512 new balls with its deterministic actions."""
    torch.manual_seed(seed)
    env = CatchEnv(settings["num_envs"], seed)
    mlp = {"class_name": "MLPModel", "hidden_dims": [64, 64]}
    cnn = {"class_name": "CNNModel", "hidden_dims": [64, 64], "cnn_cfg": ENCODER}
    cfg = {
        "num_steps_per_env": settings["num_steps_per_env"],
        "save_interval": 1000,
        "obs_groups": {"actor": GROUPS[policy], "critic": GROUPS["state"]},
        "actor": (cnn if policy == "pixels" else mlp) | {"distribution_cfg": {"class_name": "GaussianDistribution"}},
        "critic": mlp,
        "algorithm": {"class_name": "PPO", "gamma": 0.98, "entropy_coef": 0.005, "schedule": "fixed"},
    }
    runner = _curves.make_runner(env, cfg)
    label = f"{NAMES[policy]:<24} seed {seed}"
    result = _curves.train(runner, settings["iterations"], settings["points"], label)
    final = _curves.evaluate(runner, CatchEnv(512, 10_000 + seed))
    return {"model": policy, "seed": seed, **result, "final_return": final}


def main() -> None:
    """Train all policies and seeds asked for, and show the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="file of numbers; runs in it that are not asked for are kept")
    parser.add_argument("--picture", type=Path, default=Path("pixels.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # these networks are too small for more
    settings = SHORT if options.short else SETTINGS
    results = _curves.load(options.json, settings)
    for seed in options.seeds:
        for policy in options.policies:
            _curves.add_run(results, run(policy, seed, settings))
            _curves.save(options.json, results)
    title = "Catching a ball: mean, least and greatest over seeds"
    _curves.draw(options.picture, results, NAMES, title, "balls caught (of the last 100)")
    print(_curves.summary(results, NAMES), f"picture: {options.picture}", sep="\n")


if __name__ == "__main__":
    main()
