# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""From teacher to student: a quadruped that knows its velocity and friction teaches one that only measures.

    python examples/teacher_student.py              # teacher 3.1 million env steps, student 1.5 million
    python examples/teacher_student.py --student mlp --teacher runs/quadruped-flat-teacher/<run>

The teacher learns by PPO to follow velocity commands; it sees base velocity and height, contacts and friction, which no
robot measures. The student sees gyroscope, gravity direction, joints, its last actions and the command, with noise. It
never sees a reward: it acts, and learns to do what the teacher would have done there. An LSTM lets it work out
from the past what it cannot measure. Writes a picture of the tracking errors while learning, and numbers with --json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from rslcore.config import MLPModelCfg, RNNModelCfg, RunnerCfg
from rslcore.runners import DistillationRunner, OnPolicyRunner
from rslcore.tasks.quadruped_flat import (
    QuadrupedFlatCfg,
    QuadrupedTeacherStudentEnv,
    evaluate,
    student_cfg,
    teacher_cfg,
)
from rslcore.tasks.quadruped_flat.teacher_student import NUM_STUDENT_ENVS
from rslcore.tasks.quadruped_flat.training import NUM_ENVS

UNSEEN_SEED = 1_000_003
"""Added to the seed for evaluations: robots and commands that no training has seen."""
GOAL = 1.2
"""The student's tracking error may be this times the teacher's."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is trained and evaluated."""

    teacher_envs: int = NUM_ENVS
    teacher_iterations: int = teacher_cfg().max_iterations
    student_envs: int = NUM_STUDENT_ENVS
    student_iterations: int = student_cfg().max_iterations
    episode_length_s: float = QuadrupedFlatCfg.episode_length_s
    points: int = 6
    """Evaluations while learning."""
    curve_episodes: int = 32
    """Episodes of each of them."""
    final_episodes: int = 200


SHORT = Scale(8, 2, 8, 2, episode_length_s=1.5, points=1, curve_episodes=2, final_episodes=2)
"""A few iterations, to see that everything works."""


def student_model(kind: str) -> MLPModelCfg:
    """Return the student's configuration: that of the task, or the same without memory."""
    model = student_cfg().student
    if kind == "mlp":
        return MLPModelCfg(hidden_dims=(128, 128), obs_normalization=True, distribution_cfg=model.distribution_cfg)
    assert isinstance(model, RNNModelCfg)
    model.rnn_type = kind
    return model


def make_env(num_envs: int, seed: int, scale: Scale) -> QuadrupedTeacherStudentEnv:
    """Make quadrupeds."""
    return QuadrupedTeacherStudentEnv(num_envs, seed, cfg=QuadrupedFlatCfg(episode_length_s=scale.episode_length_s))


def make_runner(cfg: RunnerCfg, num_envs: int, seed: int, scale: Scale) -> Any:  # noqa: ANN401
    """Build environments and a runner that prints and writes nothing."""
    torch.manual_seed(seed)
    env = make_env(num_envs, seed, scale)
    runner_class = DistillationRunner if cfg.class_name == "DistillationRunner" else OnPolicyRunner
    with contextlib.redirect_stdout(io.StringIO()):
        return runner_class(env, cfg, log_dir=None)


def measure(runner: Any, episodes: int, seed: int, scale: Scale) -> dict[str, Any]:  # noqa: ANN401
    """Evaluate the policy without exploration noise; training goes on afterwards as if nothing had happened."""
    env = make_env(min(episodes, 100), seed + UNSEEN_SEED, scale)
    policy = runner.get_inference_policy()
    remembered = policy.get_hidden_state()
    figures = evaluate(env, policy, episodes)
    policy.reset(hidden_state=remembered)
    return figures


class Curve:
    """Tracking errors of a policy while it learns."""

    def __init__(self, runner: Any, name: str, seed: int, scale: Scale) -> None:  # noqa: ANN401
        """Begin without a point."""
        self._runner, self._name, self._seed, self._scale = runner, name, seed, scale
        self._start = time.perf_counter()
        self._points: dict[str, list[float]] = {"env_steps": [], "lin_vel_error": [], "fall_fraction": []}

    def add(self, iterations: int) -> None:
        """Evaluate the policy after this number of iterations, and print a line."""
        figures = measure(self._runner, self._scale.curve_episodes, self._seed, self._scale)
        steps = iterations * self._runner.cfg["num_steps_per_env"] * self._runner.env.num_envs
        self._points["env_steps"].append(steps)
        for key in ("lin_vel_error", "fall_fraction"):
            self._points[key].append(round(figures[key], 4))
        print(
            f"{self._name:<8} {steps:>9,} env steps   tracking error {figures['lin_vel_error']:.3f} m/s   "
            f"falls {100 * figures['fall_fraction']:5.1f} %   {time.perf_counter() - self._start:5.0f} s",
            flush=True,
        )

    def result(self) -> dict[str, Any]:
        """Return the points: "env_steps", "lin_vel_error" (m/s) and "fall_fraction"."""
        return dict(self._points)


