# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What an engine may know of PPO's minibatch rule, to carry it out in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rslcore.algorithms.ppo_rule import adapted_learning_rate
from rslcore.engine import PPORule

if TYPE_CHECKING:
    from rslcore.algorithms.ppo import PPO


def custom_code(ppo: PPO) -> str | None:
    """Return why an algorithm is not exactly PPO; None if it is."""
    from rslcore.algorithms import ppo as module

    if type(ppo) is not module.PPO:
        return f"the algorithm is a subclass of PPO: {type(ppo).__name__}"
    if "evaluate_mini_batch" in vars(ppo) or module.PPO.evaluate_mini_batch is not module.EVALUATE_MINI_BATCH:
        return "the algorithm has a replaced method: evaluate_mini_batch"
    return None


def known_rule(ppo: PPO) -> PPORule | str:
    """Return the rule of an algorithm that is exactly PPO, or why its own code must run; see :meth:`PPO.known_rule`."""
    if (reason := custom_code(ppo)) is not None:
        return reason
    if ppo.symmetry is not None:
        return "symmetry is used"
    if ppo.use_mixed_precision:
        return "mixed precision is used"
    adaptive = ppo.schedule == "adaptive" and ppo.desired_kl is not None
    return PPORule(
        actor=ppo.actor,
        critic=ppo.critic,
        clip_param=ppo.clip_param,
        value_loss_coef=ppo.value_loss_coef,
        entropy_coef=ppo.entropy_coef,
        use_clipped_value_loss=ppo.use_clipped_value_loss,
        normalize_advantages=ppo.normalize_advantage_per_mini_batch,
        adaptive=adaptive,
        desired_kl=ppo.desired_kl if adaptive and _adapts_by_itself(ppo) else None,
        learning_rate=ppo.learning_rate,
        set_learning_rate=ppo.set_learning_rate,
        fixed_batches=not ppo.reshuffle_each_epoch,
        observations=ppo.storage.observations,
        rnd_loss=None if ppo.rnd is None else ppo.rnd.compute_loss,
    )


def _adapts_by_itself(ppo: PPO) -> bool:
    """Whether nothing was put in the place of the rule of the learning rate."""
    from rslcore.algorithms import ppo as module

    own = "adapt_learning_rate" not in vars(ppo) and module.PPO.adapt_learning_rate is module.ADAPT_LEARNING_RATE
    return own and module.adapted_learning_rate is adapted_learning_rate
