# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Symmetry: a quadruped learns to walk as its mirror image would, by augmentation or by a mirror loss.

    python examples/symmetry.py                    # 2 seeds of 3 kinds of training, 610,000 env steps each
    python examples/symmetry.py --models none augmentation --seeds 0

The robot is the same in the mirror, but what it learns need not be. After training it walks straight ahead, without
noise, and is measured: how far its actions in mirrored states are from mirrored actions; how unlike left and right feet
step (time on the ground and height of the swing, 2 |L - R| / (L + R), Robinson et al. 1987); how far off it drifts. And
it is measured how well it follows commands. Writes a picture, and numbers with --json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict

import _curves
from rslcore.config import SymmetryCfg
from rslcore.tasks.quadruped_flat import QuadrupedFlatCfg, QuadrupedFlatEnv, evaluate, training_cfg
from rslcore.tasks.quadruped_flat.symmetry import left_right, mirror_actions, mirror_observations

NAMES = {"none": "without symmetry", "augmentation": "augmentation", "mirror_loss": "mirror loss"}
SYMMETRY = {
    "none": None,
    "augmentation": SymmetryCfg(left_right, use_data_augmentation=True),
    "mirror_loss": SymmetryCfg(left_right, use_mirror_loss=True, mirror_loss_coeff=1.0),
}
SETTINGS = {"num_envs": 128, "iterations": 200, "points": 20, "walk_envs": 32, "walk_steps": 400, "episodes": 64}
SHORT = {"num_envs": 16, "iterations": 2, "points": 2, "walk_envs": 2, "walk_steps": 60, "episodes": 0}
WARM_UP = 50
"""Steps of the walk that do not count: 1 s."""
SPEED = 0.6
"""Commanded forward speed of the walk, m/s."""


@torch.no_grad()
def walk(policy: Callable[[TensorDict], torch.Tensor], num_envs: int, num_steps: int) -> dict[str, float]:
    """Walk straight ahead and measure the symmetry.

    Returns:
        "action_asymmetry", rms over states and joints of actions in mirrored states minus mirrored actions, degrees of
        joint targets; "gait_asymmetry", mean over both pairs of feet of 2 |L - R| / (L + R), for time on the ground and
        for height of the swing, percent; "drift", distance to the side per distance ahead, percent.
    """
    still = {"noise": False, "friction": (0.8, 0.8), "added_mass": (0.0, 0.0), "push_velocity": 0.0}
    straight = {"command_vx": (SPEED, SPEED), "command_vy": (0.0, 0.0), "command_yaw": (0.0, 0.0)}
    env = QuadrupedFlatEnv(num_envs, seed=1, cfg=QuadrupedFlatCfg(**still, **straight, standing_fraction=0.0))
    obs = env.get_observations()
    error = ground = air = swing = velocity = torch.zeros(())
    for step in range(num_steps):
        actions = policy(obs)
        mirrored = policy(mirror_observations(obs))
        obs, _, _, _ = env.step(actions)
        if step >= WARM_UP:
            error = error + (mirrored - mirror_actions(actions)).square().mean()
            ground = ground + env.contacts.float()
            air = air + (~env.contacts).float()
            swing = swing + env._foot_height * ~env.contacts
            velocity = velocity + env.lin_vel[:, :2]
    stance, height = (ground / (ground + air)).mean(0), (swing / air.clamp(min=1)).mean(0)
    unlike = [2 * (x[0::2] - x[1::2]).abs() / (x[0::2] + x[1::2]).abs().clamp(min=1e-6) for x in (stance, height)]
    rms = (error / (num_steps - WARM_UP)).sqrt() * env.cfg.action_scale
    forward, sideways = velocity.mean(0)
    return {
        "action_asymmetry": round(float(torch.rad2deg(rms)), 3),
        "gait_asymmetry": round(100 * float(torch.cat(unlike).mean()), 3),
        "drift": round(100 * float((sideways / forward).abs()), 3),
    }


