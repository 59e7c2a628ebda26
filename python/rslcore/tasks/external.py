# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Tasks of other libraries by name: ``gymnasium:CartPole-v1``, ``envpool:Pong-v5``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rslcore.config import CNNCfg, CNNModelCfg, MLPModelCfg, OnPolicyRunnerCfg, PPOCfg, nearest

if TYPE_CHECKING:  # environments are imported where one is asked for: they load torch
    import torch
    from tensordict import TensorDict

    from rslcore.env.adapter import AdapterVecEnv
    from rslcore.env.vec_env import VecEnv

UNLIMITED_EPISODE_LENGTH = 1000
"""Time limit, in env steps, of environments that have none of their own."""


@dataclass(frozen=True)
class Library:
    """A library whose environments are tasks."""

    description: str
    """Its tasks, in a few words."""
    example: str
    """Name of a task."""
    extra: str
    """Extra of the package that installs it."""
    num_envs: int
    """Environments to train with."""
    num_steps_per_env: int
    """Steps of every environment per rollout."""
    ids: Callable[[str], list[str]]
    """Names of its environments; it may look for more of them where the one asked for says where it is from."""
    make_env: Callable[..., AdapterVecEnv]
    """``make_env(id, num_envs, seed=0, device="cpu")``."""


def module_of(name: str) -> str:
    """Return the module that is imported for a task called ``gymnasium:module:id``; empty for all others."""
    prefix, _, id = name.partition(":")
    return id.rpartition(":")[0] if prefix == "gymnasium" else ""


def _gymnasium_ids(wanted: str) -> list[str]:
    from rslcore.env.gymnasium_vec_env import import_gymnasium

    gymnasium = import_gymnasium()
    module = wanted.rpartition(":")[0]
    if module:  # as in gymnasium.make: "ale_py:ALE/Pong-v5" stands for the id after importing the module
        importlib.import_module(module)
    return [f"{module}:{name}" if module else name for name in gymnasium.registry]


def _make_gymnasium(id: str, num_envs: int, seed: int = 0, device: torch.device | str = "cpu") -> AdapterVecEnv:
    from rslcore.env.gymnasium_vec_env import GymnasiumVecEnv, import_gymnasium

    gymnasium = import_gymnasium()
    single = gymnasium.make(id)
    draws = "rgb_array" in single.metadata.get("render_modes", ())
    limit = None if single.spec.max_episode_steps else UNLIMITED_EPISODE_LENGTH
    single.close()
    return GymnasiumVecEnv.make(
        id,
        num_envs,
        seed=seed,
        device=device,
        max_episode_length=limit,
        env_kwargs={"render_mode": "rgb_array"} if draws else None,
    )


def _envpool_ids(_: str) -> list[str]:
    from rslcore.env.envpool_vec_env import import_envpool

    return list(import_envpool().list_all_envs())


def _make_envpool(id: str, num_envs: int, seed: int = 0, device: torch.device | str = "cpu") -> AdapterVecEnv:
    from rslcore.env.envpool_vec_env import EnvPoolVecEnv

    return EnvPoolVecEnv.make(id, num_envs, seed=seed, device=device)


LIBRARIES = {
    "gymnasium": Library(
        description="environments of Gymnasium, one after another in this process",
        example="gymnasium:CartPole-v1",
        extra="gymnasium",
        num_envs=16,
        num_steps_per_env=64,
        ids=_gymnasium_ids,
        make_env=_make_gymnasium,
    ),
    "envpool": Library(
        description="environments of EnvPool, on C++ threads",
        example="envpool:Pong-v5",
        extra="envpool",
        num_envs=64,
        num_steps_per_env=32,
        ids=_envpool_ids,
        make_env=_make_envpool,
    ),
}


def split(name: str) -> tuple[Library, str] | None:
    """Return library and id of a task called ``library:id``, None for names without a colon.

    Raises:
        ImportError: The library is not installed.
        ValueError: There is no such library or id; the message has the nearest name.
    """
    prefix, colon, id = name.partition(":")
    if not colon:
        return None
    if prefix not in LIBRARIES:
        raise ValueError(f"tasks.get: unknown library '{prefix}' in '{name}'; {nearest(prefix, LIBRARIES)}")
    ids = LIBRARIES[prefix].ids(id)
    if id not in ids:
        hint = nearest(id, ids)
        hint = hint if hint.startswith("did") else f"it knows {len(ids)} others, such as {LIBRARIES[prefix].example}"
        raise ValueError(f"tasks.get: {prefix} has no environment '{id}'; {hint}")
    return LIBRARIES[prefix], id


