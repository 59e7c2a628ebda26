# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""`CartPoleVecEnv`: the contract of environments, how long results last, exact resume, pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from rslcore.env import CartPoleVecEnv, VecEnv, cart_pole_drawing


@pytest.fixture(autouse=True)
def one_thread():
    """Nothing here is about threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def actions(steps, env, seed=0):
    """Random actions [steps, N, P]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, env.num_envs, env.num_actions, generator=generator)


@pytest.mark.parametrize("num_poles", [1, 12])
def test_shapes_of_the_contract(num_poles):
    """Names, shapes and dtypes that algorithms rely on; 12 poles have the widths of a robot."""
    env = CartPoleVecEnv(70, num_poles=num_poles)
    assert isinstance(env, VecEnv)
    assert (env.num_envs, env.num_actions, env.max_episode_length, env.step_dt) == (70, num_poles, 500, 0.02)
    assert env.episode_length_buf.dtype == torch.int64 and env.episode_length_buf.shape == (70,)
    first = env.get_observations()
    assert list(first.keys()) == ["policy"] and first.batch_size == (70,)
    observations, rewards, dones, extras = env.step(torch.zeros(70, num_poles))
    assert observations["policy"].shape == (70, 4 * num_poles) and observations["policy"].dtype == torch.float32
    assert torch.equal(env.get_observations()["policy"], observations["policy"])
    assert rewards.tolist() == [1.0] * 70
    assert dones.dtype == torch.bool and extras["time_outs"].dtype == torch.bool
    assert set(extras) == {"time_outs"}


def test_one_pole_that_falls_ends_the_episode():
    """Whichever it is, by itself; all of the environment's poles start anew."""
    env = CartPoleVecEnv(3, num_poles=3)
    env._state.zero_()
    while not (result := env.step(torch.eye(3)))[2].any():  # the others stay exactly upright
        pass
    observations, _, dones, extras = result
    assert dones.all() and not extras["time_outs"].any()
    assert (observations["policy"] != 0).all() and (observations["policy"].abs() <= 0.05).all()


def test_results_survive_the_next_step():
    """What a step returned is unchanged after the next one, as training loops need, and used again after that."""
    env = CartPoleVecEnv(64)
    given = actions(20, env)
    before = [x for x in env.step(given[0])[:3]]
    for step in given[1:]:
        kept = [x.clone() for x in before]
        after = env.step(step)[:3]
        assert all((a == b).all() for a, b in zip(before, kept, strict=True))
        assert all(a.data_ptr() != b.data_ptr() for a, b in zip(before[1:], after[1:], strict=True))
        before = after


def test_time_limit_and_assigned_episode_lengths():
    """`episode_length_buf` may be assigned; the limit is a time-out, and the next episode counts from 0."""
    env = CartPoleVecEnv(5, max_episode_length=100)
    env.episode_length_buf = torch.tensor([99, 98, 0, 99, 50])
    _, _, dones, extras = env.step(torch.zeros(5, 1))
    assert extras["time_outs"].tolist() == dones.tolist() == [True, False, False, True, False]
    assert env.episode_length_buf.tolist() == [0, 99, 1, 0, 51]


def test_final_observations():
    """Where an episode ended, `final_obs` is the state that ended it, and not the one that the next starts from."""
    env = CartPoleVecEnv(200, final_obs=True)
    ended = 0
    for step in torch.ones(60, 200, 1):
        observations, _, dones, extras = env.step(step)
        final = extras["final_obs"]["policy"][dones]
        assert ((final[:, 0].abs() > 2.4) | (final[:, 2].abs() > 0.2094)).all()
        assert (observations["policy"][dones].abs() <= 0.05).all()
        ended += len(final)
    assert ended > 200


def test_log_has_the_fractions_of_the_ends():
    """Every `log_interval` steps, over all episodes that ended since the last time; silent where none did."""
    env = CartPoleVecEnv(100, max_episode_length=12)
    falls = time_outs = 0
    logs = []
    for step in actions(4 * env.log_interval, env):
        _, _, dones, extras = env.step(step)
        falls += int((dones & ~extras["time_outs"]).sum())
        time_outs += int(extras["time_outs"].sum())
        if "log" in extras:
            logs.append({name: float(value) for name, value in extras["log"].items()})
            assert logs[-1] == {
                "Episode_Termination/terminated": pytest.approx(falls / (falls + time_outs)),
                "Episode_Termination/time_out": pytest.approx(time_outs / (falls + time_outs)),
            }
            falls = time_outs = 0
    assert len(logs) == 4
    quiet = CartPoleVecEnv(4)
    assert all("log" not in quiet.step(torch.zeros(4, 1))[3] for _ in range(5))