def run(model: str, seed: int, settings: dict[str, int]) -> dict[str, Any]:
    """Train one policy, and measure it."""
    torch.manual_seed(seed)
    env = QuadrupedFlatEnv(settings["num_envs"], seed=seed)
    cfg = training_cfg()
    cfg.algorithm.symmetry_cfg = SYMMETRY[model]
    runner = _curves.make_runner(env, cfg.to_dict())
    result: dict[str, Any] = {"model": model, "seed": seed, "env_steps": [], "mean_return": []}
    start = time.perf_counter()
    chunk = settings["iterations"] // settings["points"]
    for point in range(1, settings["points"] + 1):
        runner.learn(chunk, init_at_random_ep_len=point == 1)
        returns = runner.logger.rewbuffer
        result["env_steps"].append(point * chunk * cfg.num_steps_per_env * env.num_envs)
        result["mean_return"].append(round(statistics.mean(returns), 3) if returns else 0.0)
        print(
            f"{NAMES[model]:<17} seed {seed}  {result['env_steps'][-1]:>9,} env steps  "
            f"mean return {result['mean_return'][-1]:7.2f}",
            flush=True,
        )
    seconds = round(time.perf_counter() - start, 1)
    policy = runner.get_inference_policy()
    measured = walk(policy, settings["walk_envs"], settings["walk_steps"])
    if settings["episodes"]:
        tracking = evaluate(QuadrupedFlatEnv(settings["walk_envs"], seed=10_000 + seed), policy, settings["episodes"])
        measured["lin_vel_error"] = round(tracking["lin_vel_error"], 4)
        measured["fall_fraction"] = tracking["fall_fraction"]
    print(f"{NAMES[model]:<17} seed {seed}  {measured}", flush=True)
    return {**result, **measured, "seconds": seconds}


def mean_of(results: dict[str, Any], model: str, figure: str) -> float:
    """Mean of a figure over the seeds of one kind of training."""
    return statistics.mean(one[figure] for one in results["runs"] if one["model"] == model)


def summary(results: dict[str, Any]) -> str:
    """One line for each kind of training."""
    lines = []
    for model, name in NAMES.items():
        seeds = sum(one["model"] == model for one in results["runs"])
        if seeds:
            lines.append(
                f"{name:<17} {seeds} seeds   actions differ by {mean_of(results, model, 'action_asymmetry'):5.2f} deg, "
                f"steps by {mean_of(results, model, 'gait_asymmetry'):5.1f} %, "
                f"drift {mean_of(results, model, 'drift'):4.1f} %"
            )
            if results["settings"]["episodes"]:
                lines[-1] += f", velocity error {mean_of(results, model, 'lin_vel_error'):.3f} m/s"
    return "\n".join(lines)


def draw(path: Path, results: dict[str, Any]) -> None:
    """Draw learning curves, and the symmetry of what was learned."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    figure, (curves, actions, steps) = plt.subplots(
        1, 3, figsize=(10.4, 3.6), layout="constrained", width_ratios=(2.2, 1, 1)
    )
    panels = (
        (actions, "action_asymmetry", "actions, mirrored state -\nmirrored action (deg)"),
        (steps, "gait_asymmetry", "steps, left - right\nof their mean (%)"),
    )
    for model, name in NAMES.items():
        runs = [one for one in results["runs"] if one["model"] == model]
        if not runs:
            continue
        returns = np.array([one["mean_return"] for one in runs])
        million = np.array(runs[0]["env_steps"]) / 1e6
        (line,) = curves.plot(million, returns.mean(axis=0), label=f"{name} ({len(runs)} seeds)")
        curves.fill_between(million, returns.min(axis=0), returns.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
        for axes, key, _ in panels:
            values = [one[key] for one in runs]
            axes.bar(name.replace(" ", "\n"), statistics.mean(values), color=line.get_color(), alpha=0.6)
            axes.plot([name.replace(" ", "\n")] * len(values), values, "k.", markersize=5)
    for axes, _, title in panels:
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
    curves.set(title="A quadruped learns to walk", xlabel="million env steps", ylabel="return (last 100 episodes)")
    curves.grid(alpha=0.3)
    curves.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train all kinds and seeds asked for, and show the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--json", type=Path, help="file of numbers; runs in it that are not asked for are kept")
    parser.add_argument("--picture", type=Path, default=Path("symmetry.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the physics has threads of its own
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
