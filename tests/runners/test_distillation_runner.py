# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of distillation runs: teachers from files, exact resume, tags, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pendulum import PendulumVecEnv, SavingPendulumVecEnv, make_cfg
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore import checkpoint
from rslcore.config import (
    DistillationCfg,
    DistillationRunnerCfg,
    GaussianDistributionCfg,
    MLPModelCfg,
    RNNModelCfg,
)
from rslcore.logging import read_metrics
from rslcore.runners import DistillationRunner, OnPolicyRunner

TEACHER = MLPModelCfg(hidden_dims=(16,), obs_normalization=True, distribution_cfg=GaussianDistributionCfg())
LSTM = RNNModelCfg(
    hidden_dims=(8,), rnn_hidden_dim=6, obs_normalization=True, distribution_cfg=GaussianDistributionCfg(init_std=0.1)
)


def distillation_cfg(**overrides: Any) -> dict[str, Any]:
    """A small distillation whose teacher is the actor of ``make_cfg``."""
    cfg = DistillationRunnerCfg(
        num_steps_per_env=8,
        save_interval=2,
        student=LSTM,
        teacher=TEACHER,
        algorithm=DistillationCfg(gradient_length=4, num_learning_epochs=2),
    ).to_dict()
    return cfg | overrides


def make_runner(run_dir: Path | None, env: Any = None, *, seed: int = 1, **cfg: Any) -> DistillationRunner:
    """Return a silent runner."""
    torch.manual_seed(seed)
    return DistillationRunner(env or SavingPendulumVecEnv(), distillation_cfg(**cfg), run_dir, "cpu", console="none")


@pytest.fixture
def teacher_file(tmp_path: Path) -> Path:
    """The checkpoint of a training run of PPO after two iterations."""
    torch.manual_seed(0)
    runner = OnPolicyRunner(SavingPendulumVecEnv(), make_cfg(), tmp_path / "teacher", "cpu", console="none")
    runner.learn(2)
    return tmp_path / "teacher" / "model_1.pt"


def assert_same(a: Any, b: Any, path: str = "") -> None:
    """Equal bit for bit, but for wall times."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a.keys() - {"tot_time"}:
            assert_same(a[key], b[key], f"{path}[{key!r}]")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}[{index}]")
    else:
        assert a == b, path


def test_no_start_without_a_teacher() -> None:
    """learn() is refused until a teacher was loaded, and nothing is written."""
    with pytest.raises(ValueError, match=r"a teacher must be loaded before learn\(\)"):
        make_runner(None).learn(1)


def test_the_actor_of_a_training_run_becomes_the_teacher(tmp_path: Path, teacher_file: Path) -> None:
    """Of a PPO checkpoint only the teacher is read: iteration and student stay; learning leaves the teacher alone."""
    runner = make_runner(tmp_path / "student")
    before = {key: tensor.clone() for key, tensor in runner.alg.student.state_dict().items()}
    runner.load(teacher_file)
    assert runner.alg.teacher_loaded and runner.current_learning_iteration == runner.next_iteration == 0
    saved = checkpoint.read(teacher_file)["actor_state_dict"]
    assert_same(dict(runner.alg.teacher.state_dict()), dict(saved))
    assert_same(dict(runner.alg.student.state_dict()), before)

    runner.learn(2, init_at_random_ep_len=True)
    assert_same(dict(runner.alg.teacher.state_dict()), dict(saved))
    policy = runner.get_inference_policy("cpu")
    assert policy is runner.alg.student and policy.is_recurrent and not policy.training


def test_students_approach_their_teacher(tmp_path: Path, teacher_file: Path) -> None:
    """The loss falls: of 30 seeds, to 0.02 to 0.38 of what it was."""
    ratios = []
    for seed in range(3):
        folder = tmp_path / f"student{seed}"
        runner = make_runner(folder, seed=seed)
        runner.load(teacher_file)
        runner.learn(30, init_at_random_ep_len=True)
        losses = [record["Loss/behavior"] for record in read_metrics(folder)]
        ratios.append(sum(losses[-5:]) / sum(losses[:5]))
    assert sum(ratios) / len(ratios) < 0.75, ratios


@pytest.mark.parametrize("teacher", ["mlp", "gru"])
def test_a_resumed_run_is_the_same_run(tmp_path: Path, teacher_file: Path, teacher: str) -> None:
    """6 iterations equal 3, a new process's load, and 3 more, all bits: hidden states of both models are kept too."""
    overrides: dict[str, Any] = {}
    load_teacher = lambda runner: runner.load(teacher_file)  # noqa: E731
    if teacher == "gru":
        overrides["teacher"] = RNNModelCfg(hidden_dims=(8,), rnn_type="gru", rnn_hidden_dim=6).to_dict()
        torch.manual_seed(7)
        weights = make_runner(None, **overrides).alg.teacher.state_dict()
        torch.save({"actor_state_dict": weights, "iter": 0, "infos": None}, tmp_path / "gru.pt")
        load_teacher = lambda runner: runner.load(tmp_path / "gru.pt")  # noqa: E731

    straight = make_runner(tmp_path / "straight", **overrides)
    load_teacher(straight)
    straight.learn(6, init_at_random_ep_len=True)

    first = make_runner(tmp_path / "resumed", **overrides)
    load_teacher(first)
    first.learn(3, init_at_random_ep_len=True)
    resumed = make_runner(tmp_path / "resumed", seed=99, **overrides)
    resumed.load(checkpoint.latest(tmp_path / "resumed") or "")
    resumed.learn(3, init_at_random_ep_len=True)
    assert resumed.current_learning_iteration == 5
    assert_same(*(checkpoint.read(tmp_path / name / "model_5.pt") for name in ("straight", "resumed")))


