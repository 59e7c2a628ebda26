# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The update that a CUDA graph captures, run uncaptured on the CPU, against rsl-rl-lib 5.5.1: 1e-5 after whole updates.

Learning rates, the KL rule, clipping and the optimizers read tensors here, as they do in a graph.
"""

from __future__ import annotations

import pytest
import torch

from rslcore.engine.graph_conditions import refusal
from rslcore.engine.graph_update import StaticUpdate
from rslcore.utils import JointRead

HETEROSCEDASTIC = {"class_name": "HeteroscedasticGaussianDistribution"}
RND = {"weight": 5.0, "num_outputs": 4, "predictor_hidden_dims": [8], "target_hidden_dims": [8]}


class Uncaptured:
    """Runs what the graph engine captures; one buffer set for all updates, as there."""

    needs_fixed_shapes = True

    def __init__(self):
        self.update = None

    def run(self, learner, batches):
        """As an engine does."""
        if self.update is None:
            assert refusal(learner, "cpu") in (None, "the storage has code of its own: RolloutStorage")
            self.update = StaticUpdate(learner, torch.device("cpu"))
        self.update.load()
        assert list(self.update.body(batches)) == []
        return self.update.read(JointRead())


def mirror(env, obs, actions):
    """A symmetry made of torch operators alone."""
    if obs is not None:
        other = obs.clone()
        for group, value in obs.items():
            other[group] = -value
        obs = torch.cat([obs, other])
    return obs, None if actions is None else torch.cat([actions, -actions.flip(-1)])


KNOWN = {
    "default": {},
    "log_std": {"distribution": {"std_type": "log"}, "obs_normalization": True},
    "fixed_std": {"distribution": {"learn_std": False}},
    "fixed_rate": {"schedule": "fixed", "use_clipped_value_loss": False},
    "rnd": {"rnd_cfg": RND},
}
EVALUATED = {
    "heteroscedastic": {"distribution": HETEROSCEDASTIC},
    "normalized_minibatches": {"normalize_advantage_per_mini_batch": True},
    "symmetry": {"symmetry_cfg": {"data_augmentation_func": mirror, "use_data_augmentation": True}},
    "mirror_loss": {
        "symmetry_cfg": {
            "data_augmentation_func": mirror,
            "use_data_augmentation": False,
            "use_mirror_loss": True,
            "mirror_loss_coeff": 0.3,
        }
    },
    "cnn": {"actor": "cnn"},
    "lstm": {"actor": "lstm"},
    "gru": {"actor": "gru", "critic": "mlp"},
    "rnd_normalized": {"rnd_cfg": {**RND, "state_normalization": True}, "normalize_advantage_per_mini_batch": True},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01},
    "adamw": {"optimizer": "adamw"},
}


@pytest.mark.parametrize("settings", {**KNOWN, **EVALUATED})
def test_updates_agree(make_twins, settings):
    """Law: parameters, losses and learning rates after whole updates are those of rsl_rl."""
    twins = make_twins(**{**KNOWN, **EVALUATED}[settings])
    engine = Uncaptured()
    twins.ours.select_engine = lambda: engine
    twins.ours.engine = engine
    twins.assert_same_after(updates=2)
    plain = settings in KNOWN or settings in ("sgd", "adamw")
    assert (engine.update._known is not None) == plain
