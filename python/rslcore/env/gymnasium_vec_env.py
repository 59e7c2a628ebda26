# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Gymnasium's vector environments as a `VecEnv`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rslcore.env import mujoco_drawing
from rslcore.env.adapter import AdapterVecEnv, Groups, Outcome
from rslcore.env.spaces import ImageLayout, ObservationMap, numbers_in, read_action_space, stack_observations

if TYPE_CHECKING:
    import gymnasium


def import_gymnasium() -> Any:  # noqa: ANN401
    """Import Gymnasium.

    Raises:
        ImportError: It is missing or too old; the message has the command that installs it.
    """
    fix = 'pip install "rslcore[gymnasium]"'
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError(f"GymnasiumVecEnv: cannot import {error.name}; install it with: {fix}") from error
    if not hasattr(gymnasium.vector, "AutoresetMode"):
        raise ImportError(f"GymnasiumVecEnv: Gymnasium 1.1 or newer is needed, got {gymnasium.__version__}: {fix}")
    return gymnasium


class GymnasiumVecEnv(AdapterVecEnv):
    """A Gymnasium vector environment: sync, async, or of its own kind, in any of the three autoreset modes.

    ============  ===================================================================================================
    SAME_STEP     The library resets within the step; its ``final_obs`` are passed on, unless the reset overwrote them.
    DISABLED      Ended environments are reset by a call with a mask (``reset(options={"reset_mask": ...})``).
    NEXT_STEP     The same: being reset at once, an ended environment has no dead step, in which its action would be
                  ignored and a reward of 0 invented. `SyncVectorEnv` and `AsyncVectorEnv` can do this; other classes
                  are refused in this mode, since nothing tells whether they can.
    ============  ===================================================================================================

    Observations and actions: see `ObservationMap`, `ContinuousActions` and `CategoricalActions` of this package.
    """

    def __init__(
        self,
        envs: gymnasium.vector.VectorEnv,
        *,
        seed: int | None = 0,
        device: torch.device | str = "cpu",
        action_mode: str = "clip",
        image_layout: ImageLayout = "auto",
        max_episode_length: int | None = None,
        step_dt: float | None = None,
        log_info: Sequence[str] = (),
        cfg: Any = None,  # noqa: ANN401
    ) -> None:
        """Wrap a vector environment and reset it.

        Args:
            envs: The vector environment; its steps and resets are from now on up to the adapter.
            seed: Environment i starts with seed + i; None leaves it to Gymnasium.
            device: Device of the tensors returned.
            action_mode: What happens to actions of a Box: "clip" to its bounds, "rescale" from [-1, 1] to its bounds,
                or "none".
            image_layout: Order of the axes of images, see `ObservationMap`.
            max_episode_length: Time limit in env steps; by default that of the environment's ``spec``. Where single
                environments can be reset, it also cuts episodes off.
            step_dt: Duration of one env step, s; by default the attribute ``dt`` of synchronous environments, which
                those of MuJoCo have.
            log_info: Entries of the info dictionary to put into ``extras["log"]``, as "Info/<name>".
            cfg: Configuration kept for the log.

        Raises:
            ImportError: Gymnasium is missing or too old.
            TypeError: `envs` is no vector environment.
            ValueError: A space or the autoreset mode is not supported, or the time limit is not known.
        """
        gym = import_gymnasium()
        if not isinstance(envs, gym.vector.VectorEnv):
            raise TypeError(
                f"GymnasiumVecEnv: `envs` must be a gymnasium.vector.VectorEnv, got {type(envs).__name__}; for a "
                "single environment: gymnasium.vector.SyncVectorEnv([lambda: env])"
            )
        self.envs = envs
        """The vector environment."""
        modes = gym.vector.AutoresetMode
        mode = modes(envs.metadata.get("autoreset_mode", modes.NEXT_STEP))
        is_gym = isinstance(envs.unwrapped, (gym.vector.SyncVectorEnv, gym.vector.AsyncVectorEnv))
        restarts_rows = mode == modes.DISABLED or is_gym
        if mode == modes.NEXT_STEP:
            _refuse_dead_steps(envs.unwrapped, is_gym)
        name = type(self).__name__
        self._space = envs.single_observation_space
        self._observation_map = ObservationMap(self._space, name, image_layout)
        self._log_info = tuple(log_info)
        super().__init__(
            envs.num_envs,
            read_action_space(envs.single_action_space, name, action_mode),
            max_episode_length=_time_limit(envs, is_gym) if max_episode_length is None else max_episode_length,
            restarts_rows=restarts_rows,
            resets_in_step=mode == modes.SAME_STEP,
            device=device,
            cfg={"envs": repr(envs), "autoreset_mode": mode.value, "seed": seed} if cfg is None else cfg,
        )
        self.step_dt = _step_dt(envs) if step_dt is None else step_dt
        self._final_obs_are_copies = self._resets_in_step and isinstance(envs.unwrapped, gym.vector.SyncVectorEnv)
        if self._final_obs_are_copies:
            from rslcore.env.gymnasium_wrapper import CopiedLastObservation

            envs.unwrapped.envs = [CopiedLastObservation(env) for env in envs.unwrapped.envs]
        self.reset(seed)

    @classmethod
    def make(
        cls,
        id: str,
        num_envs: int,
        *,
        seed: int | None = 0,
        device: torch.device | str = "cpu",
        vectorization: str = "sync",
        wrappers: Sequence[Callable[[Any], Any]] = (),
        vector_kwargs: dict[str, Any] | None = None,
        env_kwargs: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> GymnasiumVecEnv:
        """Make environments from an id.

        Args:
            id: Name in Gymnasium's registry, e.g. "CartPole-v1".
            num_envs: Number of environments N.
            seed: As for the constructor.
            device: As for the constructor.
            vectorization: "sync" (one process), "async" (one process per environment, for slow ones), or
                "vector_entry_point" (a vector environment of the id's own).
            wrappers: Functions from a single environment to a wrapped one.
            vector_kwargs: Arguments of the vector environment; sync and async get SAME_STEP autoreset by default.
            env_kwargs: Arguments of the single environment.
            **options: The further arguments of the constructor.

        Raises:
            ImportError: Gymnasium is missing or too old.
            ValueError: `vectorization` is unknown, or as for the constructor.
        """
        gym = import_gymnasium()
        valid = ("sync", "async", "vector_entry_point")
        if vectorization not in valid:
            raise ValueError(f"GymnasiumVecEnv.make: `vectorization` must be one of {valid}, got '{vectorization}'")
        if num_envs < 1:
            raise ValueError(f"GymnasiumVecEnv.make: `num_envs` must be at least 1, got {num_envs}")
        vector_kwargs = dict(vector_kwargs or {})
        wrappers = tuple(wrappers)
        if vectorization != "vector_entry_point":
            vector_kwargs.setdefault("autoreset_mode", gym.vector.AutoresetMode.SAME_STEP)
        if vectorization == "async":
            from rslcore.env.gymnasium_wrapper import CopiedLastObservation

            wrappers = (*wrappers, CopiedLastObservation)
        envs = gym.make_vec(
            id,
            num_envs,
            vectorization_mode=vectorization,
            vector_kwargs=vector_kwargs,
            wrappers=wrappers,
            **(env_kwargs or {}),
        )
        try:
            cfg = {"library": "gymnasium", "id": id, "vectorization": vectorization, "seed": seed}
            env = cls(envs, seed=seed, device=device, **{"cfg": {**cfg, **(env_kwargs or {})}, **options})
        except BaseException:
            envs.close()
            raise
        env._final_obs_are_copies |= vectorization == "async"
        return env

    def render(self, env_id: int = 0, **_: object) -> np.ndarray:
        """Draw one environment, in the size that it draws itself: uint8 [height, width, 3].

        Raises:
            RuntimeError: The environments were made without ``render_mode="rgb_array"``, or what draws is missing.
        """
        if self.envs.render_mode != "rgb_array":
            raise RuntimeError("GymnasiumVecEnv.render: the environments must be made with render_mode='rgb_array'")
        try:
            with mujoco_drawing.explained(type(self).__name__) if _draws_with_mujoco(self.envs) else nullcontext():
                frames = self.envs.render()
        except import_gymnasium().error.Error as error:
            raise RuntimeError(f"GymnasiumVecEnv.render: {error}") from error
        assert frames is not None
        return np.asarray(frames[env_id])

    def close(self) -> None:
        """Close the vector environment and the processes of an async one."""
        self.envs.close()

    def _start(self, seed: int | None) -> Groups:
        observations, _ = self.envs.reset(seed=seed)
        return self._observation_map(observations)

    def _advance(self, actions: torch.Tensor) -> Outcome:
        observations, rewards, terminated, truncated, info = self.envs.step(actions.numpy())
        outcome = Outcome(
            self._observation_map(observations),
            torch.from_numpy(np.array(rewards, dtype=np.float32)),
            torch.from_numpy(np.array(terminated, dtype=bool)),
            torch.from_numpy(np.array(truncated, dtype=bool)),
            log=numbers_in(info, self._log_info, self.num_envs),
        )
        if self._resets_in_step and "final_obs" in info:
            outcome.final_obs = self._read_final_obs(info["final_obs"])
            if not self._final_obs_are_copies and self._seem_overwritten(outcome.final_obs, outcome):
                warnings.warn(_OVERWRITTEN, stacklevel=3)
                outcome.final_obs = None
        return outcome

    def _seem_overwritten(self, final_obs: Groups, outcome: Outcome) -> bool:
        """Return whether a group has, where an episode ended, changed to what it has after the reset."""
        ended = outcome.terminated | outcome.truncated
        for name, after in outcome.observations.items():
            now, final, before = (x[ended].flatten(1) for x in (after, final_obs[name], self._observations[name]))
            if bool(((final == now).all(1) & (before != now).any(1)).any()):
                return True
        return False

    def _restart(self, rows: torch.Tensor, ended: torch.Tensor) -> Groups:
        observations, _ = self.envs.reset(options={"reset_mask": rows.numpy()})
        return self._observation_map(observations)

    def _read_final_obs(self, final_obs: Any) -> Groups:  # noqa: ANN401
        """Convert either of the forms in use: an array of single observations and None, or a batch."""
        if not (isinstance(final_obs, np.ndarray) and final_obs.dtype == object):
            return self._observation_map(final_obs)
        ended = [row for row, observation in enumerate(final_obs) if observation is not None]
        found = self._observation_map(stack_observations(self._space, [final_obs[row] for row in ended]))
        return {
            name: value.new_zeros(self.num_envs, *value.shape[1:]).index_copy_(
                0, torch.tensor(ended, device="cpu"), value
            )
            for name, value in found.items()
        }


_OVERWRITTEN = (
    "GymnasiumVecEnv: the `final_obs` of ended episodes are those after the reset: the environment probably returns "
    "the same array on every step. They are left out; GymnasiumVecEnv.make, SyncVectorEnv, or the mode DISABLED give "
    "the true ones"
)


def _refuse_dead_steps(envs: Any, is_gym: bool) -> None:  # noqa: ANN401
    """Refuse vector environments whose single environments cannot be reset at once.

    Raises:
        ValueError: The message says how to make them otherwise.
    """
    if hasattr(envs, "async_reset"):
        raise ValueError(
            f"GymnasiumVecEnv: {type(envs).__name__} is a pool of EnvPool, which resets an environment on the step "
            "after its last one; give it to EnvPoolVecEnv"
        )
    if not is_gym:
        raise ValueError(
            f"GymnasiumVecEnv: {type(envs).__name__} resets an environment on the step after its last one (NEXT_STEP), "
            "which would enter the training as a false transition; make it with AutoresetMode.SAME_STEP or DISABLED, "
            "or from the single environment with vectorization_mode='sync'"
        )
    # A worker without shared memory still takes a dead step after having been reset.
    if not getattr(envs, "shared_memory", True):
        raise ValueError(
            "GymnasiumVecEnv: AsyncVectorEnv(shared_memory=False) cannot reset single environments in the mode "
            "NEXT_STEP; make it with autoreset_mode=AutoresetMode.SAME_STEP"
        )


def _time_limit(envs: Any, is_gym: bool) -> int:  # noqa: ANN401
    """Return the time limit in env steps that the specification of the environments has."""
    specs = envs.unwrapped.get_attr("spec")[:1] if is_gym else ()
    for spec in (*specs, envs.spec, envs.unwrapped.spec):
        limit = getattr(spec, "max_episode_steps", None)
        if limit is not None:
            return int(limit)
    raise ValueError(
        "GymnasiumVecEnv: the environment has no time limit in its `spec`; give `max_episode_length`, the longest "
        "episode in env steps"
    )


def _draws_with_mujoco(envs: Any) -> bool:  # noqa: ANN401
    """Return whether the environments are MuJoCo's, in this process."""
    singles: list[Any] = getattr(envs.unwrapped, "envs", None) or []
    return any("MujocoEnv" in [base.__name__ for base in type(env.unwrapped).__mro__] for env in singles)


def _step_dt(envs: Any) -> float | None:  # noqa: ANN401
    """Return the attribute ``dt`` of environments in this process; asking others for a missing one would end them."""
    singles = getattr(envs.unwrapped, "envs", None)
    dt = getattr(singles[0].unwrapped, "dt", None) if singles else None
    return float(dt) if isinstance(dt, (int, float)) else None
