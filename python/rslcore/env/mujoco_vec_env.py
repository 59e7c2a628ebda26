# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of MuJoCo simulations behind the `VecEnv` interface."""

from __future__ import annotations

import contextlib
import copy
import ctypes
from abc import abstractmethod
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tensordict import TensorDict

from rslcore.env import mujoco_drawing
from rslcore.env.vec_env import VecEnv

if TYPE_CHECKING:
    import mujoco


def import_mujoco() -> tuple[ModuleType, ModuleType]:
    """Import the simulator, and rid this process of two of its habits.

    MuJoCo writes MUJOCO_LOG.TXT into the folder it is used in; a log file that was given another name is left alone.
    And it reads the clock some 30 times per physics step for ``MjData.timer``, which is a sixth of the time of a small
    model; a clock that was set with ``mujoco.set_mjcb_time`` is left alone, and ``set_mjcb_time(None)`` brings back
    MuJoCo's own.

    Returns:
        The modules ``mujoco`` and ``mjbatch``.

    Raises:
        ImportError: If one of them is missing; the message has the command that installs both.
    """
    try:
        import mjbatch
        import mujoco
    except ImportError as error:
        raise ImportError(
            f'MujocoVecEnv: cannot import {error.name}; install the simulator with: pip install "rslcore[mujoco]"'
        ) from error
    log = mujoco.MjLogConfig.get()
    if log.logto_file and log.logfile == "MUJOCO_LOG.TXT":
        log.logto_file = False
        log.set()
    if mujoco.get_mjcb_time() is None:
        # The bindings take None for their own clock, so the C variable is cleared. Physics does not depend on it.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            ctypes.c_void_p.in_dll(ctypes.CDLL(mujoco._callbacks.__file__), "mjcb_time").value = None
    return mujoco, mjbatch


