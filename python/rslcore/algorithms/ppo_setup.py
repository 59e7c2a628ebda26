# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Building PPO: its settings checked, and its parts made from a runner's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from rslcore.config import PPOCfg, nearest
from rslcore.extensions import resolve_rnd_config, resolve_symmetry_config
from rslcore.models import MLPModel
from rslcore.storage import RolloutStorage
from rslcore.utils import check_keywords, cpu_by_default, for_storage, require, resolve_class, resolve_obs_groups

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.algorithms.ppo import PPO
    from rslcore.env import VecEnv

_SCHEDULES = ("adaptive", "fixed")

_POSITIVE = ("clip_param", "learning_rate", "grad_reduce_bucket_mb")
_FINITE = ("value_loss_coef", "entropy_coef")
_FRACTIONS = ("gamma", "lam")
_COUNTS = ("num_learning_epochs", "num_mini_batches")


class Parts(NamedTuple):
    """What PPO is put together from."""

    policy: Any
    """The object that was given in place of actor and critic, as rsl_rl 2 and 3 have it; None for a model."""
    actor: MLPModel
    critic: MLPModel
    storage: RolloutStorage


def split_policy(actor: Any, critic: Any, storage: RolloutStorage | None) -> Parts:  # noqa: ANN401
    """Sort out the first arguments of PPO: (actor, critic, storage), or (policy, storage).

    Raises:
        TypeError: A part is missing.
    """
    if isinstance(critic, RolloutStorage) and storage is None:
        critic, storage = None, critic
    policy = None
    if critic is None and hasattr(actor, "actor_model") and hasattr(actor, "critic_model"):
        policy, actor, critic = actor, actor.actor_model, actor.critic_model
    for name, part in (("critic", critic), ("storage", storage)):
        if part is None:
            raise TypeError(
                f"PPO: `{name}` must be given, got None (only a policy that holds both models has no critic)"
            )
    return Parts(policy, actor, critic, storage)  # type: ignore[arg-type]


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of PPO that are unknown or out of range.

    Raises:
        ValueError: The message names the setting, what is expected and what was given.
    """
    for name in _COUNTS:
        require("PPO", name, settings[name], integer=True, least=1)
    for name in _POSITIVE:
        require("PPO", name, settings[name], above=0)
    for name in _FRACTIONS:
        require("PPO", name, settings[name], least=0, most=1)
    for name in _FINITE:
        require("PPO", name, settings[name])
    if settings["max_grad_norm"] != math.inf:
        require("PPO", "max_grad_norm", settings["max_grad_norm"], above=0)
    if settings["desired_kl"] is not None:
        require("PPO", "desired_kl", settings["desired_kl"], above=0)
    schedule = settings["schedule"]
    if schedule not in _SCHEDULES:
        raise ValueError(f"PPO: `schedule` '{schedule}' is unknown; {nearest(schedule, _SCHEDULES)}")


def check_parts(parts: Parts, num_mini_batches: int, *, reshuffle: bool, symmetry: bool) -> None:
    """Refuse models and storage that do not go together with each other or with the settings.

    Raises:
        ValueError: The message names the argument, what is expected and what was given.
    """
    storage = parts.storage
    if getattr(parts.actor, "distribution", True) is None:
        raise ValueError("PPO: `actor` must have a `distribution_cfg`, got None: its actions are sampled")
    if parts.actor.is_recurrent or parts.critic.is_recurrent:
        if symmetry:
            raise ValueError("PPO: `symmetry_cfg` must be None for recurrent models, as in rsl_rl 5.5.1, got one")
        if reshuffle:
            raise ValueError(
                "PPO: `reshuffle_each_epoch` must be False for recurrent models, got True: their minibatches are "
                "environments side by side, which are not shuffled"
            )
        rows, what = storage.num_envs, "the environments, as minibatches of recurrent models are made of whole ones"
    else:
        rows = storage.num_transitions_per_env * storage.num_envs
        what = f"the rows of a rollout ({storage.num_envs} environments of {storage.num_transitions_per_env} steps)"
    if num_mini_batches > rows:
        raise ValueError(f"PPO: `num_mini_batches` must be at most {rows}, {what}, got {num_mini_batches}")


def check_samples(ppo: PPO) -> None:
    """Refuse to learn from advantages that are to be normalized, and are one: it has no standard deviation.

    Raises:
        ValueError: The message names the sizes that make one sample of them.
    """
    storage = ppo.storage
    steps, envs, parts = storage.num_transitions_per_env, storage.num_envs, ppo.num_mini_batches
    if not ppo.normalize_advantage_per_mini_batch:
        samples, parts = steps * envs, 1
    elif ppo.actor.is_recurrent or ppo.critic.is_recurrent:
        samples = steps * (envs // parts)
    else:
        samples = steps * envs // parts
    if samples < 2:
        minibatches = "" if parts == 1 else f" in {parts} minibatches, of which each is normalized by itself"
        raise ValueError(
            f"PPO: `num_steps_per_env` x `num_envs` must give two samples at least to normalize their advantages, got "
            f"{steps} x {envs}{minibatches}"
        )


def construct(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: torch.device | str) -> Any:  # noqa: ANN401
    """Build models, storage and algorithm from a runner's configuration; see :meth:`PPO.construct_algorithm`."""
    alg_class, alg_cfg = resolve_class(cfg["algorithm"])
    actor_class, actor_cfg = resolve_class(cfg["actor"])
    critic_class, critic_cfg = resolve_class(cfg["critic"])
    share_cnn_encoders = alg_cfg.pop("share_cnn_encoders", PPOCfg.share_cnn_encoders)
    for part, part_class, part_cfg in (
        ("algorithm", alg_class, alg_cfg),
        ("actor", actor_class, actor_cfg),
        ("critic", critic_class, critic_cfg),
    ):
        check_keywords(part_class, part_cfg, part)

    sets = ["actor", "critic", *(["rnd_state"] if alg_cfg.get("rnd_cfg") else [])]
    cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], sets)
    alg_cfg = resolve_rnd_config(alg_cfg, obs, cfg["obs_groups"], env)
    alg_cfg = resolve_symmetry_config(alg_cfg, env)

    with cpu_by_default():
        actor = actor_class(obs, cfg["obs_groups"], "actor", env.num_actions, **actor_cfg).to(device)
    print(f"Actor Model: {actor}")
    if share_cnn_encoders:
        if not hasattr(actor, "cnns"):
            raise ValueError(
                "PPO: `share_cnn_encoders` must be False for an actor without CNN encoders, got True for "
                f"{type(actor).__name__}"
            )
        critic_cfg["cnns"] = actor.cnns
        check_keywords(critic_class, critic_cfg, "critic")
    with cpu_by_default():
        critic = critic_class(obs, cfg["obs_groups"], "critic", 1, **critic_cfg).to(device)
    print(f"Critic Model: {critic}")
    example = for_storage(obs, actor)
    storage = RolloutStorage("rl", env.num_envs, cfg["num_steps_per_env"], example, [env.num_actions], device)
    algorithm = alg_class(actor, critic, storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **alg_cfg)
    algorithm.compile(cfg.get("torch_compile_mode"))
    return algorithm
