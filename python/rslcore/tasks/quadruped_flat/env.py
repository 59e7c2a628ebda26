# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Task quadruped-flat: a four-legged robot follows velocity commands on flat ground."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch

from rslcore.env.mujoco_vec_env import MujocoVecEnv, import_mujoco

MODEL_PATH = Path(__file__).with_name("quadruped.xml")
DECIMATION = 4
"""Physics steps of 5 ms per env step of 20 ms."""
NUM_FEET = 4
FOOT_NAMES = ("FL_foot", "FR_foot", "RL_foot", "RR_foot")
FOOT_RADIUS = 0.023
"""Height of a foot's centre above the floor when it stands, metres."""
GAIT_OFFSETS = (0.0, 0.5, 0.5, 0.0)
"""Phase of each foot in the gait cycle: a trot moves diagonal feet together."""


@dataclass
class RewardWeights:
    """Weights of the reward terms, per second: each step adds weight x term x 0.02 s."""

    track_linear: float = 1.5
    """exp(-|v_xy command - v_xy|^2 / sigma), base frame."""
    track_yaw: float = 0.75
    """exp(-(yaw rate command - yaw rate)^2 / sigma)."""
    gait: float = 1.5
    """Fraction of the feet that are on the ground or in the air as the gait clock asks."""
    foot_height: float = 0.5
    """exp(-d^2 / sigma), d the distance of the feet from the heights that the gait clock asks for."""
    feet_air_time: float = 0.2
    """At touchdown: time in the air beyond 0.1 s, at most 0.15 s; zero when standing is commanded."""
    vertical_velocity: float = -2.0
    """Squared vertical velocity of the base."""
    roll_pitch_rate: float = -0.02
    """Squared roll and pitch rate."""
    upright: float = -2.5
    """Squared horizontal part of the gravity direction in the base frame."""
    base_height: float = -60.0
    """Squared distance of the base from its standing height."""
    torque: float = -1e-4
    """Sum of squared joint torques."""
    action_rate: float = -0.01
    """Sum of squared changes of the actions."""
    pose: float = -0.1
    """Sum of squared distances of the joints from the standing pose; hips count 5 times, all 4 times when standing."""
    foot_slip: float = -0.1
    """Squared horizontal velocity of the feet that touch the ground."""
    fall: float = -50.0
    """1 on the step on which the robot falls."""


@dataclass
class QuadrupedFlatCfg:
    """Settings of the task. Ranges are uniform."""

    episode_length_s: float = 20.0
    command_vx: tuple[float, float] = (-1.0, 1.0)
    """Forward velocity, m/s."""
    command_vy: tuple[float, float] = (-0.6, 0.6)
    """Sideways velocity (left positive), m/s."""
    command_yaw: tuple[float, float] = (-1.0, 1.0)
    """Yaw rate, rad/s."""
    max_command_speed: float = 1.0
    """Planar commands faster than this are scaled down to it, m/s."""
    command_interval_s: tuple[float, float] = (4.0, 8.0)
    """Time between new commands."""
    standing_fraction: float = 0.1
    """Fraction of the commands that ask to stand still."""
    action_scale: float = 0.3
    """Joint target = standing pose + scale x action, rad."""
    gait_frequency: float = 2.0
    """Steps of each foot per second."""
    swing_height: float = 0.08
    """Height that a swinging foot should reach, m."""
    tracking_sigma: float = 0.2
    """Width of the tracking rewards, (m/s)^2 and (rad/s)^2."""
    foot_height_sigma: float = 0.004
    """Width of the foot height reward, m^2."""
    standing_height: float = 0.29
    """Base height that `base_height` rewards, m."""
    min_base_height: float = 0.15
    """Lower than this is a fall, m."""
    max_tilt: float = 1.0
    """More than this from upright is a fall, rad."""
    friction: tuple[float, float] = (0.5, 1.25)
    """Sliding friction of the feet, per environment."""
    added_mass: tuple[float, float] = (-1.0, 2.0)
    """Mass added to the trunk, per environment, kg."""
    push_interval_s: tuple[float, float] = (5.0, 10.0)
    """Time between pushes."""
    push_velocity: float = 0.5
    """Largest change of velocity in x and y by a push, m/s."""
    noise: bool = True
    """Whether the policy's observations are noisy."""
    noise_ang_vel: float = 0.2
    """Half-width of the uniform noise, rad/s."""
    noise_gravity: float = 0.05
    """Half-width of the uniform noise of the gravity direction."""
    noise_joint_pos: float = 0.01
    """Half-width of the uniform noise, rad."""
    noise_joint_vel: float = 1.0
    """Half-width of the uniform noise, rad/s."""
    rewards: RewardWeights = field(default_factory=RewardWeights)


