# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The training loop of distillation."""

from __future__ import annotations

from typing import Any

from rslcore.algorithms import Distillation
from rslcore.runners.on_policy_runner import OnPolicyRunner


class DistillationRunner(OnPolicyRunner):
    """An :class:`OnPolicyRunner` for a student and its teacher; names and behaviour as rsl_rl 5.5.1.

    ``load`` takes a checkpoint of a training run of PPO, whose actor becomes the teacher (nothing else is read from it,
    and iterations are counted from 0), or one of a distillation, which then continues.
    """

    required_keys = ("num_steps_per_env", "save_interval", "obs_groups", "student", "teacher", "algorithm")

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train for a number of iterations; see :meth:`OnPolicyRunner.learn`.

        Raises:
            ValueError: No teacher was loaded.
        """
        if not self.alg.teacher_loaded:
            raise ValueError(
                "DistillationRunner: a teacher must be loaded before learn(): call load() with a checkpoint of its "
                "training run"
            )
        super().learn(num_learning_iterations, init_at_random_ep_len)

    def _check_loadable(self, content: dict[str, Any], load_cfg: dict[str, bool] | None, strict: bool) -> None:
        if type(self.alg).load is Distillation.load:
            content, load_cfg = self.alg.readable(content, load_cfg)
            self._check_parts(content, load_cfg, strict)
        self._check_groups(content, load_cfg)
