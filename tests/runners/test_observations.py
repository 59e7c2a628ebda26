# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Observations of another width or dtype than usual train as others do."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from pendulum import PendulumVecEnv, make_cfg
from tensordict import TensorDict

from rslcore.config import RndCfg
from rslcore.runners import OnPolicyRunner


class GroupsEnv(PendulumVecEnv):
    """The pendulum with further groups: one without a number, and an image full of the angle's cosine."""

    step_dt = 0.05

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        super().__init__()

    def get_observations(self) -> TensorDict:
        """All groups, in the dtype."""
        policy = super().get_observations()["policy"]
        image = policy[:, 0, None, None, None].expand(-1, 1, 6, 6)
        groups = {"policy": policy, "none": policy[:, :0], "image": image}
        return TensorDict({k: x.to(self.dtype) for k, x in groups.items()}, batch_size=[self.num_envs])


def runner_of(env: GroupsEnv, actor: list[str], critic: list[str], engine: str = "auto", **model: Any) -> Any:
    """A runner without normalizers, always from the same seed."""
    torch.manual_seed(1)
    cfg = make_cfg(obs_groups={"actor": actor, "critic": critic})
    for name in ("actor", "critic"):
        cfg[name] |= {"obs_normalization": False, **model}
    cfg["algorithm"]["engine"] = engine
    return OnPolicyRunner(env, cfg, None, "cpu")


def parameters(runner: Any) -> torch.Tensor:
    """All parameters as one vector."""
    return torch.nn.utils.parameters_to_vector([*runner.alg.actor.parameters(), *runner.alg.critic.parameters()])


@pytest.mark.parametrize("normalization", [False, True])
@pytest.mark.parametrize("engine", ["eager", "auto"])
@pytest.mark.parametrize(("actor", "critic"), [("none", "policy"), ("policy", "none"), ("none", "none")])
def test_a_group_of_no_numbers_is_learned_from(actor: str, critic: str, engine: str, normalization: bool) -> None:
    """A model that sees only that group has its biases to learn, with every engine that may be chosen."""
    runner = runner_of(GroupsEnv(), [actor], [critic], engine, obs_normalization=normalization)
    before = parameters(runner)
    runner.learn(2)
    after = parameters(runner)
    assert after.isfinite().all() and not torch.equal(before, after)
    with torch.inference_mode():
        actions = runner.get_inference_policy()(GroupsEnv().get_observations())
    assert actions.shape == (16, 1)
    if actor == "none":
        assert (actions == actions[0]).all()


def test_the_fused_engine_names_a_model_without_inputs() -> None:
    """Asked for by name, it says why it cannot run."""
    with pytest.raises(ValueError, match=r"'fused' cannot run this job: the critic has no inputs: mlp.0.weight is \["):
        runner_of(GroupsEnv(), ["policy"], ["none"], "fused").learn(1)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_group_of_no_numbers_beside_others_changes_nothing(engine: str) -> None:
    """Every parameter is, bit for bit, what it is without the group."""
    trained = []
    for groups in (["policy"], ["none", "policy"]):
        runner = runner_of(GroupsEnv(), groups, groups, engine)
        runner.learn(2)  # before the next one is made: from the same state of torch's generator
        trained.append(parameters(runner))
    assert torch.equal(*trained)


def test_recurrent_models_need_an_input() -> None:
    """LSTMs of torch have none without, as in rsl_rl; the message names what is asked for."""
    with pytest.raises(ValueError, match=r"RNN: `input_size` must be .* at least 1, got 0"):
        runner_of(GroupsEnv(), ["none"], ["policy"], class_name="RNNModel", rnn_hidden_dim=4)


@pytest.mark.parametrize("states", [["none"], ["none", "policy"]])
def test_random_network_distillation_of_no_numbers(states: list[str]) -> None:
    """Normalized states of width 0 run: every state is the same one."""
    env = GroupsEnv()
    cfg = make_cfg(obs_groups={"actor": ["policy"], "critic": ["policy"], "rnd_state": states})
    cfg["algorithm"]["rnd_cfg"] = RndCfg(state_normalization=True, reward_normalization=True).to_dict()
    runner = OnPolicyRunner(env, cfg, None, "cpu")
    runner.learn(2)
    rewards = runner.alg.rnd.get_intrinsic_reward(env.get_observations())
    assert rewards.shape == (16,) and rewards.isfinite().all()


MODELS = {
    "MLPModel": {},
    "RNNModel": {"class_name": "RNNModel", "rnn_hidden_dim": 4},
    "CNNModel": {"class_name": "CNNModel", "cnn_cfg": {"output_channels": (2,), "kernel_size": 3}},
}


@pytest.mark.parametrize("engine", ["eager", "auto"])
@pytest.mark.parametrize("model", MODELS)
def test_float64_observations_are_converted(model: str, engine: str) -> None:
    """They train as the same numbers in float32 do, bit for bit and with the same engine, and are said to."""
    groups = ["policy", "image"] if model == "CNNModel" else ["policy"]
    runners = []
    for dtype in (torch.float32, torch.float64):
        runner = runner_of(GroupsEnv(dtype), groups, groups, engine, **MODELS[model])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("default")
            runner.learn(2)
        about_dtype = [w for w in told if "the group 'policy' is float64; it is converted to float32" in str(w.message)]
        assert len(about_dtype) == (dtype == torch.float64)
        runners.append(runner)
    assert torch.equal(parameters(runners[0]), parameters(runners[1]))
    assert runners[0].alg.engine.name == runners[1].alg.engine.name
    obs = GroupsEnv(torch.float64).get_observations()
    with torch.inference_mode():
        actions = [runner.get_inference_policy()(obs if i else obs.float()) for i, runner in enumerate(runners)]
    assert torch.equal(*actions) and actions[1].dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_in_float64_takes_both(model: str, dtype: torch.dtype) -> None:
    """Where the parameters are float64, as with torch's default dtype, observations of either dtype become that."""
    groups = ["policy", "image"] if model == "CNNModel" else ["policy"]
    torch.set_default_dtype(torch.float64)
    try:
        runner = runner_of(GroupsEnv(dtype), groups, groups, **MODELS[model])
        runner.learn(1)
        with torch.inference_mode():
            assert runner.get_inference_policy()(GroupsEnv(dtype).get_observations()).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_random_network_distillation_of_float64() -> None:
    """States in float64 are converted too, without a normalizer of theirs."""
    cfg = make_cfg(obs_groups={"actor": ["policy"], "critic": ["policy"], "rnd_state": ["policy"]})
    cfg["algorithm"]["rnd_cfg"] = RndCfg(state_normalization=False).to_dict()
    OnPolicyRunner(GroupsEnv(torch.float64), cfg, None, "cpu").learn(1)
