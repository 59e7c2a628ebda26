# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""quadruped-flat: rewards checked by hand, randomization, observations, evaluation."""

import math

import numpy as np
import pytest
import torch

from rslcore.tasks.quadruped_flat import QuadrupedFlatCfg, QuadrupedFlatEnv, RewardWeights, evaluate
from rslcore.tasks.quadruped_flat.env import rotation_rows

mujoco = pytest.importorskip("mujoco")
pytest.importorskip("mjbatch")

DT = 0.02
FOLDED = torch.tensor([0.0, 8.0, -8.0] * 4)
"""Actions that fold all legs: the robot falls."""


@pytest.fixture(autouse=True)
def one_thread():
    """Keep the tests light on a shared machine."""
    torch.set_num_threads(1)


@pytest.fixture
def env():
    """Four robots in the exact standing pose, at rest, heading along x, commanded to move."""
    env = QuadrupedFlatEnv(4, seed=0)
    env.qpos[:] = env._stand_qpos
    env.qvel[:] = 0.0
    env.command[:] = 0.0
    env.standing[:] = False
    env.batch.forward()
    env.read_simulations()
    return env


def rewards(env):
    """Terms per second of the first robot, divided by their weights."""
    env.read_simulations()
    terms = env.compute_rewards(torch.zeros(env.num_envs, dtype=torch.bool))
    return {name: float(value[0]) / (getattr(RewardWeights, name) * DT) for name, value in terms.items()}


def set_rotation(env, axis, angle):
    """Turn every robot about one world axis."""
    quat = torch.zeros(4, dtype=torch.float64)
    quat[0], quat[1 + "xyz".index(axis)] = math.cos(angle / 2), math.sin(angle / 2)
    env.qpos[:, 3:7] = quat


