# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""EnvPool's episodes stay whole: the dead step after their end does not enter a rollout."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rslcore import ops
from rslcore.env import EnvPoolVecEnv, GymnasiumVecEnv

envpool = pytest.importorskip("envpool")
pytest.importorskip("gymnasium")

pytestmark = [
    # EnvPool declares bounds in float64 for float32 observations.
    pytest.mark.filterwarnings("ignore:.*precision lowered by casting"),
]

CATCH_STEPS = 9
"""Steps of an episode of bsuite's Catch: the ball falls from row 0 to row 9 of the board."""


def constant(value, num_envs):
    """The same action in all environments."""
    return torch.full((num_envs, 1), float(value))


def test_raw_pool_has_a_dead_step():
    """What the adapter is for: after the end of an episode EnvPool ignores an action and gives a reward of 0."""
    pool = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=1, seed=1)
    pool.reset()
    ended = False
    while not ended:
        _, rewards, terminated, _, _ = pool.step(np.ones(1, dtype=np.int64))
        ended = terminated[0]
    assert rewards[0] == 1.0
    _, rewards, _, _, info = pool.step(np.ones(1, dtype=np.int64))
    assert rewards[0] == 0.0 and info["elapsed_step"][0] == 0


def raw_rows(num_envs, steps, **kwargs):
    """For every environment of a raw pool, its steps without the dead ones: (obs, reward, terminated, truncated)."""
    pool = envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, **kwargs)
    pool.reset()
    rows = [[] for _ in range(num_envs)]
    after_reset = [[] for _ in range(num_envs)]
    ended = np.zeros(num_envs, dtype=bool)
    for _ in range(steps):
        observations, rewards, terminated, truncated, _ = pool.step(np.ones(num_envs, dtype=np.int64))
        for index in range(num_envs):
            if ended[index]:
                after_reset[index].append(observations[index])
            else:
                rows[index].append((observations[index], rewards[index], terminated[index], truncated[index]))
        ended = terminated | truncated
    return rows, after_reset


@pytest.mark.parametrize("limit", [9, 500])
def test_rows_are_those_of_the_raw_pool_without_its_dead_steps(limit):
    """Same seed: rewards, ends, last and first observations agree, whether episodes end by falling or by the limit."""
    settings = {"seed": 4, "max_episode_steps": limit}
    rows, after_reset = raw_rows(5, 60, **settings)
    env = EnvPoolVecEnv.make("CartPole-v1", 5, seed=4, env_kwargs={"max_episode_steps": limit})
    assert env.max_episode_length == limit
    resets = [0] * 5
    kinds = set()
    for step in range(min(map(len, rows))):
        observations, rewards, dones, extras = env.step(constant(1, 5))
        for index in range(5):
            observation, reward, terminated, truncated = rows[index][step]
            assert rewards[index] == reward == 1.0
            assert bool(dones[index]) == (terminated or truncated)
            assert bool(extras["time_outs"][index]) == (truncated and not terminated)
            last = extras["final_obs"] if dones[index] else observations
            assert np.array_equal(last["policy"][index].numpy(), observation)
            if dones[index]:
                if resets[index] < len(after_reset[index]):
                    first = after_reset[index][resets[index]]
                    assert np.array_equal(observations["policy"][index].numpy(), first)
                resets[index] += 1
                kinds.add(bool(extras["time_outs"][index]))
    assert min(resets) >= 2
    assert kinds == ({True, False} if limit == 9 else {False})


def random_play(num_envs, steps):
    """Random actions of Breakout, the same on every call."""
    return torch.randint(0, 4, (steps, num_envs, 1), generator=torch.Generator().manual_seed(0)).float()


def test_an_end_that_is_no_full_reset_goes_on_as_the_pool_itself_does():
    """With episodic_life a game goes on after a lost life, down to the last one: lives at the ends are 4, 3, 2, 1, 0.

    And every step is that of the raw pool without its dead steps, also where the two environments end apart.
    """
    settings = {"episodic_life": True, "num_threads": 1}
    env = EnvPoolVecEnv.make("Breakout-v5", 2, seed=1, env_kwargs=settings)
    pool = envpool.make("Breakout-v5", env_type="gymnasium", num_envs=2, seed=1, **settings)
    pool.reset()
    ids = np.arange(2, dtype=np.int32)
    lives = [[], []]
    for actions in random_play(2, 400):
        library_actions = actions[:, 0].long().numpy()
        observations, rewards, terminated, _, info = pool.step(library_actions)
        got, got_rewards, dones, extras = env.step(actions)
        assert got_rewards.tolist() == rewards.tolist() and dones.tolist() == terminated.tolist()
        ended = ids[terminated]
        if len(ended):
            assert np.array_equal(extras["final_obs"]["policy"][ended].numpy(), observations[ended])
            observations[ended] = pool.step(library_actions[ended], ended)[0]
        assert np.array_equal(got["policy"].numpy(), observations)
        for index in ended:
            lives[index].append(int(info["lives"][index]))
    for seen in lives:
        assert len(seen) > 5 and seen == [4 - k % 5 for k in range(len(seen))]
    env.close()


