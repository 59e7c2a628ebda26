# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Learning curves on half-cheetah: rslcore and rsl_rl, same environment, configuration and seeds.

    python benchmarks/half_cheetah.py --library rsl_rl --seed 0     # one run, one JSON file
    python benchmarks/half_cheetah.py --plot                        # all runs in one picture, and a table
    python benchmarks/half_cheetah.py --wall-clock --seeds 0 1 2    # both libraries in turns, and their times
    python benchmarks/half_cheetah.py --wall-clock --json >benchmarks/results/half_cheetah_wall_clock.json

Every run makes 1,000,000 env steps (64 environments x 24 steps x 651 iterations). A point of the curve is the mean
return of the whole episodes that finished during a window of iterations; the two final figures are the mean of the
last 100 training episodes (noisy actions) and of 64 new episodes with the mean action.

Seconds are those of the training alone, evaluation and import left out, and are split into the simulator (all of the
environment's step), the rest of the rollout, returns and update, and what is neither (logging, this script's own
recording of episodes).

With `--wall-clock`, both libraries train once per seed, in turns and each time in a fresh process. As learning differs
from seed to seed by far more than speed does, what is compared are medians over the seeds: of the seconds of whole
trainings; and of the curves, point by point, both return and seconds. The wall clock to a return is the time at which
a library's median curve first reaches it, on a straight line between two points. The returns are 50%, 75% and 90% of
the lower of the two curves' last points, which both therefore reach. The seconds of every seed are given beside; where
a single training never reaches a return, it has none. Ratios are seconds of rsl_rl per second of rslcore.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

import _wall_clock
from rslcore import tasks
from rslcore.env import VecEnv

RESULTS = Path(__file__).parent / "results"
LIBRARIES = {"rsl_rl": "rsl-rl-lib", "rslcore": "rslcore"}
EVALUATION_SEED = 10_000
"""Added to a run's seed for the environments of the final evaluation."""
CURVE_WINDOW = 24_576
"""Env steps per point of the curve: 16 iterations."""


