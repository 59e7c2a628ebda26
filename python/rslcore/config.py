# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Typed configurations: the one place where a default value is written.

Keys, nesting and defaults are those of rsl_rl 5.5.1, so that ``OnPolicyRunnerCfg().to_dict()`` is a configuration
dictionary both libraries accept. The constructors of the models and algorithms take their defaults from here
(``clip_param: float = PPOCfg.clip_param``). Imports nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, TypeVar

ActivationName = Literal[
    "elu", "selu", "relu", "crelu", "lrelu", "tanh", "sigmoid", "softplus", "gelu", "swish", "mish", "identity"
]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]

_SCALARS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "an integer"),
    float: ((int, float), "a number"),
}
"""Declared type to the types accepted for it, and its name in messages."""

_CfgT = TypeVar("_CfgT", bound="Cfg")


@dataclasses.dataclass
class Cfg:
    """Base of all configurations: conversion from and to plain dictionaries."""

    ignored_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that :meth:`from_dict` skips: a runner writes them into the dictionary it was given."""

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary of new containers: nested configurations are dicts, tuples are lists."""
        return {field.name: _to_plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls: type[_CfgT], values: Mapping[str, Any]) -> _CfgT:
        """Build the configuration from a dictionary; absent keys keep their default.

        Args:
            values: Plain dictionary as :meth:`to_dict` returns it; nested dictionaries become nested configurations.

        Raises:
            ValueError: A key is unknown, or a value is not of its type. The message names the nearest valid key, or
                what is expected and what was given.
            TypeError: ``values``, or the value of a nested configuration, is not a mapping.
        """
        return _from_plain(cls, values, path="")


@dataclasses.dataclass
class GaussianDistributionCfg(Cfg):
    """Diagonal Gaussian over actions with a standard deviation that does not depend on the state."""

    class_name: str = "GaussianDistribution"
    """Class name, or ``"module:Class"``."""
    init_std: float = 1.0
    """Initial standard deviation, in units of the actions."""
    std_range: tuple[float, float] = (1e-6, 1e6)
    """Smallest and largest standard deviation; beyond it the parameter gets no gradient."""
    std_type: Literal["scalar", "log"] = "scalar"
    """Whether the parameter is the standard deviation or its logarithm."""
    learn_std: bool = True
    """False keeps the standard deviation at ``init_std``."""


@dataclasses.dataclass
class MLPModelCfg(Cfg):
    """A multi-layer perceptron over concatenated 1-D observation groups."""

    class_name: str = "MLPModel"
    """Class name, or ``"module:Class"``."""
    hidden_dims: tuple[int, ...] = (256, 256, 256)
    """Widths of the hidden layers; -1 stands for the input width."""
    activation: ActivationName = "elu"
    """Activation after every hidden layer."""
    obs_normalization: bool = False
    """Normalize observations by their running mean and standard deviation."""
    distribution_cfg: GaussianDistributionCfg | None = None
    """Output distribution; None makes the output deterministic (a critic)."""


@dataclasses.dataclass
class PPOCfg(Cfg):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347)."""

    class_name: str = "PPO"
    """Class name, or ``"module:Class"``."""
    num_learning_epochs: int = 5
    """Passes over the rollout per update."""
    num_mini_batches: int = 4
    """Minibatches per pass; rows that do not fill the last one are dropped."""
    clip_param: float = 0.2
    """Clip range of the probability ratio and of the value change."""
    gamma: float = 0.99
    """Discount factor per step."""
    lam: float = 0.95
    """Lambda of generalized advantage estimation."""
    value_loss_coef: float = 1.0
    """Weight of the value loss."""
    entropy_coef: float = 0.01
    """Weight of the entropy bonus."""
    learning_rate: float = 0.001
    """Learning rate; with the adaptive schedule, the initial one."""
    max_grad_norm: float = 1.0
    """Largest gradient norm, of actor and critic apart."""
    optimizer: OptimizerName = "adam"
    """Optimizer name."""
    use_clipped_value_loss: bool = True
    """Clip the change of the value to ``clip_param`` and take the larger loss."""
    schedule: Literal["adaptive", "fixed"] = "adaptive"
    """"adaptive" steers the learning rate by the KL divergence of every minibatch."""
    desired_kl: float | None = 0.01
    """KL divergence, in nats, that the adaptive schedule aims at; None switches the schedule off."""
    normalize_advantage_per_mini_batch: bool = False
    """Normalize advantages within each minibatch rather than over the rollout."""
    use_mixed_precision: bool = False
    """bfloat16 forward pass and losses."""
    rnd_cfg: dict[str, Any] | None = None
    """Random network distillation."""
    symmetry_cfg: dict[str, Any] | None = None
    """Symmetry augmentation."""
    grad_reduce_bucket_mb: float = 25
    """Largest buffer, in MiB, of one gradient all-reduce in distributed training."""
    share_cnn_encoders: bool = False
    """Let the critic use the actor's CNN encoders."""


