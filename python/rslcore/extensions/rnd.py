# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Random network distillation: rewards for states that were rarely seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from rslcore.config import RndCfg, nearest
from rslcore.modules import MLP, EmpiricalDiscountedVariationNormalization, EmpiricalNormalization
from rslcore.utils import check_keywords, cpu_by_default, make_optimizer, require, side_by_side

if TYPE_CHECKING:
    from tensordict import TensorDict

NORMALIZED_SAMPLES = 100_000_000
"""Samples after which the normalizers stay as they are, as in rsl_rl 5.5.1."""

_SCHEDULES = {
    "constant": (),
    "step": ("final_step", "final_value"),
    "linear": ("initial_step", "final_step", "final_value"),
}
"""Modes of the weight schedule and the keys that each needs."""


class RandomNetworkDistillation(nn.Module):
    """Intrinsic rewards ``weight * ||target(s) - predictor(s)||`` (Burda et al. 2018, arXiv:1810.12894).

    ``target`` is a random network that stays as it is, ``predictor`` learns to imitate it on the states that were
    visited: where the two disagree, the robot has not been. Schwarke et al. 2023, "Curiosity-Driven Learning of Joint
    Locomotion and Manipulation Tasks", use it so. Constructor, methods and state dict are those of rsl_rl 5.5.1.
    """

    weight: float
    """Weight of the intrinsic rewards at the last env step."""

    def __init__(
        self,
        num_states: int,
        obs_groups: Mapping[str, Sequence[str]],
        num_outputs: int = RndCfg.num_outputs,
        predictor_hidden_dims: Sequence[int] = RndCfg.predictor_hidden_dims,
        target_hidden_dims: Sequence[int] = RndCfg.target_hidden_dims,
        activation: str = RndCfg.activation,
        state_normalization: bool = RndCfg.state_normalization,
        reward_normalization: bool = RndCfg.reward_normalization,
        weight: float = RndCfg.weight,
        weight_schedule: Mapping[str, Any] | None = RndCfg.weight_schedule,
        learning_rate: float = RndCfg.learning_rate,
        device: torch.device | str = "cpu",
    ) -> None:
        """Make both networks.

        Args:
            num_states: Width of the state the networks see.
            obs_groups: Observation sets; "rnd_state" names the groups that make up the state.
            num_outputs: Width of the embedding.
            predictor_hidden_dims: Widths of the predictor's hidden layers; -1 stands for ``num_states``.
            target_hidden_dims: Widths of the target's hidden layers; -1 stands for ``num_states``.
            activation: Name of the activation after every hidden layer.
            state_normalization: Normalize states by their running statistics.
            reward_normalization: Divide rewards by the running deviation of their discounted sum.
            weight: Weight of the intrinsic rewards per env step.
            weight_schedule: ``mode`` and its keys, see :class:`rslcore.config.RndCfg`.
            learning_rate: Learning rate of the predictor.
            device: Where everything lives.

        Raises:
            ValueError: The mode of the schedule is unknown or a key of it is missing, or a number makes no sense.
        """
        super().__init__()
        require("RandomNetworkDistillation", "num_outputs", num_outputs, integer=True, least=1)
        require("RandomNetworkDistillation", "weight", weight)
        require("RandomNetworkDistillation", "learning_rate", learning_rate, least=0)
        _check_schedule(weight_schedule)
        self.num_states = num_states
        self.obs_groups = obs_groups
        self.num_outputs = num_outputs
        self.initial_weight = weight
        self.weight = weight
        self.weight_schedule = weight_schedule
        self.device = device
        self.state_normalization = state_normalization
        self.reward_normalization = reward_normalization
        self.update_counter = 0
        """Env steps so far; the weight schedule counts in them."""

        with cpu_by_default():
            self.state_normalizer: EmpiricalNormalization | nn.Identity = (
                EmpiricalNormalization(num_states, until=NORMALIZED_SAMPLES) if state_normalization else nn.Identity()
            )
            self.reward_normalizer: EmpiricalDiscountedVariationNormalization | nn.Identity = (
                EmpiricalDiscountedVariationNormalization([], until=NORMALIZED_SAMPLES)
                if reward_normalization
                else nn.Identity()
            )
            self.predictor = MLP(num_states, num_outputs, predictor_hidden_dims, activation)
            self.target = MLP(num_states, num_outputs, target_hidden_dims, activation)
        self.to(device)
        self.target.eval().requires_grad_(False)
        self.optimizer = make_optimizer("adam", self.predictor.parameters(), learning_rate)

    @torch.no_grad()
    def get_intrinsic_reward(self, obs: TensorDict) -> torch.Tensor:
        """Return the weighted intrinsic rewards [N] of observations [N, ...], and count one env step."""
        self.update_counter += 1
        self.weight = self._scheduled_weight()
        state = self.state_normalizer(self.get_rnd_state(obs))
        rewards = torch.linalg.vector_norm(self.target(state) - self.predictor(state), dim=1)
        return self.reward_normalizer(rewards) * self.weight

    def compute_loss(self, obs: TensorDict) -> torch.Tensor:
        """Return the mean squared difference of both embeddings, with its graph; statistics stay as they are."""
        with torch.no_grad():
            state = self.state_normalizer(self.get_rnd_state(obs))
            embedding = self.target(state)
        return nn.functional.mse_loss(self.predictor(state), embedding)

    def forward(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Refuse: there is no one output."""
        raise RuntimeError("RandomNetworkDistillation: call get_intrinsic_reward() or compute_loss()")

    def train(self, mode: bool = True) -> RandomNetworkDistillation:
        """Set the mode of predictor and normalizers; the target stays in evaluation mode."""
        super().train(mode)
        self.target.eval()
        return self

    def get_rnd_state(self, obs: TensorDict) -> torch.Tensor:
        """Return the groups of the set "rnd_state" side by side [..., num_states]."""
        return side_by_side(type(self).__name__, obs, self.obs_groups["rnd_state"], self.predictor)

    def update_normalization(self, obs: TensorDict) -> None:
        """Let the normalizer of the states, if there is one, learn from observations [B, ...]."""
        if isinstance(self.state_normalizer, EmpiricalNormalization):
            self.state_normalizer.update(self.get_rnd_state(obs))

    def progress_state(self) -> dict[str, Any]:
        """Return what a run needs to continue exactly and the state dict of rsl_rl 5.5.1 lacks."""
        average: torch.Tensor | None = getattr(self.reward_normalizer, "discounted_avg", None)
        return {
            "update_counter": self.update_counter,
            "discounted_avg": torch.zeros(0, device="cpu") if average is None else average.clone(),
        }

    def load_progress_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`progress_state` returned.

        The discounted average belongs to environments: with another number of them, it starts anew.
        """
        self.update_counter = int(state["update_counter"])
        self.weight = self._scheduled_weight()
        if isinstance(self.reward_normalizer, EmpiricalDiscountedVariationNormalization):
            dtype = self.reward_normalizer.emp_norm._mean.dtype
            self.reward_normalizer.discounted_avg = state["discounted_avg"].to(self.device, dtype, copy=True)

    def _scheduled_weight(self) -> float:
        """Weight at env step ``update_counter``."""
        schedule = self.weight_schedule
        if schedule is None or schedule["mode"] == "constant":
            return self.initial_weight
        step, final_step, final = self.update_counter, schedule["final_step"], schedule["final_value"]
        if schedule["mode"] == "step":
            return self.initial_weight if step < final_step else final
        initial_step = schedule["initial_step"]
        if step < initial_step:
            return self.initial_weight
        if step >= final_step:
            return final
        return self.initial_weight + (final - self.initial_weight) * (step - initial_step) / (final_step - initial_step)


def resolve_rnd_config(
    alg_cfg: dict[str, Any],
    obs: TensorDict,
    obs_groups: Mapping[str, Sequence[str]],
    env: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Fill in what the extension must know of the environment; ``alg_cfg`` is changed and returned.

    ``num_states`` and ``obs_groups`` are added, and ``weight``, which a configuration gives per second, is multiplied
    by ``env.unwrapped.step_dt`` (or ``env.step_dt``), in seconds.

    Raises:
        ValueError: A group of the set "rnd_state" is no vector, the environment does not tell its ``step_dt``, or a key
            is unknown.
    """
    if not alg_cfg.get("rnd_cfg"):
        alg_cfg["rnd_cfg"] = None
        return alg_cfg
    rnd_cfg = alg_cfg["rnd_cfg"]
    groups = obs_groups["rnd_state"]
    for group in groups:
        if obs[group].dim() != 2:
            raise ValueError(
                f"RandomNetworkDistillation: the observation group '{group}' must be [num_envs, D], "
                f"got {list(obs[group].shape)}"
            )
    step_dt = getattr(getattr(env, "unwrapped", env), "step_dt", None) or getattr(env, "step_dt", None)
    if step_dt is None:
        raise ValueError(
            "RandomNetworkDistillation: `weight` is per second, so the environment must have `env.unwrapped.step_dt` "
            f"or `env.step_dt` (seconds per env step), got none from {type(env).__name__}"
        )
    rnd_cfg["num_states"] = sum(obs[group].shape[-1] for group in groups)
    rnd_cfg["obs_groups"] = obs_groups
    rnd_cfg["weight"] = rnd_cfg.get("weight", RndCfg.weight) * step_dt
    check_keywords(RandomNetworkDistillation, rnd_cfg, "rnd_cfg")
    return alg_cfg


def _check_schedule(schedule: Mapping[str, Any] | None) -> None:
    if schedule is None:
        return
    mode = schedule.get("mode")
    if mode not in _SCHEDULES:
        raise ValueError(
            f"RandomNetworkDistillation: `weight_schedule` mode '{mode}' is unknown; {nearest(str(mode), _SCHEDULES)}"
        )
    missing = [key for key in _SCHEDULES[mode] if key not in schedule]
    if missing:
        raise ValueError(
            f"RandomNetworkDistillation: `weight_schedule` of mode '{mode}' must have the keys "
            f"{list(_SCHEDULES[mode])}, got {sorted(schedule)}"
        )