class EpisodeRecorder(VecEnv):
    """Pass-through around an environment that records the return of every whole episode."""

    def __init__(self, env: VecEnv) -> None:
        """Wrap `env`."""
        self.env = env
        self.num_envs, self.num_actions = env.num_envs, env.num_actions
        self.max_episode_length = env.max_episode_length
        self.device, self.cfg, self.step_dt = env.device, env.cfg, env.step_dt
        self.env_steps = 0
        self.finished: list[tuple[int, float]] = []
        self.started = time.perf_counter()
        self.simulator_seconds = 0.0
        self.recording_seconds = 0.0
        self.clock: list[float] = []
        """Seconds since the start at which every step was done."""
        self._returns = torch.zeros(env.num_envs, dtype=torch.float64)
        self._lengths = torch.zeros(env.num_envs, dtype=torch.int64)

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps taken in the running episodes, of the wrapped environment."""
        return self.env.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, value: torch.Tensor) -> None:
        self.env.episode_length_buf = value

    def get_observations(self) -> TensorDict:
        """Return the wrapped environment's observations."""
        return self.env.get_observations()

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Step the wrapped environment and record the episodes that end."""
        start = time.perf_counter()
        observations, rewards, dones, extras = self.env.step(actions)
        stepped = time.perf_counter()
        self.simulator_seconds += stepped - start
        self.env_steps += self.num_envs
        self._returns += rewards
        self._lengths += 1
        if dones.any():
            ended = dones.bool()
            # Where a run starts in the middle of the time limit, shorter first episodes would bias the curve.
            whole = ended & (self._lengths == self.max_episode_length)
            self.finished += [(self.env_steps, value) for value in self._returns[whole].tolist()]
            self._returns[ended] = 0.0
            self._lengths[ended] = 0
        end = time.perf_counter()
        self.recording_seconds += end - stepped
        self.clock.append(end - self.started)
        return observations, rewards, dones, extras


class Stopwatch:
    """Adds up what a runner reports of its iterations."""

    def __init__(self, logger: Any) -> None:  # noqa: ANN401 - of either library
        """Listen to a logger, whose ``log`` both libraries call once per iteration."""
        self.collection_seconds = self.learning_seconds = 0.0
        self._log = logger.log
        logger.log = self.log

    def log(self, **report: Any) -> None:  # noqa: ANN401
        """Take the times of a report, and pass it on."""
        self.collection_seconds += report["collect_time"]
        self.learning_seconds += report["learn_time"]
        self._log(**report)


def curve(recorder: EpisodeRecorder) -> dict[str, list[float]]:
    """Average the returns of the episodes that finished in each window of env steps; empty windows are left out."""
    steps, returns = np.array(recorder.finished, dtype=float).reshape(-1, 2).T
    total_steps = recorder.env_steps
    points: dict[str, list[float]] = {"env_steps": [], "mean_return": [], "seconds": []}
    for end in range(CURVE_WINDOW, total_steps + CURVE_WINDOW, CURVE_WINDOW):
        inside = (steps > end - CURVE_WINDOW) & (steps <= end)
        if inside.any():
            done = min(end, total_steps)
            points["env_steps"].append(done)
            points["mean_return"].append(round(float(returns[inside].mean()), 3))
            points["seconds"].append(round(recorder.clock[done // recorder.num_envs - 1], 2))
    return points


def mean_of_last(finished: list[tuple[int, float]]) -> float | None:
    """Average the returns of the last 100 episodes; None where a trial is shorter than an episode."""
    returns = [value for _, value in finished[-100:]]
    return round(float(np.mean(returns)), 2) if returns else None


def train(library: str, seed: int, iterations: int | None, threads: int) -> dict[str, Any]:
    """Train once and return the record of the run."""
    if library == "rsl_rl":
        from rsl_rl.runners import OnPolicyRunner
    else:
        from rslcore.runners import OnPolicyRunner
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    task = tasks.get("half-cheetah")
    cfg = task.cfg()
    cfg.seed = seed
    iterations = iterations or cfg.max_iterations
    env = EpisodeRecorder(task.make_env(task.num_envs, seed=seed))
    runner = OnPolicyRunner(env, cfg.to_dict(), log_dir=None, device="cpu")
    stopwatch = Stopwatch(runner.logger)
    start = env.started = time.perf_counter()
    runner.learn(iterations, init_at_random_ep_len=cfg.init_at_random_ep_len)
    seconds = time.perf_counter() - start
    evaluation = task.evaluate(
        task.make_env(task.num_envs, seed=seed + EVALUATION_SEED), runner.get_inference_policy(), task.num_envs
    )
    return {
        "library": library,
        "version": version(LIBRARIES[library]),
        "seed": seed,
        "env_steps": env.env_steps,
        "train_seconds": round(seconds, 2),
        "seconds_of": {
            "simulator": round(env.simulator_seconds, 2),
            "rest of the rollout": round(
                stopwatch.collection_seconds - env.simulator_seconds - env.recording_seconds, 2
            ),
            "returns and update": round(stopwatch.learning_seconds, 2),
            "logging and recording": round(
                seconds - stopwatch.collection_seconds - stopwatch.learning_seconds + env.recording_seconds, 2
            ),
        },
        "engine": getattr(getattr(runner.alg, "engine", None), "name", None),
        "torch_threads": threads,
        "torch": torch.__version__,
        "mujoco": version("mujoco"),
        "mjbatch": version("mjbatch"),
        "gymnasium": version("gymnasium"),
        "machine": platform.machine(),
        "final_return_training": mean_of_last(env.finished),
        "final_return_deterministic": round(evaluation["return_mean"], 2),
        "final_return_deterministic_std": round(evaluation["return_std"], 2),
        "curve": curve(env),
        "cfg": cfg.to_dict(),
    }


def load_runs() -> dict[str, list[dict[str, Any]]]:
    """Read all records, by library."""
    runs: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    for path in sorted((RESULTS / "half_cheetah").glob("*.json")):
        run = json.loads(path.read_text())
        runs[run["library"]].append(run)
    return {library: records for library, records in runs.items() if records}


def plot() -> None:
    """Draw every seed, the median and the quartiles of each library, and print the final returns."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for (library, runs), color in zip(load_runs().items(), ("tab:orange", "tab:blue"), strict=False):
        grid = np.array(runs[0]["curve"]["env_steps"], dtype=float)
        values = np.array([np.interp(grid, run["curve"]["env_steps"], run["curve"]["mean_return"]) for run in runs])
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        for row in values:
            axes.plot(grid / 1e6, row, color=color, alpha=0.25, linewidth=0.8)
        label = f"{library} {runs[0]['version']}: median and quartiles of {len(runs)} seeds"
        axes.plot(grid / 1e6, median, color=color, linewidth=2, label=label)
        axes.fill_between(grid / 1e6, low, high, color=color, alpha=0.2, linewidth=0)
        for key in ("final_return_training", "final_return_deterministic"):
            finals = np.array([run[key] for run in runs])
            print(f"{library:8s} {key:28s} median {np.median(finals):6.0f}   {finals.round(0).tolist()}")
    axes.set(xlabel="env steps [million]", ylabel="return of whole episodes, training", title="half-cheetah")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(RESULTS / "half_cheetah.png", dpi=120)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=sorted(LIBRARIES), default="rslcore")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=None, help="fewer than the task's own, for a trial")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument(
        "--output",
        type=Path,
        default=None,
        help="folder of the JSON file of a single run; by default that of the results",
    )
    parser.add_argument("--wall-clock", action="store_true", help="train with both libraries and compare their times")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=list(range(5)), help="of --wall-clock; default: 0 1 2 3 4"
    )
    parser.add_argument("--json", action="store_true", help="with --wall-clock: print JSON instead of a table")
    parser.add_argument("--plot", action="store_true", help="draw the picture from all JSON files and end")
    arguments = parser.parse_args()
    if arguments.plot:
        plot()
        return
    if arguments.iterations is not None and (
        arguments.iterations < 1 or (arguments.output is None and not arguments.wall_clock)
    ):
        parser.error("--iterations must be at least 1, and needs --output: a trial is no result")
    if arguments.wall_clock:
        runs = _wall_clock.train_in_turns(arguments.seeds, arguments.iterations, arguments.threads)
        if arguments.json:
            print(json.dumps(_wall_clock.document(runs), indent=1))
        else:
            print(_wall_clock.table(_wall_clock.compare(runs)))
        return
    output = arguments.output or RESULTS / "half_cheetah"
    record = train(arguments.library, arguments.seed, arguments.iterations, arguments.threads)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{arguments.library}_seed{arguments.seed}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print({key: value for key, value in record.items() if key not in ("curve", "cfg")})


if __name__ == "__main__":
    main()
