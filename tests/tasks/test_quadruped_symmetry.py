# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the quadruped's mirror image."""

from __future__ import annotations

import pytest
import torch
from tensordict import TensorDict

from rslcore.tasks.quadruped_flat import QuadrupedFlatCfg, QuadrupedTeacherStudentEnv
from rslcore.tasks.quadruped_flat.symmetry import left_right, mirror_actions, mirror_observations, mirror_state

NUM_PAIRS = 8


@pytest.fixture
def pairs() -> QuadrupedTeacherStudentEnv:
    """Robots i and i + 8 in mirrored states, of the same friction and mass, without noise, pushes and new commands."""
    torch.set_num_threads(1)
    cfg = QuadrupedFlatCfg(
        noise=False,
        friction=(0.8, 0.8),
        added_mass=(0.0, 0.0),
        push_interval_s=(100.0, 100.0),
        command_interval_s=(100.0, 100.0),
    )
    env = QuadrupedTeacherStudentEnv(2 * NUM_PAIRS, seed=3, cfg=cfg, num_threads=1)
    for _ in range(10):
        env.step(0.5 * torch.randn(env.num_envs, env.num_actions, generator=torch.Generator().manual_seed(1)))
    first, second = slice(0, NUM_PAIRS), slice(NUM_PAIRS, None)
    env.qpos[second], env.qvel[second] = mirror_state(env.qpos[first], env.qvel[first])
    env.command[second] = env.command[first] * torch.tensor([1.0, -1.0, -1.0])
    env._phase[second] = (env._phase[first] + 0.5) % 1.0
    env._actions[second] = mirror_actions(env._actions[first])
    env._air_time[second] = env._air_time[first][:, [1, 0, 3, 2]]
    for name in ("standing", "_command_time", "_since_push"):
        getattr(env, name)[second] = getattr(env, name)[first]
    return env


def test_mirrored_actions_lead_to_the_mirrored_state(pairs: QuadrupedTeacherStudentEnv) -> None:
    """What the mirrored robot does, and sees, is what the robot does and sees in the mirror; rewards are the same."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        actions = torch.randn(NUM_PAIRS, pairs.num_actions, generator=generator)
        obs, rewards, dones, _ = pairs.step(torch.cat([actions, mirror_actions(actions)]))
        assert not dones.any()
        expected = mirror_observations(obs[:NUM_PAIRS])
        for group, values in obs[NUM_PAIRS:].items():
            scale = values.abs().amax(dim=0).clamp(min=0.1)
            assert ((values - expected[group]) / scale).abs().max() < 1e-3, group
        torch.testing.assert_close(rewards[:NUM_PAIRS], rewards[NUM_PAIRS:], rtol=1e-3, atol=1e-4)


def test_mirroring_twice_changes_nothing(pairs: QuadrupedTeacherStudentEnv) -> None:
    """The mirror image of the mirror image is the original: of every group, of actions and of states."""
    obs = pairs.get_observations()
    twice = mirror_observations(mirror_observations(obs))
    assert set(obs.keys()) == {"policy", "critic", "measured", "privileged"}
    for group, values in obs.items():
        assert torch.equal(twice[group], values)
        assert not torch.equal(mirror_observations(obs)[group], values)
    actions = torch.randn(5, 12)
    assert torch.equal(mirror_actions(mirror_actions(actions)), actions)
    state = (pairs.qpos, pairs.qvel)
    assert all(torch.equal(a, b) for a, b in zip(mirror_state(*mirror_state(*state)), state, strict=True))


def test_left_right_puts_images_behind_originals(pairs: QuadrupedTeacherStudentEnv) -> None:
    """The interface of the extension: [2 b, ...], originals first, None stays None; other layouts are named."""
    obs, actions = pairs.get_observations(), torch.randn(2 * NUM_PAIRS, 12)
    both_obs, both_actions = left_right(pairs, obs, actions)
    assert both_obs is not None and both_actions is not None
    assert torch.equal(both_actions, torch.cat([actions, mirror_actions(actions)]))
    assert torch.equal(both_obs["policy"][: 2 * NUM_PAIRS], obs["policy"])
    assert left_right(pairs, None, actions)[0] is None and left_right(pairs, obs, None)[1] is None
    with pytest.raises(ValueError, match=r"groups must be of \['policy', .*\], got \['camera'\]"):
        mirror_observations(TensorDict({"camera": torch.zeros(2, 3)}, batch_size=[2]))
    with pytest.raises(ValueError, match=r"last dimension must be 12, got \[2, 3\]"):
        mirror_actions(torch.zeros(2, 3))
