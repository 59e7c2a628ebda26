# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Environments on batched arrays of any library (NumPy, JAX, CuPy, torch) as a `VecEnv`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from rslcore.env.actions import ActionMap, CategoricalActions, ContinuousActions
from rslcore.env.adapter import AdapterVecEnv, Groups, Outcome
from rslcore.env.spaces import DEFAULT_GROUP, seems_channels_last


class ArrayEnv(Protocol):
    """What `ArrayVecEnv` wraps: N environments whose states, actions and observations are arrays [N, ...].

    Observations are one array [N, D], or a mapping of observation group to array. Images are [N, C, H, W] and stay
    uint8; all other types become float32.
    """

    def reset(self, seed: int | None = None, mask: Any = None) -> Any:  # noqa: ANN401
        """Begin new episodes and return the observations of all N environments.

        Args:
            seed: Seed of the random numbers, None to go on with the present ones.
            mask: bool [N], where to begin a new episode; None for all. Only used, and only needs to be accepted, with
                ``autoreset="disabled"``. Other environments must stay as they are.
        """

    def step(self, actions: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """Take one step.

        Args:
            actions: In the array library of the observations: float32 [N, A], or int32 [N] (several choices: [N, K]).

        Returns:
            observations, rewards [N], terminated [N], truncated [N], and optionally a dict that may hold "final_obs",
            observations before the reset (valid where an episode ended), and "log", a dict of numbers.
        """


class ArrayVecEnv(AdapterVecEnv):
    """An `ArrayEnv` as a `VecEnv`.

    Arrays are taken over through DLPack, without a copy where they cannot change any more, as those of JAX. Arrays of
    NumPy, CuPy and torch are copied: an environment may write its next observations into the same memory.
    """

    def __init__(
        self,
        envs: ArrayEnv,
        num_envs: int,
        *,
        num_actions: int | None = None,
        num_categories: int | Sequence[int] | None = None,
        action_range: tuple[Any, Any] | None = None,
        action_mode: str = "clip",
        max_episode_length: int,
        autoreset: str = "same_step",
        seed: int | None = 0,
        device: torch.device | str | None = None,
        copy: bool | None = None,
        step_dt: float | None = None,
        cfg: Any = None,  # noqa: ANN401
    ) -> None:
        """Wrap the environments and reset them.

        Args:
            envs: The environments.
            num_envs: Their number N.
            num_actions: Continuous actions: number of dimensions A.
            num_categories: Discrete actions: number of categories, one int for one choice, several for several.
            action_range: Lower and upper bounds of continuous actions, numbers or [A].
            action_mode: What happens to continuous actions: "clip" to the range, "rescale" from [-1, 1] to it, or
                "none".
            max_episode_length: Time limit in env steps. With `autoreset` "disabled" it also cuts episodes off.
            autoreset: "same_step": `envs` begins new episodes itself, within the step that ends the old ones.
                "disabled": it has to be told, by ``reset(mask=...)``.
            seed: Passed to the first reset.
            device: Device of the tensors returned; by default where the arrays are.
            copy: Copy what `envs` returns; by default all arrays but those of JAX.
            step_dt: Duration of one env step, s, where known.
            cfg: Configuration kept for the log.

        Raises:
            ValueError: Not exactly one of `num_actions` and `num_categories` is given, `autoreset` is unknown, or the
                observations are not [N, ...].
            TypeError: The observations are no arrays.
        """
        if autoreset not in ("same_step", "disabled"):
            raise ValueError(f"ArrayVecEnv: `autoreset` must be 'same_step' or 'disabled', got '{autoreset}'")
        self.envs = envs
        """The environments."""
        self._copy = copy
        self._overwritten = False
        """Whether the last step gave as last observations the memory of those after the reset."""
        first = _observations_of(envs.reset(seed=seed))
        sample = next(iter(first.values())) if isinstance(first, Mapping) else first
        self._from_torch = _array_maker(sample)
        host = _tensor("observations", sample, copy=False).device
        super().__init__(
            num_envs,
            _actions(num_actions, num_categories, action_range, action_mode),
            max_episode_length=max_episode_length,
            restarts_rows=autoreset == "disabled",
            resets_in_step=autoreset == "same_step",
            device=host if device is None else device,
            host=host,
            cfg={"envs": type(envs).__name__, "autoreset": autoreset, "seed": seed} if cfg is None else cfg,
        )
        self.step_dt = step_dt
        self._begin(self._groups(first))
        for name, value in self._observations.items():
            if value.dim() == 4 and seems_channels_last(value.shape):
                warnings.warn(
                    f"ArrayVecEnv: observation group '{name}' {list(value.shape)} is taken for images [N, C, H, W] of "
                    f"{value.shape[1]} channels, but seems to be [N, H, W, C]; move the channels to the front",
                    stacklevel=2,
                )

    def close(self) -> None:
        """Close the environments where they can be closed."""
        if hasattr(self.envs, "close"):
            self.envs.close()

    def _start(self, seed: int | None) -> Groups:
        return self._groups(_observations_of(self.envs.reset(seed=seed)))

    def _advance(self, actions: torch.Tensor) -> Outcome:
        observations, rewards, terminated, truncated, *rest = self.envs.step(self._from_torch(actions))
        info = rest[0] if rest else {}
        final_obs = info.get("final_obs")
        self._overwritten = self._resets_in_step and final_obs is not None and _share_memory(final_obs, observations)
        return Outcome(
            self._groups(observations),
            self._row("rewards", rewards).to(torch.float32),
            self._row("terminated", terminated) != 0,
            self._row("truncated", truncated) != 0,
            None if final_obs is None else self._groups(final_obs),
            dict(info.get("log", {})),
        )

    def _restart(self, rows: torch.Tensor, ended: torch.Tensor) -> Groups:
        return self._groups(_observations_of(self.envs.reset(mask=self._from_torch(rows))))

    def _final_obs(self, outcome: Outcome, ended: torch.Tensor) -> Groups | None:
        final_obs = super()._final_obs(outcome, ended)
        if self._overwritten:
            warnings.warn(_OVERWRITTEN, stacklevel=4)
            return None
        if self._copy is False and not self._resets_in_step:  # the reset that follows may write into this memory
            return {name: value.clone() for name, value in (final_obs or {}).items()}
        return final_obs

    def _groups(self, observations: Any) -> Groups:  # noqa: ANN401
        named = observations if isinstance(observations, Mapping) else {DEFAULT_GROUP: observations}
        groups = {}
        for name, value in named.items():
            tensor = _tensor(f"observation group '{name}'", value, self._copy)
            if tensor.dim() < 2 or len(tensor) != self.num_envs:
                raise ValueError(
                    f"ArrayVecEnv: observation group '{name}' must be [{self.num_envs}, ...] with at least 2 "
                    f"dimensions, got {list(tensor.shape)}"
                )
            groups[name] = tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float32)
        return groups

    def _row(self, name: str, value: Any) -> torch.Tensor:  # noqa: ANN401
        tensor = _tensor(name, value, self._copy)
        if tensor.shape != (self.num_envs,):
            raise ValueError(f"ArrayVecEnv.step: `{name}` must be [{self.num_envs}], got {list(tensor.shape)}")
        return tensor


