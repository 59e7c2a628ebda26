# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Proximal Policy Optimization."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch

from rslcore import ops
from rslcore.algorithms.ppo_rule import adapted_learning_rate, normalize_advantages, ppo_terms
from rslcore.config import PPOCfg, nearest
from rslcore.engine import MinibatchResult, select_engine
from rslcore.models import MLPModel
from rslcore.storage import RolloutStorage
from rslcore.utils import (
    check_keywords,
    compile_model,
    reduce_gradients_in_buckets,
    require,
    resolve_class,
    resolve_obs_groups,
    resolve_optimizer,
)

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.env import VecEnv

_SCHEDULES = ("adaptive", "fixed")

_IMPLEMENTATION_KEYS = ("fused", "foreach")
"""Options of an optimizer that say how it is computed, not what: no part of a checkpoint."""


class PPO:
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347).

    Constructor, methods and attributes are those of rsl_rl 5.5.1. The arithmetic of a minibatch stands in ``ppo_rule``;
    ``engine`` executes it.
    """

    actor: MLPModel
    """The policy; compiled if :meth:`compile` was called."""

    critic: MLPModel
    """The value function; compiled if :meth:`compile` was called."""

    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel,
        storage: RolloutStorage,
        num_learning_epochs: int = PPOCfg.num_learning_epochs,
        num_mini_batches: int = PPOCfg.num_mini_batches,
        clip_param: float = PPOCfg.clip_param,
        gamma: float = PPOCfg.gamma,
        lam: float = PPOCfg.lam,
        value_loss_coef: float = PPOCfg.value_loss_coef,
        entropy_coef: float = PPOCfg.entropy_coef,
        learning_rate: float = PPOCfg.learning_rate,
        max_grad_norm: float = PPOCfg.max_grad_norm,
        optimizer: str = PPOCfg.optimizer,
        use_clipped_value_loss: bool = PPOCfg.use_clipped_value_loss,
        schedule: str = PPOCfg.schedule,
        desired_kl: float | None = PPOCfg.desired_kl,
        normalize_advantage_per_mini_batch: bool = PPOCfg.normalize_advantage_per_mini_batch,
        use_mixed_precision: bool = PPOCfg.use_mixed_precision,
        device: torch.device | str = "cpu",
        rnd_cfg: Mapping[str, Any] | None = PPOCfg.rnd_cfg,
        symmetry_cfg: Mapping[str, Any] | None = PPOCfg.symmetry_cfg,
        multi_gpu_cfg: Mapping[str, int] | None = None,
        grad_reduce_bucket_mb: float = PPOCfg.grad_reduce_bucket_mb,
    ) -> None:
        """Set up the algorithm.

        ``actor`` is the policy and has an output distribution, ``critic`` has one output, ``storage`` holds one
        rollout, and all live on ``device``. ``multi_gpu_cfg`` gives ``global_rank`` and ``world_size`` of a distributed
        run. The settings are described at :class:`rslcore.config.PPOCfg`.

        Raises:
            ValueError: A setting is unknown or out of range, or asks for something that this version does not have.
        """
        require("PPO", "num_learning_epochs", num_learning_epochs, integer=True, least=1)
        require("PPO", "num_mini_batches", num_mini_batches, integer=True, least=1)
        for name, positive in (
            ("clip_param", clip_param),
            ("learning_rate", learning_rate),
            ("max_grad_norm", max_grad_norm),
            ("grad_reduce_bucket_mb", grad_reduce_bucket_mb),
        ):
            require("PPO", name, positive, above=0)
        if desired_kl is not None:
            require("PPO", "desired_kl", desired_kl, above=0)
        require("PPO", "gamma", gamma, least=0, most=1)
        require("PPO", "lam", lam, least=0, most=1)
        require("PPO", "value_loss_coef", value_loss_coef)
        require("PPO", "entropy_coef", entropy_coef)
        rows = storage.num_transitions_per_env * storage.num_envs
        if num_mini_batches > rows:
            raise ValueError(
                f"PPO: `num_mini_batches` must be at most {rows}, the rows of a rollout ({storage.num_envs} "
                f"environments of {storage.num_transitions_per_env} steps), got {num_mini_batches}"
            )
        if getattr(actor, "distribution", True) is None:
            raise ValueError("PPO: `actor` must have a `distribution_cfg`, got None: its actions are sampled")
        _refuse_unsupported(actor, critic, use_mixed_precision, rnd_cfg, symmetry_cfg)
        if schedule not in _SCHEDULES:
            raise ValueError(f"PPO: `schedule` '{schedule}' is unknown; {nearest(schedule, _SCHEDULES)}")
        self.device = device
        self.is_multi_gpu = multi_gpu_cfg is not None
        self.gpu_global_rank = multi_gpu_cfg["global_rank"] if multi_gpu_cfg is not None else 0
        self.gpu_world_size = multi_gpu_cfg["world_size"] if multi_gpu_cfg is not None else 1
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        self.rnd = None
        self.symmetry = None

        self.actor = actor.to(device)
        self.critic = critic.to(device)
        self._raw_actor = self.actor
        self._raw_critic = self.critic
        self.optimizer = self._make_optimizer(optimizer, learning_rate)

        self.storage = storage
        self.transition = RolloutStorage.Transition()
        self.engine, self.engine_reason = select_engine()

        self.clip_param = clip_param
        self.num_learning_epochs = num_learning_epochs
        self.num_mini_batches = num_mini_batches
        self.value_loss_coef = value_loss_coef
        self.entropy_coef = entropy_coef
        self.gamma = gamma
        self.lam = lam
        self.max_grad_norm = max_grad_norm
        self.use_clipped_value_loss = use_clipped_value_loss
        self.desired_kl = desired_kl
        self.schedule = schedule
        self.learning_rate = learning_rate
        self.normalize_advantage_per_mini_batch = normalize_advantage_per_mini_batch
        self.use_mixed_precision = use_mixed_precision

    @torch.no_grad()
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Sample actions [N, A] for observations [N, ...] per group, and remember what the update needs.

        Everything remembered is a copy: the environment may overwrite the observations and the returned actions.
        """
        transition = self.transition
        transition.observations = self.storage.store_observations(obs)
        transition.actions = self.actor(obs, stochastic_output=True)
        transition.values = self.critic(obs)
        transition.actions_log_prob = self.actor.get_output_log_prob(transition.actions)
        transition.distribution_params = self.actor.output_distribution_params
        return transition.actions.clone()

    @torch.no_grad()
    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the step that followed :meth:`act`.

        Where ``extras["time_outs"]`` [N] is set, gamma * V(s_t) is added to the stored reward (``storage.rewards``
        therefore differs from ``rewards`` on those steps, as in rsl_rl 5.5.1): the episode was cut off by the time
        limit, and the value of the state acted on stands for the return that was cut off.

        Args:
            obs: Observations after the step.
            rewards: Rewards [N].
            dones: Episode ended on this step [N], any dtype.
            extras: Further outputs of the environment.

        Raises:
            RuntimeError: :meth:`act` was not called for this step.
            ValueError: A shape does not fit.
        """
        transition = self.transition
        if transition.values is None:
            raise RuntimeError("PPO: act() must be called before process_env_step()")
        transition.rewards = rewards.to(dtype=self.storage.rewards.dtype, copy=True)
        transition.dones = dones
        if "time_outs" in extras:
            time_outs = extras["time_outs"].to(self.device)
            transition.rewards += self.gamma * (transition.values.view(-1) * time_outs)
        self.storage.add_transition(transition)
        transition.clear()
        self.actor.reset(dones)
        self.critic.reset(dones)

    @torch.no_grad()
    def compute_returns(self, obs: TensorDict) -> None:
        """Write returns and advantages of the rollout into the storage; ``obs`` follow its last step."""
        storage = self.storage
        ops.gae(
            storage.rewards,
            storage.values,
            storage.dones,
            self.critic(obs),
            gamma=self.gamma,
            lam=self.lam,
            normalize=not self.normalize_advantage_per_mini_batch,
            out=(storage.returns, storage.advantages),
        )

    def update(self) -> dict[str, float]:
        """Learn from the stored rollout, update the observation normalizers, and clear the storage.

        Returns:
            The mean over all minibatches of the "value" loss, the "surrogate" loss and the "entropy".
        """
        batches = self.storage.mini_batch_generator(self.num_mini_batches, self.num_learning_epochs)
        losses = self.engine.run(self, batches)
        obs = self.storage.observations.flatten(0, 1)
        self.actor.update_normalization(obs)
        self.critic.update_normalization(obs)
        self.storage.clear()
        return losses

    def evaluate_mini_batch(self, batch: RolloutStorage.Batch) -> MinibatchResult:
        """Return loss, reported terms and KL divergence of one minibatch."""
        advantages = batch.advantages
        if self.normalize_advantage_per_mini_batch:
            advantages = normalize_advantages(advantages)
        self.actor(batch.observations, stochastic_output=True)
        terms = ppo_terms(
            self.actor.get_output_log_prob(batch.actions),
            self.actor.output_entropy,
            self.critic(batch.observations),
            batch.old_actions_log_prob,
            advantages,
            batch.values,
            batch.returns,
            clip_param=self.clip_param,
            use_clipped_value_loss=self.use_clipped_value_loss,
        )
        loss = terms.surrogate + self.value_loss_coef * terms.value - self.entropy_coef * terms.entropy
        kl = None
        if self.schedule == "adaptive" and self.desired_kl is not None:
            with torch.no_grad():
                new_params = self.actor.output_distribution_params
                kl = self.actor.get_kl_divergence(batch.old_distribution_params, new_params).mean()
        return MinibatchResult(loss, {"value": terms.value, "surrogate": terms.surrogate, "entropy": terms.entropy}, kl)

    def adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Adapt the learning rate to the mean KL divergence of a minibatch, averaged over all processes."""
        if self.desired_kl is None:
            return
        if self.is_multi_gpu:
            torch.distributed.all_reduce(kl)
            kl /= self.gpu_world_size
        self.learning_rate = adapted_learning_rate(self.learning_rate, kl.item(), self.desired_kl)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate

    def gradient_groups(self) -> tuple[list[torch.nn.Parameter], ...]:
        """Parameters of actor and of critic: their gradient norms are limited apart."""
        return list(self._raw_actor.parameters()), list(self._raw_critic.parameters())

    def train_mode(self) -> None:
        """Put the models into training mode."""
        self.actor.train()
        self.critic.train()

    def eval_mode(self) -> None:
        """Put the models into evaluation mode."""
        self.actor.eval()
        self.critic.eval()

    def save(self) -> dict[str, Any]:
        """Return everything to be saved: tensors and plain numbers, loadable with ``weights_only=True``.

        The first three keys are those of rsl_rl 5.5.1, which loads them; ``shuffle_state`` is ours.
        """
        optimizer_state = self.optimizer.state_dict()
        for group in optimizer_state["param_groups"]:
            group.update((key, None) for key in _IMPLEMENTATION_KEYS if key in group)
        return {
            "actor_state_dict": self._raw_actor.state_dict(),
            "critic_state_dict": self._raw_critic.state_dict(),
            "optimizer_state_dict": optimizer_state,
            "shuffle_state": self.storage.state_dict(),
        }

    def load(self, loaded_dict: Mapping[str, Any], load_cfg: Mapping[str, bool] | None, strict: bool) -> bool:
        """Load what :meth:`save` returned, here or in rsl_rl 5.5.1.

        Args:
            loaded_dict: The dictionary.
            load_cfg: What to load: "actor", "critic", "optimizer", "iteration"; None loads all. The state of the
                shuffling goes with "iteration".
            strict: Whether keys of the models must match exactly.

        Returns:
            Whether the caller should continue from the saved iteration.
        """
        if load_cfg is None:
            load_cfg = {"actor": True, "critic": True, "optimizer": True, "iteration": True}
        if load_cfg.get("actor"):
            self._raw_actor.load_state_dict(loaded_dict["actor_state_dict"], strict=strict)
        if load_cfg.get("critic"):
            self._raw_critic.load_state_dict(loaded_dict["critic_state_dict"], strict=strict)
        if load_cfg.get("optimizer"):
            self._load_optimizer(loaded_dict["optimizer_state_dict"])
        if load_cfg.get("iteration") and "shuffle_state" in loaded_dict:
            self.storage.load_state_dict(loaded_dict["shuffle_state"])
        return bool(load_cfg.get("iteration", False))

    def get_policy(self) -> MLPModel:
        """Return the policy itself, not compiled."""
        return self._raw_actor

    def compile(self, mode: str | None = None) -> None:
        """Run the models through ``torch.compile`` in this mode; None runs them as they are."""
        self.actor = cast(MLPModel, compile_model(self._raw_actor, mode))
        self.critic = cast(MLPModel, compile_model(self._raw_critic, mode))

    @staticmethod
    def construct_algorithm(obs: TensorDict, env: VecEnv, cfg: dict[str, Any], device: torch.device | str) -> PPO:
        """Build models, storage and algorithm from a runner's configuration.

        Args:
            obs: Observations of the environment.
            env: The environment; ``num_envs`` and ``num_actions`` are read.
            cfg: Configuration of the runner; ``cfg["obs_groups"]`` is replaced by the resolved observation sets.
            device: Where everything lives.

        Raises:
            ValueError: A key or name is unknown; the message names the nearest valid one.
        """
        alg_class, alg_cfg = resolve_class(cfg["algorithm"])
        actor_class, actor_cfg = resolve_class(cfg["actor"])
        critic_class, critic_cfg = resolve_class(cfg["critic"])
        if alg_cfg.pop("share_cnn_encoders", PPOCfg.share_cnn_encoders):
            raise ValueError(_unsupported("share_cnn_encoders", "CNN encoders"))
        for part, part_class, part_cfg in (
            ("algorithm", alg_class, alg_cfg),
            ("actor", actor_class, actor_cfg),
            ("critic", critic_class, critic_cfg),
        ):
            check_keywords(part_class, part_cfg, part)

        cfg["obs_groups"] = resolve_obs_groups(obs, cfg["obs_groups"], ["actor", "critic"])
        actor = actor_class(obs, cfg["obs_groups"], "actor", env.num_actions, **actor_cfg).to(device)
        print(f"Actor Model: {actor}")
        critic = critic_class(obs, cfg["obs_groups"], "critic", 1, **critic_cfg).to(device)
        print(f"Critic Model: {critic}")
        storage = RolloutStorage("rl", env.num_envs, cfg["num_steps_per_env"], obs, [env.num_actions], device)
        algorithm = alg_class(actor, critic, storage, device=device, multi_gpu_cfg=cfg.get("multi_gpu"), **alg_cfg)
        algorithm.compile(cfg.get("torch_compile_mode"))
        return cast(PPO, algorithm)

    def broadcast_parameters(self) -> None:
        """Give all processes the parameters and statistics of rank 0."""
        for model in (self._raw_actor, self._raw_critic):
            for tensor in model.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes."""
        parameters = chain(self._raw_actor.parameters(), self._raw_critic.parameters())
        reduce_gradients_in_buckets(parameters, self.gpu_world_size, self.grad_reduce_bucket_mb)

    def _make_optimizer(self, name: str, learning_rate: float) -> torch.optim.Optimizer:
        """The optimizer over the parameters of actor, then critic; fused where torch has it, which is the fastest."""
        optimizer_class = resolve_optimizer(name)
        parameters = list(chain(self.actor.parameters(), self.critic.parameters()))
        fusible = optimizer_class is not torch.optim.RMSprop and torch.device(self.device).type in ("cpu", "cuda")
        options: dict[str, Any] = {"lr": learning_rate}
        if fusible:
            options["fused"] = True
        return optimizer_class(parameters, **options)

    def _load_optimizer(self, state: Mapping[str, Any]) -> None:
        """Load the state of an optimizer, but keep the way ours is computed."""
        own = {key: value for key, value in self.optimizer.param_groups[0].items() if key in _IMPLEMENTATION_KEYS}
        groups = [{**group, **own} for group in state["param_groups"]]
        self.optimizer.load_state_dict({**state, "param_groups": groups})
        self.learning_rate = self.optimizer.param_groups[0]["lr"]


def _unsupported(setting: str, what: str) -> str:
    return f"PPO: `{setting}` is set, but {what} are not in this version of rslcore; leave it out"


def _refuse_unsupported(
    actor: MLPModel,
    critic: MLPModel,
    use_mixed_precision: bool,
    rnd_cfg: Mapping[str, Any] | None,
    symmetry_cfg: Mapping[str, Any] | None,
) -> None:
    if actor.is_recurrent or critic.is_recurrent:
        raise ValueError(_unsupported("actor or critic", "recurrent models"))
    if use_mixed_precision:
        raise ValueError(_unsupported("use_mixed_precision", "bfloat16 updates"))
    if rnd_cfg:
        raise ValueError(_unsupported("rnd_cfg", "intrinsic rewards"))
    if symmetry_cfg:
        raise ValueError(_unsupported("symmetry_cfg", "symmetric augmentations"))
