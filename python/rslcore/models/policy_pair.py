# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Two models in one module, under the names that rsl_rl 2.x and 3.x gave to their parts."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias, TypeVar

import torch
from torch import nn

from rslcore.config import ActorCriticRecurrentCfg, nearest
from rslcore.models.mlp_model import MLPModel
from rslcore.modules import Distribution
from rslcore.utils import readable, refuse_to_be_scripted

if TYPE_CHECKING:
    from tensordict import TensorDict

    Observations: TypeAlias = TensorDict | Mapping[str, torch.Tensor]

_SelfT = TypeVar("_SelfT", bound="PolicyPair")

_PARTS = {"rnn": "memory_{letter}", "cnns": "{role}_cnns", "mlp": "{role}", "obs_normalizer": "{role}_obs_normalizer"}
"""Part of a model to its name in a policy, in the order of registration there."""

_NOISE = {"std_param": "std", "log_std_param": "log_std"}
"""Parameter of the output distribution to its name in a policy."""


class Part(NamedTuple):
    """One model of a policy, yet to be built."""

    role: str
    """"actor", "critic", "student" or "teacher"."""
    obs_sets: tuple[str, ...]
    """Names of the observation set it sees; the first that exists is taken."""
    model_class: type[MLPModel]
    """What to build."""
    settings: dict[str, Any]
    """Arguments of the class."""
    output_dim: int | None = None
    """Width of the output; None is the number of actions."""