def test_base_velocity_is_seen_in_the_base_frame(env):
    """Turned left by 90 degrees, moving along world y is moving forward; the yaw rate stays."""
    set_rotation(env, "z", math.pi / 2)
    env.qvel[:, 1] = 0.7
    env.qvel[:, 5] = 0.3
    env.read_simulations()
    torch.testing.assert_close(env.lin_vel[0], torch.tensor([0.7, 0.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(env.ang_vel[0], torch.tensor([0.0, 0.0, 0.3]), atol=1e-6, rtol=0)


def test_gravity_direction(env):
    """Upright: (0, 0, -1). Rolled right by 90 degrees (positive about x), the world's down is the robot's -y."""
    torch.testing.assert_close(env.gravity[0], torch.tensor([0.0, 0.0, -1.0]))
    set_rotation(env, "x", math.pi / 2)
    env.read_simulations()
    torch.testing.assert_close(env.gravity[0], torch.tensor([0.0, -1.0, 0.0]), atol=1e-6, rtol=0)


def test_rotation_rows_are_mujocos():
    """For any orientation the rows are those of MuJoCo's own rotation matrix."""
    quats = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    quats /= quats.norm(dim=1, keepdim=True)
    rows = torch.stack(rotation_rows(quats), 1)
    for quat, matrix in zip(quats, rows, strict=True):
        expected = np.empty(9)
        mujoco.mju_quat2Mat(expected, quat.numpy())
        np.testing.assert_allclose(matrix.numpy().ravel(), expected, atol=1e-12)


def test_tracking_rewards(env):
    """exp(-error^2 / sigma) of planar velocity and yaw rate."""
    env.command[:] = torch.tensor([0.3, -0.4, 0.5])
    sigma = QuadrupedFlatCfg.tracking_sigma
    terms = rewards(env)
    assert terms["track_linear"] == pytest.approx(math.exp(-0.25 / sigma), rel=1e-5)
    assert terms["track_yaw"] == pytest.approx(math.exp(-0.25 / sigma), rel=1e-5)
    env.qvel[:, 0], env.qvel[:, 1], env.qvel[:, 5] = 0.3, -0.4, 0.5
    terms = rewards(env)
    assert terms["track_linear"] == pytest.approx(1.0) and terms["track_yaw"] == pytest.approx(1.0)


def test_motion_and_posture_penalties(env):
    """Vertical velocity, roll and pitch rate, tilt, height, pose: squares of what they are named after."""
    env.qvel[:, 2], env.qvel[:, 3], env.qvel[:, 4] = 0.5, 0.1, 0.2
    env.qpos[:, 2] = QuadrupedFlatCfg.standing_height + 0.03
    env.qpos[:, 7] += 0.1  # FL hip, counts 5 times
    env.qpos[:, 8] += 0.2  # FL thigh
    terms = rewards(env)
    assert terms["vertical_velocity"] == pytest.approx(0.25, rel=1e-5)
    assert terms["roll_pitch_rate"] == pytest.approx(0.05, rel=1e-5)
    assert terms["base_height"] == pytest.approx(0.0009, rel=1e-3)
    assert terms["pose"] == pytest.approx(5 * 0.01 + 0.04, rel=1e-4)
    assert terms["upright"] == pytest.approx(0.0, abs=1e-6)
    env.standing[:] = True
    assert rewards(env)["pose"] == pytest.approx(4 * (5 * 0.01 + 0.04), rel=1e-4)
    set_rotation(env, "y", 0.3)
    assert rewards(env)["upright"] == pytest.approx(math.sin(0.3) ** 2, rel=1e-4)


def test_action_rate_and_torque(env):
    """Sum of squares of the change of the actions, and of the servo torques."""
    actions = torch.full((4, 12), 0.5)
    env.apply_actions(actions)
    env.apply_actions(actions + 0.1)
    env._torques[:] = 2.0
    terms = rewards(env)
    assert terms["action_rate"] == pytest.approx(12 * 0.01, rel=1e-4)
    assert terms["torque"] == pytest.approx(12 * 4.0)


def test_feet_rewards(env):
    """Air time counts at touchdown and never for standing robots; slip counts feet on the ground only."""
    env._sensors[:, :4] = torch.tensor([10.0, 0.0, 10.0, 0.0])
    env._sensors[:, 16:28] = 0.0
    env._sensors[:, 16] = 0.5  # FL slips along x
    env._sensors[:, 19] = 3.0  # FR is in the air
    env._air_time[:] = torch.tensor([0.25, 0.1, 0.0, 0.0])
    terms = rewards(env)
    assert terms["feet_air_time"] == pytest.approx(0.15 / DT, rel=1e-4)
    assert terms["foot_slip"] == pytest.approx(0.25, rel=1e-4)
    torch.testing.assert_close(env._air_time[0], torch.tensor([0.0, 0.12, 0.0, 0.02]))
    env.standing[:] = True
    env._air_time[:] = 0.25
    assert rewards(env)["feet_air_time"] == 0.0


def test_gait_rewards_follow_the_clock(env):
    """At a quarter of the cycle FL and RR swing at full height, FR and RL stand; standing robots have all feet down."""
    env._phase[:] = 0.25
    swing, clearance = QuadrupedFlatCfg.swing_height, env._sensors[:, 4:16].view(4, 4, 3)[..., 2]
    clearance[:] = 0.023 + torch.tensor([swing, 0.0, 0.0, swing]).double()
    env._sensors[:, :4] = torch.tensor([0.0, 30.0, 30.0, 0.0]).double()
    terms = rewards(env)
    assert terms["gait"] == pytest.approx(1.0) and terms["foot_height"] == pytest.approx(1.0, rel=1e-4)
    clearance[:, 0] -= 0.05
    env._sensors[:, 0] = 30.0
    terms = rewards(env)
    assert terms["gait"] == pytest.approx(0.75)
    assert terms["foot_height"] == pytest.approx(math.exp(-0.0025 / QuadrupedFlatCfg.foot_height_sigma), rel=1e-3)
    env.standing[:] = True
    clearance[:] = 0.023
    env._sensors[:, :4] = 30.0
    terms = rewards(env)
    assert terms["gait"] == pytest.approx(1.0) and terms["foot_height"] == pytest.approx(1.0, rel=1e-4)


def test_falls_end_the_episode_without_time_out(env):
    """Lying on the side or too low is a terminal state; the fall term is paid once."""
    env.qpos[1, 2] = 0.1
    env.qpos[2, 3:7] = torch.tensor([math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0])
    _, reward, dones, extras = env.step(torch.zeros(4, 12))
    assert dones.tolist() == [False, True, True, False]
    assert not extras["time_outs"].any()
    assert (reward[1:3] < 0.9 * RewardWeights.fall * DT).all()
    assert set(extras["log"]) >= {f"Episode_Reward/{name}" for name in env.reward_terms}


def test_zero_actions_stand():
    """The standing pose is stable for every friction and mass drawn, without pushes: two seconds without a fall."""
    env = QuadrupedFlatEnv(32, seed=3, cfg=QuadrupedFlatCfg(push_velocity=0.0))
    for _ in range(100):
        _, _, dones, _ = env.step(torch.zeros(32, 12))
        assert not dones.any()
    assert (env.height > 0.25).all() and env.contacts.all()


def test_commands_are_drawn_within_their_ranges():
    """Ranges and the speed limit hold, about a tenth stand, and commands change during an episode."""
    cfg = QuadrupedFlatCfg()
    env = QuadrupedFlatEnv(2000, seed=4)
    low, high = torch.tensor([cfg.command_vx, cfg.command_vy, cfg.command_yaw]).T
    assert ((env.command >= low) & (env.command <= high)).all()
    assert env.command[:, :2].norm(dim=1).max() <= cfg.max_command_speed + 1e-6
    assert 0.07 < env.standing.float().mean() < 0.13
    assert (env.command[env.standing] == 0).all()
    before = env.command.clone()
    env._command_time[:1000] = 0.0
    env.update_events()
    changed = (env.command != before).any(1)
    assert changed[:1000].float().mean() > 0.9 and not changed[1000:].any()


def test_pushes_change_the_velocity_when_due(env):
    """A push adds at most push_velocity to vx and vy of the robots whose time has come, and draws the next time.

    The observations that follow are of the pushed robot.
    """
    env._push_time[:] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    env.update_events()
    pushed = (env.qvel[:, :2] != 0).any(1)
    assert pushed.tolist() == [True, False, True, False]
    assert env.qvel[:, :2].abs().max() <= QuadrupedFlatCfg.push_velocity
    assert (env._push_time[[0, 2]] >= QuadrupedFlatCfg.push_interval_s[0]).all()
    speed = env.compute_observations()["critic"][:, 47:50].norm(dim=1)
    torch.testing.assert_close(speed, env.qvel[:, :3].norm(dim=1).float())


def test_physics_is_randomized_per_environment():
    """Friction, trunk mass and inertia differ between environments, within their ranges, and reach the critic."""
    cfg = QuadrupedFlatCfg()
    env = QuadrupedFlatEnv(64, seed=5)
    feet = [env.model.geom(name).id for name in ("FL_foot", "FR_foot", "RL_foot", "RR_foot")]
    trunk = env.model.body("trunk").id
    friction = env.expand("geom_friction")[:, feet, 0]
    assert friction.unique().numel() == 64
    assert friction.min() >= cfg.friction[0] and friction.max() <= cfg.friction[1]
    added = env.expand("body_mass")[:, trunk] - env.model.body_mass[trunk]
    assert added.min() >= cfg.added_mass[0] - 1e-9 and added.max() <= cfg.added_mass[1] + 1e-9
    ratio = env.expand("body_inertia")[:, trunk] / torch.from_numpy(env.model.body_inertia[trunk].copy())
    torch.testing.assert_close(ratio[:, 0], 1 + added / env.model.body_mass[trunk])
    critic = env.get_observations()["critic"]
    torch.testing.assert_close(critic[:, -4], friction[:, 0].float())
    torch.testing.assert_close(critic[:, -3], added.float(), atol=1e-5, rtol=0)


def test_noise_is_on_the_policy_group_only():
    """The critic sees the true values; the policy's differ by at most the noise, and not at all when it is off."""
    env = QuadrupedFlatEnv(64, seed=6)
    observations = env.get_observations()
    assert observations["policy"].shape == (64, 47) and observations["critic"].shape == (64, 67)
    difference = (observations["policy"] - observations["critic"][:, :47]).abs()
    assert (difference <= torch.cat((env._noise_scale, torch.zeros(17))) + 1e-6).all()
    assert (difference[:, :30] > 0).float().mean() > 0.99
    quiet = QuadrupedFlatEnv(64, seed=6, cfg=QuadrupedFlatCfg(noise=False)).get_observations()
    assert torch.equal(quiet["policy"], quiet["critic"][:, :47])


def test_seed_and_state_decide_the_run():
    """Same seed, same bits, whatever the threads; a loaded state goes on exactly, with all randomization."""
    generator = torch.Generator().manual_seed(0)
    actions = 0.5 * torch.randn(60, 16, 12, generator=generator)

    def rollout(env, actions):
        steps = [env.step(a) for a in actions]
        return torch.stack([torch.cat((o["policy"], o["critic"], r[:, None], d[:, None]), 1) for o, r, d, _ in steps])

    env = QuadrupedFlatEnv(16, seed=1, num_threads=1)
    first = rollout(env, actions[:30])
    assert torch.equal(first, rollout(QuadrupedFlatEnv(16, seed=1, num_threads=3), actions[:30]))
    state = env.state_dict()
    expected = rollout(env, actions[30:])
    other = QuadrupedFlatEnv(16, seed=2)
    other.load_state_dict(state)
    assert torch.equal(rollout(other, actions[30:]), expected)


def test_evaluate_of_a_standing_policy():
    """A robot that never moves has an error equal to the commanded speed, and does not fall without pushes."""
    cfg = QuadrupedFlatCfg(
        episode_length_s=3.0, push_velocity=0.0, command_vx=(0.6, 0.6), command_vy=(0.0, 0.0), command_yaw=(0.2, 0.2),
        standing_fraction=0.0,
    )  # fmt: skip
    result = evaluate(QuadrupedFlatEnv(4, seed=0, cfg=cfg), lambda observations: torch.zeros(4, 12), 6)
    assert result["episodes"] == 6 and result["fall_fraction"] == 0.0
    assert result["lin_vel_error"] == pytest.approx(0.6, abs=0.05)
    assert result["yaw_rate_error"] == pytest.approx(0.2, abs=0.05)
    assert result["episode_length_s"] == pytest.approx(3.0)
    assert list(result["bins"]) == ["0.5-0.75"] and result["bins"]["0.5-0.75"]["fraction"] == pytest.approx(1.0)


def test_evaluate_leaves_out_the_settling_time():
    """What happens in the first second of an episode does not count."""
    cfg = QuadrupedFlatCfg(episode_length_s=2.0, push_velocity=0.0, standing_fraction=1.0)
    env = QuadrupedFlatEnv(2, seed=0, cfg=cfg)

    def spin_at_first(observations):
        env.qvel[env.episode_length_buf < 20, 5] = 2.0
        return torch.zeros(2, 12)

    result = evaluate(env, spin_at_first, 2)
    assert result["fall_fraction"] == 0.0 and result["yaw_rate_error"] < 0.1


def test_evaluate_counts_every_environment_once():
    """A robot that falls again and again while the others walk on is one fall of one episode."""
    env = QuadrupedFlatEnv(4, seed=0, cfg=QuadrupedFlatCfg(episode_length_s=3.0, push_velocity=0.0))
    actions = torch.zeros(4, 12)
    actions[0] = FOLDED
    result = evaluate(env, lambda observations: actions, 4)
    assert result["fall_fraction"] == 0.25
    assert 0.75 * 3.0 < result["episode_length_s"] < 3.0


def test_evaluate_counts_falls():
    """A policy that folds its legs falls in every episode; the result holds no NaN although no step may count."""
    result = evaluate(QuadrupedFlatEnv(4, seed=0), lambda observations: FOLDED.expand(4, 12), 4)
    assert result["fall_fraction"] == 1.0
    assert all(math.isfinite(value) for value in result.values() if isinstance(value, float))
