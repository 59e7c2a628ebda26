# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of what a checkpoint says about the observations that its models were trained on."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from pendulum import SavingPendulumVecEnv, make_cfg
from tensordict import TensorDict

from rslcore import checkpoint
from rslcore.algorithms import PPO
from rslcore.config import CNNModelCfg, DistillationCfg, DistillationRunnerCfg, GaussianDistributionCfg, MLPModelCfg
from rslcore.runners import DistillationRunner, OnPolicyRunner
from rslcore.runners.observation_groups import check_observation_groups

WIDTHS = {"a": 2, "b": 1, "c": 2, "wide": 3}


class GroupedVecEnv(SavingPendulumVecEnv):
    """Pendulums whose observations are in several groups."""

    step_dt = 0.05
    widths = WIDTHS

    def get_observations(self) -> TensorDict:
        """Groups made of cosine, sine and speed; "image" is a picture of the three."""
        obs = super().get_observations()["policy"]
        groups = {name: obs.repeat(1, 2)[:, i : i + width] for i, (name, width) in enumerate(self.widths.items())}
        groups["image"] = obs.view(-1, 1, 1, 3).expand(-1, 1, 4, 3).contiguous()
        groups["other image"] = groups["image"] * 2
        return TensorDict(groups, batch_size=[self.num_envs])


def make_runner(
    actor_groups: list[str], critic_groups: list[str], rnd: list[str] | None = None, **cfg: Any
) -> OnPolicyRunner:
    """A silent runner whose models see these groups."""
    settings = make_cfg(
        obs_groups={"actor": actor_groups, "critic": critic_groups, **({"rnd_state": rnd} if rnd else {})}, **cfg
    )
    if rnd:
        settings["algorithm"]["rnd_cfg"] = {"weight": 1.0}
    return OnPolicyRunner(GroupedVecEnv(), settings, None, "cpu", console="none")


def weights(runner: OnPolicyRunner) -> list[torch.Tensor]:
    """Copies of all parameters of the models."""
    return [x.clone() for part in ("actor", "critic") for x in getattr(runner.alg, part).parameters()]


@pytest.mark.parametrize(
    ("actor", "critic", "rnd", "part"),
    [
        (["b", "a"], ["a", "b"], ["a", "b"], "actor"),
        (["a", "b"], ["b", "a"], ["a", "b"], "critic"),
        (["a", "b"], ["a", "b"], ["b", "a"], "rnd"),
    ],
)
def test_groups_in_another_order_are_refused(
    tmp_path: Path, actor: list[str], critic: list[str], rnd: list[str], part: str
) -> None:
    """The same groups in another order: refused by the names of model and group, and nothing has changed."""
    make_runner(["a", "b"], ["a", "b"], ["a", "b"]).save(tmp_path / "model_0.pt")
    runner = make_runner(actor, critic, rnd)
    before = weights(runner)
    message = rf"'b' of the {part} was columns 2:3 .*, and is columns 0:1 now: .* 'a' \[2\], 'b' \[1\], got 'b'"
    with pytest.raises(checkpoint.CheckpointError, match=message):
        runner.load(tmp_path / "model_0.pt")
    assert all(torch.equal(x, y) for x, y in zip(before, weights(runner), strict=True))
    others = {"actor", "critic", "rnd"} - {part}
    runner.load(tmp_path / "model_0.pt", load_cfg=dict.fromkeys(others, True))
    make_runner(["a", "b"], ["a", "b"], ["a", "b"]).load(tmp_path / "model_0.pt")


class LoadsItself(PPO):
    """An algorithm with a ``load`` of its own."""

    def load(self, *args: Any) -> bool:
        """Load as its parent does."""
        return super().load(*args)


def test_groups_are_looked_at_whatever_algorithm_loads(tmp_path: Path) -> None:
    """What the models have seen is the runner's to compare, also where an algorithm knows itself what it accepts."""
    algorithm = make_cfg()["algorithm"] | {"class_name": LoadsItself}
    make_runner(["a", "b"], ["a"], algorithm=algorithm).save(tmp_path / "model_0.pt")
    make_runner(["a", "b"], ["a"], algorithm=algorithm).load(tmp_path / "model_0.pt")
    with pytest.raises(checkpoint.CheckpointError, match="'b' of the actor was columns 2:3"):
        make_runner(["b", "a"], ["a"], algorithm=algorithm).load(tmp_path / "model_0.pt")


def test_a_group_of_another_width_is_refused(tmp_path: Path) -> None:
    """The same names, as wide together, of which one is wider and the other narrower."""
    make_runner(["a", "b"], ["a"]).save(tmp_path / "model_0.pt")
    other = make_runner(["a", "b"], ["a"])
    env = GroupedVecEnv()
    env.widths = {**WIDTHS, "a": 1, "b": 2}
    other = OnPolicyRunner(env, make_cfg(obs_groups={"actor": ["a", "b"], "critic": ["c"]}), None, "cpu")
    with pytest.raises(checkpoint.CheckpointError, match=r"'a' of the actor was columns 0:2 .*, and is columns 0:1"):
        other.load(tmp_path / "model_0.pt", load_cfg={"actor": True})


