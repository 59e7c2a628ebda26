# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What an engine may know of PPO's minibatch rule, to carry it out in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rslcore.algorithms.ppo_rule import adapted_learning_rate, ppo_terms
from rslcore.engine import PPORule
from rslcore.storage import RolloutStorage

if TYPE_CHECKING:
    from rslcore.algorithms.ppo import PPO


def custom_code(ppo: PPO) -> str | None:
    """Return why an algorithm is not exactly PPO; None if it is."""
    from rslcore.algorithms import ppo as module

    if type(ppo) is not module.PPO:
        return f"the algorithm is a subclass of PPO: {type(ppo).__name__}"
    if "evaluate_mini_batch" in vars(ppo) or module.PPO.evaluate_mini_batch is not module.EVALUATE_MINI_BATCH:
        return "the algorithm has a replaced method: evaluate_mini_batch"
    if module.ppo_terms is not ppo_terms:
        return "the algorithm has a replaced function: ppo_terms"
    return None


_BATCHES = ("mini_batch_generator", "recurrent_mini_batch_generator", "_shuffled", "_batch_of", "_padded", "_uncut")
_BATCH_METHODS = {name: getattr(RolloutStorage, name) for name in _BATCHES}


def custom_batches(ppo: PPO) -> str | None:
    """Return why minibatches may be others than those of the storage's own class; None if they are these."""
    from rslcore.algorithms import ppo as module

    if "_mini_batches" in vars(ppo) or module.PPO._mini_batches is not module.MINI_BATCHES:
        return "the algorithm has a replaced method: _mini_batches"
    storage = ppo.storage
    if type(storage) is not RolloutStorage:
        return f"the storage is a subclass of RolloutStorage: {type(storage).__name__}"
    own = vars(storage)
    for name, method in _BATCH_METHODS.items():
        if name in own or getattr(RolloutStorage, name) is not method:
            return f"the storage has a replaced method: {name}"
    return None


def known_rule(ppo: PPO) -> PPORule | str:
    """Return the rule of an algorithm that is exactly PPO, or why its own code must run; see :meth:`PPO.known_rule`."""
    if (reason := custom_code(ppo)) is not None:
        return reason
    if ppo.symmetry is not None:
        return "symmetry is used"
    if ppo.use_mixed_precision:
        return "mixed precision is used"
    if (reason := custom_batches(ppo)) is not None:
        return reason
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

    replaced = {"adapt_learning_rate", "set_learning_rate"} & vars(ppo).keys()
    methods = (module.PPO.adapt_learning_rate, module.PPO.set_learning_rate)
    known = methods == (module.ADAPT_LEARNING_RATE, module.SET_LEARNING_RATE)
    return not replaced and known and module.adapted_learning_rate is adapted_learning_rate
