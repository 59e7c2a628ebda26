# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""half-cheetah is Gymnasium's HalfCheetah-v5: the real package is the oracle."""

import numpy as np
import pytest
import torch

from rslcore import tasks
from rslcore.tasks import half_cheetah

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")
pytest.importorskip("mjbatch")


@pytest.fixture
def env():
    """Eight environments from the registry."""
    return tasks.get("half-cheetah").make_env(8, seed=0, device="cpu")


def test_steps_equal_gymnasium(env):
    """From the same state and actions, inside and outside of the motor range, 200 steps agree."""
    oracle = gymnasium.make("HalfCheetah-v5").unwrapped
    oracle.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    for index in (0, 7):
        first = env.reset()["policy"][index]
        oracle.set_state(env.qpos[index].numpy().copy(), env.qvel[index].numpy().copy())
        # A new episode starts from MuJoCo's own warm start, which set_state leaves at the last episode's.
        oracle.data.qacc_warmstart[:] = env.bind("qacc_warmstart")[index].numpy()
        np.testing.assert_allclose(first, oracle._get_obs(), rtol=1e-5, atol=1e-6)
        for _ in range(200):
            actions = 3.0 * torch.rand(8, 6, generator=generator) - 1.5
            observations, rewards, *_ = env.step(actions)
            expected, expected_reward, *_ = oracle.step(actions[index].numpy())
            np.testing.assert_allclose(observations["policy"][index], expected, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(rewards[index], expected_reward, rtol=1e-4, atol=1e-4)


def test_listed_contacts_change_no_bit(env):
    """With its contacts written down, the model moves as the file that Gymnasium loads, on the ground and off it."""
    mujoco = pytest.importorskip("mujoco")
    oracle = mujoco.MjModel.from_xml_path(str(half_cheetah.model_path()))
    data = mujoco.MjData(oracle)
    mujoco.mj_setState(oracle, data, env.bind("state")[3].numpy(), mujoco.mjtState.mjSTATE_INTEGRATION)
    generator = torch.Generator().manual_seed(0)
    contacts = set()
    for _ in range(200):
        actions = torch.randn(8, 6, generator=generator)
        env.step(actions)
        data.ctrl[:] = actions[3].numpy()
        mujoco.mj_step(oracle, data, half_cheetah.FRAME_SKIP)
        contacts.add(data.ncon)
        np.testing.assert_array_equal(env.qpos[3], data.qpos)
        np.testing.assert_array_equal(env.qvel[3], data.qvel)
    assert {0, 1, 2} <= contacts


def test_reset_noise_has_gymnasiums_distribution():
    """Positions uniform within 0.1 of the initial pose, velocities normal with deviation 0.1."""
    env = tasks.get("half-cheetah").make_env(4000, seed=1)
    positions = env.qpos.numpy() - env.model.qpos0
    assert np.abs(positions).max() <= 0.1
    np.testing.assert_allclose(positions.std(0), 0.1 / np.sqrt(3), rtol=0.05)
    np.testing.assert_allclose(env.qvel.numpy().std(0), 0.1, rtol=0.05)
    np.testing.assert_allclose(env.qvel.numpy().mean(0), 0.0, atol=0.01)


def test_time_limit_is_gymnasiums(env):
    """The only end is the time limit of the registered environment."""
    assert env.max_episode_length == gymnasium.spec("HalfCheetah-v5").max_episode_steps
    env.episode_length_buf = torch.full((8,), env.max_episode_length - 1)
    _, _, dones, extras = env.step(torch.zeros(8, 6))
    assert dones.all() and extras["time_outs"].all()


def test_evaluate_sums_whole_episodes(env):
    """With zero actions the return is the distance travelled over the step time."""
    env.max_episode_length = 20
    state = env.state_dict()
    result = tasks.get("half-cheetah").evaluate(env, lambda observations: torch.zeros(8, 6), 8)

    env.load_state_dict(state)
    env.reset()
    env.max_episode_length = 1000
    start = env.qpos[:, 0].clone()
    for _ in range(20):
        env.step(torch.zeros(8, 6))
    returns = (env.qpos[:, 0] - start) / env.step_dt
    assert result["episodes"] == 8
    np.testing.assert_allclose(result["return_mean"], returns.mean(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result["return_std"], returns.std(unbiased=False), rtol=1e-4)
