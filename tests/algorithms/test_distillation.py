# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Laws of Distillation beyond parity: bad input, checkpoints of teachers, memory, and what callers may overwrite."""

from __future__ import annotations

import copy
import inspect
from types import SimpleNamespace

import pytest
import rsl_rl.algorithms
import torch
from tensordict import TensorDict

from rslcore.algorithms import Distillation
from rslcore.config import DistillationCfg
from rslcore.models import MLPModel, RNNModel
from rslcore.storage import RolloutStorage

N, STEPS, ACTIONS = 4, 6, 2
SETS = {"student": ["policy"], "teacher": ["policy", "privileged"]}
NOISE = {"class_name": "GaussianDistribution", "init_std": 0.3}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def observe():
    """Two vectors."""
    return TensorDict({"policy": torch.randn(N, 5), "privileged": torch.randn(N, 3)}, batch_size=[N])


def model(obs_set, kind=MLPModel, *, noise=True, **settings):
    """A student or teacher."""
    recurrent = {"rnn_hidden_dim": 6, "rnn_type": "gru"} if kind is RNNModel else {}
    cfg = NOISE if noise else None
    return kind(observe(), SETS, obs_set, ACTIONS, hidden_dims=[8], distribution_cfg=cfg, **recurrent, **settings)


def make(student=MLPModel, teacher=MLPModel, **settings):
    """An algorithm for short rollouts."""
    storage = RolloutStorage("distillation", N, STEPS, observe(), [ACTIONS])
    settings = {"gradient_length": 3, **settings}
    alg = Distillation(model("student", student), model("teacher", teacher), storage, **settings)
    alg.train_mode()
    return alg


def rollout(alg, steps=STEPS, dones=None):
    """Steps of a rollout; nothing ends unless ``dones`` says so."""
    for _ in range(steps):
        with torch.inference_mode():
            alg.act(observe())
            alg.process_env_step(observe(), torch.zeros(N), torch.zeros(N) if dones is None else dones, {})


def test_signature_and_settings_are_the_oracles():
    """Law: every argument of rsl-rl-lib 5.5.1 is at its place with its default, and every setting is in the config."""
    ours, theirs = (
        inspect.signature(cls.__init__).parameters for cls in (Distillation, rsl_rl.algorithms.Distillation)
    )
    assert [name for name in ours if name not in ("keep_teacher_state", "use_tf32", "engine")] == list(theirs)
    settings = vars(DistillationCfg())
    for name, parameter in theirs.items():
        if name in settings:
            assert ours[name].default == parameter.default == settings[name], name
    assert set(settings) - set(ours) == {"class_name", "rnd_cfg", "symmetry_cfg"}
    assert ours["keep_teacher_state"].default is settings["keep_teacher_state"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_learning_epochs": 0}, "`num_learning_epochs` must be"),
        ({"gradient_length": 2.5}, "`gradient_length` must be"),
        ({"learning_rate": 0.0}, "`learning_rate` must be"),
        ({"max_grad_norm": -1.0}, "`max_grad_norm` must be"),
        ({"loss_type": "hubert"}, "'hubert' is unknown; did you mean 'huber'"),
        ({"optimizer": "adamx"}, "'adamx' is unknown; did you mean"),
    ],
)
def test_bad_settings_are_named(settings, message):
    """Law: a setting that is unknown or out of range is an error that names it."""
    with pytest.raises(ValueError, match=message):
        make(**settings)


def test_storage_and_teacher_are_needed():
    """Law: a missing part, or a storage of PPO, is refused."""
    storage = RolloutStorage("distillation", N, STEPS, observe(), [ACTIONS])
    with pytest.raises(TypeError, match="got NoneType and RolloutStorage"):
        Distillation(model("student"), storage=storage)
    with pytest.raises(TypeError, match="got MLPModel and NoneType"):
        Distillation(model("student"), model("teacher"))
    with pytest.raises(ValueError, match="must be of training type 'distillation', got 'rl'"):
        Distillation(model("student"), model("teacher"), RolloutStorage("rl", N, STEPS, observe(), [ACTIONS]))


def test_settings_of_other_algorithms_are_ignored():
    """Law: as in rsl_rl, unknown settings do no harm."""
    assert make(clip_param=0.2, entropy_coef=0.0).gradient_length == 3