def test_an_episode_that_the_adapter_cuts_off_begins_anew():
    """The pool knows nothing of the adapter's own limit: there it is reset, to a game with all its lives."""
    options = {"env_kwargs": {"episodic_life": True, "num_threads": 1}, "log_info": ("lives",)}
    env = EnvPoolVecEnv.make("Breakout-v5", 1, seed=1, **options)
    dones = [False]
    while not dones[0]:
        *_, dones, extras = env.step(constant(0, 1))
    assert extras["log"]["Info/lives"] == 4.0 and not extras["time_outs"][0]
    env.episode_length_buf[:] = env.max_episode_length - 1
    *_, dones, extras = env.step(constant(0, 1))
    assert dones[0] and extras["time_outs"][0] and extras["log"]["Info/lives"] == 4.0
    *_, dones, extras = env.step(constant(0, 1))
    assert not dones[0] and extras["log"]["Info/lives"] == 5.0
    env.close()


def test_hand_made_episodes_of_catch():
    """Catch, stepped by hand: 9 steps, 0 reward but on the last (1 if the paddle is under the ball), then a new board.

    Environments are brought out of step by cutting their first episode off; the returns that GAE gives with lam 1 and
    values of 0 are then gamma^(steps to go) times the last reward, in closed form, and 0 where it was cut off.
    """
    num_envs, gamma = 3, 0.9
    env = EnvPoolVecEnv.make("Catch-v0", num_envs, seed=2, max_episode_length=1000)
    env.episode_length_buf = torch.tensor([0, 996, 998])  # cut off after 9 (its end), 4 and 2 steps
    phase = torch.tensor([CATCH_STEPS, 4, 2])
    steps = 30
    rewards, dones, time_outs = (torch.zeros(steps, num_envs) for _ in range(3))
    catches = 0
    for step in range(steps):
        board = env.get_observations()["policy"].view(num_envs, 10, 5)
        ball_column = board[:, :9].sum(1).argmax(1)
        paddle = board[:, 9].argmax(1)
        if step == 0:
            assert (board[:, 0].sum(1) == 1).all() and (paddle == 2).all()
        action = (ball_column - paddle).sign() + 1  # 0 left, 1 stay, 2 right: follow the ball
        _, rewards[step], dones[step], extras = env.step(action[:, None].float())
        time_outs[step] = extras["time_outs"]
        phase -= 1
        assert torch.equal(dones[step] > 0, phase == 0), step
        for index in (phase == 0).nonzero().flatten().tolist():
            cut_off = step < CATCH_STEPS - 1
            assert bool(time_outs[step, index]) is cut_off
            assert rewards[step, index] == (0.0 if cut_off else 1.0)
            catches += not cut_off
            new_board = env.get_observations()["policy"][index].view(10, 5)
            assert new_board[0].sum() == 1 and new_board[9, 2] == 1
        phase[phase == 0] = CATCH_STEPS
    assert catches == 8

    zeros = torch.zeros(steps, num_envs)
    returns, _ = ops.gae(rewards, zeros, dones, zeros[0], gamma=gamma, lam=1.0)
    for index in range(num_envs):
        for step in range(steps):
            to_go = dones[step:, index].nonzero()
            if len(to_go):
                end = step + int(to_go[0])
                expected = gamma ** (end - step) * (0.0 if time_outs[end, index] else 1.0)
            else:
                expected = 0.0
            assert returns[step, index].item() == pytest.approx(expected), (step, index)


