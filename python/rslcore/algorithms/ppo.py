# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Proximal Policy Optimization."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch

from rslcore import ops
from rslcore.algorithms.ppo_known import custom_code, known_rule
from rslcore.algorithms.ppo_rule import adapted_learning_rate, normalize_advantages, ppo_terms
from rslcore.algorithms.ppo_setup import check_parts, check_samples, check_settings, construct, split_policy
from rslcore.algorithms.ppo_state import load_state, save_state
from rslcore.algorithms.sampling import ActionSampler, PolicySteps
from rslcore.config import PPOCfg
from rslcore.engine import CapturedPolicySteps, Engine, EngineSelector, MinibatchResult, PPORule, refuses_whole_rollouts
from rslcore.extensions import RandomNetworkDistillation, Symmetry
from rslcore.models import MLPModel
from rslcore.modules import Distribution, HiddenState
from rslcore.storage import RolloutStorage
from rslcore.utils import (
    compile_model,
    is_set,
    make_optimizer,
    reduce_gradients_in_buckets,
    tf32_products,
    without_gradient,
)

if TYPE_CHECKING:
    from tensordict import TensorDict

    from rslcore.env import VecEnv


class PPO:
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347).

    Constructor, methods and attributes are those of rsl_rl 5.5.1. The arithmetic of a minibatch stands in ``ppo_rule``;
    ``engine`` executes it; ``ppo_setup`` checks and builds.
    """

    actor: MLPModel
    """The policy; compiled if :meth:`compile` was called."""

    critic: MLPModel
    """The value function; compiled if :meth:`compile` was called."""

    policy: Any
    """The object holding both models that was given for them, as rsl_rl 2 and 3 have it; otherwise None."""

    rnd: RandomNetworkDistillation | None
    """Intrinsic rewards, where ``rnd_cfg`` asks for them."""

    symmetry: Symmetry | None
    """Symmetry, where ``symmetry_cfg`` asks for it."""

    intrinsic_rewards: torch.Tensor | None = None
    """Weighted intrinsic rewards of the last step [N], with ``rnd``; contained in the stored rewards."""

    def __init__(
        self,
        actor: MLPModel,
        critic: MLPModel | None = None,
        storage: RolloutStorage | None = None,
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
        rnd_cfg: Mapping[str, Any] | None = None,
        symmetry_cfg: Mapping[str, Any] | None = None,
        multi_gpu_cfg: Mapping[str, int] | None = None,
        grad_reduce_bucket_mb: float = PPOCfg.grad_reduce_bucket_mb,
        *,
        reshuffle_each_epoch: bool = PPOCfg.reshuffle_each_epoch,
        bootstrap_final_obs: bool = PPOCfg.bootstrap_final_obs,
        use_tf32: bool = PPOCfg.use_tf32,
        engine: str = PPOCfg.engine,
    ) -> None:
        """Set up the algorithm.

        ``actor`` is the policy and has an output distribution, ``critic`` has one output, ``storage`` holds one
        rollout, and all live on ``device``. An object that holds both models as ``actor_model`` and ``critic_model``
        may stand for ``actor``; ``critic`` is then left out. ``rnd_cfg`` and ``symmetry_cfg`` are the arguments of the
        extensions. ``multi_gpu_cfg`` gives ``global_rank`` and ``world_size`` of a distributed run. The settings are
        described at :class:`rslcore.config.PPOCfg`; those after ``grad_reduce_bucket_mb`` are not in rsl_rl.

        Raises:
            ValueError: A setting is unknown or out of range, or does not go together with the models.
            TypeError: ``critic`` or ``storage`` is missing.
        """
        check_settings(locals())
        parts = split_policy(actor, critic, storage)
        check_parts(parts, num_mini_batches, reshuffle=reshuffle_each_epoch, symmetry=bool(symmetry_cfg))
        self.device = device
        self.is_multi_gpu = multi_gpu_cfg is not None
        self.gpu_global_rank = multi_gpu_cfg["global_rank"] if multi_gpu_cfg is not None else 0
        self.gpu_world_size = multi_gpu_cfg["world_size"] if multi_gpu_cfg is not None else 1
        self.grad_reduce_bucket_mb = grad_reduce_bucket_mb
        self.rnd = RandomNetworkDistillation(device=device, **rnd_cfg) if rnd_cfg else None
        self.symmetry = Symmetry(**symmetry_cfg) if symmetry_cfg else None

        self.policy = parts.policy
        self.actor = self._raw_actor = parts.actor.to(device)
        self.critic = self._raw_critic = parts.critic.to(device)
        self.optimizer = make_optimizer(
            optimizer, chain(self.actor.parameters(), self.critic.parameters()), learning_rate
        )
        self.storage = parts.storage
        self.transition = RolloutStorage.Transition()
        self.sampler: ActionSampler | None = ActionSampler(self.storage.stream_seed, self.gpu_global_rank)

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
        self.reshuffle_each_epoch = reshuffle_each_epoch
        self.bootstrap_final_obs = bootstrap_final_obs
        self.use_tf32 = use_tf32
        self._policy_steps: PolicySteps | CapturedPolicySteps = (
            CapturedPolicySteps(enabled=engine != "eager", use_tf32=use_tf32)
            if torch.device(device).type == "cuda"
            else PolicySteps(enabled=engine != "eager")
        )
        self._engines = EngineSelector(type(self).__name__, engine)
        self.engine, self.engine_reason = self._engines.select(self)

    @without_gradient
    def act(self, obs: TensorDict) -> torch.Tensor:
        """Sample actions [N, A] for observations [N, ...] per group, and remember what the update needs.

        Everything remembered is a copy: the environment may overwrite the observations and the returned actions. The
        noise is that of ``sampler``; without one (``None``) it is torch's, number by number as in rsl_rl 5.5.1.
        """
        transition = self.transition
        transition.observations = self.storage.store_observations(obs)
        if self._policy_steps.act(self.actor, self.critic, self.sampler, self.storage):
            slot = self.storage.slot()
            transition.actions, transition.actions_log_prob = slot.actions, slot.actions_log_prob
            transition.values, transition.distribution_params = slot.values, slot.distribution_params
            return slot.actions.clone()
        with tf32_products(self.use_tf32):
            return self._act_by_themselves(obs)

    @without_gradient
    def process_env_step(
        self, obs: TensorDict, rewards: torch.Tensor, dones: torch.Tensor, extras: Mapping[str, Any]
    ) -> None:
        """Store the outcome of the step that followed :meth:`act`.

        The stored reward (``storage.rewards``) is the sum of ``rewards``, of the intrinsic reward for ``obs`` with
        ``rnd``, and, where ``extras["time_outs"]`` [N] is set, of gamma * V: the episode was cut off by the time limit,
        and a value stands for the return that was cut off. As in rsl_rl 5.5.1 that is V(s_t), of the state acted on;
        with ``bootstrap_final_obs`` it is the value of the true last observation, the row of ``extras["final_obs"]``.

        Args:
            obs: Observations after the step.
            rewards: Rewards [N].
            dones: Episode ended on this step [N], any dtype, set where not 0; so are the time-outs.
            extras: Further outputs of the environment.

        Raises:
            RuntimeError: :meth:`act` was not called for this step.
            ValueError: A shape does not fit.
        """
        transition = self.transition
        if transition.values is None:
            raise RuntimeError("PPO: act() must be called before process_env_step()")
        slot = self.storage.slot()
        fits = rewards.shape == slot.rewards.shape  # or else the storage says so
        transition.rewards = slot.rewards.copy_(rewards) if fits else rewards.to(slot.rewards.dtype, copy=True)
        transition.dones = dones = is_set(dones)
        if self.rnd is not None:
            self.intrinsic_rewards = self.rnd.get_intrinsic_reward(obs)
            transition.rewards += self.intrinsic_rewards
        if "time_outs" in extras:
            time_outs = is_set(extras["time_outs"].to(self.device))
            values = self._time_out_values(time_outs, extras.get("final_obs"))
            transition.rewards.addcmul_(values, time_outs, value=self.gamma)
        self.storage.add_transition(transition)
        transition.clear()
        self.actor.reset(dones)
        self.critic.reset(dones)

    @torch.no_grad()
    def compute_returns(self, obs: TensorDict) -> None:
        """Write returns and advantages of the rollout into the storage; ``obs`` follow its last step."""
        storage = self.storage
        last_values = self._policy_steps.values(self.critic, obs)
        if last_values is None:
            with tf32_products(self.use_tf32):
                last_values = self._peek_values(obs).to(storage.values.dtype)  # a model may have been made double
        ops.gae(
            storage.rewards,
            storage.values,
            storage.dones,
            last_values,
            gamma=self.gamma,
            lam=self.lam,
            normalize=not self.normalize_advantage_per_mini_batch,
            out=(storage.returns, storage.advantages),
        )

    def update(self) -> dict[str, float]:
        """Learn from the stored rollout, update the normalizers, and clear the storage.

        Returns:
            The mean over all minibatches of the "value" loss, the "surrogate" loss and the "entropy", and with the
            extensions of the "rnd" and "symmetry" losses.
        """
        with tf32_products(self.use_tf32):
            losses = self.select_engine().run(self, self._mini_batches())
        if isinstance(distribution := getattr(self._raw_actor, "distribution", None), Distribution):
            distribution.detach()  # of the last minibatch: its graph would be kept until the next step
        obs = self.storage.observations.flatten(0, 1)
        self.actor.update_normalization(obs)
        self.critic.update_normalization(obs)
        if self.rnd is not None:
            self.rnd.update_normalization(obs)
        self.storage.clear()
        return losses

    def select_engine(self) -> Engine:
        """Choose what runs the coming update, and remember it as ``engine`` with its reason as ``engine_reason``.

        Raises:
            ValueError: The engine that was asked for cannot run the models as they are, or advantages are to be
                normalized, and are one.
        """
        check_samples(self)
        self.engine, self.engine_reason = self._engines.select(self)
        return self.engine

    def custom_code(self) -> str | None:
        """Return why an update may do something else than this class says; None if it cannot."""
        return custom_code(self)

    def trained_modules(self) -> dict[str, torch.nn.Module]:
        """Return what takes part in an update, by its role."""
        parts: dict[str, torch.nn.Module] = {"actor": self.actor, "critic": self.critic}
        return parts if self.rnd is None else {**parts, "rnd": self.rnd}

    def known_rule(self) -> PPORule | str:
        """Return what :meth:`evaluate_mini_batch` does with which models, for engines; or why only it can tell."""
        return known_rule(self)

    def evaluate_mini_batch(self, batch: RolloutStorage.Batch) -> MinibatchResult:
        """Return loss, reported terms and KL divergence of one minibatch.

        Its first rows are the samples of the rollout. With symmetry, mirror images follow: of all observations, and of
        the other fields if they are learned from. Entropy and KL divergence are of the samples alone.
        """
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.use_mixed_precision):
            samples = batch.old_distribution_params[0].shape[0]
            advantages = batch.advantages
            if self.normalize_advantage_per_mini_batch:
                advantages = normalize_advantages(advantages, advantages[:samples])
            obs = batch.observations if self.symmetry is None else batch.observations[: batch.actions.shape[0]]
            actor_state, critic_state = batch.hidden_states
            self.actor(obs, masks=batch.masks, hidden_state=actor_state, stochastic_output=True)
            log_prob = self.actor.get_output_log_prob(batch.actions)
            values = self.critic(obs, masks=batch.masks, hidden_state=critic_state)
            new_params = tuple(params[:samples] for params in self.actor.output_distribution_params)
            terms = ppo_terms(
                log_prob,
                self.actor.output_entropy[:samples],
                values,
                batch.old_actions_log_prob,
                advantages,
                batch.values,
                batch.returns,
                clip_param=self.clip_param,
                use_clipped_value_loss=self.use_clipped_value_loss,
            )
            loss = terms.surrogate + self.value_loss_coef * terms.value - self.entropy_coef * terms.entropy
            reported = {"value": terms.value, "surrogate": terms.surrogate, "entropy": terms.entropy}
            kl = None
            if self.schedule == "adaptive" and self.desired_kl is not None:
                with torch.no_grad():
                    kl = self.actor.get_kl_divergence(batch.old_distribution_params, new_params).mean()
            if self.rnd is not None:  # other parameters and another optimizer: the sum serves one backward pass
                reported["rnd"] = self.rnd.compute_loss(batch.observations[:samples])
                loss = loss + reported["rnd"]
            if self.symmetry is not None:
                reported["symmetry"] = self.symmetry.compute_loss(self.actor, batch, samples)
                if self.symmetry.use_mirror_loss:
                    loss = loss + self.symmetry.mirror_loss_coeff * reported["symmetry"]
        return MinibatchResult(loss, reported, kl)

    def adapt_learning_rate(self, kl: torch.Tensor) -> None:
        """Adapt the learning rate to the mean KL divergence of a minibatch, averaged over all processes."""
        if self.desired_kl is None:
            return
        if self.is_multi_gpu:
            torch.distributed.all_reduce(kl)
            kl /= self.gpu_world_size
        self.set_learning_rate(adapted_learning_rate(self.learning_rate, kl.item(), self.desired_kl))

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the coming steps."""
        self.learning_rate = learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Optimizer of the models, and that of the extension."""
        return [self.optimizer] if self.rnd is None else [self.optimizer, self.rnd.optimizer]

    def gradient_groups(self) -> tuple[list[torch.nn.Parameter], ...]:
        """Parameters of actor and of critic: their gradient norms are limited apart."""
        return list(self._raw_actor.parameters()), list(self._raw_critic.parameters())

    def train_mode(self) -> None:
        """Put models and extensions into training mode."""
        for module in self._modules():
            module.train()

    def eval_mode(self) -> None:
        """Put models and extensions into evaluation mode."""
        for module in self._modules():
            module.eval()

    def save(self) -> dict[str, Any]:
        """Return everything to be saved: tensors and plain numbers, loadable with ``weights_only=True``.

        The keys are those of rsl_rl 5.5.1, which loads them, and of ours ``shuffle_state``, ``sampling_state``
        and ``rnd_progress``. A policy that holds both models is saved under ``model_state_dict`` too, as rsl_rl 2 and 3
        do.
        """
        return save_state(self)

    def load(self, loaded_dict: Mapping[str, Any], load_cfg: Mapping[str, bool] | None, strict: bool) -> bool:
        """Load what :meth:`save` returned, here or in rsl_rl 5.5.1.

        Args:
            loaded_dict: The dictionary.
            load_cfg: What to load: "actor", "critic", "optimizer", "iteration", "rnd"; None loads all. The states
                of the shuffling and of the action noise go with "iteration".
            strict: Whether keys of the models must match exactly.

        Returns:
            Whether the caller should continue from the saved iteration.
        """
        return load_state(self, loaded_dict, load_cfg, strict)

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
            env: The environment; ``num_envs`` and ``num_actions`` are read, and with RND ``step_dt``.
            cfg: Configuration of the runner; ``cfg["obs_groups"]`` is replaced by the resolved observation sets.
            device: Where everything lives.

        Raises:
            ValueError: A key or name is unknown; the message names the nearest valid one.
        """
        return cast(PPO, construct(obs, env, cfg, device))

    def broadcast_parameters(self) -> None:
        """Give all processes the parameters and statistics of rank 0."""
        for module in self._modules():
            for tensor in module.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def reduce_parameters(self) -> None:
        """Average the gradients over all processes."""
        parameters = chain.from_iterable(module.parameters() for module in self._modules())
        reduce_gradients_in_buckets(parameters, self.gpu_world_size, self.grad_reduce_bucket_mb)

    def _act_by_themselves(self, obs: TensorDict) -> torch.Tensor:
        """Let the models' own code act; the observations are stored."""
        transition = self.transition
        actor_state, critic_state = self.actor.get_hidden_state(), self.critic.get_hidden_state()
        if self.sampler is None:
            transition.actions = self.actor(obs, stochastic_output=True)
            transition.actions_log_prob = self.actor.get_output_log_prob(transition.actions)
        else:
            transition.actions, transition.actions_log_prob = self.sampler.act(self.actor, obs)
        transition.values = self.critic(obs)
        transition.distribution_params = self.actor.output_distribution_params
        transition.hidden_states = (_or_zeros(actor_state, self.actor), _or_zeros(critic_state, self.critic))
        return transition.actions.clone()

    def _modules(self) -> list[torch.nn.Module]:
        """Everything with parameters."""
        models: list[torch.nn.Module] = [self._raw_actor, self._raw_critic]
        return models if self.rnd is None else [*models, self.rnd]

    def _mini_batches(self) -> Iterator[RolloutStorage.Batch]:
        """Minibatches of all epochs."""
        count, epochs = self.num_mini_batches, self.num_learning_epochs
        if self.actor.is_recurrent or self.critic.is_recurrent:
            padded = self.needs_padding(anywhere=self.engine.needs_fixed_shapes)
            return self.storage.recurrent_mini_batch_generator(count, epochs, padded=padded)
        batches = self.storage.mini_batch_generator(count, epochs, reshuffle=self.reshuffle_each_epoch)
        if self.symmetry is None:
            return batches
        return self.symmetry.augmented(batches, period=None if self.reshuffle_each_epoch else count)

    def needs_padding(self, *, anywhere: bool = False) -> bool:
        """Return whether the rule or a model must see recurrent minibatches as padded trajectories.

        ``anywhere``, models may be on a device without a kernel for whole rollouts.
        """
        rule = self.known_rule()
        if isinstance(rule, str) or rule.rnd_loss is not None:
            return True
        return any(refuses_whole_rollouts(model, anywhere=anywhere) is not None for model in (rule.actor, rule.critic))

    def _time_out_values(self, time_outs: torch.Tensor, final_obs: TensorDict | None) -> torch.Tensor:
        """Values [N] to bootstrap from where ``time_outs`` is set.

        Only those rows of ``final_obs`` are evaluated; on a GPU all of them, as the host would have to wait for which.
        """
        values = cast(torch.Tensor, self.transition.values).view(-1)
        if not self.bootstrap_final_obs:
            return values
        if final_obs is not None and not _on_host(time_outs):
            return torch.where(time_outs, self._peek_values(final_obs.to(self.device)).view(-1), values)
        if not len(rows := time_outs.nonzero().view(-1)):
            return values
        if final_obs is None:
            warnings.warn(
                "PPO: `bootstrap_final_obs` is set, but the environment gave no extras['final_obs'] at a time-out; "
                "bootstrapping from the value of the last observation it gave before",
                stacklevel=3,
            )
            return values
        return values.index_copy(0, rows, self._peek_values(final_obs.to(self.device)[rows], rows).view(-1))

    def _peek_values(self, obs: TensorDict, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Values of observations [n, ...] of the environments ``rows`` (default all), without remembering them."""
        state = self.critic.get_hidden_state()
        if rows is not None and state is not None:
            if isinstance(state, tuple):
                self.critic.reset(hidden_state=(state[0][:, rows], state[1][:, rows]))
            else:
                self.critic.reset(hidden_state=state[:, rows])
        values = self.critic(obs)
        self.critic.reset(hidden_state=state)
        return values


EVALUATE_MINI_BATCH = PPO.evaluate_mini_batch
ADAPT_LEARNING_RATE = PPO.adapt_learning_rate
SET_LEARNING_RATE = PPO.set_learning_rate
MINI_BATCHES = PPO._mini_batches
"""The rules of the class itself: a program may put others in their place."""


def _on_host(tensor: torch.Tensor) -> bool:
    """Return whether reading the tensor costs no wait for a device."""
    return tensor.is_cpu


def _or_zeros(state: HiddenState, model: MLPModel) -> HiddenState:
    """A state from before a step of a model; where there was none, zeros like the one that the step has left."""
    if state is not None:
        return state
    after = model.get_hidden_state()
    if isinstance(after, tuple):
        return torch.zeros_like(after[0]), torch.zeros_like(after[1])
    return None if after is None else torch.zeros_like(after)
