# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Poles balanced on carts: the environment that needs no simulator and costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from tensordict import TensorDict

from rslcore import ops
from rslcore.env.vec_env import VecEnv
from rslcore.utils import require

if TYPE_CHECKING:
    import numpy as np


_Step: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class _Slot(NamedTuple):
    """What one step returns."""

    out: _Step
    observations: TensorDict
    final_observations: torch.Tensor | None
    final_obs: TensorDict | None


class CartPoleVecEnv(VecEnv):
    """N environments of P poles, each on a cart of its own; physics, rewards and resets are one operator call per step.

    The cart and pole of Barto, Sutton and Anderson 1983 with a continuous force; `rslcore.ops.cart_pole_step` has the
    details. Observation group "policy", float32 [N, 4 P]: position (m), velocity (m/s), angle from upright (rad) and
    angular velocity (rad/s) of one pole after the other. Actions [N, P]: force on each cart in units of 10 N, cut to
    [-1, 1]. The reward is 1 per step. An episode ends when any of the poles falls or leaves its track, or by the time
    limit. With several poles it has the widths of a robot: 12 poles have 48 observations and 12 actions.

    A step allocates nothing and never waits for the device. So that the observations acted on last survive it, it
    writes what it returns into two sets of buffers in turn: clone what is to be kept for longer than the next step.

    Every `log_interval` steps ``extras["log"]`` has what fraction of the episodes that ended since fell
    ("Episode_Termination/terminated") or reached the time limit (".../time_out"); on the CPU only where one ended, on
    other devices, where nobody looks, both are 0 if none did.

    Results depend on the seed alone: an environment has the same episodes whatever N or the number of threads are.
    """

    step_dt = 0.02
    log_interval = 24

    def __init__(
        self,
        num_envs: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        *,
        num_poles: int = 1,
        max_episode_length: int = 500,
        final_obs: bool = False,
        cfg: object | None = None,
    ) -> None:
        """Create the environments and begin an episode in each.

        Args:
            num_envs: Number of environments N.
            seed: Seed of the starting states, any 64-bit integer.
            device: Device of everything, cpu or cuda.
            num_poles: Poles per environment P.
            max_episode_length: Time limit in env steps of 0.02 s.
            final_obs: Give the true last observations in ``extras["final_obs"]``, on every step.
            cfg: Configuration kept in `cfg` for the log.

        Raises:
            ValueError: If `num_envs`, `num_poles` or `max_episode_length` is no integer of at least 1.
        """
        for name, value in (
            ("num_envs", num_envs),
            ("num_poles", num_poles),
            ("max_episode_length", max_episode_length),
        ):
            require("CartPoleVecEnv", name, value, integer=True, least=1)
        self.num_envs = num_envs
        self.num_actions = num_poles
        self.max_episode_length: int = max_episode_length
        self.device = torch.device(device)
        self.cfg = {} if cfg is None else cfg
        self._seed = seed
        self._state = torch.empty(num_poles, 4, num_envs, dtype=torch.float32, device=self.device)
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._episodes = torch.zeros(num_envs, dtype=torch.int64, device=self.device)
        self._ended = torch.zeros(2, dtype=torch.int64, device=self.device)
        self._num_steps = 0
        self._slots = (self._make_slot(final_obs), self._make_slot(final_obs))
        self.reset()

    def reset(self, seed: int | None = None) -> TensorDict:
        """Begin a new episode in every environment.

        Args:
            seed: New seed of the starting states, or None to go on with the present one.

        Returns:
            The first observations.
        """
        if seed is not None:
            self._seed = seed
            self._episodes.zero_()
        slot = self._next_slot()
        ops.cart_pole_reset(self._state, self.episode_length_buf, self._episodes, seed=self._seed, out=slot.out[0])
        return self._observations

    def get_observations(self) -> TensorDict:
        """Return the current observations; see `VecEnv.get_observations`."""
        return self._observations

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance every environment by one step; see `VecEnv.step`, and the class for how long the results last.

        Raises:
            ValueError: If `actions` is not [N, P] on the environments' device.
        """
        if actions.requires_grad:
            actions = actions.detach()
        slot = self._next_slot()
        ops.cart_pole_step(
            *(actions.float(), self._state, self.episode_length_buf, self._episodes, self._ended),
            seed=self._seed,
            max_episode_length=self.max_episode_length,
            final_observations=slot.final_observations,
            out=slot.out,
        )
        _, rewards, dones, time_outs = slot.out
        extras: dict[str, Any] = {"time_outs": time_outs}
        if slot.final_obs is not None:
            extras["final_obs"] = slot.final_obs
        if self._num_steps % self.log_interval == 0 and (log := self._make_log()):
            extras["log"] = log
        return slot.observations, rewards, dones, extras

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides how the environments go on, as copies."""
        return {
            "state": self._state.clone(),
            "episode_length_buf": self.episode_length_buf.clone(),
            "episodes": self._episodes.clone(),
            "ended": self._ended.clone(),
            "seed": self._seed,
            "num_steps": self._num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` as if nothing had happened in between.

        Raises:
            ValueError: If `state` is not of as many environments and poles; nothing is changed then.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(
                f"CartPoleVecEnv.load_state_dict: `state` must have the keys {sorted(own)}, got {sorted(state)}"
            )
        tensors = {name: value for name, value in own.items() if isinstance(value, torch.Tensor)}
        for name, value in tensors.items():
            if state[name].shape != value.shape:
                raise ValueError(
                    f"CartPoleVecEnv.load_state_dict: `{name}` must be {list(value.shape)}, "
                    f"got {list(state[name].shape)}"
                )
        self._state.copy_(state["state"])
        self.episode_length_buf.copy_(state["episode_length_buf"])
        self._episodes.copy_(state["episodes"])
        self._ended.copy_(state["ended"])
        self._seed, self._num_steps = state["seed"], state["num_steps"] - 1
        slot = self._next_slot()
        slot.out[0].copy_(self._state.permute(2, 0, 1).flatten(1))

    def render(self, env_id: int = 0, *, width: int = 640, height: int = 480, camera: str | int = -1) -> np.ndarray:
        """Draw one environment, its poles one above the other.

        Args:
            env_id: The environment.
            width: Pixels.
            height: Pixels.
            camera: Ignored; there is one view.

        Returns:
            uint8 [height, width, 3].
        """
        from rslcore.env.cart_pole_drawing import draw

        return draw(self._state[:, :, env_id].cpu().numpy(), width, height)

    def _make_slot(self, final_obs: bool) -> _Slot:
        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
            return torch.zeros(self.num_envs, *shape, dtype=dtype, device=self.device)

        width = 4 * self.num_actions
        out = (empty(width), empty(), empty(dtype=torch.bool), empty(dtype=torch.bool))
        return self._grouped(out, empty(width) if final_obs else None)

    def _grouped(self, out: _Step, last: torch.Tensor | None) -> _Slot:
        """A slot of these tensors, with the groups of observations that they are."""

        def group(x: torch.Tensor) -> TensorDict:
            return TensorDict({"policy": x}, batch_size=[self.num_envs], device=self.device)

        return _Slot(out, group(out[0]), last, None if last is None else group(last))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the groups: those of a copy must be its own tensors."""
        slots = [(slot.out, slot.final_observations) for slot in self._slots]
        return {**vars(self), "_slots": slots, "_observations": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the groups anew."""
        vars(self).update(state)
        self._slots = (self._grouped(*state["_slots"][0]), self._grouped(*state["_slots"][1]))
        self._observations = self._slots[self._num_steps % 2].observations

    def _next_slot(self) -> _Slot:
        self._num_steps += 1
        slot = self._slots[self._num_steps % 2]
        self._observations = slot.observations
        return slot

    def _make_log(self) -> dict[str, torch.Tensor]:
        """Fractions of how the episodes ended since the last log; empty where it is known that none did."""
        if not self._ended.is_cuda and not self._ended.any():
            return {}
        falls, time_outs = (self._ended / self._ended.sum().clamp(min=1)).unbind()
        self._ended.zero_()
        return {"Episode_Termination/terminated": falls, "Episode_Termination/time_out": time_outs}