def test_other_environments_do_not_move_while_one_is_reset():
    """A pool in which one environment ends at different times gives the others the same states."""
    env = EnvPoolVecEnv.make("CartPole-v1", 2, seed=3)
    cut = EnvPoolVecEnv.make("CartPole-v1", 2, seed=3)
    cut.episode_length_buf = torch.tensor([497, 0])
    for step in range(6):
        a, b = env.step(constant(0, 2)), cut.step(constant(0, 2))
        assert torch.equal(a[0]["policy"][1], b[0]["policy"][1])
        assert b[2].tolist() == [step == 2, False]


def test_observations_returned_earlier_keep_their_values():
    """A later step does not write into tensors that were returned before."""
    env = EnvPoolVecEnv.make("CartPole-v1", 2)
    first = env.get_observations()["policy"]
    kept = first.clone()
    for _ in range(5):
        env.step(constant(0, 2))
    assert torch.equal(first, kept)


def test_pixels_keep_their_type_and_become_channels_first():
    """Atari frames are uint8 [N, 4, 84, 84], four frames as channels."""
    env = EnvPoolVecEnv.make("Pong-v5", 2, env_kwargs={"num_threads": 1}, log_info=("lives",))
    assert env.distribution_cfg == {"class_name": "CategoricalDistribution", "num_categories": [6]}
    observations, *_, extras = env.step(constant(0, 2))
    image = observations["policy"]
    assert image.dtype == torch.uint8 and image.shape == (2, 4, 84, 84) and image.float().std() > 0
    assert extras["log"]["Info/lives"] == 0.0
    env.close()


def test_dict_observations_and_clipped_actions():
    """dm_control's observations become groups in float32; actions beyond the bounds act as the bounds."""
    states = []
    for action in (1.0, 7.0):
        env = EnvPoolVecEnv.make("CartpoleBalance-v1", 1, seed=1)
        observations = env.step(torch.full((1, 1), action))[0]
        assert env.obs_groups["actor"] == ["position", "velocity"] and observations["position"].dtype == torch.float32
        states.append(observations["velocity"])
    assert torch.equal(*states)


def test_seed_decides_the_run():
    """The seed is given when the pool is made; a reset with one is refused."""
    first = [EnvPoolVecEnv.make("CartPole-v1", 2, seed=seed).get_observations()["policy"] for seed in (1, 1, 2)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])
    with pytest.raises(ValueError, match="reset: `seed` must be None, a pool is seeded when it is made"):
        EnvPoolVecEnv.make("CartPole-v1", 2).reset(seed=3)


def test_bad_arguments_are_one_clear_error():
    """Pools of other kinds and wrong actions are refused, with what is expected and what was given."""
    with pytest.raises(TypeError, match=r'made by envpool.make\(..., env_type="gymnasium"\), got CartPoleDMEnvPool'):
        EnvPoolVecEnv(envpool.make("CartPole-v1", env_type="dm", num_envs=2))
    with pytest.raises(ValueError, match="must be synchronous, got batch_size 2 for 4 environments"):
        EnvPoolVecEnv(envpool.make("CartPole-v1", env_type="gymnasium", num_envs=4, batch_size=2))
    with pytest.raises(ValueError, match="make: `num_envs` must be at least 1, got 0"):
        EnvPoolVecEnv.make("CartPole-v1", 0)
    with pytest.raises(ValueError, match=r"GymnasiumVecEnv: CartPoleGymnasiumEnvPool .* give it to EnvPoolVecEnv"):
        GymnasiumVecEnv(envpool.make("CartPole-v1", env_type="gymnasium", num_envs=2))
    env = EnvPoolVecEnv.make("CartPole-v1", 2)
    with pytest.raises(ValueError, match=r"EnvPoolVecEnv.step: `actions` must be \[2, 1\], got \[2, 2\]"):
        env.step(torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"`actions\[0, 0\]` must be a category from 0 to 1, got -1"):
        env.step(constant(-1, 2))
    assert (env.episode_length_buf == 0).all()


def test_the_default_device_is_not_the_adapters(default_device):
    """Whatever torch makes tensors on by default, those of an adapter are where it says: here, on the CPU."""
    env = EnvPoolVecEnv.make("Catch-v0", 3, seed=2, max_episode_length=7)
    env.episode_length_buf[0] = 5
    for step in range(12):
        observations, rewards, dones, extras = env.step(torch.ones(3, 1, device="cpu"))
        tensors = [*observations.values(), rewards, dones, extras["time_outs"], *extras.get("final_obs", {}).values()]
        assert {x.device.type for x in tensors} == {"cpu"}, step
    assert env.reset().device.type == "cpu"
