# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Contiguous time-major buffers of one rollout, and the batches that are made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import attrgetter, is_
from typing import Any, TypeAlias, TypeVar

import torch
from tensordict import TensorDict

from rslcore import ops
from rslcore.storage import records
from rslcore.storage.hidden_states import first_hidden_state, hidden_state_at
from rslcore.storage.records import Batch, HiddenState, Slot, Transition
from rslcore.storage.shuffled_rows import Rooms, ShuffledRows
from rslcore.utils import StreamSeed, is_set, without_gradient
from rslcore.utils.trajectories import rollout_masks, trajectory_masks

TRAINING_TYPES = ("rl", "distillation")

_STEP_FIELDS = {
    "rl": ("actions", "rewards", "dones", "values", "actions_log_prob"),
    "distillation": ("actions", "rewards", "dones", "privileged_actions"),
}
"""Fields of a step that are one tensor, by training type."""

_PER_ENV = ("rewards", "dones", "actions_log_prob")
"""Fields of a step that are a number per environment, [N]; their buffers are [T, N, 1]."""

_T = TypeVar("_T")


class RolloutStorage:
    """The transitions of one rollout of T steps in N environments; names as in rsl_rl 5.5.1.

    All buffers are [T, N, ...] and contiguous: ``observations`` (a TensorDict, groups in their own dtype), ``actions``
    [T, N, A], ``rewards`` [T, N, 1] and ``dones`` (uint8, 1 where those given were not 0) [T, N, 1]. For reinforcement
    learning also ``values``, ``actions_log_prob``, ``returns``, ``advantages``, each [T, N, 1], and
    ``distribution_params``, a tuple of [T, N, ...] made at the first transition; for distillation
    ``privileged_actions`` [T, N, A]. Of recurrent models ``saved_hidden_state_a`` (actor) and ``saved_hidden_state_c``
    (critic) are lists of [T, layers, N, H], made at the first transition that has hidden states.

    ``seed`` and ``offset`` are the whole state of the shuffling: the minibatches of one update follow from them.
    """

    Transition: TypeAlias = records.Transition
    Batch: TypeAlias = records.Batch

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
            training_type: "rl" (reinforcement learning) or "distillation".
            num_envs: Number of environments N.
            num_transitions_per_env: Steps per rollout T.
            obs: Example observations, [N, ...] per group; shapes and dtypes are taken from them.
            actions_shape: Shape of one action, e.g. [A].
            device: Device of all buffers.
            seed: Seed of the shuffling; by default one that follows from the state of torch's generator when the first
                transition is stored, another one for every storage (:class:`rslcore.utils.StreamSeed`).

        Raises:
            ValueError: ``training_type`` is neither.
        """
        if training_type not in TRAINING_TYPES:
            raise ValueError(f"RolloutStorage: `training_type` must be 'rl' or 'distillation', got '{training_type}'")
        self.training_type = training_type
        self.num_envs = num_envs
        self.num_transitions_per_env = num_transitions_per_env
        self.actions_shape = actions_shape
        self.device = device
        self.stream_seed = StreamSeed(seed)
        self.offset = 0
        self.counter: torch.Tensor | None = None
        """Where it is set, int64 [] on the device: permutations are drawn under it and advance it, beside `offset`."""

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
        if training_type == "rl":
            self.values = torch.zeros(*leading, 1, device=device)
            self.actions_log_prob = torch.zeros(*leading, 1, device=device)
            self.returns = torch.zeros(*leading, 1, device=device)
            self.advantages = torch.zeros(*leading, 1, device=device)
            self.distribution_params: tuple[torch.Tensor, ...] | None = None
        else:
            self.privileged_actions = torch.zeros(*leading, *actions_shape, device=device)
        self.saved_hidden_state_a: list[torch.Tensor] | None = None
        self.saved_hidden_state_c: list[torch.Tensor] | None = None

        self.step = 0
        """Transitions stored so far; where the next one goes."""
        self._current: tuple[int, Slot] | None = None
        self._slots: list[Slot | None] = []
        self._slot_buffers: tuple[torch.Tensor, ...] = ()
        self._rooms = Rooms()
        self._shuffled_rows = ShuffledRows(self._rooms)

    @property
    def seed(self) -> int:
        """Seed of the shuffling."""
        return self.stream_seed.value

    @seed.setter
    def seed(self, seed: int) -> None:
        self.stream_seed = StreamSeed(seed)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the slots: those of a copy must be views of its own buffers."""
        return {**vars(self), "_current": None, "_slots": [], "_slot_buffers": ()}

    def slot(self) -> Slot:
        """Return where the current step is kept, the same object in every rollout.

        Raises:
            OverflowError: T transitions are stored already.
        """
        if self._current is not None and self._current[0] == self.step:
            return self._current[1]
        if self.step >= self.num_transitions_per_env:
            raise OverflowError(
                f"RolloutStorage: all {self.num_transitions_per_env} transitions are stored; call clear() before adding"
            )
        buffers = self._buffers()
        if len(buffers) != len(self._slot_buffers) or not all(map(is_, buffers, self._slot_buffers)):
            self._slots, self._slot_buffers = [None] * self.num_transitions_per_env, buffers
        slot = self._slots[self.step]
        if slot is None:
            slot = self._slots[self.step] = self._make_slot(self.step)
        self._current = self.step, slot
        return slot

    def make_distribution_params(self, distribution_params: Sequence[torch.Tensor]) -> None:
        """Make the buffers of the distribution parameters for tensors like these, [N, ...], unless there are some."""
        if self.distribution_params is None:
            self.distribution_params = tuple(self._buffer_for(params) for params in distribution_params)
            self._current = None

    @without_gradient
    def store_observations(self, obs: TensorDict) -> TensorDict:
        """Copy the observations of the current step into the buffer, before the environment may overwrite them.

        Returns:
            The stored copy [N, ...] per group: a view of the buffer, to be put into the transition.

        Raises:
            OverflowError: T transitions are stored already.
            ValueError: A group has another shape than the buffer.
        """
        slot = self.slot()
        for group, target in slot.groups.items():
            source = obs[group]
            if source.shape != target.shape:
                raise _misfit(f"observations['{group}']", source, target)
            target.copy_(source)
        return slot.observations

    @without_gradient
    def add_transition(self, transition: Transition) -> None:
        """Copy a transition into the buffers and go on to the next step.

        Fields that are views of :meth:`slot` are left as they are.

        Raises:
            OverflowError: T transitions are stored already.
            ValueError: A field is missing, or has another shape than the buffer.
        """
        names = _STEP_FIELDS[self.training_type]
        observations = _given("observations", transition.observations)
        fields = [_given(name, getattr(transition, name)) for name in names]
        slot = self.slot()
        if self.training_type == "rl":
            params = _given("distribution_params", transition.distribution_params)
            if self.distribution_params is None:
                self.make_distribution_params(params)
                slot = self.slot()
            self._store_distribution_params(params, slot.distribution_params)
        if observations is not slot.observations:
            self.store_observations(observations)
        for name, value in zip(names, fields, strict=True):
            target = getattr(slot, name)
            if value is target:
                continue
            if name == "dones":
                value = is_set(value)
            if value.shape != target.shape and name in _PER_ENV:
                value, target = value.reshape(-1, 1), target.unsqueeze(-1)
            _copy(name, value, target)
        actor, critic = transition.hidden_states
        self.saved_hidden_state_a = self._store_hidden_state(actor, self.saved_hidden_state_a)
        self.saved_hidden_state_c = self._store_hidden_state(critic, self.saved_hidden_state_c)
        self._current = None
        self.step += 1

    def clear(self) -> None:
        """Start the next rollout: the buffers are overwritten from their beginning."""
        self._current = None
        self.step = 0

    def draw_permutation(self, n: int) -> torch.Tensor:
        """Return the next random permutation of 0..n-1, int64 [n], and advance ``offset``."""
        counter = self.counter
        index = ops.permutation(
            n, seed=self.seed, offset=self.offset if counter is None else counter, device=self.device
        )
        if counter is not None:
            counter += 1
        self.offset += 1
        return index

    def generator(self) -> Iterator[Batch]:
        """Yield the steps of the rollout in their order: observations, privileged actions and dones of each.

        Raises:
            ValueError: The storage is not for distillation.
        """
        self._check_training_type("generator", "distillation")
        for step in range(self.num_transitions_per_env):
            yield Batch(
                observations=self.observations[step],
                privileged_actions=self.privileged_actions[step],
                dones=self.dones[step],
            )

    def mini_batch_generator(
        self,
        num_mini_batches: int,
        num_epochs: int = 8,
        permutation: torch.Tensor | None = None,
        *,
        reshuffle: bool = False,
    ) -> Iterator[Batch]:
        """Yield the minibatches of one update: the T * N rows shuffled and cut into pieces.

        The rows are copied in their new order into buffers that are kept for the next update, so every minibatch is
        contiguous. Of T * N rows, those that do not fill the last minibatch (at the end of the buffers) are dropped,
        as in rsl_rl 5.5.1.

        Args:
            num_mini_batches: Minibatches per epoch.
            num_epochs: How often all of them are yielded.
            permutation: Order of the rows, int64 [num_mini_batches * b]; by default :meth:`draw_permutation`.
            reshuffle: Whether every epoch draws another permutation, and its minibatches overwrite those of the last.
                By default all epochs have the same minibatches, as in rsl_rl 5.5.1.

        Raises:
            ValueError: There are fewer rows than minibatches, nothing was stored yet, the storage is not for
                reinforcement learning, or a permutation is given that ``reshuffle`` would not use.
        """
        total = self.num_transitions_per_env * self.num_envs
        size = self._mini_batch_size("mini_batch_generator", num_mini_batches, total, "T * N")
        if reshuffle and permutation is not None:
            raise ValueError("RolloutStorage: `permutation` must be None with `reshuffle`, which draws one per epoch")
        rows = num_mini_batches * size
        if permutation is not None and permutation.shape != (rows,):
            raise ValueError(f"RolloutStorage: `permutation` must be [{rows}], got {list(permutation.shape)}")
        batches: list[Batch] = []
        for _ in range(num_epochs):
            if reshuffle or not batches:
                index = self.draw_permutation(rows) if permutation is None else permutation
                batches = [self._batch_of(fields, size) for fields in self._shuffled(index, size)]
            for batch in batches:  # copies, as the fields of a batch may be replaced
                yield batch.copy()

    def recurrent_mini_batch_generator(
        self, num_mini_batches: int, num_epochs: int = 8, *, padded: bool = True
    ) -> Iterator[Batch]:
        """Yield the minibatches of one update of recurrent models: N / num_mini_batches environments each.

        Minibatch i has the i-th n environments in all their steps (in their order; a rest that fills no minibatch is
        dropped), with observations and hidden states of the K trajectories that they went through: as in rsl_rl 5.5.1.
        Observations are padded once, for all epochs; other fields are views of the buffers. The device is waited for
        once.

        Args:
            num_mini_batches: Minibatches per epoch.
            num_epochs: How often all of them are yielded.
            padded: Whether rollouts are cut into trajectories, as in rsl_rl 5.5.1. Otherwise observations are views of
                the buffers too, hidden states those before the first step, and the masks tell where episodes end
                (``rslcore.utils.dones_of``), for models that reset their state on the way.

        Raises:
            ValueError: There are fewer environments than minibatches, nothing was stored yet, or the storage is not
                for reinforcement learning.
        """
        size = self._mini_batch_size("recurrent_mini_batch_generator", num_mini_batches, self.num_envs, "N")
        trajectories = self._padded(num_mini_batches, size) if padded else self._uncut(num_mini_batches, size)
        for _ in range(num_epochs):
            for i, (observations, hidden_states, masks) in enumerate(trajectories):
                envs = slice(i * size, (i + 1) * size)
                yield Batch(
                    observations=observations,
                    actions=self.actions[:, envs],
                    values=self.values[:, envs],
                    advantages=self.advantages[:, envs],
                    returns=self.returns[:, envs],
                    old_actions_log_prob=self.actions_log_prob[:, envs],
                    old_distribution_params=tuple(params[:, envs] for params in self.distribution_params or ()),
                    hidden_states=hidden_states,
                    masks=masks,
                )

    def state_dict(self) -> dict[str, int]:
        """Return the state of the shuffling; the rollout itself is not part of it."""
        return {"seed": self.stream_seed.foreseen(), "offset": self.offset}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue the shuffling from a state."""
        self.seed, self.offset = int(state["seed"]), int(state["offset"])

    def _buffers(self) -> tuple[torch.Tensor, ...]:
        """The buffers that slots are views of, as they are now: a subclass may put others in their place."""
        fixed: tuple[torch.Tensor, ...] = attrgetter(*_STEP_FIELDS[self.training_type])(self)
        params = self.distribution_params if self.training_type == "rl" else None
        return (*fixed, *(params or ()), *self.observations.values())

    def _make_slot(self, step: int) -> Slot:
        _ = self.seed  # training begins: a seed set from now on is for what comes later
        with torch.inference_mode(False), torch.no_grad():
            fields = {name: getattr(self, name)[step] for name in _STEP_FIELDS[self.training_type]}
            fields |= {name: fields[name].squeeze(-1) for name in _PER_ENV if name in fields}
            observations = self.observations[step]
            params = self.distribution_params if self.training_type == "rl" else None
            params = tuple(buffer[step] for buffer in params or ())
            return Slot(observations, dict(observations.items()), distribution_params=params, **fields)

    def _check_training_type(self, method: str, expected: str) -> None:
        if self.training_type != expected:
            raise ValueError(
                f"RolloutStorage: `training_type` must be '{expected}' for {method}(), got '{self.training_type}'"
            )

    def _mini_batch_size(self, method: str, num_mini_batches: int, total: int, what: str) -> int:
        """Rows or environments per minibatch, at least one."""
        self._check_training_type(method, "rl")
        if not 1 <= num_mini_batches <= total:
            raise ValueError(
                f"RolloutStorage: `num_mini_batches` must be at least 1 and at most {what} = {total}, "
                f"got {num_mini_batches}"
            )
        if self.distribution_params is None:
            raise ValueError("RolloutStorage: transitions must be stored before minibatches are drawn, got none")
        return total // num_mini_batches

    def _store_distribution_params(
        self, distribution_params: tuple[torch.Tensor, ...], targets: tuple[torch.Tensor, ...]
    ) -> None:
        """Copy them into the buffers of the current step."""
        if distribution_params is targets:
            return
        if len(distribution_params) != len(targets):
            raise ValueError(
                f"RolloutStorage: `distribution_params` must be {len(targets)} tensors as at the first transition, "
                f"got {len(distribution_params)}"
            )
        for params, target in zip(distribution_params, targets, strict=True):
            _copy("distribution_params", params, target)

    def _store_hidden_state(self, state: HiddenState, saved: list[torch.Tensor] | None) -> list[torch.Tensor] | None:
        """Copy a model's hidden state into its buffers, which the first one makes; no state is a state of zeros."""
        if state is None:
            for buffer in saved or ():
                buffer[self.step].zero_()
            return saved
        parts = (state,) if isinstance(state, torch.Tensor) else state
        if saved is None:
            saved = [self._buffer_for(part) for part in parts]
        if len(parts) != len(saved):
            raise ValueError(f"RolloutStorage: `hidden_states` must have {len(saved)} tensors, got {len(parts)}")
        for part, buffer in zip(parts, saved, strict=True):
            _copy("hidden_states", part, buffer[self.step])
        return saved

    def _buffer_for(self, example: torch.Tensor) -> torch.Tensor:
        """Zeros for T such tensors; also where they come from a rollout in inference mode, an ordinary tensor."""
        with torch.inference_mode(False):
            shape = (self.num_transitions_per_env, *example.shape)
            return torch.zeros(shape, dtype=example.dtype, device=self.device)

    def _shuffled(self, index: torch.Tensor, size: int) -> list[dict[str, torch.Tensor]]:
        """All fields of a minibatch, in the order of `index` and cut into pieces of `size` rows."""
        buffers = {
            "actions": self.actions,
            "values": self.values,
            "advantages": self.advantages,
            "returns": self.returns,
            "actions_log_prob": self.actions_log_prob,
        }
        for k, params in enumerate(self.distribution_params or ()):
            buffers[f"distribution_params.{k}"] = params
        for group, buffer in self.observations.items():
            buffers[f"observations.{group}"] = buffer
        return self._shuffled_rows.cut(buffers, index, size)

    def _batch_of(self, fields: dict[str, torch.Tensor], size: int) -> Batch:
        """The minibatch that shuffled fields make."""
        observations = {group: fields[f"observations.{group}"] for group in self.observations.keys()}  # noqa: SIM118
        return Batch(
            observations=TensorDict(observations, batch_size=[size], device=self.device),
            actions=fields["actions"],
            values=fields["values"],
            advantages=fields["advantages"],
            returns=fields["returns"],
            old_actions_log_prob=fields["actions_log_prob"],
            old_distribution_params=tuple(
                fields[f"distribution_params.{k}"] for k in range(len(self.distribution_params or ()))
            ),
        )

    def _padded(
        self, num_mini_batches: int, size: int
    ) -> list[tuple[TensorDict, tuple[HiddenState, HiddenState], torch.Tensor]]:
        """Padded observations, hidden states and masks of minibatches of `size` environments."""
        num_steps, num_envs = self.num_transitions_per_env, self.num_envs
        split = ops.split_trajectories(self.dones)
        bounds = split.offsets[: num_mini_batches * size + 1 : size].tolist()
        padded = {
            group: self._rooms.room(f"padded.{group}", buffer, (bounds[-1] * num_steps, *buffer.shape[2:]))
            for group, buffer in self.observations.items()
        }
        batches = []
        for i, (first, last) in enumerate(pairwise(bounds)):
            starts, lengths = split.starts[first:last], split.lengths[first:last]
            observations = {}
            for group, room in padded.items():
                target = room[first * num_steps : last * num_steps].unflatten(0, (num_steps, last - first))
                observations[group] = ops.pad_trajectories(self.observations[group], starts, lengths, out=target)
            hidden_states = (
                hidden_state_at(self.saved_hidden_state_a, starts, num_envs),
                hidden_state_at(self.saved_hidden_state_c, starts, num_envs),
            )
            steps = starts.div(num_envs, rounding_mode="floor")
            own_starts = starts - steps * (num_envs - size) - i * size  # rows of the minibatch's own [T, n]
            masks = trajectory_masks(own_starts, lengths, num_steps=num_steps, num_envs=size)
            batch_size = [num_steps, last - first]
            batches.append((TensorDict(observations, batch_size=batch_size, device=self.device), hidden_states, masks))
        return batches

    def _uncut(
        self, num_mini_batches: int, size: int
    ) -> list[tuple[TensorDict, tuple[HiddenState, HiddenState], torch.Tensor]]:
        """Observations, hidden states before the first step, and masks of minibatches of `size` environments."""
        batches = []
        for first in range(0, num_mini_batches * size, size):
            envs = slice(first, first + size)
            states = (
                first_hidden_state(self.saved_hidden_state_a, envs),
                first_hidden_state(self.saved_hidden_state_c, envs),
            )
            masks = rollout_masks(self.dones[:, envs, 0].contiguous())
            batches.append((self.observations[:, envs], states, masks))
        return batches


def _given(name: str, value: _T | None) -> _T:
    if value is None:
        raise ValueError(f"RolloutStorage: the transition must have `{name}`, got None")
    return value


def _copy(name: str, source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy without broadcasting."""
    if source.shape != target.shape:
        raise _misfit(name, source, target)
    target.copy_(source)


def _misfit(name: str, source: torch.Tensor, target: torch.Tensor) -> ValueError:
    return ValueError(f"RolloutStorage: `{name}` must be {list(target.shape)}, got {list(source.shape)}")