def _default_obs_groups() -> dict[str, list[str]]:
    return {"actor": ["policy"], "critic": ["policy"]}


def _default_actor() -> MLPModelCfg:
    return MLPModelCfg(distribution_cfg=GaussianDistributionCfg())


@dataclasses.dataclass
class OnPolicyRunnerCfg(Cfg):
    """Everything a training run needs besides its environment."""

    ignored_keys: ClassVar[tuple[str, ...]] = ("multi_gpu",)

    class_name: str = "OnPolicyRunner"
    """Class name of the runner, or ``"module:Class"``."""
    seed: int = 42
    """Seed of the environment, of the initial weights and of everything sampled."""
    max_iterations: int = 1000
    """Iterations of one training run; one iteration is one rollout and one update."""
    num_steps_per_env: int = 24
    """Steps of every environment per rollout (T)."""
    save_interval: int = 50
    """Iterations between checkpoints."""
    obs_groups: dict[str, list[str]] = dataclasses.field(default_factory=_default_obs_groups)
    """Observation set ("actor", "critic") to the observation groups of the environment it is made of."""
    actor: MLPModelCfg = dataclasses.field(default_factory=_default_actor)
    """The policy."""
    critic: MLPModelCfg = dataclasses.field(default_factory=MLPModelCfg)
    """The value function."""
    algorithm: PPOCfg = dataclasses.field(default_factory=PPOCfg)
    """The learning algorithm."""
    logger: str | dict[str, str | int | float | bool] = "tensorboard"
    """Log writer: "tensorboard", or a dictionary with ``class_name`` and the writer's arguments."""
    check_for_nan: bool = True
    """Raise an error as soon as the environment returns NaN."""
    torch_compile_mode: str | None = None
    """Mode of ``torch.compile`` for the models; None runs them as they are."""
    experiment_name: str = ""
    """Folder of the experiment under the log root; empty stands for the name of the task."""
    run_name: str = ""
    """Suffix of the run's folder, also printed with every iteration."""
    init_at_random_ep_len: bool = True
    """Start the environments at random points of their first episode."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message: which valid name is meant, else all of them."""
    names = list(valid)
    match = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{match[0]}'?" if match else f"valid: {', '.join(names)}"


def _to_plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Cfg):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(cls: type[_CfgT], values: Mapping[str, Any], path: str) -> _CfgT:
    if not isinstance(values, Mapping):
        raise TypeError(f"{cls.__name__}: `{path.rstrip('.') or 'values'}` must be a dict, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key in cls.ignored_keys:
            continue
        if key not in names:
            raise ValueError(f"{cls.__name__}: unknown key '{path}{key}'; {nearest(str(key), names)}")
        arguments[key] = _to_typed(hints[key], value, f"{path}{key}", cls.__name__)
    return cls(**arguments)


def _to_typed(hint: Any, value: Any, path: str, owner: str) -> Any:  # noqa: ANN401
    """Convert a plain value to the declared type: nested configurations, tuples, and copies of containers.

    Names (str, Literal) are not compared here: who looks them up knows the nearest valid one.
    """
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    for option in options:
        if isinstance(option, type) and issubclass(option, Cfg):
            return value if isinstance(value, option) else _from_plain(option, value, f"{path}.")
        if typing.get_origin(option) is tuple:
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{owner}: `{path}` must be a sequence of numbers, got {value!r}")
            item_types = typing.get_args(option)
            item_types = item_types[:1] * len(value) if item_types[-1] is Ellipsis else item_types
            if len(value) != len(item_types):
                raise ValueError(f"{owner}: `{path}` must have {len(item_types)} numbers, got {list(value)}")
            typed = zip(item_types, value, strict=True)
            return tuple(_to_typed(kind, item, f"{path}[{i}]", owner) for i, (kind, item) in enumerate(typed))
        if option in _SCALARS:
            accepted, name = _SCALARS[option]
            if not isinstance(value, accepted) or (isinstance(value, bool) and option is not bool):
                raise ValueError(f"{owner}: `{path}` must be {name}, got {value!r}")
    return _to_plain(value)
