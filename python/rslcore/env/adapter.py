# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What the environments of other libraries have in common once they are seen through `VecEnv`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from tensordict import TensorDict

from rslcore.env.actions import ActionMap
from rslcore.env.vec_env import VecEnv

Groups = dict[str, torch.Tensor]
"""Observation group to tensor [N, ...]."""


@dataclass
class Outcome:
    """What one step of a library returned, as tensors on the adapter's host device."""

    observations: Groups
    """After the step, and after the reset where the library resets within the step."""
    rewards: torch.Tensor
    """float32 [N]."""
    terminated: torch.Tensor
    """bool [N], the episode ended in a terminal state."""
    truncated: torch.Tensor
    """bool [N], the episode was cut off."""
    final_obs: Groups | None = None
    """Where the library resets within the step: observations before the reset, valid in rows of ended episodes."""
    log: dict[str, Any] = field(default_factory=dict)
    """Numbers for ``extras["log"]``."""


class AdapterVecEnv(VecEnv):
    """Environments of another library with the semantics of `VecEnv`: every step is a transition of an episode.

    Whatever the library does when an episode ends, here it is same-step autoreset: the step that ends an episode
    returns its last reward, dones 1, the first observations of the next episode, and the true last observations in
    ``extras["final_obs"]``. Libraries that reset on the following step, whose action they then ignore, are made to
    begin the next episode at once, so that this dead step is no step of the rollout.

    * dones: terminated or truncated. time_outs: truncated and not terminated.
    * `episode_length_buf` counts the steps. Where single environments can be reset, an episode is also cut off, as a
      time-out, when the count reaches `max_episode_length`; assigning random counts therefore spreads the ends of the
      first episodes, as it does in robot simulators.
    * ``extras["log"]`` has, on steps that end episodes, the fractions that ended by a terminal state and by the limit.
    """

    max_episode_length: int
    """Time limit in env steps."""
    distribution_cfg: dict[str, Any]
    """The actor's ``distribution_cfg`` that fits the actions."""
    obs_groups: dict[str, list[str]]
    """An ``obs_groups`` for the runner: actor and critic both get all observation groups."""

    def __init__(
        self,
        num_envs: int,
        actions: ActionMap,
        *,
        max_episode_length: int,
        restarts_rows: bool,
        resets_in_step: bool,
        device: torch.device | str,
        host: torch.device | str = "cpu",
        cfg: Any = None,  # noqa: ANN401
    ) -> None:
        """Set up everything but the first observations; the constructor of a subclass ends with `reset`.

        Args:
            num_envs: Number of environments N.
            actions: How actions are turned into those of the library.
            max_episode_length: Time limit in env steps.
            restarts_rows: Whether `_restart` works.
            resets_in_step: Whether the library itself resets ended episodes before its step returns.
            device: Device of the tensors returned.
            host: Device of the tensors that the subclass makes.
            cfg: Configuration, for the log.

        Raises:
            ValueError: `num_envs` or `max_episode_length` is less than 1.
        """
        for name, value in (("num_envs", num_envs), ("max_episode_length", max_episode_length)):
            if value < 1:
                raise ValueError(f"{type(self).__name__}: `{name}` must be at least 1, got {value}")
        self.num_envs = num_envs
        self.num_actions = actions.num_actions
        self.max_episode_length = max_episode_length
        self.distribution_cfg = actions.distribution_cfg
        self.device = torch.device(device)
        self.cfg = {} if cfg is None else cfg
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64, device=host)
        self._to_library_actions = actions
        self._restarts_rows = restarts_rows
        self._resets_in_step = resets_in_step
        self._observations: Groups = {}

    # What an adapter fills in.

    @abstractmethod
    def _start(self, seed: int | None) -> Groups:
        """Begin a new episode in every environment and return its first observations."""

    @abstractmethod
    def _advance(self, actions: torch.Tensor) -> Outcome:
        """Take one step with actions in the library's shape and type, on the host device."""

    def _restart(self, rows: torch.Tensor, ended: torch.Tensor) -> Groups:
        """Begin the next episode where `rows`, bool [N], is set; return observations, valid in these rows.

        Where `ended`, bool [N], is set too, the library itself ended the last one, and the next must be what it would
        have begun by itself: that need not be a full reset (in Atari games with one episode per life the game goes
        on). Elsewhere the episode was cut off, and the library does not know.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release what the library holds: processes, threads, windows. The environment cannot be used any more."""

    # VecEnv.

    def reset(self, seed: int | None = None) -> TensorDict:
        """Begin a new episode in every environment.

        Args:
            seed: Seed of the environments' random numbers; None goes on with the present ones.

        Returns:
            The first observations.
        """
        self._begin(self._start(seed))
        return self.get_observations()

    def get_observations(self) -> TensorDict:
        """Return the current observations; see `VecEnv.get_observations`."""
        return self._to_tensordict(self._observations)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance every environment by one step; see `VecEnv.step` and the class for what ends an episode.

        Raises:
            ValueError: `actions` is not [N, A], or not one of the categories.
        """
        if actions.shape != (self.num_envs, self.num_actions):
            raise ValueError(
                f"{type(self).__name__}.step: `actions` must be [{self.num_envs}, {self.num_actions}], "
                f"got {list(actions.shape)}"
            )
        host = self.episode_length_buf.device
        outcome = self._advance(self._to_library_actions(actions.to(host)))
        self.episode_length_buf += 1
        ended = outcome.terminated | outcome.truncated
        time_outs = outcome.truncated & ~outcome.terminated
        if self._restarts_rows:
            cut = (self.episode_length_buf >= self.max_episode_length) & ~ended
            time_outs = time_outs | cut
        else:
            cut = torch.zeros_like(ended)
        dones = ended | cut

        extras: dict[str, Any] = {"time_outs": time_outs.to(self.device)}
        if bool(dones.any()):
            final_obs = self._final_obs(outcome, ended)
            if final_obs is not None:
                extras["final_obs"] = self._to_tensordict(final_obs)
            to_restart = cut if self._resets_in_step else dones
            if bool(to_restart.any()):
                outcome.observations = _merged(to_restart, self._restart(to_restart, ended), outcome.observations)
            self.episode_length_buf.masked_fill_(dones, 0)
            time_out = time_outs[dones].float().mean()
            outcome.log["Episode_Termination/terminated"] = 1.0 - time_out
            outcome.log["Episode_Termination/time_out"] = time_out
        if outcome.log:
            extras["log"] = outcome.log
        self._observations = outcome.observations
        return self.get_observations(), outcome.rewards.to(self.device), dones.to(self.device), extras

    def _begin(self, observations: Groups) -> None:
        """Take the first observations of new episodes in all environments."""
        self._observations = observations
        self.episode_length_buf = torch.zeros_like(self.episode_length_buf)
        self.obs_groups = {name: list(observations) for name in ("actor", "critic")}

    def _final_obs(self, outcome: Outcome, ended: torch.Tensor) -> Groups | None:
        """The true last observations of every environment, None where the library resets and does not tell them."""
        if not self._resets_in_step or not bool(ended.any()):
            return outcome.observations
        return None if outcome.final_obs is None else _merged(ended, outcome.final_obs, outcome.observations)

    def _to_tensordict(self, groups: Mapping[str, torch.Tensor]) -> TensorDict:
        return TensorDict(
            {name: value.to(self.device) for name, value in groups.items()},
            batch_size=[self.num_envs],
            device=self.device,
        )


def _merged(rows: torch.Tensor, there: Groups, elsewhere: Groups) -> Groups:
    """Take one observation in the rows that are set, another in all others."""
    return {
        name: torch.where(rows.view(-1, *[1] * (value.dim() - 1)), there[name], value)
        for name, value in elsewhere.items()
    }