class PolicyPair(nn.Module):
    """Base of the policies: one model that acts and explores, and one that judges it.

    The models are whole :class:`~rslcore.models.MLPModel` objects, ``<role>_model``. Their parts are registered under
    the names of rsl_rl 3.x, which make up the state dict: ``<role>.*`` (the MLP), ``<role>_obs_normalizer.*``,
    ``memory_<first letter>.*``, ``<role>_cnns.<group>.*``, and ``std`` or ``log_std`` [A] of the one that acts.
    """

    is_recurrent: bool = False
    """Whether the policy carries hidden states."""

    _acting: MLPModel
    _judging: MLPModel

    def __init__(
        self,
        obs: Observations | int | None,
        obs_groups: Mapping[str, Sequence[str]] | int | None,
        num_actions: int | None,
        acting: Part,
        judging: Part,
        unknown: dict[str, Any],
    ) -> None:
        """Build both models.

        Args:
            obs: Example observations [N, D_group] per group; or, as in rsl_rl 2.x, the width of the first model's.
            obs_groups: Observation sets; or, as in rsl_rl 2.x, the width of the second model's observations.
            num_actions: Number of actions A.
            acting: The model that acts.
            judging: The other one.
            unknown: Keywords of the constructor that it does not have: the widths, as ``num_<role>_obs``, or such as
                are ignored with a warning.

        Raises:
            TypeError: Observations and sets, widths, or the number of actions are of the wrong type.
            ValueError: A set or group is missing, or a setting is out of range.
        """
        super().__init__()
        owner = type(self).__name__
        obs, obs_groups = _observations(owner, obs, obs_groups, (acting, judging), unknown)
        _warn_of_unknown(owner, unknown, inspect.signature(type(self).__init__).parameters)
        if not isinstance(num_actions, int):
            raise TypeError(f"{owner}: `num_actions` must be an integer, got {num_actions!r}")
        self.obs_groups = obs_groups
        places: dict[str, tuple[nn.Module, str]] = {}
        for name, part in (("_acting", acting), ("_judging", judging)):
            obs_set = _chosen_set(owner, part, obs_groups)
            output_dim = num_actions if part.output_dim is None else part.output_dim
            model = part.model_class(obs, obs_groups, obs_set, output_dim, **part.settings)
            # Not as submodules: their parts are, under other names.
            self.__dict__[name] = self.__dict__[f"{part.role}_model"] = model
            for attribute, module_name in _PARTS.items():
                if isinstance(module := getattr(model, attribute, None), nn.Module):
                    own_name = module_name.format(role=part.role, letter=part.role[0])
                    self.add_module(own_name, module)
                    places[own_name] = (model, attribute)
        for parameter_name, parameter in self.distribution.named_parameters():
            own_name = _NOISE.get(parameter_name, parameter_name)
            self.register_parameter(own_name, parameter)
            places[own_name] = (self.distribution, parameter_name)
        self.__dict__["_places"] = places

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Set an attribute; a part, e.g. ``actor`` or ``std``, is replaced in its model too."""
        super().__setattr__(name, value)
        place = self.__dict__.get("_places", {}).get(name)
        if place is not None:
            owner, part = place
            setattr(owner, part, value)

    def __dir__(self) -> list[str]:
        """Names of what can be read now; of a distribution only after it was updated."""
        return readable(self, super().__dir__())

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        refuse_to_be_scripted(self, "what as_jit() of one of its models returns")

    def forward(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Refuse: which of the two models is meant?

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(f"{type(self).__name__}: call act(), act_inference() or evaluate()")

    def train(self: _SelfT, mode: bool = True) -> _SelfT:
        """Put both models into training mode, or into evaluation mode."""
        super().train(mode)
        self._acting.train(mode)
        self._judging.train(mode)
        return self

    @property
    def distribution(self) -> Distribution:
        """Distribution of the actions."""
        return self._acting._output_distribution

    @property
    def action_mean(self) -> torch.Tensor:
        """Mean of the current distribution of the actions [B, A]."""
        return self.distribution.mean

    @property
    def action_std(self) -> torch.Tensor:
        """Standard deviation of the current distribution of the actions [B, A]."""
        return self.distribution.std

    @property
    def entropy(self) -> torch.Tensor:
        """Entropy of the current distribution of the actions, in nats [B]."""
        return self.distribution.entropy

    def update_distribution(self, latent: torch.Tensor) -> None:
        """Set the distribution of the actions from the input [B, D] of the acting model's MLP."""
        self.distribution.update(self._acting.mlp(latent))

    def act(
        self,
        obs: Observations | torch.Tensor,
        masks: torch.Tensor | None = None,
        hidden_state: Any = None,  # noqa: ANN401
        *,
        hidden_states: Any = None,  # noqa: ANN401
    ) -> torch.Tensor:
        """Update the distribution of the actions and draw from it [B, A].

        Args:
            obs: Observation groups [B, D_group]; of a model that sees a single group, also its tensor alone.
            masks: Of recurrent policies: valid steps of padded trajectories, bool [T, num_trajectories].
            hidden_state: Of recurrent policies with ``masks``: state at the start of every trajectory.
            hidden_states: The same, by the name it had until 3.0.
        """
        state = hidden_states if hidden_state is None else hidden_state
        return self._acting(as_groups(self._acting, obs), masks, state, stochastic_output=True)

    def act_inference(self, obs: Observations | torch.Tensor) -> torch.Tensor:
        """Return the actions without noise [B, A]."""
        return self._acting(as_groups(self._acting, obs))

    def get_actions_log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """Log-probability density [B] of actions [B, A] under the current distribution."""
        return self.distribution.log_prob(actions)

    def get_hidden_states(self) -> tuple[Any, Any]:
        """Return the hidden states of both models; None for one without."""
        return self._acting.get_hidden_state(), self._judging.get_hidden_state()

    def detach_hidden_states(self, dones: torch.Tensor | None = None) -> None:
        """Cut the gradient through the hidden states of environments whose episode ended [N], or of all."""
        self._acting.detach_hidden_state(dones)
        self._judging.detach_hidden_state(dones)

    def reset(
        self,
        dones: torch.Tensor | None = None,
        hidden_states: tuple[Any, Any] | None = None,
    ) -> None:
        """Forget the hidden states of environments whose episode ended [N], or of all; or set those of all."""
        acting, judging = hidden_states or (None, None)
        self._acting.reset(dones, acting)
        self._judging.reset(dones, judging)