def test_recurrent_ppo_resumes_exactly_too(tmp_path: Path) -> None:
    """The same law for recurrent actor and critic: what they remember of running episodes is in the checkpoint."""
    rnn = {"class_name": "RNNModel", "hidden_dims": [8], "rnn_hidden_dim": 6}
    cfg = make_cfg(actor={**rnn, "distribution_cfg": {"class_name": "GaussianDistribution"}}, critic=rnn)

    def runner(name: str, seed: int = 1) -> OnPolicyRunner:
        torch.manual_seed(seed)
        return OnPolicyRunner(SavingPendulumVecEnv(), dict(cfg), tmp_path / name, "cpu", console="none")

    runner("straight").learn(4)
    runner("resumed").learn(2)
    resumed = runner("resumed", seed=99)
    resumed.load(checkpoint.latest(tmp_path / "resumed") or "")
    resumed.learn(2)
    assert_same(*(checkpoint.read(tmp_path / name / "model_3.pt") for name in ("straight", "resumed")))


def test_new_episodes_begin_without_memory(tmp_path: Path, teacher_file: Path) -> None:
    """Where the environment cannot be restored, hidden states are neither saved nor left over."""
    runner = make_runner(tmp_path, PendulumVecEnv())
    runner.load(teacher_file)
    runner.learn(1)
    content = checkpoint.read(tmp_path / "model_0.pt")
    assert content["rslcore_state"]["hidden_states"] == {}
    states = []
    runner.alg.student.register_forward_pre_hook(lambda module, _: states.append(module.get_hidden_state()))
    runner.load(tmp_path / "model_0.pt")
    runner.learn(1)
    assert states[0] is None


def test_both_libraries_write_the_same_tags(tmp_path: Path, teacher_file: Path) -> None:
    """Tags and their iterations are those of rsl-rl-lib 5.5.1; each library loads the other's checkpoint."""
    original = pytest.importorskip("rsl_rl.runners", reason="rsl-rl-lib is the oracle")

    class WithCfg(PendulumVecEnv):
        cfg: ClassVar[dict[str, Any]] = {}

    steps = []
    for name, runner_class in (("theirs", original.DistillationRunner), ("ours", DistillationRunner)):
        runner = runner_class(WithCfg(), distillation_cfg(), str(tmp_path / name), "cpu")
        if name == "ours":
            runner.load(teacher_file)
        else:
            runner.load(str(teacher_file))
        runner.learn(7)
        runner.logger.writer.close()
        events = EventAccumulator(str(tmp_path / name))
        events.Reload()
        tags = [tag for tag in events.Tags()["scalars"] if not tag.endswith("/time")]
        steps.append({tag: [e.step for e in events.Scalars(tag)] for tag in tags})
    assert steps[0] == steps[1] and "Loss/behavior" in steps[0]

    ours = DistillationRunner(WithCfg(), distillation_cfg(), None, "cpu", console="none")
    ours.load(tmp_path / "theirs" / "model_6.pt")
    theirs = original.DistillationRunner(WithCfg(), distillation_cfg(), None, "cpu")
    theirs.load(str(tmp_path / "ours" / "model_6.pt"))
    for runner in (ours, theirs):
        assert runner.alg.teacher_loaded and runner.current_learning_iteration == 6


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content.pop("actor_state_dict"), "no 'student_state_dict'"),
        (
            lambda content: content["actor_state_dict"].pop("mlp.0.bias"),
            r"teacher_state_dict\['mlp.0.bias'\] is missing",
        ),
        (
            lambda content: content["actor_state_dict"].update({"mlp.0.bias": torch.zeros(3)}),
            r"teacher_state_dict\['mlp.0.bias'\] must be \[16\], got \[3\]",
        ),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(
    tmp_path: Path, teacher_file: Path, damage: Any, message: str
) -> None:
    """A checkpoint of another model is refused with the entry's name, and the teacher is as not loaded as before."""
    content = checkpoint.read(teacher_file)
    damage(content)
    torch.save(content, tmp_path / "damaged.pt")
    runner = make_runner(None)
    before = {key: tensor.clone() for key, tensor in runner.alg.teacher.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        runner.load(tmp_path / "damaged.pt")
    assert not runner.alg.teacher_loaded
    assert_same(dict(runner.alg.teacher.state_dict()), before)


def test_a_student_without_noise(tmp_path: Path, teacher_file: Path) -> None:
    """A student may act without exploration; its standard deviation is logged as zero."""
    runner = make_runner(tmp_path / "student", student=MLPModelCfg(hidden_dims=(8,)).to_dict())
    runner.load(teacher_file)
    runner.learn(1)
    assert read_metrics(tmp_path / "student")[0]["Policy/mean_std"] == 0.0


def test_a_configuration_without_student_is_refused() -> None:
    """The keys of this runner are student and teacher, and the error names what is missing."""
    with pytest.raises(ValueError, match=r"must have the keys \['student', 'teacher'\]"):
        DistillationRunner(PendulumVecEnv(), make_cfg(), None, "cpu")


def test_the_configuration_survives_a_file() -> None:
    """from_dict of to_dict is the same configuration: the class name picks the kind of each model."""
    cfg = DistillationRunnerCfg(student=LSTM, teacher=TEACHER)
    assert DistillationRunnerCfg.from_dict(cfg.to_dict()) == cfg
    assert isinstance(DistillationRunnerCfg.from_dict(cfg.to_dict()).student, RNNModelCfg)
