# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Contiguous time-major buffers of one rollout, and shuffled minibatches from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from tensordict import TensorDict

from rslcore import ops

_T = TypeVar("_T")


class RolloutStorage:
    """The transitions of one rollout of T steps in N environments; names as in rsl_rl 5.5.1.

    All buffers are [T, N, ...] and contiguous: ``observations`` (a TensorDict, groups in their own dtype), ``actions``
    [T, N, A], ``dones`` (uint8), ``rewards``, ``values``, ``actions_log_prob``, ``returns``, ``advantages``, each
    [T, N, 1], and ``distribution_params``, a tuple of [T, N, ...] made at the first transition.

    ``seed`` and ``offset`` are the whole state of the shuffling: the minibatches of one update follow from them.
    """

    @dataclasses.dataclass
    class Transition:
        """One step of all environments, filled in piece by piece."""

        observations: TensorDict | None = None
        """Observations acted on, [N, ...] per group."""
        actions: torch.Tensor | None = None
        """Actions [N, A]."""
        rewards: torch.Tensor | None = None
        """Rewards [N]."""
        dones: torch.Tensor | None = None
        """Episode ended on this step [N]."""
        values: torch.Tensor | None = None
        """Values of the observations [N, 1]."""
        actions_log_prob: torch.Tensor | None = None
        """Log-probability density of the actions [N]."""
        distribution_params: tuple[torch.Tensor, ...] | None = None
        """Parameters of the distribution the actions were drawn from, each [N, ...]."""
        hidden_states: tuple[Any, Any] = (None, None)
        """Hidden states of actor and critic; (None, None) for models without."""

        def clear(self) -> None:
            """Forget everything."""
            for field in dataclasses.fields(self):
                setattr(self, field.name, field.default)

    @dataclasses.dataclass
    class Batch:
        """One minibatch of b rows. Its tensors are views that the next epoch yields again: do not write to them."""

        observations: TensorDict
        """Observations, [b, ...] per group."""
        actions: torch.Tensor
        """Actions [b, A]."""
        values: torch.Tensor
        """Values at the time of the rollout [b, 1]."""
        advantages: torch.Tensor
        """Advantages [b, 1]."""
        returns: torch.Tensor
        """Returns [b, 1]."""
        old_actions_log_prob: torch.Tensor
        """Log-probability density of the actions at the time of the rollout [b, 1]."""
        old_distribution_params: tuple[torch.Tensor, ...]
        """Parameters of the action distribution at the time of the rollout, each [b, ...]."""
        hidden_states: tuple[Any, Any] = (None, None)
        """Hidden states of actor and critic; (None, None) for models without."""
        masks: torch.Tensor | None = None
        """Valid steps of padded trajectories; None where nothing is padded."""

    def __init__(
        self,
        training_type: str,
        num_envs: int,
        num_transitions_per_env: int,
        obs: TensorDict,
        actions_shape: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        seed: int | None = None,
    ) -> None:
        """Allocate the buffers.

        Args:
            training_type: "rl".
            num_envs: Number of environments N.
            num_transitions_per_env: Steps per rollout T.
            obs: Example observations, [N, ...] per group; shapes and dtypes are taken from them.
            actions_shape: Shape of one action, e.g. [A].
            device: Device of all buffers.
            seed: Seed of the shuffling; by default the one torch's global generator was seeded with.

        Raises:
            ValueError: ``training_type`` is not "rl".
        """
        if training_type != "rl":
            raise ValueError(f"RolloutStorage: `training_type` must be 'rl' in this version, got '{training_type}'")
        self.training_type = training_type
        self.num_envs = num_envs
        self.num_transitions_per_env = num_transitions_per_env
        self.actions_shape = actions_shape
        self.device = device
        self.seed = torch.initial_seed() & (2**63 - 1) if seed is None else seed
        self.offset = 0

        leading = (num_transitions_per_env, num_envs)
        self.observations = TensorDict(
            {
                group: torch.zeros(num_transitions_per_env, *example.shape, dtype=example.dtype, device=device)
                for group, example in obs.items()
            },
            batch_size=leading,
            device=device,
        )
        self.actions = torch.zeros(*leading, *actions_shape, device=device)
        self.rewards = torch.zeros(*leading, 1, device=device)
        self.dones = torch.zeros(*leading, 1, dtype=torch.uint8, device=device)
        self.values = torch.zeros(*leading, 1, device=device)
        self.actions_log_prob = torch.zeros(*leading, 1, device=device)
        self.returns = torch.zeros(*leading, 1, device=device)
        self.advantages = torch.zeros(*leading, 1, device=device)
        self.distribution_params: tuple[torch.Tensor, ...] | None = None

        self.step = 0
        """Transitions stored so far; where the next one goes."""
        self._stored_observations: TensorDict | None = None
        self._shuffled: dict[str, torch.Tensor] = {}

    def store_observations(self, obs: TensorDict) -> TensorDict:
        """Copy the observations of the current step into the buffer, before the environment may overwrite them.

        Returns:
            The stored copy [N, ...] per group: a view of the buffer, to be put into the transition.

        Raises:
            OverflowError: T transitions are stored already.
            ValueError: A group has another shape than the buffer.
        """
        self._check_room()
        for group, buffer in self.observations.items():
            _copy(f"observations['{group}']", obs[group], buffer[self.step])
        self._stored_observations = self.observations[self.step]
        return self._stored_observations

    def add_transition(self, transition: Transition) -> None:
        """Copy a transition into the buffers and go on to the next step.

        Raises:
            OverflowError: T transitions are stored already.
            ValueError: A field is missing, or has another shape than the buffer.
        """
        self._check_room()
        step = self.step
        observations = _given("observations", transition.observations)
        actions = _given("actions", transition.actions)
        rewards = _given("rewards", transition.rewards)
        dones = _given("dones", transition.dones)
        values = _given("values", transition.values)
        log_prob = _given("actions_log_prob", transition.actions_log_prob)
        distribution_params = _given("distribution_params", transition.distribution_params)
        if observations is not self._stored_observations:
            self.store_observations(observations)
        _copy("actions", actions, self.actions[step])
        _copy("rewards", rewards.view(-1, 1), self.rewards[step])
        _copy("dones", dones.view(-1, 1), self.dones[step])
        _copy("values", values, self.values[step])
        _copy("actions_log_prob", log_prob.view(-1, 1), self.actions_log_prob[step])
        if self.distribution_params is None:
            with torch.inference_mode(False):
                self.distribution_params = tuple(
                    torch.zeros(self.num_transitions_per_env, *params.shape, dtype=params.dtype, device=self.device)
                    for params in distribution_params
                )
        for params, buffer in zip(distribution_params, self.distribution_params, strict=True):
            _copy("distribution_params", params, buffer[step])
        self._stored_observations = None
        self.step += 1

    def clear(self) -> None:
        """Start the next rollout: the buffers are overwritten from their beginning."""
        self.step = 0
        self._stored_observations = None

    def draw_permutation(self, n: int) -> torch.Tensor:
        """Return the next random permutation of 0..n-1, int64 [n], and advance ``offset``."""
        index = ops.permutation(n, seed=self.seed, offset=self.offset, device=self.device)
        self.offset += 1
        return index

    def mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8, permutation: torch.Tensor | None = None
    ) -> Iterator[Batch]:
        """Yield the minibatches of one update: the T * N rows shuffled once, the same partition in every epoch.

        The rows are copied in their new order into buffers that are kept for the next update, so every minibatch is
        contiguous. Of T * N rows, those that do not fill the last minibatch (at the end of the buffers) are dropped,
        as in rsl_rl 5.5.1.

        Args:
            num_mini_batches: Minibatches per epoch.
            num_epochs: How often all of them are yielded.
            permutation: Order of the rows, int64 [num_mini_batches * b]; by default :meth:`draw_permutation`.

        Raises:
            ValueError: There are fewer rows than minibatches, or nothing was stored yet.
        """
        total = self.num_transitions_per_env * self.num_envs
        batch_size = total // num_mini_batches
        if batch_size == 0:
            raise ValueError(
                f"RolloutStorage: `num_mini_batches` must be at most T * N = {total}, got {num_mini_batches}"
            )
        if self.distribution_params is None:
            raise ValueError("RolloutStorage: transitions must be stored before minibatches are drawn, got none")
        rows = num_mini_batches * batch_size
        index = self.draw_permutation(rows) if permutation is None else permutation
        fields = self._fields()
        shuffled = ops.shuffle_rows(fields, index, out=self._shuffle_buffers(fields, rows))
        pieces = {name: buffer.split(batch_size) for name, buffer in shuffled.items()}
        groups = list(self.observations.keys())
        observations = [
            TensorDict(
                {group: pieces[f"observations.{group}"][i] for group in groups},
                batch_size=[batch_size],
                device=self.device,
            )
            for i in range(num_mini_batches)
        ]
        for _ in range(num_epochs):
            for i in range(num_mini_batches):
                yield RolloutStorage.Batch(
                    observations=observations[i],
                    actions=pieces["actions"][i],
                    values=pieces["values"][i],
                    advantages=pieces["advantages"][i],
                    returns=pieces["returns"][i],
                    old_actions_log_prob=pieces["actions_log_prob"][i],
                    old_distribution_params=tuple(
                        pieces[f"distribution_params.{k}"][i] for k in range(len(self.distribution_params))
                    ),
                )

    def state_dict(self) -> dict[str, int]:
        """Return the state of the shuffling; the rollout itself is not part of it."""
        return {"seed": self.seed, "offset": self.offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue the shuffling from a state."""
        self.seed, self.offset = int(state["seed"]), int(state["offset"])

    def _check_room(self) -> None:
        if self.step >= self.num_transitions_per_env:
            raise OverflowError(
                f"RolloutStorage: all {self.num_transitions_per_env} transitions are stored; call clear() before adding"
            )

    def _fields(self) -> dict[str, torch.Tensor]:
        """What minibatches are made of, each [T * N, ...]."""
        buffers = {
            "actions": self.actions,
            "values": self.values,
            "advantages": self.advantages,
            "returns": self.returns,
            "actions_log_prob": self.actions_log_prob,
        }
        buffers |= {f"distribution_params.{k}": params for k, params in enumerate(self.distribution_params or ())}
        buffers |= {f"observations.{group}": buffer for group, buffer in self.observations.items()}
        return {name: buffer.flatten(0, 1) for name, buffer in buffers.items()}

    def _shuffle_buffers(self, fields: dict[str, torch.Tensor], rows: int) -> dict[str, torch.Tensor]:
        """Buffers [rows, ...] like the fields: those of the last update where they still fit."""
        for name, field in fields.items():
            buffer = self._shuffled.get(name)
            shape = (rows, *field.shape[1:])
            if buffer is None or buffer.shape != shape or buffer.dtype != field.dtype or buffer.device != field.device:
                self._shuffled[name] = torch.empty(shape, dtype=field.dtype, device=field.device)
        return {name: self._shuffled[name] for name in fields}


def _given(name: str, value: _T | None) -> _T:
    if value is None:
        raise ValueError(f"RolloutStorage: the transition must have `{name}`, got None")
    return value


def _copy(name: str, source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy without broadcasting."""
    if source.shape != target.shape:
        raise ValueError(f"RolloutStorage: `{name}` must be {list(target.shape)}, got {list(source.shape)}")
    target.copy_(source)