def test_extensions_of_ppo_are_refused():
    """Law: rnd_cfg and symmetry_cfg must be None."""
    env = SimpleNamespace(num_envs=N, num_actions=ACTIONS)
    for key in ("rnd_cfg", "symmetry_cfg"):
        cfg = {
            "num_steps_per_env": STEPS,
            "obs_groups": SETS,
            "student": {"class_name": "MLPModel"},
            "teacher": {"class_name": "MLPModel"},
            "algorithm": {"class_name": "Distillation", "gradient_length": 3, key: {"weight": 1.0}},
        }
        with pytest.raises(ValueError, match=f"`{key}` must be None"):
            Distillation.construct_algorithm(observe(), env, cfg, "cpu")
        cfg["algorithm"][key] = None
        assert isinstance(Distillation.construct_algorithm(observe(), env, cfg, "cpu"), Distillation)


def test_steps_that_are_not_learned_from_are_told():
    """Law: a gradient length that does not divide epochs x steps warns, and says how many steps are lost."""
    with pytest.warns(UserWarning, match="the last 4 steps of every update are not learned from; take a divisor of 12"):
        make(num_learning_epochs=2, gradient_length=8)


def test_a_gradient_length_beyond_the_update_learns_nothing():
    """Law: with no full gradient length there is no gradient step, and the loss is still reported."""
    with pytest.warns(UserWarning, match="not learned from"):
        alg = make(gradient_length=7)
    before = copy.deepcopy(alg.student.state_dict())
    rollout(alg)
    assert alg.update()["behavior"] > 0
    assert all(torch.equal(tensor, before[key]) for key, tensor in alg.student.state_dict().items())


def test_a_step_needs_act():
    """Law: process_env_step without act is an error."""
    with pytest.raises(RuntimeError, match=r"act\(\) must be called before"):
        make().process_env_step(observe(), torch.zeros(N), torch.zeros(N), {})


def test_the_environment_may_overwrite_what_it_was_given():
    """Law: observations and actions are stored as they were at act()."""
    alg, obs = make(), observe()
    kept = obs.clone()
    with torch.inference_mode():
        actions = alg.act(obs)
        expected, labels = actions.clone(), alg.teacher(kept)
        actions.zero_()
        obs["policy"].zero_(), obs["privileged"].zero_()
        alg.process_env_step(obs, torch.zeros(N), torch.zeros(N), {})
    assert torch.equal(alg.storage.actions[0], expected)
    assert torch.equal(alg.storage.observations["policy"][0], kept["policy"])
    assert torch.equal(alg.storage.privileged_actions[0], labels)


def test_the_student_approaches_the_teacher_which_stays():
    """Law: the loss falls; the teacher's parameters and statistics, and the student's noise, do not move."""
    for seed in range(3):  # of 30 seeds the loss fell to 0.02 to 0.12 of what it was
        torch.manual_seed(seed)
        storage = RolloutStorage("distillation", N, STEPS, observe(), [ACTIONS])
        alg = Distillation(model("teacher", RNNModel), model("teacher"), storage, gradient_length=3, learning_rate=1e-2)
        alg.train_mode()
        before = copy.deepcopy(alg.teacher.state_dict())
        losses = []
        for _ in range(40):
            rollout(alg)
            losses.append(alg.update()["behavior"])
        assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
        assert all(torch.equal(tensor, before[key]) for key, tensor in alg.teacher.state_dict().items())
        assert torch.equal(alg.student.distribution.std_param, torch.full((ACTIONS,), 0.3))


def test_a_recurrent_teacher_remembers_across_updates():
    """Law: with keep_teacher_state, labels after an update are those of a teacher that was never interrupted."""
    alg = make(teacher=RNNModel)
    uninterrupted = copy.deepcopy(alg.teacher)
    for _ in range(2):
        rollout(alg)
        with torch.inference_mode():
            labels = [uninterrupted(alg.storage.observations[t]) for t in range(STEPS)]
        torch.testing.assert_close(alg.storage.privileged_actions, torch.stack(labels))
        alg.update()
    forgetful = make(teacher=RNNModel, keep_teacher_state=False)
    rollout(forgetful)
    forgetful.update()
    assert forgetful.teacher.get_hidden_state() is None


def test_a_rollout_broken_off_is_forgotten():
    """Law: after a rollout was broken off, the next one is replayed from the hidden state that it really began with."""
    alg = make(RNNModel, learning_rate=1e-30)
    rollout(alg, steps=4)
    alg.storage.clear(), alg.transition.clear()
    began_with = alg.student.get_hidden_state().clone()
    rollout(alg)
    ended_with = alg.student.get_hidden_state().clone()
    alg.update()
    torch.testing.assert_close(alg.last_hidden_states[0], began_with)
    torch.testing.assert_close(alg.student.get_hidden_state(), ended_with)


