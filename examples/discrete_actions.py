# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Discrete actions: environments of Gymnasium and EnvPool, learned with a categorical distribution.

    python examples/discrete_actions.py            # 3 seeds of 3 tasks, some minutes
    python examples/discrete_actions.py --tasks lunarlander --seeds 0

CartPole-v1 (balance a pole, 2 actions) and Acrobot-v1 (swing up two links, 3 actions) come from Gymnasium,
LunarLander-v3 (land softly with 4 engine commands) from EnvPool. The environment says which distribution its actions
need (`env.distribution_cfg`); everything else is as for robots. Returns that count as solved: 475, -100 and 200.
Writes a picture, and numbers with --json. For a policy of your own: rslcore train envpool:LunarLander-v3
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import _curves
from rslcore.env import EnvPoolVecEnv, GymnasiumVecEnv

ADAPTERS = {"Gymnasium": GymnasiumVecEnv, "EnvPool": EnvPoolVecEnv}


@dataclass(frozen=True)
class Task:
    """An environment and how long to train on it."""

    library: str
    """Key of `ADAPTERS`."""
    id: str
    """Name of the environment in the library."""
    solved: float
    """Return that counts as solved."""
    num_envs: int
    """Environments N."""
    iterations: int
    """Rollouts of 64 steps, each followed by an update."""
    gamma: float = 0.99
    """Discount factor per step."""
    points: int = 25
    """Points of the learning curve."""


TASKS = {
    "cartpole": Task("Gymnasium", "CartPole-v1", solved=475, num_envs=16, iterations=100),
    "acrobot": Task("Gymnasium", "Acrobot-v1", solved=-100, num_envs=16, iterations=150),
    "lunarlander": Task("EnvPool", "LunarLander-v3", solved=200, num_envs=64, iterations=150, gamma=0.995),
}
SHORT = {
    "cartpole": Task("Gymnasium", "CartPole-v1", solved=475, num_envs=16, iterations=16, points=2),
    "acrobot": Task("Gymnasium", "Acrobot-v1", solved=-100, num_envs=4, iterations=9, points=9),
    "lunarlander": Task("EnvPool", "LunarLander-v3", solved=200, num_envs=8, iterations=17, points=17),
}
NUM_STEPS_PER_ENV = 64
EVALUATION_EPISODES = 64
UNSEEN_SEED = 10_000
"""Added to the seed of the training for the evaluation."""


def run(name: str, task: Task, seed: int) -> dict[str, Any]:
    """Train on one task, then play new episodes with the likeliest actions."""
    torch.manual_seed(seed)
    make = ADAPTERS[task.library].make
    env = make(task.id, task.num_envs, seed=seed)
    model = {"class_name": "MLPModel", "hidden_dims": [64, 64], "activation": "tanh", "obs_normalization": True}
    cfg = {
        "num_steps_per_env": NUM_STEPS_PER_ENV,
        "save_interval": 1000,
        "obs_groups": env.obs_groups,
        "actor": model | {"distribution_cfg": env.distribution_cfg},
        "critic": model,
        "algorithm": {"class_name": "PPO", "gamma": task.gamma, "desired_kl": 0.02},
    }
    runner = _curves.make_runner(env, cfg)
    label = f"{task.library:<10}{task.id:<16} seed {seed}"
    result = _curves.train(runner, task.iterations, task.points, label)
    env.close()
    unseen = make(task.id, EVALUATION_EPISODES, seed=UNSEEN_SEED + seed)
    final = _curves.evaluate(runner, unseen)
    unseen.close()
    return {"model": name, "seed": seed, **result, "final_return": final}


def draw(path: Path, results: dict[str, Any], tasks: dict[str, Task]) -> None:
    """Draw one panel per task: every seed, and the return that counts as solved."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in tasks if any(run["model"] == name for run in results["runs"])]
    figure, panels = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.2), layout="constrained", squeeze=False)
    for axes, name in zip(panels[0], names, strict=True):
        for one in results["runs"]:
            if one["model"] == name:
                steps = [count / 1000 for count in one["env_steps"]]
                axes.plot(steps, one["mean_return"], lw=1.2, label=f"seed {one['seed']}")
        axes.axhline(tasks[name].solved, color="grey", ls=":", label=f"solved: {tasks[name].solved:g}")
        axes.set(title=f"{tasks[name].id} ({tasks[name].library})", xlabel="thousand env steps")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    panels[0, 0].set_ylabel("return (last 100 episodes)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Train all tasks and seeds asked for, and show the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="file of numbers; runs in it that are not asked for are kept")
    parser.add_argument("--picture", type=Path, default=Path("discrete_actions.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # these networks are too small for more
    tasks = SHORT if options.short else TASKS
    results = _curves.load(options.json, {name: asdict(task) for name, task in tasks.items()})
    for seed in options.seeds:
        for name in options.tasks:
            _curves.add_run(results, run(name, tasks[name], seed))
            _curves.save(options.json, results)
    draw(options.picture, results, tasks)
    names = {name: f"{task.id} (solved: {task.solved:g})" for name, task in tasks.items()}
    print(_curves.summary(results, names), f"picture: {options.picture}", sep="\n")


if __name__ == "__main__":
    main()