_OVERWRITTEN = (
    "ArrayVecEnv: `final_obs` of an ended episode is the same memory as the observations after the reset, and so holds "
    "these. They are left out; copy the last observations before the reset"
)


def _share_memory(final_obs: Any, observations: Any) -> bool:  # noqa: ANN401
    """Return whether a group of both is the same memory, and of a library whose arrays can change."""
    if not isinstance(observations, Mapping):
        final_obs, observations = {DEFAULT_GROUP: final_obs}, {DEFAULT_GROUP: observations}
    return any(
        not _is_immutable(value) and _tensor(name, value, False).data_ptr() == _tensor(name, final, False).data_ptr()
        for name, value in observations.items()
        if (final := final_obs.get(name)) is not None
    )


def _is_immutable(array: Any) -> bool:  # noqa: ANN401
    return type(array).__module__.partition(".")[0] in ("jax", "jaxlib")


def _observations_of(result: Any) -> Any:  # noqa: ANN401
    """Return the observations out of what a reset returned: Gymnasium's convention has an info behind them."""
    return result[0] if isinstance(result, tuple) else result


def _actions(
    num_actions: int | None,
    num_categories: int | Sequence[int] | None,
    action_range: tuple[Any, Any] | None,
    action_mode: str,
) -> ActionMap:
    if (num_actions is None) == (num_categories is None):
        raise ValueError(
            f"ArrayVecEnv: exactly one of `num_actions` (continuous) and `num_categories` (discrete) must be given, "
            f"got {num_actions} and {num_categories}"
        )
    if num_actions is None:
        return CategoricalActions(num_categories, owner="ArrayVecEnv", dtype=torch.int32)
    low, high = (-np.inf, np.inf) if action_range is None else action_range
    return ContinuousActions((num_actions,), low, high, owner="ArrayVecEnv", mode=action_mode)


def _array_maker(sample: Any) -> Callable[[torch.Tensor], Any]:  # noqa: ANN401
    """Return how to make arrays of the library that `sample` is of."""
    if isinstance(sample, torch.Tensor):
        return lambda tensor: tensor
    if isinstance(sample, np.ndarray):
        return lambda tensor: tensor.numpy()
    if not hasattr(sample, "__dlpack__") or not hasattr(sample, "__array_namespace__"):
        raise TypeError(
            "ArrayVecEnv: observations must be arrays of NumPy, torch or a library with DLPack and the array API "
            f"standard (JAX, CuPy), or a dict of them, got {type(sample).__name__}"
        )
    return sample.__array_namespace__().from_dlpack


def _tensor(name: str, value: Any, copy: bool | None) -> torch.Tensor:  # noqa: ANN401
    """Return an array as a tensor: a copy, or the same memory."""
    if isinstance(value, torch.Tensor):
        return value.detach() if copy is False else value.detach().clone()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if copy is False else value.copy())
    if not hasattr(value, "__dlpack__"):
        raise TypeError(f"ArrayVecEnv: {name} must be an array, got {type(value).__name__}")
    tensor = torch.from_dlpack(value)
    return tensor.clone() if copy or (copy is None and not _is_immutable(value)) else tensor
