# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks are found by name and bring a valid configuration."""

import subprocess
import sys

import pytest
import torch

from rslcore import tasks
from rslcore.config import CNNModelCfg, OnPolicyRunnerCfg
from rslcore.tasks import external


def test_unknown_name_suggests_the_nearest():
    """A typing error gets the name that was meant."""
    with pytest.raises(ValueError, match="unknown task 'quadruped-falt'; did you mean 'quadruped-flat'"):
        tasks.get("quadruped-falt")


@pytest.mark.parametrize("name", tasks.names())
def test_spec_is_complete(name):
    """Every task has a description in one line and a configuration that survives the way to a dict and back."""
    task = tasks.get(name)
    assert task.name == name and task.num_envs > 0 and "\n" not in task.description
    cfg = task.cfg()
    assert type(cfg).from_dict(cfg.to_dict()) == cfg
    assert task.cfg() is not cfg


@pytest.mark.parametrize(
    ("name", "distribution", "groups"),
    [
        ("gymnasium:CartPole-v1", "CategoricalDistribution", ["policy"]),
        ("gymnasium:Pendulum-v1", "GaussianDistribution", ["policy"]),
        ("gymnasium:Blackjack-v1", "CategoricalDistribution", ["0", "1", "2"]),
        ("envpool:CartPole-v1", "CategoricalDistribution", ["policy"]),
        ("envpool:CheetahRun-v1", "GaussianDistribution", ["position", "velocity"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")
def test_environments_of_libraries_are_tasks(name, distribution, groups):
    """library:id is a complete task: an environment, and a configuration that fits its spaces."""
    pytest.importorskip(name.partition(":")[0])
    task = tasks.get(name)
    cfg = task.cfg()
    assert task.name == name and cfg.experiment_name == name.replace(":", "-") and task.cfg() is not cfg
    assert OnPolicyRunnerCfg.from_dict(cfg.to_dict()) == cfg
    assert cfg.actor.distribution_cfg.class_name == distribution and cfg.critic.distribution_cfg is None
    assert cfg.obs_groups == {"actor": groups, "critic": groups}
    env = task.make_env(2, seed=1, device="cpu")
    assert env.num_envs == 2 and list(env.get_observations().keys()) == groups
    env.close()


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")
@pytest.mark.parametrize("name", [*tasks.names(), "gymnasium:CartPole-v1", "envpool:CartPole-v1"])
def test_the_default_device_is_not_the_tasks(name):
    """Whatever torch makes tensors on by default, a task is stepped and evaluated on the device that it was given."""
    task = tasks.get(name)
    torch.set_default_device("meta")
    try:
        env = task.make_env(2, seed=1, device="cpu")
        if env.max_episode_length > 20:
            env.max_episode_length = 20
        actions = torch.zeros(2, env.num_actions, device="cpu")
        assert env.step(actions)[1].device.type == "cpu"
        if task.evaluate is not None:
            task.evaluate(env, lambda observations: actions, 3)
    finally:
        torch.set_default_device(None)


@pytest.mark.filterwarnings("ignore:.*precision lowered by casting")
def test_images_get_an_encoder():
    """An environment of pixels is trained with convolutions that fit them, a small board without."""
    pytest.importorskip("envpool")
    cfg = tasks.get("envpool:Pong-v5").cfg()
    assert isinstance(cfg.actor, CNNModelCfg) and isinstance(cfg.critic, CNNModelCfg)
    assert external._encoder(84).output_channels == (32, 64, 64) and external._encoder(2).kernel_size == 2


def test_names_of_libraries_and_environments_are_checked():
    """Errors name what was meant, or how many others there are."""
    pytest.importorskip("gymnasium")
    for name, message in (
        ("gymnasum:CartPole-v1", "unknown library 'gymnasum'.*did you mean 'gymnasium'"),
        ("gymnasium:CartPol-v1", "gymnasium has no environment 'CartPol-v1'; did you mean 'CartPole-v1'"),
        ("gymnasium:QQQ", r"no environment 'QQQ'; it knows \d+ others, such as gymnasium:CartPole-v1"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks.get(name)


def test_a_missing_library_is_one_clear_error():
    """Without it the error is the command that installs it."""
    script = (
        "import sys; sys.modules['gymnasium'] = sys.modules['envpool'] = None\n"
        "import rslcore.tasks\n"
        "for name in ('gymnasium:CartPole-v1', 'envpool:Pong-v5'):\n"
        "    try: rslcore.tasks.get(name)\n"
        "    except ImportError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.count("\n") == 2
    assert 'pip install "rslcore[gymnasium]"' in out and 'pip install "rslcore[envpool]"' in out


def test_evaluation_counts_whole_episodes_of_all_environments():
    """CartPole pushed to one side: every environment gives its first episodes, none is cut short or counted twice."""
    pytest.importorskip("gymnasium")
    task = tasks.get("gymnasium:CartPole-v1")
    env = task.make_env(4, seed=5, device="cpu")

    def push(observations):
        return torch.ones(4, 1)

    measures = task.evaluate(env, push, 6)
    assert measures["episodes"] == 6
    assert 8 <= measures["return_mean"] <= 11 and measures["return_mean"] == pytest.approx(
        measures["episode_length_mean"]
    )
    with pytest.raises(ValueError, match="`episodes` must be at least 1, got 0"):
        task.evaluate(env, push, 0)
    with pytest.raises(TypeError, match="must be an AdapterVecEnv, got object"):
        task.evaluate(object(), push, 1)