class MujocoVecEnv(VecEnv):
    """N copies of one MuJoCo model stepped on a C++ thread pool, seen as torch tensors.

    A task derives from this class and says what actions, rewards, terminations, resets and observations are; each of
    these works on all environments at once. One env step is

    1. `apply_actions`, then `decimation` physics steps, then `read_simulations`;
    2. `compute_terminated` and the time limit, then `compute_rewards`;
    3. where an episode ended: observations are kept in ``extras["final_obs"]``, then `reset_envs` and
       `read_simulations` again;
    4. `update_events` (new commands, disturbances), then `compute_observations`.

    A simulation that becomes unstable (NaN or huge numbers) MuJoCo puts back to the model's initial state. That step
    ends the episode in a terminal state, its reward is 0, and "Episode_Termination/unstable" in ``extras["log"]``
    counts it.

    `qpos`, `qvel` and `ctrl` are live float64 views of the simulations: reading is free and a write is seen by the
    next physics step. Sensor data and other derived quantities (`bind`) are one physics step older than `qpos` and
    `qvel`, as after ``mj_step``; right after a reset they are current.

    Results depend on the seed and not on the number of threads. All randomness comes from `generator`.
    """

    step_dt: float
    """Duration of one env step, seconds."""
    max_episode_length: int
    """Time limit in env steps."""
    reward_terms: tuple[str, ...]
    """Names of the reward terms, in the order in which they are summed."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num_envs: int,
        *,
        decimation: int,
        max_episode_length: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        num_threads: int = 0,
        cfg: object | None = None,
    ) -> None:
        """Create the simulations. A task calls `reset` at the end of its own constructor.

        Args:
            model: The model that all environments start from; copied.
            num_envs: Number of environments N.
            decimation: Physics steps per env step.
            max_episode_length: Time limit in env steps.
            seed: Seed of the environment's own random generator.
            device: Device of the tensors returned; physics and the task's arithmetic run on the CPU.
            num_threads: Threads of the physics, 0 for every logical CPU.
            cfg: Configuration kept in `cfg` for the log.

        Raises:
            ImportError: If mujoco or mjbatch is not installed.
            ValueError: If `num_envs`, `decimation` or `max_episode_length` is not positive, or `reward_terms` is no
                tuple of names.
        """
        mujoco, mjbatch = import_mujoco()
        for name, value in (
            ("num_envs", num_envs),
            ("decimation", decimation),
            ("max_episode_length", max_episode_length),
        ):
            if value < 1:
                raise ValueError(f"{type(self).__name__}: `{name}` must be at least 1, got {value}")
        names = getattr(self, "reward_terms", None)
        if not names or isinstance(names, str):
            raise ValueError(
                f"{type(self).__name__}: `reward_terms` must name at least one term, as a tuple, got {names!r}"
            )
        self.model = copy.copy(model)
        self.num_envs = num_envs
        self.num_actions = model.nu
        self.max_episode_length = max_episode_length
        self.decimation = decimation
        self.step_dt = decimation * model.opt.timestep
        self.device = torch.device(device)
        self._batch_size = torch.Size([num_envs])
        self.cfg = {} if cfg is None else cfg

        self.generator = torch.Generator(device="cpu").manual_seed(seed)
        """Source of every random number of the environment."""

        self.batch = mjbatch.Batch(self.model, num_envs, num_threads)
        self._sim_state = self.bind("state")
        self.qpos = self.bind("qpos")
        """Generalized positions, live, float64 [N, nq]."""
        self.qvel = self.bind("qvel")
        """Generalized velocities, live, float64 [N, nv]."""
        self.ctrl = self.bind("ctrl")
        """Actuator controls, live, float64 [N, nu]."""
        kinds = mujoco.mjtWarning
        # How often MuJoCo put each simulation back, live int32 [N, 3]: for positions, velocities and accelerations.
        self._unstable_counts = self.batch.bind("warning")[:, kinds.mjWARN_BADQPOS : kinds.mjWARN_BADQACC + 1, 1]
        self.batch.reset()
        self._initial_sim_state = self._sim_state[0].clone()

        self._persistent: dict[str, torch.Tensor] = {}
        self._model_fields: dict[str, torch.Tensor] = {}
        self._constants_per_env = False
        self.episode_length_buf = torch.zeros(num_envs, dtype=torch.int64, device="cpu")
        sums = torch.zeros(len(self.reward_terms), num_envs, device="cpu")
        self._episode_sums = self.persist("episode_sums", sums)
        self._observations: dict[str, torch.Tensor] = {}

    # What a task fills in. Tensors are on the CPU; N is `num_envs`.

    def apply_actions(self, actions: torch.Tensor) -> None:
        """Turn actions, float32 [N, A], into `ctrl`. Default: the actions are the controls."""
        self.ctrl.copy_(actions)

    def read_simulations(self) -> None:
        """Derive the quantities that the methods below share from `qpos`, `qvel` and sensors. Default: nothing."""

    def compute_terminated(self) -> torch.Tensor:
        """Return where the episode ended in a terminal state, bool [N]. Default: nowhere."""
        return torch.zeros(self.num_envs, dtype=torch.bool, device="cpu")

    @abstractmethod
    def compute_rewards(self, terminated: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weighted terms of the reward of this step, one [N] tensor per name in `reward_terms`."""

    @abstractmethod
    def reset_envs(self, env_ids: torch.Tensor) -> None:
        """Write the initial `qpos` and `qvel` of new episodes.

        Args:
            env_ids: Environments to reset, int64 [K]. Their simulations hold the model's initial state.
        """

    def update_events(self) -> None:
        """Draw new commands, push robots, and the like; runs between reset and observations. Default: nothing.

        Whoever writes `qpos` or `qvel` here calls `read_simulations` afterwards.
        """

    @abstractmethod
    def compute_observations(self) -> dict[str, torch.Tensor]:
        """Return newly allocated observations, float32 [N, D] per observation group."""

    # What a task may use.

    def bind(self, field: str) -> torch.Tensor:
        """Return a live view [N, ...] of an ``mjData`` field of all simulations, e.g. "sensordata"."""
        return torch.from_numpy(self.batch.bind(field))

    def expand(self, field: str) -> torch.Tensor:
        """Return live per-environment values [N, ...] of an ``mjModel`` field, e.g. "geom_friction".

        They become part of the environment's saved state. Call `recompute_constants` after changing a field that
        MuJoCo derives constants from, such as "body_mass".
        """
        if field not in self._model_fields:
            self._model_fields[field] = torch.from_numpy(self.batch.expand(field))
        return self._model_fields[field]

    def recompute_constants(self) -> None:
        """Recompute the model constants that MuJoCo derives from masses and the like (``mj_setConst``), per env."""
        self._constants_per_env = True
        self.batch.set_const()

    def persist(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Make a tensor part of the environment's saved state, and return it. Change it in place only."""
        if name in self._persistent:
            raise ValueError(f"{type(self).__name__}: persistent tensor `{name}` is already defined")
        self._persistent[name] = value
        return value

    def uniform(self, *shape: int, low: float, high: float) -> torch.Tensor:
        """Draw float32 numbers uniformly from [low, high) with the environment's generator."""
        return torch.rand(*shape, generator=self.generator, device="cpu").mul_(high - low).add_(low)

    # VecEnv.

    def get_observations(self) -> TensorDict:
        """Return the current observations; see `VecEnv.get_observations`.

        Raises:
            RuntimeError: If `reset` was never called.
        """
        self._check_begun("get_observations")
        return self._to_tensordict(self._observations)

    def reset(self, seed: int | None = None) -> TensorDict:
        """Start a new episode in every environment.

        Args:
            seed: New seed of the random generator, or None to go on with the present one.

        Returns:
            The first observations.
        """
        if seed is not None:
            self.generator.manual_seed(seed)
        self._reset(torch.arange(self.num_envs, device="cpu"))
        self.update_events()
        self._observations = self.compute_observations()
        return self.get_observations()

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Advance every environment by one step; see `VecEnv.step` and the class for the order of events.

        Raises:
            RuntimeError: If `reset` was never called.
            ValueError: If `actions` is not [N, A], or a method of the task returned something of another shape.
        """
        self._check_begun("step")
        if actions.shape != (self.num_envs, self.num_actions):
            raise ValueError(
                f"{type(self).__name__}.step: `actions` must be [{self.num_envs}, {self.num_actions}], "
                f"got {list(actions.shape)}"
            )
        # The simulator drives everything else out of the caches: what can be done before it costs a fifth there.
        self.apply_actions(actions.detach().to("cpu", torch.float32))
        self.episode_length_buf += 1
        dones = self.episode_length_buf >= self.max_episode_length
        self.batch.step(nstep=self.decimation)
        unstable = torch.from_numpy(self._unstable_counts.any(axis=1)) if self._unstable_counts.any() else None
        self.read_simulations()

        terminated = self.compute_terminated()
        if terminated.shape != dones.shape or terminated.dtype is not torch.bool:
            got = f"{str(terminated.dtype).removeprefix('torch.')} {list(terminated.shape)}"
            raise ValueError(f"{type(self).__name__}.compute_terminated: must return bool [{self.num_envs}], got {got}")
        if unstable is not None:
            terminated = terminated | unstable
        dones |= terminated
        rewards_by_term = self._stack_terms(self.compute_rewards(terminated))
        if unstable is not None:
            rewards_by_term.masked_fill_(unstable, 0.0)  # they would compare the state with one of another motion
        self._episode_sums += rewards_by_term

        extras: dict[str, Any] = {"time_outs": (dones ^ terminated).to(self.device)}
        if dones.any():
            ended = dones.nonzero().squeeze(-1)
            extras["final_obs"] = self._to_tensordict(self._kept(self.compute_observations()))
            extras["log"] = self.episode_log(ended, terminated)
            extras["log"]["Episode_Termination/unstable"] = (
                torch.zeros((), device="cpu") if unstable is None else unstable[ended].float().mean()
            )
            self._reset(ended)
        self.update_events()
        self._observations = self.compute_observations()
        return self.get_observations(), rewards_by_term.sum(0).to(self.device), dones.to(self.device), extras

    def episode_log(self, env_ids: torch.Tensor, terminated: torch.Tensor) -> dict[str, torch.Tensor]:
        """Summarize the episodes that just ended.

        Args:
            env_ids: Environments whose episode ended, int64 [K].
            terminated: Where an episode ended in a terminal state, bool [N].

        Returns:
            "Episode_Reward/<term>": sum over the episode divided by the time limit in seconds, averaged over the
            episodes, as Isaac Lab and mjlab log it. "Episode_Termination/terminated" and ".../time_out": fractions.
        """
        limit_s = self.max_episode_length * self.step_dt
        sums = self._episode_sums[:, env_ids].mean(1) / limit_s
        fraction = terminated[env_ids].float().mean()
        return {
            **{f"Episode_Reward/{name}": value for name, value in zip(self.reward_terms, sums, strict=True)},
            "Episode_Termination/terminated": fraction,
            "Episode_Termination/time_out": 1.0 - fraction,
        }

    # Saving, resuming and looking.

    def state_dict(self) -> dict[str, Any]:
        """Return everything that decides how the environment goes on, as copies.

        The simulations (positions, velocities, activations, controls, warm start, time), the running episodes, the
        randomized model fields, the task's persistent tensors, the present observations and the random generator.
        """
        return {
            "sim": self._sim_state.clone(),
            "episode_length_buf": self.episode_length_buf.clone(),
            "model": {name: value.clone() for name, value in self._model_fields.items()},
            "task": {name: value.clone() for name, value in self._persistent.items()},
            "observations": {name: value.clone() for name, value in self._observations.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` as if nothing had happened in between.

        Raises:
            ValueError: If `state` belongs to another task, model or number of environments; nothing is changed then.
        """
        own = self.state_dict()
        self._check_state("", own, state)
        self._sim_state.copy_(state["sim"])
        self.episode_length_buf = state["episode_length_buf"].clone()
        for name, value in self._model_fields.items():
            value.copy_(state["model"][name])
        if self._constants_per_env:
            self.batch.set_const()
        for name, value in self._persistent.items():
            value.copy_(state["task"][name])
        self._observations = {name: value.clone() for name, value in state["observations"].items()}
        self.generator.set_state(state["generator"])

    def render(self, env_id: int = 0, *, width: int = 640, height: int = 480, camera: str | int = -1) -> np.ndarray:
        """Draw one environment.

        Args:
            env_id: The environment.
            width: Pixels.
            height: Pixels.
            camera: Name or number of a camera of the model, -1 for the free one.

        Returns:
            uint8 [height, width, 3].

        Raises:
            RuntimeError: If there is no OpenGL that MuJoCo can draw with; the message says what to set.
        """
        mujoco, _ = import_mujoco()
        key = (width, height)
        if getattr(self, "_renderer_key", None) != key:
            with mujoco_drawing.explained(type(self).__name__):
                self._renderer = mujoco.Renderer(self.model, height, width)
            self._render_data = mujoco.MjData(self.model)
            self._renderer_key = key
        self._render_data.qpos[:] = self.qpos[env_id].numpy()
        mujoco.mj_kinematics(self.model, self._render_data)
        mujoco.mj_comPos(self.model, self._render_data)
        mujoco.mj_camlight(self.model, self._render_data)
        self._renderer.update_scene(self._render_data, camera)
        return self._renderer.render()

    def _reset(self, env_ids: torch.Tensor) -> None:
        self._sim_state[env_ids] = self._initial_sim_state
        self._unstable_counts[env_ids.numpy()] = 0
        self.episode_length_buf[env_ids] = 0
        self._episode_sums[:, env_ids] = 0.0
        self.reset_envs(env_ids)
        self.batch.forward(env_ids.numpy())
        self.read_simulations()

    def _check_begun(self, method: str) -> None:
        if not self._observations:
            raise RuntimeError(
                f"{type(self).__name__}.{method}: call reset() first; a task does so at the end of its constructor"
            )

    def _stack_terms(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Terms of the reward one after another [terms, N]."""
        try:
            stacked = torch.stack([terms[name] for name in self.reward_terms])
        except (KeyError, RuntimeError, TypeError):
            self._refuse_terms(terms)
            raise
        if len(terms) != len(self.reward_terms) or stacked.shape != self._episode_sums.shape:
            self._refuse_terms(terms)
        return stacked

    def _refuse_terms(self, terms: Any) -> None:  # noqa: ANN401
        """Name what is wrong with terms that do not fit `reward_terms`."""
        where = f"{type(self).__name__}.compute_rewards:"
        if not isinstance(terms, dict) or set(terms) != set(self.reward_terms):
            got = list(terms) if isinstance(terms, dict) else type(terms).__name__
            raise ValueError(
                f"{where} must return the terms named in `reward_terms`, {list(self.reward_terms)}, got {got}"
            )
        for name, term in terms.items():
            got = list(term.shape) if isinstance(term, torch.Tensor) else type(term).__name__
            if got != [self.num_envs]:
                raise ValueError(f"{where} the term '{name}' must be a tensor [{self.num_envs}], got {got}")

    def _kept(self, observations: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Observations that stay what they are: of a task that uses its tensors again, copies."""
        last = [value.data_ptr() for value in self._observations.values()]
        return {name: value.clone() if value.data_ptr() in last else value for name, value in observations.items()}

    def _to_tensordict(self, observations: dict[str, torch.Tensor]) -> TensorDict:
        return TensorDict(observations, batch_size=self._batch_size, device=self.device)

    def _check_state(self, path: str, own: dict[str, Any], given: dict[str, Any]) -> None:
        where = f"{type(self).__name__}.load_state_dict: `{path or 'state'}`"
        if given.keys() != own.keys():
            raise ValueError(f"{where} must have the keys {sorted(own)}, got {sorted(given)}")
        for key, value in own.items():
            inner = f"{path}.{key}" if path else key
            if isinstance(value, dict):
                self._check_state(inner, value, given[key])
            elif given[key].shape != value.shape:
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: `{inner}` must be {list(value.shape)}, "
                    f"got {list(given[key].shape)}"
                )