def model_state(state_dict: Mapping[str, torch.Tensor], role: str) -> dict[str, torch.Tensor]:
    """Return one model's entries of a state dict of rsl_rl 2.x or 3.x, under the names that models have.

    Args:
        state_dict: ``model_state_dict`` of a checkpoint.
        role: "actor", "critic", "student" or "teacher"; with the first and the third goes the noise.

    Returns:
        The entries; none if there is no such model in it.
    """
    prefixes = {name.format(role=role, letter=role[0]): part for part, name in _PARTS.items()}
    entries = {}
    for name, tensor in state_dict.items():
        first, _, rest = name.partition(".")
        if first in prefixes:
            entries[f"{prefixes[first]}.{rest}"] = tensor
    if entries and role in ("actor", "student"):
        entries |= {f"distribution.{new}": state_dict[old] for new, old in _NOISE.items() if old in state_dict}
    return entries


def noise_cfg(init_std: float, std_type: str, *, state_dependent: bool = False) -> dict[str, Any]:
    """Return the ``distribution_cfg`` of a Gaussian policy."""
    kind = "HeteroscedasticGaussianDistribution" if state_dependent else "GaussianDistribution"
    return {"class_name": kind, "init_std": init_std, "std_type": std_type}


def renamed_width(rnn_hidden_dim: int, unknown: dict[str, Any]) -> int:
    """Return the width of the hidden state, which old configurations call ``rnn_hidden_size``."""
    if "rnn_hidden_size" not in unknown:
        return rnn_hidden_dim
    warnings.warn("`rnn_hidden_size` is the old name of `rnn_hidden_dim`", DeprecationWarning, stacklevel=3)
    old = unknown.pop("rnn_hidden_size")
    return old if rnn_hidden_dim == ActorCriticRecurrentCfg.rnn_hidden_dim else rnn_hidden_dim


def as_groups(model: MLPModel, obs: Observations | torch.Tensor) -> Observations:
    """Return observations as groups; a tensor alone is the only group that the model sees.

    Raises:
        ValueError: The model sees several groups.
    """
    if not isinstance(obs, torch.Tensor):
        return obs
    if len(model.obs_groups) != 1:
        raise ValueError(f"{type(model).__name__}: `obs` must be a dict of the groups {model.obs_groups}, got a tensor")
    return {model.obs_groups[0]: obs}


def _observations(
    owner: str,
    obs: Observations | int | None,
    obs_groups: Mapping[str, Sequence[str]] | int | None,
    parts: tuple[Part, Part],
    unknown: dict[str, Any],
) -> tuple[Observations, Mapping[str, Sequence[str]]]:
    """Observations and their sets, made up where widths are given; takes these out of ``unknown``."""
    given = zip(parts, (obs, obs_groups), strict=True)
    widths = [unknown.pop(f"num_{part.role}_obs", value) for part, value in given]
    if all(isinstance(width, int) for width in widths):
        names = [part.obs_sets[0] for part in parts]
        example = {name: torch.zeros(1, width, device="cpu") for name, width in zip(names, widths, strict=True)}
        return example, {name: [name] for name in names}
    if obs is None or isinstance(obs, int) or not isinstance(obs_groups, Mapping):
        raise TypeError(
            f"{owner}: `obs` and `obs_groups` must be observations and a dict of sets (or two widths, as in rsl_rl "
            f"2.x), got {type(obs).__name__} and {type(obs_groups).__name__}"
        )
    return obs, obs_groups


def _chosen_set(owner: str, part: Part, obs_groups: Mapping[str, Sequence[str]]) -> str:
    for name in part.obs_sets:
        if name in obs_groups:
            return name
    raise ValueError(f"{owner}: `obs_groups` must have the set '{part.obs_sets[0]}', got {list(obs_groups)}")


def _warn_of_unknown(owner: str, unknown: Iterable[str], valid: Iterable[str]) -> None:
    names = [name for name in valid if name not in ("self", "kwargs")]
    for name in unknown:
        warnings.warn(f"{owner}: the argument '{name}' is unknown and ignored; {nearest(name, names)}", stacklevel=4)
