# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What of PPO is saved and loaded; see :meth:`PPO.save` and :meth:`PPO.load`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rslcore.utils import load_optimizer_state, optimizer_state

if TYPE_CHECKING:
    from rslcore.algorithms.ppo import PPO

_EVERYTHING = {"actor": True, "critic": True, "optimizer": True, "iteration": True, "rnd": True}


def save_state(ppo: PPO) -> dict[str, Any]:
    """Return the state of the algorithm."""
    saved = {
        "actor_state_dict": ppo._raw_actor.state_dict(),
        "critic_state_dict": ppo._raw_critic.state_dict(),
        "optimizer_state_dict": optimizer_state(ppo.optimizer),
    }
    if ppo.policy is not None:  # the same tensors, under the names of rsl_rl 2 and 3
        saved["model_state_dict"] = ppo.policy.state_dict()
    if ppo.rnd is not None:
        saved["rnd_state_dict"] = ppo.rnd.state_dict()
        saved["rnd_optimizer_state_dict"] = optimizer_state(ppo.rnd.optimizer)
        saved["rnd_progress"] = ppo.rnd.progress_state()
    saved["shuffle_state"] = ppo.storage.state_dict()
    if ppo.sampler is not None:
        saved["sampling_state"] = ppo.sampler.state_dict()
    return saved


def load_state(ppo: PPO, saved: Mapping[str, Any], load_cfg: Mapping[str, bool] | None, strict: bool) -> bool:
    """Load the parts that ``load_cfg`` names, and return whether the iteration is among them."""
    wanted = _EVERYTHING if load_cfg is None else load_cfg
    if ppo.policy is not None and "actor_state_dict" not in saved and (wanted.get("actor") or wanted.get("critic")):
        ppo.policy.load_state_dict(saved["model_state_dict"], strict=strict)
        wanted = {**wanted, "actor": False, "critic": False}
    if wanted.get("actor"):
        ppo._raw_actor.load_state_dict(saved["actor_state_dict"], strict=strict)
    if wanted.get("critic"):
        ppo._raw_critic.load_state_dict(saved["critic_state_dict"], strict=strict)
    if wanted.get("optimizer"):
        load_optimizer_state(ppo.optimizer, saved["optimizer_state_dict"])
        ppo.learning_rate = ppo.optimizer.param_groups[0]["lr"]
    if wanted.get("rnd") and ppo.rnd is not None:
        ppo.rnd.load_state_dict(saved["rnd_state_dict"], strict=strict)
        load_optimizer_state(ppo.rnd.optimizer, saved["rnd_optimizer_state_dict"])
        if "rnd_progress" in saved:  # not in files of rsl_rl
            ppo.rnd.load_progress_state(saved["rnd_progress"])
    if wanted.get("iteration") and "shuffle_state" in saved:
        ppo.storage.load_state_dict(saved["shuffle_state"])
    if wanted.get("iteration") and ppo.sampler is not None and "sampling_state" in saved:
        ppo.sampler.load_state_dict(saved["sampling_state"])
    return bool(wanted.get("iteration", False))