def learn(runner: Any, name: str, iterations: int, seed: int, scale: Scale) -> dict[str, Any]:  # noqa: ANN401
    """Train, with evaluations at equal distances, and return their curve."""
    curve = Curve(runner, name, seed, scale)
    done = 0
    for goal in sorted({iterations * point // scale.points for point in range(1, scale.points + 1)}):
        runner.learn(goal - done, init_at_random_ep_len=done == 0)
        done = goal
        curve.add(done)
    return curve.result()


def read_run(runner: Any, folder: Path, seed: int, scale: Scale) -> dict[str, Any]:  # noqa: ANN401
    """Load the checkpoints of a run folder one after the other, the last one last, and return their curve."""
    curve = Curve(runner, "teacher", seed, scale)
    for file in sorted(folder.glob("model_*.pt"), key=lambda path: int(path.stem.partition("_")[2])):
        runner.load(file)
        if runner.next_iteration > 1:  # one iteration is as good as none
            curve.add(runner.next_iteration)
    return curve.result()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train the teacher and then the student, and evaluate both on the same unseen robots and commands."""
    seed, scale = options.seed, SHORT if options.short else Scale()
    teacher = make_runner(teacher_cfg(), scale.teacher_envs, seed, scale)
    if options.teacher is None:
        teacher_curve = learn(teacher, "teacher", scale.teacher_iterations, seed, scale)
    else:
        teacher_curve = read_run(teacher, options.teacher, seed, scale)

    cfg = student_cfg()
    cfg.student = student_model(options.student)
    student = make_runner(cfg, scale.student_envs, seed, scale)
    with tempfile.TemporaryDirectory() as folder:
        teacher.save(Path(folder) / "teacher.pt")
        student.load(Path(folder) / "teacher.pt")
    student_curve = learn(student, "student", scale.student_iterations, seed, scale)
    runners = {"teacher": teacher, "student": student}
    figures = {name: measure(runner, scale.final_episodes, seed, scale) for name, runner in runners.items()}
    errors = {name: one["lin_vel_error"] for name, one in figures.items()}
    return {
        "student_model": options.student,
        "seed": seed,
        "teacher": {"curve": teacher_curve, "evaluation": figures["teacher"]},
        "student": {"curve": student_curve, "evaluation": figures["student"]},
        "error_ratio": round(errors["student"] / errors["teacher"], 4),
        "torch": torch.__version__,
    }


def draw(path: Path, results: dict[str, Any]) -> None:
    """Draw both tracking errors over the env steps of each training."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    labels = {"teacher": "teacher (PPO, knows velocity and friction)", "student": "student (imitates, measures only)"}
    for name, label in labels.items():
        curve = results[name]["curve"]
        axes.plot([steps / 1e6 for steps in curve["env_steps"]], curve["lin_vel_error"], "o-", label=label)
    error = results["teacher"]["evaluation"]["lin_vel_error"]
    axes.axhline(GOAL * error, color="grey", ls="--", lw=1, label=f"{GOAL:g} x the trained teacher's error")
    axes.set(
        title=f"Quadruped: teacher to {results['student_model'].upper()} student",
        xlabel="million env steps of its own training",
        ylabel="velocity tracking error (m/s)",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def summary(results: dict[str, Any]) -> str:
    """What came out, in a few lines."""
    lines = []
    for name in ("teacher", "student"):
        figures = results[name]["evaluation"]
        lines.append(
            f"{name}: velocity tracking error {figures['lin_vel_error']:.3f} m/s, yaw rate error "
            f"{figures['yaw_rate_error']:.3f} rad/s, falls {100 * figures['fall_fraction']:.1f} % "
            f"of {figures['episodes']} episodes"
        )
    more = 100 * (results["error_ratio"] - 1)
    reached = "reached" if results["error_ratio"] <= GOAL else "missed"
    lines.append(
        f"the student's error is {more:+.1f} % of the teacher's (goal: at most {100 * (GOAL - 1):+.0f} %): {reached}"
    )
    return "\n".join(lines)


def main() -> None:
    """Train both and show what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", choices=("lstm", "gru", "mlp"), default="lstm")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--teacher", type=Path, help="checkpoint of a trained quadruped-flat-teacher, to train no other"
    )
    parser.add_argument("--json", type=Path, help="file of numbers to write")
    parser.add_argument("--picture", type=Path, default=Path("teacher_student.png"), help="picture to write")
    parser.add_argument("--short", action="store_true", help="a few iterations, to see that everything works")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the physics has threads of its own
    results = run(options)
    draw(options.picture, results)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(summary(results), f"picture: {options.picture}", sep="\n")


if __name__ == "__main__":
    main()