def test_seeds():
    """The same seed gives the same run, another seed another one; `reset(seed)` is a fresh start."""
    runs = []
    for seed in (3, 3, 4):
        env = CartPoleVecEnv(50, seed=seed)
        runs.append(torch.stack([env.step(step)[0]["policy"].clone() for step in actions(40, env)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    env.reset(seed=3)
    again = torch.stack([env.step(step)[0]["policy"].clone() for step in actions(40, env)])
    assert torch.equal(again, runs[0])


def test_resume_is_exact():
    """A state loaded into another environment goes on with the same bits, logs included."""
    source, target = CartPoleVecEnv(60, seed=1, num_poles=2), CartPoleVecEnv(60, seed=9, num_poles=2)
    given = actions(80, source)
    for step in given[:37]:
        source.step(step)
    state = source.state_dict()
    target.load_state_dict(state)
    assert torch.equal(target.get_observations()["policy"], source.get_observations()["policy"])
    for step in given[37:]:
        expected, got = source.step(step), target.step(step)
        assert torch.equal(got[0]["policy"], expected[0]["policy"])
        assert torch.equal(got[2], expected[2]) and torch.equal(got[3]["time_outs"], expected[3]["time_outs"])
        assert got[3].get("log") == expected[3].get("log")
    assert torch.equal(source.episode_length_buf, target.episode_length_buf)


def test_a_state_that_does_not_fit_is_refused():
    """And changes nothing."""
    env = CartPoleVecEnv(4)
    before = env.state_dict()
    with pytest.raises(
        ValueError, match=r"^CartPoleVecEnv.load_state_dict: `state` must be \[1, 4, 4\], got \[1, 4, 5\]"
    ):
        env.load_state_dict(CartPoleVecEnv(5).state_dict())
    with pytest.raises(ValueError, match=r"`state` must have the keys .*, got \['state'\]"):
        env.load_state_dict({"state": before["state"]})
    assert torch.equal(env.state_dict()["state"], before["state"])


@pytest.mark.parametrize("name", ["num_envs", "num_poles", "max_episode_length"])
@pytest.mark.parametrize("value", [0, 1.5, "3", None, True])
def test_sizes_are_checked(name, value):
    """What is no positive integer is an error that names argument and value."""
    message = f"CartPoleVecEnv: `{name}` must be an integer and at least 1, got {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CartPoleVecEnv(**({"num_envs": 2} | {name: value}))


def test_actions_are_checked_and_may_be_of_any_float():
    """A wrong shape is named; float64 and a gradient are no obstacle."""
    env, twin = CartPoleVecEnv(4), CartPoleVecEnv(4)
    with pytest.raises(ValueError, match=r"^cart_pole_step: `actions` must be \[4, 1\], got \[4\]"):
        env.step(torch.zeros(4))
    expected = twin.step(torch.full((4, 1), 0.5))[0]["policy"]
    assert torch.equal(
        env.step(torch.full((4, 1), 0.5, dtype=torch.float64, requires_grad=True))[0]["policy"], expected
    )


@pytest.mark.parametrize("num_poles", [1, 5])
def test_picture(num_poles):
    """Cart and pole are where the state says; every pole has a strip of its own."""
    env = CartPoleVecEnv(2, num_poles=num_poles)
    env._state.zero_()
    upright = env.render(1, width=320, height=200)
    assert upright.shape == (200, 320, 3) and upright.dtype == "uint8"
    assert (upright[:, :150] == upright[:, :169:-1]).all()  # symmetric about the middle
    env._state[-1, 0, 1] = 1.2
    moved = env.render(1, width=320, height=200)
    strip = 200 // num_poles
    assert (moved[: 200 - strip] == upright[: 200 - strip]).all()
    assert (moved != upright).any()
    assert (env.render(0, width=320, height=200) == upright).all()


@pytest.mark.parametrize(("width", "height"), [(320, 200), (64, 90), (3, 2)])
def test_picture_leaves_nothing_out(width, height):
    """Law: a frame is the three shapes blended over every one of its pixels, though only those near them are drawn."""
    x, y, scale = cart_pole_drawing._grid(height, width)
    x, y = x[None], y[:, None]
    ground = cart_pole_drawing._ground(x, y), cart_pole_drawing._GROUND
    limit = cart_pole_drawing.TRACK + cart_pole_drawing.MARGIN
    for position, angle in [(0.0, 0.0), (-1.3, 0.2), (0.7, -1.57), (2.4, 1.0), (-9.0, -2.5), (0.0, 3.1)]:
        shapes = cart_pole_drawing._cart_and_pole(x - np.clip(position, -limit, limit), y, angle)
        whole = cart_pole_drawing._blend(scale, ground, *shapes)
        assert (cart_pole_drawing.draw(np.array([[position, 0, angle, 0]]), width, height) == whole).all()


def test_the_default_device_is_not_the_environments(default_device):
    """Whatever torch makes tensors on by default, those of the environment are where it says: here, on the CPU."""
    env = CartPoleVecEnv(3, max_episode_length=4, final_obs=True)
    for _ in range(9):
        observations, rewards, dones, extras = env.step(torch.ones(3, 1, device="cpu"))
        tensors = [*observations.values(), rewards, dones, extras["time_outs"], *extras["final_obs"].values()]
        assert {x.device.type for x in tensors} == {"cpu"}
    assert env.render(width=64, height=48).shape == (48, 64, 3)
