# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Random network distillation finds what PPO alone does not: the end of a maze, the only place with a reward.

    python examples/rnd_exploration.py             # 5 seeds with and 5 without, 490,000 env steps each
    python examples/rnd_exploration.py --seeds 0

A robot starts in one corner of a winding corridor of 59 cells and has 120 steps. Moving at random it stays within the
first turns: PPO alone never sees a reward, and learns nothing. With RND, cells that were rarely visited are rewarding
themselves, and lead to the goal. Writes a picture, and numbers with --json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

import _curves
from rslcore.env import VecEnv

MAZE = (
    "S..........",
    "##########.",
    "...........",
    ".##########",
    "...........",
    "##########.",
    "...........",
    ".##########",
    "..........G",
)
"""Start, walls, goal."""
MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Row and column that each action adds."""
NAMES = {"ppo": "PPO alone", "rnd": "PPO with RND"}
RND = {
    "num_outputs": 16,
    "predictor_hidden_dims": [64],
    "target_hidden_dims": [64],
    "activation": "relu",
    "weight": 1.0,
    "learning_rate": 3e-4,
}
"""A predictor that learns slowly leaves the policy time to follow before a cell is no longer new."""
SETTINGS = {"num_envs": 64, "num_steps_per_env": 32, "iterations": 240, "points": 40}
SHORT = {"num_envs": 32, "num_steps_per_env": 16, "iterations": 6, "points": 2}


class MazeEnv(VecEnv):
    """N robots in the maze, in one batch. Moves into a wall or out of the maze do nothing.

    Observation group "policy", float32 [N, 99]: 1 at the cell the robot is in. Actions [N, 1]: index of the move. The
    reward is 1 at the goal, which ends the episode; otherwise it ends after 120 steps.
    """

    step_dt = 1.0
    """Seconds per step; the weight of RND is per second."""

    def __init__(self, num_envs: int) -> None:
        """Put all robots at the start."""
        self.num_envs, self.num_actions, self.max_episode_length = num_envs, 1, 120
        self.device, self.cfg = "cpu", {"task": "maze"}
        self.width = len(MAZE[0])
        cells = "".join(MAZE)
        self._start, self._goal = cells.index("S"), cells.index("G")
        self._next = torch.tensor([[self._neighbour(cell, move) for move in MOVES] for cell in range(len(cells))])
        self._cell = torch.full((num_envs,), self._start)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64)
        self.visits = torch.zeros(len(cells), dtype=torch.int64)
        """How often each cell was entered."""

    def get_observations(self) -> TensorDict:
        """Return the cells."""
        one_hot = torch.nn.functional.one_hot(self._cell, len(self.visits)).float()
        return TensorDict({"policy": one_hot}, batch_size=[self.num_envs])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Move, and start anew where an episode ended."""
        self._cell = self._next[self._cell, actions[:, 0].long()]
        self.visits += torch.bincount(self._cell, minlength=len(self.visits))
        self.episode_length_buf += 1
        found = self._cell == self._goal
        time_outs = (self.episode_length_buf >= self.max_episode_length) & ~found
        dones = found | time_outs
        self._cell = torch.where(dones, self._start, self._cell)
        self.episode_length_buf = torch.where(dones, 0, self.episode_length_buf)
        return self.get_observations(), found.float(), dones, {"time_outs": time_outs}

    def explored(self) -> float:
        """Fraction of the free cells that were entered."""
        free = torch.tensor([cell != "#" for row in MAZE for cell in row])
        return float((self.visits[free] > 0).float().mean())

    def _neighbour(self, cell: int, move: tuple[int, int]) -> int:
        row, column = cell // self.width + move[0], cell % self.width + move[1]
        inside = 0 <= row < len(MAZE) and 0 <= column < self.width
        return row * self.width + column if inside and MAZE[row][column] != "#" else cell


