# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Actor and critic in one object, as rsl_rl 2.x and 3.x had them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from rslcore.config import ActorCriticCfg, ActorCriticCNNCfg, ActorCriticRecurrentCfg
from rslcore.models.cnn_model import CNNModel
from rslcore.models.mlp_model import MLPModel
from rslcore.models.policy_pair import Part, PolicyPair, as_groups, noise_cfg, renamed_width
from rslcore.models.rnn_model import RNNModel

if TYPE_CHECKING:
    from rslcore.models.policy_pair import Observations

_ACTOR_SETS = ("policy", "actor")
_CRITIC_SETS = ("critic",)


class _ActorCriticBase(PolicyPair):
    """What all kinds of actors and critics share."""

    actor_model: MLPModel
    """The policy."""

    critic_model: MLPModel
    """The value function."""

    def evaluate(
        self,
        obs: Observations | torch.Tensor,
        masks: torch.Tensor | None = None,
        hidden_state: Any = None,  # noqa: ANN401
        *,
        hidden_states: Any = None,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return values [B, 1]; arguments as of :meth:`act`, for the critic."""
        state = hidden_states if hidden_state is None else hidden_state
        return self.critic_model(as_groups(self.critic_model, obs), masks, state)

    def get_actor_obs(self, obs: Observations) -> Any:  # noqa: ANN401
        """Return the actor's groups, concatenated [B, D]."""
        return self.actor_model._concatenate(obs)

    def get_critic_obs(self, obs: Observations) -> Any:  # noqa: ANN401
        """Return the critic's groups, concatenated [B, D]."""
        return self.critic_model._concatenate(obs)

    def update_normalization(self, obs: Observations) -> None:
        """Let the observation normalizers, where there are any, learn from observations [B, D_group] per group."""
        self.actor_model.update_normalization(obs)
        self.critic_model.update_normalization(obs)

    @property
    def actor_obs_normalization(self) -> bool:
        """Whether the actor's observations are normalized."""
        return self.actor_model.obs_normalization

    @property
    def critic_obs_normalization(self) -> bool:
        """Whether the critic's observations are normalized."""
        return self.critic_model.obs_normalization

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> bool:  # type: ignore[override]
        """Load parameters and statistics, e.g. ``model_state_dict`` of a checkpoint of rsl_rl 2.x or 3.x.

        Returns:
            True: a training run can be continued from them.

        Raises:
            RuntimeError: The entries are of other names or shapes.
        """
        super().load_state_dict(state_dict, strict=strict)
        return True


class ActorCritic(_ActorCriticBase):
    """A policy and a value function, each an MLP, with the constructor, methods and state dict of rsl_rl 3.x.

    :attr:`actor_model` and :attr:`critic_model` are the models themselves; ``PPO(policy, storage=...)`` trains them.
    B rows (environments), A actions.
    """

    def __init__(
        self,
        obs: Observations | int | None = None,
        obs_groups: Mapping[str, Sequence[str]] | int | None = None,
        num_actions: int | None = None,
        actor_obs_normalization: bool = ActorCriticCfg.actor_obs_normalization,
        critic_obs_normalization: bool = ActorCriticCfg.critic_obs_normalization,
        actor_hidden_dims: Sequence[int] = ActorCriticCfg.actor_hidden_dims,
        critic_hidden_dims: Sequence[int] = ActorCriticCfg.critic_hidden_dims,
        activation: str = ActorCriticCfg.activation,
        init_noise_std: float = ActorCriticCfg.init_noise_std,
        noise_std_type: str = ActorCriticCfg.noise_std_type,
        state_dependent_std: bool = ActorCriticCfg.state_dependent_std,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Build both models; the settings are described at :class:`rslcore.config.ActorCriticCfg`.

        Args:
            obs: Example observations [N, D_group] per group; or, as in rsl_rl 2.x, the width of the actor's.
            obs_groups: The sets "policy" and "critic"; or, as in rsl_rl 2.x, the width of the critic's observations.
            num_actions: Number of actions A.
            actor_obs_normalization: Normalize the actor's observations.
            critic_obs_normalization: Normalize the critic's observations.
            actor_hidden_dims: Hidden layers of the actor.
            critic_hidden_dims: Hidden layers of the critic.
            activation: Activation of both.
            init_noise_std: Initial standard deviation of the actions.
            noise_std_type: "scalar" or "log".
            state_dependent_std: Let the actor's MLP give the standard deviation.
            **kwargs: ``num_actor_obs`` and ``num_critic_obs`` of rsl_rl 2.x; others are ignored with a warning.

        Raises:
            TypeError: Observations and sets, widths, or the number of actions are of the wrong type.
            ValueError: A set or group is missing, or a setting is out of range.
        """
        actor, critic = _settings(
            actor_obs_normalization,
            critic_obs_normalization,
            actor_hidden_dims,
            critic_hidden_dims,
            activation,
            noise_cfg(init_noise_std, noise_std_type, state_dependent=state_dependent_std),
        )
        super().__init__(
            obs,
            obs_groups,
            num_actions,
            Part("actor", _ACTOR_SETS, MLPModel, actor),
            Part("critic", _CRITIC_SETS, MLPModel, critic, output_dim=1),
            kwargs,
        )


class ActorCriticRecurrent(_ActorCriticBase):
    """A policy and a value function, each an LSTM or GRU before an MLP; otherwise as :class:`ActorCritic`.

    ``memory_a`` and ``memory_c`` hold the hidden states.
    """

    is_recurrent: bool = True

    def __init__(
        self,
        obs: Observations | int | None = None,
        obs_groups: Mapping[str, Sequence[str]] | int | None = None,
        num_actions: int | None = None,
        actor_obs_normalization: bool = ActorCriticRecurrentCfg.actor_obs_normalization,
        critic_obs_normalization: bool = ActorCriticRecurrentCfg.critic_obs_normalization,
        actor_hidden_dims: Sequence[int] = ActorCriticRecurrentCfg.actor_hidden_dims,
        critic_hidden_dims: Sequence[int] = ActorCriticRecurrentCfg.critic_hidden_dims,
        activation: str = ActorCriticRecurrentCfg.activation,
        init_noise_std: float = ActorCriticRecurrentCfg.init_noise_std,
        noise_std_type: str = ActorCriticRecurrentCfg.noise_std_type,
        state_dependent_std: bool = ActorCriticRecurrentCfg.state_dependent_std,
        rnn_type: str = ActorCriticRecurrentCfg.rnn_type,
        rnn_hidden_dim: int = ActorCriticRecurrentCfg.rnn_hidden_dim,
        rnn_num_layers: int = ActorCriticRecurrentCfg.rnn_num_layers,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Build both models; the settings are described at :class:`rslcore.config.ActorCriticRecurrentCfg`.

        Arguments up to ``state_dependent_std``, and errors, as of :class:`ActorCritic`.

        Args:
            obs: Example observations, or the width of the actor's.
            obs_groups: The sets "policy" and "critic", or the width of the critic's observations.
            num_actions: Number of actions A.
            actor_obs_normalization: Normalize the actor's observations.
            critic_obs_normalization: Normalize the critic's observations.
            actor_hidden_dims: Hidden layers of the actor's MLP.
            critic_hidden_dims: Hidden layers of the critic's MLP.
            activation: Activation of both.
            init_noise_std: Initial standard deviation of the actions.
            noise_std_type: "scalar" or "log".
            state_dependent_std: Let the actor's MLP give the standard deviation.
            rnn_type: "lstm" or "gru".
            rnn_hidden_dim: Width of the hidden states.
            rnn_num_layers: Recurrent layers.
            **kwargs: As of :class:`ActorCritic`, and ``rnn_hidden_size``, the old name of ``rnn_hidden_dim``.
        """
        rnn_cfg = {
            "rnn_type": rnn_type,
            "rnn_hidden_dim": renamed_width(rnn_hidden_dim, kwargs),
            "rnn_num_layers": rnn_num_layers,
        }
        actor, critic = _settings(
            actor_obs_normalization,
            critic_obs_normalization,
            actor_hidden_dims,
            critic_hidden_dims,
            activation,
            noise_cfg(init_noise_std, noise_std_type, state_dependent=state_dependent_std),
        )
        super().__init__(
            obs,
            obs_groups,
            num_actions,
            Part("actor", _ACTOR_SETS, RNNModel, {**actor, **rnn_cfg}),
            Part("critic", _CRITIC_SETS, RNNModel, {**critic, **rnn_cfg}, output_dim=1),
            kwargs,
        )


class ActorCriticCNN(_ActorCriticBase):
    """A policy and a value function with convolutional encoders for image groups; otherwise as :class:`ActorCritic`.

    The one of the two that sees no image is an MLP.
    """

    def __init__(
        self,
        obs: Observations,
        obs_groups: Mapping[str, Sequence[str]],
        num_actions: int,
        actor_obs_normalization: bool = ActorCriticCNNCfg.actor_obs_normalization,
        critic_obs_normalization: bool = ActorCriticCNNCfg.critic_obs_normalization,
        actor_hidden_dims: Sequence[int] = ActorCriticCNNCfg.actor_hidden_dims,
        critic_hidden_dims: Sequence[int] = ActorCriticCNNCfg.critic_hidden_dims,
        actor_cnn_cfg: Mapping[str, Any] | None = ActorCriticCNNCfg.actor_cnn_cfg,
        critic_cnn_cfg: Mapping[str, Any] | None = ActorCriticCNNCfg.critic_cnn_cfg,
        activation: str = ActorCriticCNNCfg.activation,
        init_noise_std: float = ActorCriticCNNCfg.init_noise_std,
        noise_std_type: str = ActorCriticCNNCfg.noise_std_type,
        state_dependent_std: bool = ActorCriticCNNCfg.state_dependent_std,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Build both models; the settings are described at :class:`rslcore.config.ActorCriticCNNCfg`.

        Args:
            obs: Example observations, [N, D_group] or images [N, C, H, W] per group.
            obs_groups: The sets "policy" and "critic".
            num_actions: Number of actions A.
            actor_obs_normalization: Normalize the actor's 1-D observations.
            critic_obs_normalization: Normalize the critic's 1-D observations.
            actor_hidden_dims: Hidden layers of the actor's MLP.
            critic_hidden_dims: Hidden layers of the critic's MLP.
            actor_cnn_cfg: Arguments of :class:`rslcore.modules.CNN` for all image groups of the actor, or per group.
            critic_cnn_cfg: The same for the critic.
            activation: Activation of both MLPs.
            init_noise_std: Initial standard deviation of the actions.
            noise_std_type: "scalar" or "log".
            state_dependent_std: Let the actor's MLP give the standard deviation.
            **kwargs: Ignored with a warning.

        Raises:
            ValueError: Neither set has an image group, a set is missing, or a setting is out of range.
        """
        actor, critic = _settings(
            actor_obs_normalization,
            critic_obs_normalization,
            actor_hidden_dims,
            critic_hidden_dims,
            activation,
            noise_cfg(init_noise_std, noise_std_type, state_dependent=state_dependent_std),
        )
        acting = _with_encoders(Part("actor", _ACTOR_SETS, MLPModel, actor), actor_cnn_cfg, obs, obs_groups)
        judging = _with_encoders(Part("critic", _CRITIC_SETS, MLPModel, critic, 1), critic_cnn_cfg, obs, obs_groups)
        if acting.model_class is judging.model_class is MLPModel:
            raise ValueError(
                "ActorCriticCNN: `obs_groups` must name an image group [N, C, H, W], got none; take ActorCritic"
            )
        super().__init__(obs, obs_groups, num_actions, acting, judging, kwargs)
        for role in ("actor", "critic"):  # as in rsl_rl, None where there are no images
            if not hasattr(self, f"{role}_cnns"):
                setattr(self, f"{role}_cnns", None)

    def get_actor_obs(self, obs: Observations) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the actor's 1-D groups, concatenated [B, D], and its image groups."""
        return _vectors_and_images(self.actor_model, obs)

    def get_critic_obs(self, obs: Observations) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the critic's 1-D groups, concatenated [B, D], and its image groups."""
        return _vectors_and_images(self.critic_model, obs)


def _settings(
    actor_obs_normalization: bool,
    critic_obs_normalization: bool,
    actor_hidden_dims: Sequence[int],
    critic_hidden_dims: Sequence[int],
    activation: str,
    distribution_cfg: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the actor's and of the critic's model."""
    actor = {
        "hidden_dims": actor_hidden_dims,
        "activation": activation,
        "obs_normalization": actor_obs_normalization,
        "distribution_cfg": distribution_cfg,
    }
    critic = {
        "hidden_dims": critic_hidden_dims,
        "activation": activation,
        "obs_normalization": critic_obs_normalization,
    }
    return actor, critic


def _with_encoders(
    part: Part, cnn_cfg: Mapping[str, Any] | None, obs: Observations, obs_groups: Mapping[str, Sequence[str]]
) -> Part:
    """The same part as a CNN model, if it sees images."""
    groups = next((obs_groups[name] for name in part.obs_sets if name in obs_groups), ())
    if not any(obs[group].dim() == 4 for group in groups):
        return part
    return part._replace(model_class=CNNModel, settings={**part.settings, "cnn_cfg": cnn_cfg})


def _vectors_and_images(model: MLPModel, obs: Observations) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    images = {group: obs[group] for group in getattr(model, "obs_groups_2d", ())}
    return model._concatenate(obs), images