def test_other_names_of_equal_widths_load_with_a_warning(tmp_path: Path) -> None:
    """Groups may have been renamed, or joined: a warning says which were there and which are."""
    make_runner(["a", "b"], ["a"]).save(tmp_path / "model_0.pt")
    for groups in (["c", "b"], ["wide"]):
        with pytest.warns(
            UserWarning, match=r"the actor was trained with .* 'a' \[2\], 'b' \[1\], and gets '(c|wide)'"
        ):
            make_runner(groups, ["a"]).load(tmp_path / "model_0.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_runner(["a", "b"], ["a"]).load(tmp_path / "model_0.pt")


def test_images_in_another_order_are_refused(tmp_path: Path) -> None:
    """Image groups have places of their own: they may stand anywhere among the vectors, but not change places."""
    encoder = {"output_channels": [2], "kernel_size": 2}
    actor = CNNModelCfg(hidden_dims=(8,), cnn_cfg=encoder, distribution_cfg=GaussianDistributionCfg()).to_dict()
    make_runner(["a", "image", "other image"], ["a"], actor=actor).save(tmp_path / "model_0.pt")
    make_runner(["image", "other image", "a"], ["a"], actor=actor).load(tmp_path / "model_0.pt")
    with pytest.raises(checkpoint.CheckpointError, match=r"'(other )?image' of the actor was image"):
        make_runner(["a", "other image", "image"], ["a"], actor=actor).load(tmp_path / "model_0.pt")


def test_files_without_groups_load_as_before(tmp_path: Path) -> None:
    """A checkpoint of rsl_rl, or of before, says nothing of its groups."""
    runner = make_runner(["a", "b"], ["a"])
    runner.save(tmp_path / "model_0.pt")
    content = checkpoint.read(tmp_path / "model_0.pt")
    del content["observation_groups"]
    checkpoint.write(content, tmp_path / "model_0.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_runner(["b", "a"], ["a"]).load(tmp_path / "model_0.pt")


def distillation(teacher: list[str], student: list[str]) -> DistillationRunner:
    """A silent distillation of a teacher that sees these groups."""
    cfg = DistillationRunnerCfg(
        num_steps_per_env=4,
        obs_groups={"student": student, "teacher": teacher},
        student=MLPModelCfg(hidden_dims=(16,), distribution_cfg=GaussianDistributionCfg()),
        teacher=MLPModelCfg(hidden_dims=(16,), obs_normalization=True),
        algorithm=DistillationCfg(gradient_length=2),
    )
    return DistillationRunner(GroupedVecEnv(), cfg, None, "cpu", console="none")


def test_a_teacher_sees_what_it_was_trained_on(tmp_path: Path) -> None:
    """A teacher's groups are those of the actor of its run; of a distillation that goes on, the teacher's own."""
    make_runner(["a", "b"], ["a"]).save(tmp_path / "ppo.pt")
    with pytest.raises(checkpoint.CheckpointError, match=r"'b' of the teacher was columns 2:3 .*, and is columns 0:"):
        distillation(["b", "a"], ["a"]).load(tmp_path / "ppo.pt")
    runner = distillation(["a", "b"], ["c", "b"])
    runner.load(tmp_path / "ppo.pt")
    runner.learn(1)
    runner.save(tmp_path / "distillation.pt")
    distillation(["a", "b"], ["c", "b"]).load(tmp_path / "distillation.pt")
    for teacher, student, part in ((["b", "a"], ["c", "b"], "teacher"), (["a", "b"], ["b", "c"], "student")):
        other = distillation(teacher, student)
        with pytest.raises(checkpoint.CheckpointError, match=f"'b' of the {part} was columns 2:3 .*, and is columns 0"):
            other.load(tmp_path / "distillation.pt")
        assert not other.alg.teacher_loaded


def test_the_key_is_ignored_by_rsl_rl(tmp_path: Path) -> None:
    """rsl_rl 5.5.1 loads our files as before."""
    original = pytest.importorskip("rsl_rl.runners", reason="rsl-rl-lib is the oracle")

    class WithCfg(GroupedVecEnv):
        cfg: Any = {}  # noqa: RUF012

    make_runner(["a", "b"], ["a"]).save(tmp_path / "model_0.pt")
    cfg = make_cfg(obs_groups={"actor": ["a", "b"], "critic": ["a"]})
    original.OnPolicyRunner(WithCfg(), cfg, None, "cpu").load(str(tmp_path / "model_0.pt"))


@pytest.mark.parametrize("found", [3, {"actor": 3}, {"actor": [["a"]]}, {"actor": [["a", 2]]}])
def test_what_is_no_layout_is_no_checkpoint(found: Any) -> None:
    """Damaged content raises ValueError, TypeError or the like, which loading makes a CheckpointError."""
    with pytest.raises((ValueError, TypeError)):
        check_observation_groups({"actor": [["a", [2]]]}, found, ["actor"])
