# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the quadruped's teacher and student tasks, and of evaluating policies that remember."""

from __future__ import annotations

import pytest
import torch

from rslcore.tasks import quadruped_flat
from rslcore.tasks.quadruped_flat import QuadrupedFlatCfg, QuadrupedTeacherStudentEnv

pytest.importorskip("mujoco")
pytest.importorskip("mjbatch")


def make_env(**cfg):
    """Three quadrupeds with short episodes."""
    torch.set_num_threads(1)
    return QuadrupedTeacherStudentEnv(3, seed=1, num_threads=1, cfg=QuadrupedFlatCfg(episode_length_s=0.2, **cfg))


def test_the_teacher_sees_what_the_student_cannot():
    """Law: "measured" is "policy" without noise; "privileged" has velocity, height, contacts, feet and friction."""
    env = make_env()
    for _ in range(3):
        env.step(torch.zeros(3, 12))
    obs = env.get_observations()
    noise = obs["policy"] - obs["measured"]
    assert noise.abs().max() <= 1.0 and noise[:, :30].abs().min() > 0 and not noise[:, 30:].any()
    lin_vel, height, contacts, feet, friction = obs["privileged"].split((3, 1, 4, 4, 1), dim=1)
    assert torch.equal(lin_vel, env.lin_vel) and torch.equal(height[:, 0], env.height)
    assert torch.equal(contacts, env.contacts.float()) and feet.abs().max() < 0.5
    assert ((friction >= 0.5) & (friction <= 1.25)).all() and len(friction.unique()) == 3
    quiet = make_env(noise=False).get_observations()
    assert torch.equal(quiet["policy"], quiet["measured"])


def test_the_configurations_fit_each_other():
    """Law: the student's teacher is the teacher's actor, on the same groups; nothing privileged reaches the student."""
    teacher, student = quadruped_flat.teacher_cfg(), quadruped_flat.student_cfg()
    assert student.teacher == teacher.actor
    assert student.obs_groups == {"teacher": teacher.obs_groups["actor"], "student": ["policy"]}
    steps = student.num_steps_per_env * student.algorithm.num_learning_epochs
    assert steps % student.algorithm.gradient_length == 0


def test_an_evaluation_resets_what_the_policy_remembers():
    """Law: before every round all memory is reset, and after every step that of the episodes that ended."""

    class Policy:
        def __init__(self):
            self.resets, self.steps = [], 0

        def reset(self, dones=None):
            self.resets.append(dones if dones is None else dones.clone())

        def __call__(self, observations):
            self.steps += 1
            return torch.zeros(3, 12)

    policy = Policy()
    quadruped_flat.evaluate(make_env(), policy, 6)
    assert policy.steps == 20
    assert [index for index, dones in enumerate(policy.resets) if dones is None] == [0, 11]
    ended = [dones for dones in policy.resets if dones is not None]
    assert len(ended) == policy.steps and ended[9].all() and not ended[0].any()