def test_hidden_states_are_reset_in_the_replay_where_episodes_ended():
    """Law: without learning, a replay ends with the hidden state that the rollout ended with, whatever ended within."""
    alg = make(RNNModel, learning_rate=1e-30, num_learning_epochs=2)
    rollout(alg, steps=3, dones=torch.tensor([1, 0, 0, 1]))
    rollout(alg, steps=3)
    ended_with = alg.student.get_hidden_state().clone()
    alg.update()
    torch.testing.assert_close(alg.student.get_hidden_state(), ended_with)
    assert not alg.student.get_hidden_state().requires_grad


def trained_actor(**settings):
    """What PPO saves of an actor that sees what the teacher sees."""
    return model("teacher", **settings)


@pytest.mark.parametrize("with_noise", [True, False])
@pytest.mark.parametrize("generation", ["5.x", "4.x", "3.x"])
def test_a_teacher_from_training_runs_of_all_generations(generation, with_noise):
    """Law: the actor of a PPO checkpoint becomes the teacher, with or without noise of its own; the student stays."""
    actor = trained_actor(obs_normalization=True)
    actor.update_normalization(observe())
    state = actor.state_dict()
    content = {"5.x": {"actor_state_dict": state}}
    renamed = {key.replace("distribution.std_param", "std"): tensor for key, tensor in state.items()}
    content["4.x"] = {"actor_state_dict": renamed}
    old = {
        key.replace("mlp.", "actor.").replace("obs_normalizer.", "actor_obs_normalizer."): tensor
        for key, tensor in renamed.items()
    }
    content["3.x"] = {"model_state_dict": old | {"critic.0.weight": torch.zeros(1)}}

    storage = RolloutStorage("distillation", N, STEPS, observe(), [ACTIONS])
    teacher = model("teacher", noise=with_noise, obs_normalization=True)
    alg = Distillation(model("student"), teacher, storage, gradient_length=3)
    student = copy.deepcopy(alg.student.state_dict())
    assert not alg.teacher_loaded
    assert alg.load(content[generation] | {"iter": 7}, None, True) is False
    assert alg.teacher_loaded
    obs = observe()
    assert torch.equal(alg.teacher(obs), actor(obs))
    assert all(torch.equal(tensor, student[key]) for key, tensor in alg.student.state_dict().items())


def test_a_distillation_of_3x_continues():
    """Law: student and teacher of a 3.x checkpoint are loaded, and the iteration is restored; its optimizer is not."""
    source, alg = make(), make()
    old = {"std": source.student.distribution.std_param.detach()}
    for role in ("student", "teacher"):
        state = getattr(source, role).state_dict()
        old |= {key.replace("mlp.", f"{role}."): tensor for key, tensor in state.items() if key.startswith("mlp.")}
    alg._raw_teacher = alg.teacher = model("teacher", noise=False)
    assert alg.load({"model_state_dict": old, "optimizer_state_dict": {}, "iter": 3}, None, True) is True
    obs = observe()
    assert torch.equal(alg.student(obs), source.student(obs)) and torch.equal(alg.teacher(obs), source.teacher(obs))


def test_load_cfg_chooses_the_parts():
    """Law: only what load_cfg names is loaded."""
    source, alg = make(learning_rate=3e-4), make()
    assert alg.load(source.save(), {"optimizer": True}, True) is False
    assert alg.learning_rate == 3e-4 and not alg.teacher_loaded
    assert alg.load(source.save(), {"student": True, "iteration": True}, True) is True
    obs = observe()
    assert torch.equal(alg.student(obs), source.student(obs))
    assert not torch.equal(alg.teacher(obs), source.teacher(obs))


def test_modes():
    """Law: the teacher is always in evaluation mode."""
    alg = make()
    assert alg.student.training and not alg.teacher.training
    alg.eval_mode()
    assert not alg.student.training
    assert alg.get_policy() is alg.student


def test_compiled_models_leave_the_raw_ones_in_reach():
    """Law: compile wraps both models and None unwraps them; checkpoints and policy are those of the raw ones."""
    alg = make(RNNModel)
    with pytest.raises(ValueError, match="reduce-overhead"):
        alg.compile("reduce-overhead")
    alg.compile("default")
    assert alg.student is not alg._raw_student and alg.get_policy() is alg._raw_student
    assert not any("_orig_mod" in key for key in alg.save()["student_state_dict"])
    alg.compile(None)
    assert alg.student is alg._raw_student and alg.teacher is alg._raw_teacher
