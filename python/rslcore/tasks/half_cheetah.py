# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Task half-cheetah: Gymnasium's HalfCheetah-v5, batched."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tensordict import TensorDict

from rslcore.env.mujoco_vec_env import MujocoVecEnv, import_mujoco
from rslcore.env.vec_env import VecEnv
from rslcore.tasks.training import half_cheetah_cfg as training_cfg
from rslcore.utils import reset_policy

if TYPE_CHECKING:
    import mujoco

__all__ = ["HalfCheetahEnv", "evaluate", "load_model", "model_path", "training_cfg"]

CONTROL_COST_WEIGHT = 0.1
"""Factor of the squared actions in the reward, HalfCheetah-v5's `ctrl_cost_weight`."""
RESET_NOISE_SCALE = 0.1
"""Half-width of the uniform position noise and standard deviation of the velocity noise at reset."""
FRAME_SKIP = 5
"""Physics steps of 0.01 s per env step."""
MAX_EPISODE_STEPS = 1000


def model_path() -> Path:
    """Return the path of Gymnasium's own half_cheetah.xml, without importing Gymnasium.

    Raises:
        ImportError: If Gymnasium is not installed.
    """
    spec = importlib.util.find_spec("gymnasium")
    if spec is None or spec.origin is None:
        raise ImportError(
            "half-cheetah: the model comes with Gymnasium, which is not installed; install it with: "
            'pip install "rslcore[gymnasium]"'
        )
    return Path(spec.origin).parent / "envs" / "mujoco" / "assets" / "half_cheetah.xml"


def load_model() -> mujoco.MjModel:
    """Load Gymnasium's model with its possible contacts written down, which moves the same to the last bit.

    In the file, every geom may touch the floor and nothing else. Listing these pairs, with the parameters that MuJoCo
    would combine for them, spares it the search for geoms that come near each other: a seventh of a physics step.

    Raises:
        ImportError: If MuJoCo or Gymnasium is not installed.
    """
    mujoco, _ = import_mujoco()
    spec = mujoco.MjSpec.from_file(str(model_path()))
    floor, *robot = spec.geoms
    for geom in robot:
        sliding, torsion, rolling = np.maximum(floor.friction, geom.friction)
        spec.add_pair(
            geomname1=floor.name,
            geomname2=geom.name,
            condim=max(floor.condim, geom.condim),
            friction=[sliding, sliding, torsion, rolling, rolling],
            solref=geom.solref,  # the floor's are the same, and so is any mixture
            solimp=geom.solimp,
        )
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 0
    return spec.compile()


class HalfCheetahEnv(MujocoVecEnv):
    """HalfCheetah-v5 with its defaults: rewards, observations, reset noise and time limit of Gymnasium 1.x.

    Observation group "policy", float32 [N, 17]: positions without the forward one (8), velocities (9).
    Actions are motor torques as fractions of their range; MuJoCo clips them to [-1, 1], the control cost does not.
    An episode ends only by the time limit.
    """

    reward_terms = ("forward", "control")

    def __init__(
        self, num_envs: int, seed: int = 0, device: torch.device | str = "cpu", *, num_threads: int = 0
    ) -> None:
        """Create the environments; arguments as `MujocoVecEnv`."""
        super().__init__(
            load_model(),
            num_envs,
            decimation=FRAME_SKIP,
            max_episode_length=MAX_EPISODE_STEPS,
            seed=seed,
            device=device,
            num_threads=num_threads,
        )
        self._x = self.qpos[:, 0]
        self._x_before = self._x.clone()
        # A simulation's state begins with time, positions and velocities; the first position is x.
        self._observed = self.bind("state")[:, 2 : 1 + self.model.nq + self.model.nv]
        self.reset()

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the motors, and remember what they cost and where the robots are."""
        self._control_reward = actions.square().sum(1).mul_(-CONTROL_COST_WEIGHT)
        self._x_before.copy_(self._x)
        self.ctrl.copy_(actions)

    def compute_rewards(self, terminated: torch.Tensor) -> dict[str, torch.Tensor]:
        """Forward velocity in m/s minus the control cost."""
        return {
            "forward": (self._x - self._x_before).div_(self.step_dt).float(),
            "control": self._control_reward,
        }

    def reset_envs(self, env_ids: torch.Tensor) -> None:
        """Start near the model's initial pose with random positions and velocities."""
        noise = self.uniform(len(env_ids), self.model.nq, low=-RESET_NOISE_SCALE, high=RESET_NOISE_SCALE)
        self.qpos[env_ids] += noise
        noise = torch.randn(len(env_ids), self.model.nv, generator=self.generator, device="cpu")
        self.qvel[env_ids] += RESET_NOISE_SCALE * noise

    def compute_observations(self) -> dict[str, torch.Tensor]:
        """Positions without the forward one, and velocities."""
        return {"policy": self._observed.float()}


@torch.no_grad()
def evaluate(env: VecEnv, policy: Callable[[TensorDict], torch.Tensor], episodes: int) -> dict[str, float]:
    """Run whole episodes and return the mean and spread of their returns.

    Args:
        env: A `HalfCheetahEnv`; give it a seed that training has not used.
        policy: Observations to actions [N, A].
        episodes: Number of episodes, spread over the environments; the first ones started are counted.

    Returns:
        "episodes", "return_mean" and "return_std" (population standard deviation).
    """
    if not isinstance(env, HalfCheetahEnv):
        raise TypeError(f"half-cheetah evaluate: `env` must be a HalfCheetahEnv, got {type(env).__name__}")
    if episodes < 1:
        raise ValueError(f"half-cheetah evaluate: `episodes` must be at least 1, got {episodes}")
    finished: list[torch.Tensor] = []
    while len(finished) * env.num_envs < episodes:
        observations = env.reset()
        reset_policy(policy)
        episode_return = torch.zeros(env.num_envs, dtype=torch.float64, device="cpu")
        for _ in range(env.max_episode_length):
            observations, rewards, _, _ = env.step(policy(observations))
            episode_return += rewards.cpu()
        finished.append(episode_return)
    returns = torch.cat(finished)[:episodes]
    return {
        "episodes": episodes,
        "return_mean": returns.mean().item(),
        "return_std": returns.std(unbiased=False).item(),
    }
