# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Laws of the policies that hold student and teacher; names as in rsl_rl 3.3 (checked by hand)."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from tensordict import TensorDict

from rslcore.algorithms import Distillation
from rslcore.config import StudentTeacherCfg, StudentTeacherRecurrentCfg
from rslcore.models import ActorCritic, ActorCriticRecurrent, StudentTeacher, StudentTeacherRecurrent
from rslcore.storage import RolloutStorage

N = 4
SETS = {"policy": ["proprio"], "teacher": ["proprio", "privileged"]}
SMALL = {"student_hidden_dims": [8], "teacher_hidden_dims": [6]}
LINEAR = [f"{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")]
LSTM = [f"rnn.{kind}_l0" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
STATISTICS = ["_mean", "_var", "_std", "count"]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def observe(generator=None):
    """Two vectors."""
    obs = {"proprio": torch.randn(N, 5, generator=generator), "privileged": torch.randn(N, 2, generator=generator)}
    return TensorDict(obs, batch_size=[N])


def prefixed(name, keys):
    """Keys within a part."""
    return [f"{name}.{key}" for key in keys]


CASES = {
    "mlp": (
        StudentTeacher,
        {**SMALL, "student_obs_normalization": True, "teacher_obs_normalization": True},
        [
            "std",
            *prefixed("student", LINEAR),
            *prefixed("student_obs_normalizer", STATISTICS),
            *prefixed("teacher", LINEAR),
            *prefixed("teacher_obs_normalizer", STATISTICS),
        ],
    ),
    "lstm": (
        StudentTeacherRecurrent,
        {**SMALL, "rnn_hidden_dim": 7, "noise_std_type": "log"},
        ["log_std", *prefixed("memory_s", LSTM), *prefixed("student", LINEAR), *prefixed("teacher", LINEAR)],
    ),
    "both": (
        StudentTeacherRecurrent,
        {**SMALL, "rnn_hidden_dim": 7, "teacher_recurrent": True},
        [
            "std",
            *prefixed("memory_s", LSTM),
            *prefixed("student", LINEAR),
            *prefixed("memory_t", LSTM),
            *prefixed("teacher", LINEAR),
        ],
    ),
}


def make(name):
    """One of the policies, for three actions."""
    kind, settings, _ = CASES[name]
    return kind(observe(), SETS, 3, **settings)


@pytest.mark.parametrize("name", CASES)
def test_state_dict_has_the_names_and_the_order_of_3x(name):
    """Law: names and order of the entries are those of rsl_rl 3.3."""
    assert list(make(name).state_dict()) == CASES[name][2]


@pytest.mark.parametrize("name", CASES)
def test_methods_are_those_of_the_two_models(name):
    """Law: act and act_inference are the student's, evaluate the teacher's, without a gradient."""
    policy, obs = make(name), observe()
    twin = copy.deepcopy(policy)
    torch.manual_seed(1)
    actions = policy.act(obs)
    torch.manual_seed(1)
    assert torch.equal(actions, twin.student_model(obs, stochastic_output=True))
    assert torch.equal(policy.action_mean, twin.student_model.output_mean)
    torch.testing.assert_close(policy.action_std, torch.full((N, 3), 0.1))
    labels = policy.evaluate(obs)
    assert not labels.requires_grad and torch.equal(labels, twin.teacher_model(obs))
    assert torch.equal(policy.act_inference(obs), twin.student_model(obs))
    assert torch.equal(policy.get_student_obs(obs), obs["proprio"]) and policy.get_teacher_obs(obs).shape == (N, 7)


def test_the_teacher_stays_in_evaluation_mode():
    """Law: train() is for the student; only its statistics learn."""
    policy = make("mlp").train()
    assert policy.student_model.training and policy.student.training
    assert not policy.teacher_model.training and not policy.teacher.training
    policy.update_normalization(observe())
    assert policy.student_obs_normalizer.count == N and policy.teacher_obs_normalizer.count == 0
    assert policy.student_obs_normalization and policy.teacher_obs_normalization and not policy.teacher_recurrent


def test_hidden_states_of_both():
    """Law: hidden states are read, set, detached and reset for student and teacher together."""
    policy, obs = make("both"), observe()
    policy.act_inference(obs), policy.evaluate(obs)
    student, teacher = policy.get_hidden_states()
    assert student[0].requires_grad and not teacher[0].requires_grad
    policy.detach_hidden_states()
    assert not policy.get_hidden_states()[0][0].requires_grad
    policy.reset(torch.tensor([0, 1, 0, 0]))
    assert not policy.get_hidden_states()[1][0][:, 1].any()
    policy.reset(hidden_states=(student, None))
    assert policy.get_hidden_states() == (student, None)
    assert make("mlp").get_hidden_states() == (None, None)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_teacher_from_the_checkpoint_of_a_training_run(recurrent):
    """Law: of an ActorCritic, actor, normalizer and memory become the teacher; the distillation does not resume."""
    kind = ActorCriticRecurrent if recurrent else ActorCritic
    settings = {"rnn_hidden_dim": 7} if recurrent else {}
    sets = {"policy": SETS["teacher"], "critic": SETS["teacher"]}
    trained = kind(observe(), sets, 3, actor_hidden_dims=[6], actor_obs_normalization=True, **settings)
    trained.update_normalization(observe())
    if recurrent:
        policy = StudentTeacherRecurrent(
            observe(), SETS, 3, **SMALL, teacher_obs_normalization=True, teacher_recurrent=True, **settings
        )
    else:
        policy = StudentTeacher(observe(), SETS, 3, **SMALL, teacher_obs_normalization=True)
    student = copy.deepcopy(policy.student_model.state_dict())
    assert not policy.loaded_teacher
    assert policy.load_state_dict(trained.state_dict()) is False
    assert policy.loaded_teacher
    obs = observe()
    assert torch.equal(policy.evaluate(obs), trained.act_inference(obs))
    assert all(torch.equal(tensor, student[key]) for key, tensor in policy.student_model.state_dict().items())


def test_a_distillation_resumes_and_anything_else_is_refused():
    """Law: a checkpoint of a distillation loads both and returns True; without actor or student it is an error."""
    source, policy = make("lstm"), make("lstm")
    assert policy.load_state_dict(source.state_dict()) is True
    assert policy.loaded_teacher
    assert all(torch.equal(tensor, source.state_dict()[key]) for key, tensor in policy.state_dict().items())
    with pytest.raises(ValueError, match=r"must hold 'student\.\*' and 'teacher\.\*'.*got \['weights'\]"):
        policy.load_state_dict({"weights.0": torch.zeros(1)})


def test_the_constructor_of_2x_takes_widths():
    """Law: num_student_obs and num_teacher_obs, by place or name, give the same policy."""
    torch.manual_seed(5)
    policy = StudentTeacher(num_student_obs=5, num_teacher_obs=7, num_actions=3, **SMALL)
    torch.manual_seed(5)
    other = StudentTeacher(5, 7, 3, **SMALL)
    student_obs, teacher_obs = torch.randn(N, 5), torch.randn(N, 7)
    assert torch.equal(policy.act_inference(student_obs), other.act_inference(student_obs))
    assert torch.equal(policy.evaluate(teacher_obs), other.evaluate(teacher_obs))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("by_keyword", [True, False])
def test_distillation_on_a_policy_is_distillation_on_its_models(name, by_keyword):
    """Law: Distillation(policy, storage) makes the updates of Distillation(student, teacher, storage)."""
    policy = make(name)
    twin = copy.deepcopy(policy)
    losses = []
    for models in ((policy,), (twin.student_model, twin.teacher_model)):
        torch.manual_seed(2)
        generator = torch.Generator().manual_seed(3)
        storage = RolloutStorage("distillation", N, 6, observe(), [3])
        if by_keyword:
            alg = Distillation(*models, storage=storage, gradient_length=3)
        else:
            alg = Distillation(*models, storage, gradient_length=3)
        alg.train_mode()
        for _ in range(2):
            for _ in range(6):
                alg.act(observe(generator))
                dones = torch.rand(N, generator=generator) < 0.3
                alg.process_env_step(observe(generator), torch.zeros(N), dones, {})
            losses.append(alg.update()["behavior"])
    assert losses[:2] == losses[2:]
    assert all(torch.equal(tensor, twin.state_dict()[key]) for key, tensor in policy.state_dict().items())


def test_a_policy_and_its_algorithm_agree_on_the_teacher():
    """Law: a teacher loaded through either counts for both."""
    trained = ActorCritic(5, 7, 3, actor_hidden_dims=[6])
    policy = StudentTeacher(7, 5, 3, **SMALL)
    storage = RolloutStorage(
        "distillation", N, 2, TensorDict({"policy": torch.zeros(N, 7), "teacher": torch.zeros(N, 5)}, [N]), [3]
    )
    alg = Distillation(policy, storage, gradient_length=2)
    assert not alg.teacher_loaded and alg.policy is policy
    assert alg.load({"model_state_dict": trained.state_dict(), "iter": 5}, None, True) is False
    assert alg.teacher_loaded and policy.loaded_teacher
    assert Distillation(policy, storage, gradient_length=2).teacher_loaded


@pytest.mark.parametrize(
    ("kind", "cfg"), [(StudentTeacher, StudentTeacherCfg), (StudentTeacherRecurrent, StudentTeacherRecurrentCfg)]
)
def test_settings_and_constructor_agree(kind, cfg):
    """Law: every setting is a keyword with the same default."""
    parameters = inspect.signature(kind.__init__).parameters
    defaults = {name: value for name, value in vars(cfg()).items() if name != "class_name"}
    assert cfg().class_name == kind.__name__
    assert {name: parameters[name].default for name in defaults} == defaults
    assert set(parameters) - set(defaults) == {"self", "obs", "obs_groups", "num_actions", "kwargs"}
