# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Task half-cheetah: Gymnasium's HalfCheetah-v5, batched."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from tensordict import TensorDict

from rslcore.config import GaussianDistributionCfg, MLPModelCfg, OnPolicyRunnerCfg, PPOCfg
from rslcore.env.mujoco_vec_env import MujocoVecEnv, import_mujoco
from rslcore.env.vec_env import VecEnv
from rslcore.utils import reset_policy

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
        mujoco, _ = import_mujoco()
        super().__init__(
            mujoco.MjModel.from_xml_path(str(model_path())),
            num_envs,
            decimation=FRAME_SKIP,
            max_episode_length=MAX_EPISODE_STEPS,
            seed=seed,
            device=device,
            num_threads=num_threads,
        )
        self._x_before = torch.empty(num_envs, dtype=torch.float64)
        self.reset()

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Set the motors and remember where the robots are."""
        self._actions = actions
        self._x_before.copy_(self.qpos[:, 0])
        self.ctrl.copy_(actions)

    def compute_rewards(self, terminated: torch.Tensor) -> dict[str, torch.Tensor]:
        """Forward velocity in m/s minus the control cost."""
        return {
            "forward": ((self.qpos[:, 0] - self._x_before) / self.step_dt).float(),
            "control": -CONTROL_COST_WEIGHT * self._actions.square().sum(1),
        }

    def reset_envs(self, env_ids: torch.Tensor) -> None:
        """Start near the model's initial pose with random positions and velocities."""
        noise = self.uniform(len(env_ids), self.model.nq, low=-RESET_NOISE_SCALE, high=RESET_NOISE_SCALE)
        self.qpos[env_ids] += noise
        self.qvel[env_ids] += RESET_NOISE_SCALE * torch.randn(len(env_ids), self.model.nv, generator=self.generator)

    def compute_observations(self) -> dict[str, torch.Tensor]:
        """Positions without the forward one, and velocities."""
        return {"policy": torch.cat((self.qpos[:, 1:], self.qvel), dim=1).float()}


def training_cfg() -> OnPolicyRunnerCfg:
    """Return the training configuration: 64 environments x 24 steps x 651 iterations are 1,000,000 env steps."""
    return OnPolicyRunnerCfg(
        max_iterations=651,
        experiment_name="half-cheetah",
        init_at_random_ep_len=False,
        actor=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True, distribution_cfg=GaussianDistributionCfg()),
        critic=MLPModelCfg(hidden_dims=(64, 64), obs_normalization=True),
        algorithm=PPOCfg(entropy_coef=0.0),
    )


@torch.inference_mode()
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
        episode_return = torch.zeros(env.num_envs, dtype=torch.float64)
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
