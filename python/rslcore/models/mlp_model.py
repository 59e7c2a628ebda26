# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A perceptron over observation groups: policy or value function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import torch
from torch import nn

from rslcore.config import MLPModelCfg, nearest
from rslcore.models.exported import ExportedMLP, ExportedOnnxMLP
from rslcore.modules import MLP, Distribution, EmpiricalNormalization, HiddenState
from rslcore.utils import (
    check_groups,
    check_keywords,
    exporting,
    readable,
    refuse_to_be_scripted,
    resolve_class,
    see_generator,
    side_by_side,
    unpad_trajectories,
)

if TYPE_CHECKING:
    from tensordict import TensorDict

    Observations: TypeAlias = TensorDict | Mapping[str, torch.Tensor]


class MLPModel(nn.Module):
    """Concatenates 1-D observation groups, normalizes them, and feeds them to an MLP; the output may be sampled.

    Constructor, methods and state dict are those of rsl_rl 5.5.1: parameters and buffers are registered in the order
    ``obs_normalizer``, ``distribution``, ``mlp``. B is the batch, D the width of all groups together, A the output.
    """

    is_recurrent: bool = False
    """Whether the model carries a hidden state."""

    def __init__(
        self,
        obs: Observations,
        obs_groups: Mapping[str, Sequence[str]],
        obs_set: str,
        output_dim: int,
        hidden_dims: Sequence[int] = MLPModelCfg.hidden_dims,
        activation: str = MLPModelCfg.activation,
        obs_normalization: bool = MLPModelCfg.obs_normalization,
        distribution_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        """Build the model for observations shaped like ``obs``.

        Args:
            obs: Example observations, one tensor [B, D_group] per group.
            obs_groups: Observation set to the groups it is made of.
            obs_set: The set this model sees, e.g. "actor".
            output_dim: Output dimension A.
            hidden_dims: Widths of the hidden layers; -1 stands for D.
            activation: Name of the activation after every hidden layer.
            obs_normalization: Normalize observations by their running statistics.
            distribution_cfg: ``class_name`` and arguments of the output distribution; None for a deterministic output.

        Raises:
            TypeError: A group is no tensor.
            ValueError: A group is not 1-D, or a name or key is unknown.
        """
        super().__init__()
        see_generator()  # weights are drawn next: a seed set again shows here, if nowhere else
        self.obs_groups, self.obs_dim = self._get_obs_dim(obs, obs_groups, obs_set)

        self.obs_normalization = obs_normalization
        self.obs_normalizer: nn.Module = EmpiricalNormalization(self.obs_dim) if obs_normalization else nn.Identity()

        self.distribution: Distribution | None = None
        if distribution_cfg is not None:
            distribution_class, arguments = resolve_class(distribution_cfg)
            check_keywords(distribution_class, arguments, "distribution_cfg")
            self.distribution = distribution_class(output_dim, **arguments)

        mlp_output_dim = output_dim if self.distribution is None else self.distribution.input_dim
        self.mlp = MLP(self._get_latent_dim(), mlp_output_dim, hidden_dims, activation)
        if self.distribution is not None:
            self.distribution.init_mlp_weights(self.mlp)

    def __dir__(self) -> list[str]:
        """Names of what can be read now; of a distribution only after it was updated."""
        return readable(self, super().__dir__())

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        refuse_to_be_scripted(self, "what as_jit() returns")

    def forward(
        self,
        obs: Observations,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
        stochastic_output: bool = False,
    ) -> torch.Tensor:
        """Return the output [B, A] for observations [B, D_group] per group.

        Args:
            obs: Observations; a plain dictionary and unbatched 1-D tensors will do. With ``masks``, padded
                trajectories [T, num_trajectories, D_group].
            masks: Valid steps of the trajectories, bool [T, num_trajectories]; the output is that of the rollout they
                were cut from, [T, N, A].
            hidden_state: State of a recurrent model at the start of every trajectory.
            stochastic_output: Update the distribution and sample from it, if the model has one; otherwise the output is
                deterministic.
        """
        if masks is not None and not self.is_recurrent:
            obs = unpad_trajectories(obs, masks)
        mlp_output = self.mlp(self.get_latent(obs, masks, hidden_state))
        if self.distribution is None:
            return mlp_output
        if not stochastic_output:
            return self.distribution.deterministic_output(mlp_output)
        self.distribution.update(mlp_output)
        return self.distribution.sample()

    def get_latent(
        self,
        obs: Observations,
        masks: torch.Tensor | None = None,
        hidden_state: HiddenState = None,
    ) -> torch.Tensor:
        """Return the input of the MLP [B, D]: the groups of this model, concatenated and normalized."""
        return self.obs_normalizer(self._concatenate(obs))

    def update_normalization(self, obs: Observations) -> None:
        """Let the observation normalizer, if there is one, learn from observations [B, D_group] per group."""
        if self.obs_normalization:
            self.obs_normalizer.update(self._concatenate(obs))  # type: ignore[operator]

    def reset(self, dones: torch.Tensor | None = None, hidden_state: HiddenState = None) -> None:
        """Reset the hidden state where episodes ended; this model has none."""

    def get_hidden_state(self) -> HiddenState:
        """Return the hidden state: None."""
        return None

    def detach_hidden_state(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient through the hidden state; this model has none."""

    @property
    def output_mean(self) -> torch.Tensor:
        """Mean of the current output distribution [B, A].

        After :meth:`PPO.act() <rslcore.algorithms.PPO.act>` it may be memory of the storage, which the next rollout
        overwrites: clone what is to be kept.
        """
        return self._output_distribution.mean

    @property
    def output_std(self) -> torch.Tensor:
        """Standard deviation of the current output distribution [B, A].

        After :meth:`PPO.act() <rslcore.algorithms.PPO.act>` it may be memory that the next step overwrites: clone what
        is to be kept.
        """
        return self._output_distribution.std

    @property
    def output_entropy(self) -> torch.Tensor:
        """Entropy of the current output distribution, in nats [B]."""
        return self._output_distribution.entropy

    @property
    def output_distribution_params(self) -> tuple[torch.Tensor, ...]:
        """Parameters of the current output distribution, each [B, ...]; kept as long as :attr:`output_std` is."""
        return self._output_distribution.params

    def get_output_log_prob(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of outputs [B, A] under the current distribution."""
        return self._output_distribution.log_prob(outputs)

    def get_kl_divergence(
        self, old_params: tuple[torch.Tensor, ...], new_params: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        """KL(old || new) in nats [B]."""
        return self._output_distribution.kl_divergence(old_params, new_params)

    def as_jit(self) -> nn.Module:
        """Return a copy that ``torch.jit.script`` accepts: concatenated observations [B, D] to deterministic output."""
        return ExportedMLP(self)

    def as_onnx(self, verbose: bool = False) -> nn.Module:
        """Return a copy for ``torch.onnx.export``, with ``get_dummy_inputs``, ``input_names`` and ``output_names``."""
        return ExportedOnnxMLP(self, verbose)

    @property
    def _output_distribution(self) -> Distribution:
        if self.distribution is None:
            raise RuntimeError(f"{type(self).__name__}: the output is deterministic (`distribution_cfg` is None)")
        return self.distribution

    def _concatenate(self, obs: Observations) -> torch.Tensor:
        """Groups of this model side by side [B, D]. A single group may be returned itself: do not edit it in place."""
        joined = side_by_side(type(self).__name__, obs, self.obs_groups, self.mlp)
        if not exporting(joined) and joined.shape[-1] != self.obs_dim:
            shapes = {group: list(obs[group].shape) for group in self.obs_groups}
            raise ValueError(
                f"{type(self).__name__}: the observation groups must be {self.obs_dim} wide together, got {shapes}"
            )
        return joined

    def _select_groups(
        self, obs: Observations, obs_groups: Mapping[str, Sequence[str]], obs_set: str
    ) -> dict[str, torch.Tensor]:
        """Observations of the groups in the set, in its order."""
        if obs_set not in obs_groups:
            raise ValueError(
                f"{type(self).__name__}: `obs_groups` has no set '{obs_set}'; {nearest(obs_set, obs_groups)}"
            )
        check_groups(type(self).__name__, obs)
        available = list(obs.keys())
        for group in obs_groups[obs_set]:
            if group not in available:
                raise ValueError(
                    f"{type(self).__name__}: the observations have no group '{group}' of the set '{obs_set}'; "
                    f"{nearest(group, available)}"
                )
        return {group: obs[group] for group in obs_groups[obs_set]}

    def _get_obs_dim(
        self, obs: Observations, obs_groups: Mapping[str, Sequence[str]], obs_set: str
    ) -> tuple[list[str], int]:
        """Groups of the observation set, and their width D together."""
        selected = self._select_groups(obs, obs_groups, obs_set)
        for group, example in selected.items():
            if example.dim() != 2:
                hint = "; images need a CNNModel" if example.dim() == 4 else ""
                raise ValueError(
                    f"{type(self).__name__}: the observation group '{group}' must be [num_envs, D], "
                    f"got {list(example.shape)}{hint}"
                )
        return list(selected), sum(example.shape[-1] for example in selected.values())

    def _get_latent_dim(self) -> int:
        """Width of the input of the MLP."""
        return self.obs_dim