def training_cfg(library: Library, id: str, experiment_name: str) -> OnPolicyRunnerCfg:
    """Return a training configuration for whatever the environment observes and takes as actions.

    One environment is made to find out. Images get convolutional encoders, discrete actions a categorical
    distribution and an entropy bonus.
    """
    env = library.make_env(id, 1)
    observations, distribution, groups = env.get_observations(), env.distribution_cfg, env.obs_groups
    env.close()
    discrete = "num_categories" in distribution
    sides = [min(value.shape[-2:]) for value in observations.values() if value.dim() == 4]
    actor: dict[str, Any] = {"class_name": "MLPModel", "hidden_dims": (64, 64), "obs_normalization": True}
    if sides:
        actor |= {"class_name": "CNNModel", "hidden_dims": (256,), "cnn_cfg": _encoder(min(sides)).to_dict()}
    model = CNNModelCfg if sides else MLPModelCfg
    return OnPolicyRunnerCfg(
        max_iterations=500,
        num_steps_per_env=library.num_steps_per_env,
        experiment_name=experiment_name,
        init_at_random_ep_len=False,
        obs_groups=groups,
        actor=model.from_dict({**actor, "distribution_cfg": distribution}),
        critic=model.from_dict(actor),
        algorithm=PPOCfg(entropy_coef=0.01 if discrete else 0.0),
    )


def _encoder(side: int) -> CNNCfg:
    """Return the encoder of Mnih et al. 2015 (Nature 518, 529-533) for large images, a smaller one for others."""
    if side >= 36:
        return CNNCfg(output_channels=(32, 64, 64), kernel_size=(8, 4, 3), stride=(4, 2, 1), activation="relu")
    return CNNCfg(output_channels=(16, 32), kernel_size=min(side, 3), padding="zeros", activation="relu")


def evaluate(env: VecEnv, policy: Callable[[TensorDict], torch.Tensor], episodes: int) -> dict[str, float]:
    """Run whole episodes and return the mean and spread of their returns.

    Args:
        env: An environment of another library; its episodes are started anew.
        policy: Observations to actions [N, A].
        episodes: Number of episodes; every environment contributes equally many (the last round only as many
            environments as needed), so that short episodes are not favoured.

    Returns:
        "episodes", "return_mean", "return_std" (population standard deviation) and "episode_length_mean" (env steps).

    Raises:
        TypeError: `env` is none of these environments.
        ValueError: `episodes` is less than 1.
    """
    import torch

    from rslcore.env.adapter import AdapterVecEnv
    from rslcore.utils import is_set, reset_policy

    if not isinstance(env, AdapterVecEnv):
        raise TypeError(f"tasks evaluate: `env` must be an AdapterVecEnv, got {type(env).__name__}")
    if episodes < 1:
        raise ValueError(f"tasks evaluate: `episodes` must be at least 1, got {episodes}")
    returns: list[float] = []
    lengths: list[float] = []
    with torch.no_grad():
        while len(returns) < episodes:
            counted = min(env.num_envs, episodes - len(returns))
            running = torch.arange(env.num_envs, device="cpu") < counted
            episode_return = torch.zeros(env.num_envs, dtype=torch.float64, device="cpu")
            episode_length = torch.zeros(env.num_envs, device="cpu")
            observations = env.reset()
            reset_policy(policy)
            while running.any():
                observations, rewards, dones, _ = env.step(policy(observations))
                reset_policy(policy, dones)
                episode_return += rewards.cpu() * running
                episode_length += running
                running &= ~is_set(dones).cpu()
            returns += episode_return[:counted].tolist()
            lengths += episode_length[:counted].tolist()
    all_returns = torch.tensor(returns, dtype=torch.float64, device="cpu")
    return {
        "episodes": episodes,
        "return_mean": all_returns.mean().item(),
        "return_std": all_returns.std(unbiased=False).item(),
        "episode_length_mean": sum(lengths) / episodes,
    }