def rotation_rows(quat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the rows of the rotation matrix, which are the world's axes x, y, z seen in the body frame, each [N, 3].

    Args:
        quat: Unit quaternions (w, x, y, z) of the body in the world, [N, 4].
    """
    w, x, y, z = quat.unbind(-1)
    row_x = torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), -1)
    row_y = torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), -1)
    row_z = torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), -1)
    return row_x, row_y, row_z


class QuadrupedFlatEnv(MujocoVecEnv):
    """Follow commands (vx, vy, yaw rate) on flat ground; set up as such tasks are in Isaac Lab and mjlab.

    Actions [N, 12]: offsets of the joint targets from the standing pose, in units of `action_scale`.

    Observation groups, float32:

    - "policy" [N, 47], what a robot can measure: base angular velocity (3), gravity direction (3), command (3), joint
      positions from the standing pose (12), joint velocities (12), last actions (12), gait clock sin and cos (2; zero
      when standing is commanded). With uniform noise on what is measured.
    - "critic" [N, 67]: the same without noise, and base linear velocity (3), base height (1), foot contacts (4), foot
      heights (4), foot air times (4), friction (1), added mass (1), time since the last push (1), time to the next
      command (1).
    """

    def __init__(
        self,
        num_envs: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        *,
        cfg: QuadrupedFlatCfg | None = None,
        num_threads: int = 0,
    ) -> None:
        """Create the environments, with friction and mass drawn per environment.

        Args:
            num_envs: Number of environments N.
            seed: Seed of all that is random.
            device: Device of the tensors returned.
            cfg: Settings, None for the defaults.
            num_threads: Threads of the physics, 0 for every logical CPU.
        """
        mujoco, _ = import_mujoco()
        cfg = cfg or QuadrupedFlatCfg()
        self.reward_terms = tuple(item.name for item in fields(RewardWeights))
        model = mujoco.MjModel.from_xml_path(str(MODEL_PATH))
        super().__init__(
            model,
            num_envs,
            decimation=DECIMATION,
            max_episode_length=round(cfg.episode_length_s / (DECIMATION * model.opt.timestep)),
            seed=seed,
            device=device,
            num_threads=num_threads,
            cfg=cfg,
        )
        self._stand_qpos = torch.from_numpy(model.key_qpos[0].copy())
        self._stand_joints = self._stand_qpos[7:].float()
        self._joint_limits = torch.from_numpy(model.actuator_ctrlrange.copy()).float()
        self._pose_weights = torch.tensor([5.0, 1.0, 1.0] * NUM_FEET, device="cpu")
        self._sensors = self.bind("sensordata")
        self._torques = self.bind("actuator_force")

        n = num_envs
        self.command = self.persist("command", torch.zeros(n, 3, device="cpu"))
        self.standing = self.persist("standing", torch.zeros(n, dtype=torch.bool, device="cpu"))
        self._command_time = self.persist("command_time", torch.zeros(n, device="cpu"))
        self._push_time = self.persist("push_time", torch.zeros(n, device="cpu"))
        self._since_push = self.persist("since_push", torch.zeros(n, device="cpu"))
        self._phase = self.persist("phase", torch.zeros(n, device="cpu"))
        self._actions = self.persist("actions", torch.zeros(n, self.num_actions, device="cpu"))
        self._last_actions = self.persist("last_actions", torch.zeros(n, self.num_actions, device="cpu"))
        self._air_time = self.persist("air_time", torch.zeros(n, NUM_FEET, device="cpu"))
        self._gait_offsets = torch.tensor(GAIT_OFFSETS, device="cpu")

        self._randomize_models()
        self.reset()

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the servo targets."""
        self._last_actions.copy_(self._actions)
        self._actions.copy_(actions)
        targets = torch.addcmul(self._stand_joints, actions, torch.tensor(self.cfg.action_scale, device="cpu"))
        self.ctrl.copy_(targets.clamp_(self._joint_limits[:, 0], self._joint_limits[:, 1]))

    def read_simulations(self) -> None:
        """Base motion in the base frame, joints, feet."""
        qpos, qvel = self.qpos.float(), self.qvel.float()
        row_x, row_y, row_z = rotation_rows(qpos[:, 3:7])
        velocity = qvel[:, :3]
        self.lin_vel = row_x * velocity[:, 0:1] + row_y * velocity[:, 1:2] + row_z * velocity[:, 2:3]
        self.ang_vel = qvel[:, 3:6]
        self.gravity = -row_z
        self.height = qpos[:, 2]
        self._joint_offsets = qpos[:, 7:] - self._stand_joints
        self._joint_vel = qvel[:, 6:]
        sensors = self._sensors.float()
        self.contacts = sensors[:, :NUM_FEET] > 1.0
        feet = sensors[:, NUM_FEET:].view(self.num_envs, 2, NUM_FEET, 3)
        self._foot_height = feet[:, 0, :, 2] - FOOT_RADIUS
        self._foot_vel_xy = feet[:, 1, :, :2]

    def compute_terminated(self) -> torch.Tensor:
        """The robot fell: base too low or too far from upright."""
        return (self.height < self.cfg.min_base_height) | (self.gravity[:, 2] > -math.cos(self.cfg.max_tilt))

    def compute_rewards(self, terminated: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms described at `RewardWeights`."""
        cfg = self.cfg
        moving = (~self.standing).float()
        # Half of the cycle a sine arc in the air, half on the ground.
        arc = torch.sin(2 * math.pi * (self._phase[:, None] + self._gait_offsets)) * moving[:, None]
        wanted_height = cfg.swing_height * arc.clamp(min=0.0)
        landed = self.contacts & (self._air_time > 0)
        air_bonus = ((self._air_time - 0.1).clamp_(max=0.15) * landed).sum(1) * moving / self.step_dt
        terms = {
            "track_linear": torch.exp(
                -(self.command[:, :2] - self.lin_vel[:, :2]).square().sum(1) / cfg.tracking_sigma
            ),
            "track_yaw": torch.exp(-(self.command[:, 2] - self.ang_vel[:, 2]).square() / cfg.tracking_sigma),
            "gait": (self.contacts == (arc <= 0)).float().mean(1),
            "foot_height": torch.exp(-(self._foot_height - wanted_height).square().sum(1) / cfg.foot_height_sigma),
            "feet_air_time": air_bonus,
            "vertical_velocity": self.lin_vel[:, 2].square(),
            "roll_pitch_rate": self.ang_vel[:, :2].square().sum(1),
            "upright": self.gravity[:, :2].square().sum(1),
            "base_height": (self.height - cfg.standing_height).square(),
            "torque": self._torques.float().square().sum(1),
            "action_rate": (self._actions - self._last_actions).square().sum(1),
            "pose": (self._joint_offsets.square() @ self._pose_weights) * (4.0 - 3.0 * moving),
            "foot_slip": (self._foot_vel_xy.square().sum(2) * self.contacts).sum(1),
            "fall": terminated.float(),
        }
        self._air_time.add_(self.step_dt).masked_fill_(self.contacts, 0.0)
        weights = torch.tensor([getattr(cfg.rewards, name) * self.step_dt for name in terms], device="cpu")
        return dict(zip(terms, torch.stack(list(terms.values())).mul_(weights[:, None]), strict=True))

    def reset_envs(self, env_ids: torch.Tensor) -> None:
        """Stand with random heading, joint angles and velocity; new command and gait phase."""
        count = len(env_ids)
        qpos = self._stand_qpos.repeat(count, 1)
        half_yaw = self.uniform(count, low=-math.pi / 2, high=math.pi / 2)
        qpos[:, 3], qpos[:, 6] = half_yaw.cos(), half_yaw.sin()
        qpos[:, 7:] += self.uniform(count, self.num_actions, low=-0.1, high=0.1)
        self.qpos[env_ids] = qpos
        self.qvel[env_ids, :6] = self.uniform(count, 6, low=-0.2, high=0.2).double()
        self._command_time[env_ids] = 0.0
        self._push_time[env_ids] = self.uniform(
            count, low=self.cfg.push_interval_s[0], high=self.cfg.push_interval_s[1]
        )
        self._since_push[env_ids] = 0.0
        self._phase[env_ids] = self.uniform(count, low=0.0, high=1.0)
        for buffer in (self._actions, self._last_actions, self._air_time):
            buffer[env_ids] = 0.0

    def update_events(self) -> None:
        """Advance the gait clock; draw commands and push robots whose time has come."""
        dt = self.step_dt
        self._phase.add_(self.cfg.gait_frequency * dt).remainder_(1.0)
        self._since_push += dt
        due = (self._command_time <= 0).nonzero().squeeze(-1)
        if len(due):
            self._draw_commands(due)
        self._command_time -= dt
        self._push_time -= dt
        pushed = (self._push_time <= 0).nonzero().squeeze(-1)
        if len(pushed):
            limit = self.cfg.push_velocity
            self.qvel[pushed, :2] += self.uniform(len(pushed), 2, low=-limit, high=limit)
            low, high = self.cfg.push_interval_s
            self._push_time[pushed] = self.uniform(len(pushed), low=low, high=high)
            self._since_push[pushed] = 0.0
            self.read_simulations()

    def compute_observations(self) -> dict[str, torch.Tensor]:
        """The groups described at the class."""
        angle = 2 * math.pi * self._phase
        moving = (~self.standing).float()
        measured = torch.cat((self.ang_vel, self.gravity, self._joint_offsets, self._joint_vel), 1)
        known = torch.cat(
            (self.command, self._actions, torch.stack((angle.sin() * moving, angle.cos() * moving), 1)), 1
        )
        privileged = torch.cat(
            (
                self.lin_vel,
                self.height[:, None],
                self.contacts.float(),
                self._foot_height,
                self._air_time,
                self._friction,
                self._added_mass,
                self._since_push[:, None],
                self._command_time[:, None],
            ),
            1,
        )
        noisy = measured
        if self.cfg.noise:
            noisy = measured + self._noise_scale * self.uniform(*measured.shape, low=-1.0, high=1.0)
        return {
            "policy": torch.cat((noisy, known), 1),
            "critic": torch.cat((measured, known, privileged), 1),
        }

    def _draw_commands(self, env_ids: torch.Tensor) -> None:
        cfg, count = self.cfg, len(env_ids)
        command = torch.stack(
            [
                self.uniform(count, low=low, high=high)
                for low, high in (cfg.command_vx, cfg.command_vy, cfg.command_yaw)
            ],
            1,
        )
        speed = command[:, :2].norm(dim=1, keepdim=True)
        command[:, :2] *= (cfg.max_command_speed / speed).clamp_(max=1.0)
        standing = self.uniform(count, low=0.0, high=1.0) < cfg.standing_fraction
        command[standing] = 0.0
        self.command[env_ids] = command
        self.standing[env_ids] = standing
        self._command_time[env_ids] = self.uniform(count, low=cfg.command_interval_s[0], high=cfg.command_interval_s[1])

    def _randomize_models(self) -> None:
        cfg, n = self.cfg, self.num_envs
        self._noise_scale = torch.cat(
            (
                torch.full((3,), cfg.noise_ang_vel, device="cpu"),
                torch.full((3,), cfg.noise_gravity, device="cpu"),
                torch.full((self.num_actions,), cfg.noise_joint_pos, device="cpu"),
                torch.full((self.num_actions,), cfg.noise_joint_vel, device="cpu"),
            )
        )
        feet = [self.model.geom(name).id for name in FOOT_NAMES]
        trunk = self.model.body("trunk").id
        self._friction = self.persist("friction", self.uniform(n, 1, low=cfg.friction[0], high=cfg.friction[1]))
        self._added_mass = self.persist("added_mass", self.uniform(n, 1, low=cfg.added_mass[0], high=cfg.added_mass[1]))
        self.expand("geom_friction")[:, feet, 0] = self._friction.double()
        mass = self.expand("body_mass")
        factor = 1.0 + self._added_mass.double() / mass[:, trunk : trunk + 1]
        mass[:, trunk : trunk + 1] *= factor
        self.expand("body_inertia")[:, trunk] *= factor
        self.recompute_constants()
