# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Learning curves of the examples: recorded while training, kept as JSON, drawn as a picture."""

from __future__ import annotations

import contextlib
import io
import json
import math
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rslcore.env import VecEnv
from rslcore.runners import OnPolicyRunner


def make_runner(env: VecEnv, cfg: dict[str, Any]) -> OnPolicyRunner:
    """Build a runner that prints and writes nothing."""
    with contextlib.redirect_stdout(io.StringIO()):
        return OnPolicyRunner(env, cfg, log_dir=None)


def train(runner: OnPolicyRunner, iterations: int, points: int, label: str, scale: float = 1.0) -> dict[str, Any]:
    """Train and print progress.

    The environments start at random points of their first episode, which keeps their episodes out of step; those
    first episodes, shorter than others, are left out of the curve.

    Args:
        runner: The runner, at its beginning.
        iterations: Iterations in all.
        points: Points of the curve, at equal distances.
        label: Printed in front.
        scale: Factor from the returns that the runner sees to those reported.

    Returns:
        "env_steps" and "mean_return", the mean of the last 100 episodes, at every point; "seconds" in all.
    """
    env_steps: list[int] = []
    mean_return: list[float] = []
    num_steps = runner.cfg["num_steps_per_env"]
    start = time.perf_counter()
    done = math.ceil(int(runner.env.max_episode_length) / num_steps)
    runner.learn(done, init_at_random_ep_len=True)
    runner.logger.rewbuffer.clear()
    for goal in sorted({iterations * point // points for point in range(1, points + 1)}):
        if goal <= done:
            continue
        runner.learn(goal - done)
        done = goal
        if runner.logger.rewbuffer:
            env_steps.append(done * num_steps * runner.env.num_envs)
            mean_return.append(round(scale * statistics.mean(runner.logger.rewbuffer), 4))
            print(f"{label}  {env_steps[-1]:>9,} env steps  mean return {mean_return[-1]:9.2f}", flush=True)
    return {"env_steps": env_steps, "mean_return": mean_return, "seconds": round(time.perf_counter() - start, 1)}


@torch.no_grad()
def evaluate(runner: OnPolicyRunner, env: Any, scale: float = 1.0) -> float:  # noqa: ANN401
    """Mean return of the first episode of every environment, with the policy's deterministic actions."""
    policy = runner.get_inference_policy()
    policy.reset()
    returns = torch.zeros(env.num_envs)
    running = torch.ones(env.num_envs)
    obs = env.get_observations()
    while running.any():
        obs, rewards, dones, _ = env.step(policy(obs))
        policy.reset(dones)
        returns += running * rewards
        running *= 1.0 - dones.float()
    return round(scale * float(returns.mean()), 4)


def add_run(results: dict[str, Any], run: dict[str, Any]) -> None:
    """Put a run in, in place of one with the same "model" and "seed"."""
    kept = [old for old in results["runs"] if (old["model"], old["seed"]) != (run["model"], run["seed"])]
    results["runs"] = sorted([*kept, run], key=lambda one: (one["model"], one["seed"]))


def load(path: Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results in a file, to be added to; none if there is no file or it is of other settings."""
    if path is not None and path.exists():
        results = json.loads(path.read_text())
        if results["settings"] == settings:
            return results
    return {"settings": dict(settings), "torch": torch.__version__, "machine": platform.machine(), "runs": []}


def save(path: Path | None, results: Mapping[str, Any]) -> None:
    """Write the results, if there is a file to write them to."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


def summary(results: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """One line per model: its seeds and the returns of its trained policies."""
    lines = []
    for model, name in names.items():
        finals = [run["final_return"] for run in results["runs"] if run["model"] == model]
        if finals:
            spread = f"{min(finals):.2f} .. {max(finals):.2f}"
            lines.append(f"{name:<34} {len(finals)} seeds   final return {statistics.mean(finals):9.2f}   ({spread})")
    return "\n".join(lines)


def draw(path: Path, results: Mapping[str, Any], names: Mapping[str, str], title: str, ylabel: str) -> None:
    """Draw the mean over seeds of every model, with the range of the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for model, name in names.items():
        runs = [run for run in results["runs"] if run["model"] == model and run["env_steps"]]
        if not runs:
            continue
        shortest = min(len(run["env_steps"]) for run in runs)
        steps = np.array(runs[0]["env_steps"][-shortest:]) / 1000
        returns = np.array([run["mean_return"][-shortest:] for run in runs])
        (line,) = axes.plot(steps, returns.mean(axis=0), label=f"{name} ({len(runs)} seeds)")
        axes.fill_between(steps, returns.min(axis=0), returns.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
    axes.set(title=title, xlabel="thousand env steps", ylabel=ylabel)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