def run(model: str, seed: int, settings: dict[str, int]) -> dict[str, Any]:
    """Train with or without RND, all else being equal."""
    torch.manual_seed(seed)
    env = MazeEnv(settings["num_envs"])
    network = {"class_name": "MLPModel", "hidden_dims": [64], "activation": "tanh"}
    distribution = {"class_name": "CategoricalDistribution", "num_categories": len(MOVES)}
    cfg = {
        "num_steps_per_env": settings["num_steps_per_env"],
        "save_interval": 1000,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"], "rnd_state": ["policy"]},
        "actor": network | {"distribution_cfg": distribution},
        "critic": network,
        "algorithm": {"class_name": "PPO", "entropy_coef": 0.01, "rnd_cfg": RND if model == "rnd" else None},
    }
    runner = _curves.make_runner(env, cfg)
    result: dict[str, Any] = {"model": model, "seed": seed, "env_steps": [], "success": [], "explored": []}
    start = time.perf_counter()
    chunk = settings["iterations"] // settings["points"]
    for point in range(1, settings["points"] + 1):
        runner.learn(chunk, init_at_random_ep_len=point == 1)
        rewards = runner.logger.erewbuffer if model == "rnd" else runner.logger.rewbuffer
        result["env_steps"].append(point * chunk * settings["num_steps_per_env"] * env.num_envs)
        result["success"].append(round(statistics.mean(rewards), 4) if rewards else 0.0)
        result["explored"].append(round(env.explored(), 4))
        if point % max(1, settings["points"] // 5) == 0:
            print(
                f"{NAMES[model]:<13} seed {seed}  {result['env_steps'][-1]:>8,} env steps  "
                f"explored {result['explored'][-1]:4.0%}  reached the goal {result['success'][-1]:4.0%}",
                flush=True,
            )
    return {**result, "visits": env.visits.tolist(), "seconds": round(time.perf_counter() - start, 1)}


def summary(results: dict[str, Any]) -> str:
    """One line for each kind of training."""
    lines = []
    for model, name in NAMES.items():
        runs = [one for one in results["runs"] if one["model"] == model]
        if runs:
            success = [one["success"][-1] for one in runs]
            lines.append(
                f"{name:<13} {len(runs)} seeds   goal reached at the end in {statistics.mean(success):.0%} of the "
                f"episodes ({min(success):.0%} .. {max(success):.0%}), "
                f"explored {statistics.mean(one['explored'][-1] for one in runs):.0%} of the maze"
            )
    return "\n".join(lines)


def draw(path: Path, results: dict[str, Any]) -> None:
    """Draw success over time, and where the robots have been."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure = plt.figure(figsize=(9.6, 3.8), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1))
    axes = figure.add_subplot(grid[:, 0])
    walls = np.array([[cell == "#" for cell in row] for row in MAZE])
    for row, (model, name) in enumerate(NAMES.items()):
        runs = [one for one in results["runs"] if one["model"] == model]
        if not runs:
            continue
        steps = np.array(runs[0]["env_steps"]) / 1000
        success = np.array([one["success"] for one in runs])
        (line,) = axes.plot(steps, success.mean(axis=0), label=f"{name} ({len(runs)} seeds)")
        axes.fill_between(steps, success.min(axis=0), success.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
        visits = np.sum([one["visits"] for one in runs], axis=0).reshape(walls.shape)
        panel = figure.add_subplot(grid[row, 1])
        panel.imshow(np.ma.masked_where(walls, np.log10(1 + visits)), cmap="viridis", vmin=0, vmax=7)
        panel.imshow(np.ma.masked_where(~walls, walls), cmap="gray", vmin=0, vmax=3)
        for mark, (y, x) in (("S", (0, 0)), ("G", (walls.shape[0] - 1, walls.shape[1] - 1))):
            panel.text(x, y, mark, ha="center", va="center", color="white", fontsize=9)
        panel.set(title=f"{name}: visits (darkest: none)", xticks=[], yticks=[])
        panel.title.set_fontsize(9)
    axes.set(title="Reward only at the end of a maze", xlabel="thousand env steps", ylabel="goal reached")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train with and without RND, for all seeds asked for, and show the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--json", type=Path, help="file of numbers; runs in it that are not asked for are kept")
    parser.add_argument("--picture", type=Path, default=Path("rnd_exploration.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # these networks are too small for more
    settings = SHORT if options.short else SETTINGS
    results = _curves.load(options.json, settings)
    for seed in options.seeds:
        for model in options.models:
            _curves.add_run(results, run(model, seed, settings))
            _curves.save(options.json, results)
    draw(options.picture, results)
    print(summary(results), f"picture: {options.picture}", sep="\n")


if __name__ == "__main__":
    main()
