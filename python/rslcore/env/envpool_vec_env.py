# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""EnvPool's environments, a C++ thread pool, as a `VecEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from rslcore.env.adapter import AdapterVecEnv, Groups, Outcome
from rslcore.env.spaces import ImageLayout, ObservationMap, numbers_in, read_action_space


def import_envpool() -> Any:  # noqa: ANN401
    """Import EnvPool, and Gymnasium, whose interface of it is used.

    Raises:
        ImportError: One is missing; the message has the command that installs both.
    """
    try:
        import envpool
        import gymnasium  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'EnvPoolVecEnv: cannot import {error.name}; install it with: pip install "rslcore[envpool]"'
        ) from error
    return envpool


class EnvPoolVecEnv(AdapterVecEnv):
    """A pool made by ``envpool.make(id, env_type="gymnasium", num_envs=N)``.

    EnvPool leaves an ended environment as it is and resets it on the following step, which ignores the action and
    returns the first observations of the new episode with a reward of 0: a dead step. It would enter the training as
    a transition from the last state of one episode to the first one of the next. Here the ended environments take
    their dead step at once, alone, so that every row of a rollout is a transition and episodes follow each other as
    the pool has it: with ``episodic_life`` a game goes on until its last life is lost. The other environments do not
    move meanwhile. Where the adapter cuts an episode off, the environment is fully reset, by ``reset(env_ids)``.

    Observations and actions: see `ObservationMap`, `ContinuousActions` and `CategoricalActions` of this package.
    """

    def __init__(
        self,
        envs: Any,  # noqa: ANN401
        *,
        device: torch.device | str = "cpu",
        action_mode: str = "clip",
        image_layout: ImageLayout = "auto",
        max_episode_length: int | None = None,
        step_dt: float | None = None,
        log_info: Sequence[str] = (),
        cfg: Any = None,  # noqa: ANN401
    ) -> None:
        """Wrap a pool and reset it. The seed is the one it was made with.

        Args:
            envs: The pool, synchronous (``batch_size`` equal to ``num_envs``).
            device: Device of the tensors returned.
            action_mode: What happens to actions of a Box: "clip" to its bounds, "rescale" from [-1, 1] to its bounds,
                or "none".
            image_layout: Order of the axes of images, see `ObservationMap`.
            max_episode_length: Time limit in env steps, which also cuts episodes off; by default the pool's own.
            step_dt: Duration of one env step, s, where known.
            log_info: Entries of the info dictionary to put into ``extras["log"]``, as "Info/<name>".
            cfg: Configuration kept for the log.

        Raises:
            ImportError: EnvPool or Gymnasium is missing.
            TypeError: `envs` is not a pool with Gymnasium's interface.
            ValueError: The pool is asynchronous, has several players, or a space is not supported.
        """
        import_envpool()
        if "Gymnasium" not in type(envs).__name__ or not hasattr(envs, "async_reset"):
            raise TypeError(
                'EnvPoolVecEnv: `envs` must be made by envpool.make(..., env_type="gymnasium"), '
                f"got {type(envs).__name__}"
            )
        config = envs.config
        if config["batch_size"] != config["num_envs"]:
            raise ValueError(
                f"EnvPoolVecEnv: the pool must be synchronous, got batch_size {config['batch_size']} for "
                f"{config['num_envs']} environments; make it without `batch_size`"
            )
        if config["max_num_players"] != 1:
            raise ValueError(
                f"EnvPoolVecEnv: environments must have one player, got {config['max_num_players']} in {envs.spec}"
            )
        self.envs = envs
        """The pool."""
        name = type(self).__name__
        self._observation_map = ObservationMap(envs.observation_space, name, image_layout)
        self._log_info = tuple(log_info)
        super().__init__(
            config["num_envs"],
            read_action_space(envs.action_space, name, action_mode),
            max_episode_length=config["max_episode_steps"] if max_episode_length is None else max_episode_length,
            restarts_rows=True,
            resets_in_step=False,
            device=device,
            cfg={"envs": repr(envs), **config} if cfg is None else cfg,
        )
        self.step_dt = step_dt
        self._all_ids = np.arange(self.num_envs, dtype=np.int32)
        self._actions = np.empty(0)
        self.reset()

    @classmethod
    def make(
        cls,
        id: str,
        num_envs: int,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        env_kwargs: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> EnvPoolVecEnv:
        """Make a pool from an id.

        Args:
            id: Name in EnvPool's list, e.g. "CartPole-v1" or "Pong-v5".
            num_envs: Number of environments N.
            seed: Seed of the pool.
            device: As for the constructor.
            env_kwargs: Further arguments of ``envpool.make``, e.g. ``num_threads`` or ``frame_skip``.
            **options: The further arguments of the constructor.

        Raises:
            ImportError: EnvPool or Gymnasium is missing.
            ValueError: As for the constructor.
        """
        if num_envs < 1:
            raise ValueError(f"EnvPoolVecEnv.make: `num_envs` must be at least 1, got {num_envs}")
        envs = import_envpool().make(id, env_type="gymnasium", num_envs=num_envs, seed=seed, **(env_kwargs or {}))
        cfg = {"library": "envpool", "id": id, "seed": seed, **(env_kwargs or {})}
        return cls(envs, device=device, **{"cfg": cfg, **options})

    def reset(self, seed: int | None = None) -> Any:  # noqa: ANN401
        """Begin a new episode in every environment; see `AdapterVecEnv.reset`.

        Raises:
            ValueError: A seed is given: a pool takes one only when it is made.
        """
        if seed is not None:
            raise ValueError("EnvPoolVecEnv.reset: `seed` must be None, a pool is seeded when it is made")
        return super().reset()

    def close(self) -> None:
        """Close the pool."""
        self.envs.close()

    def _start(self, seed: int | None) -> Groups:
        rows = torch.ones(self.num_envs, dtype=torch.bool, device="cpu")
        return self._restart(rows, ~rows)

    def _advance(self, actions: torch.Tensor) -> Outcome:
        self._actions = actions.numpy()
        observations, rewards, terminated, truncated, info = self.envs.step(self._actions, self._all_ids)
        assert np.array_equal(info["env_id"], self._all_ids), "a synchronous pool returns its environments in order"
        return Outcome(
            self._observation_map(observations),
            torch.from_numpy(np.array(rewards, dtype=np.float32)),
            torch.from_numpy(np.array(terminated, dtype=bool)),
            torch.from_numpy(np.array(truncated, dtype=bool)),
            log=numbers_in(info, self._log_info, self.num_envs),
        )

    def _restart(self, rows: torch.Tensor, ended: torch.Tensor) -> Groups:
        firsts: Groups = {}
        for some, begin in ((rows & ended, self._dead_step), (rows & ~ended, self.envs.reset)):
            if not bool(some.any()):
                continue
            observations, *_, info = begin(self._all_ids[some.numpy()])
            ids = torch.from_numpy(info["env_id"].astype(np.int64))
            for name, value in self._observation_map(observations).items():
                if name not in firsts:
                    firsts[name] = value.new_zeros(self.num_envs, *value.shape[1:])
                firsts[name].index_copy_(0, ids, value)
        return firsts

    def _dead_step(self, ids: np.ndarray) -> Any:  # noqa: ANN401
        """Let ended environments begin their next episode as they would by themselves; the action is ignored."""
        return self.envs.step(self._actions[ids], ids)
