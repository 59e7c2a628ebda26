# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The training loop of on-policy algorithms."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from rslcore import checkpoint
from rslcore.config import Cfg, RunnerCfg
from rslcore.export import export_to_jit, export_to_onnx
from rslcore.logging import Logger
from rslcore.runners.checkpointed_runner import CheckpointedRunner, diverged
from rslcore.runners.clock import IterationClock
from rslcore.runners.distributed import join_processes
from rslcore.runners.divergence import excess
from rslcore.runners.interrupt import DeferredInterrupt
from rslcore.runners.step_checks import StepChecks
from rslcore.utils import JointRead, require, resolve_callable, see_generator

_RUN_KEYS = ("num_steps_per_env", "save_interval", "obs_groups", "algorithm")


class OnPolicyRunner(CheckpointedRunner):
    """Runs rollouts and updates, logs them and saves checkpoints; names and behaviour as rsl_rl 5.5.1.

    Differences, all on the side of the user:

    * A checkpoint is written when ``learn`` starts, and every file is complete at every moment: a process may be killed
      at any time. Ctrl-C lets the iteration end, and saves it. Checkpoints of later iterations than the one training
      continues from are moved to ``superseded/``. One process at a time trains in a folder.
    * Checkpoints hold random state, statistics and, where the environment offers ``state_dict()``, its state, under the
      key "rslcore_state" that rsl_rl ignores. On the CPU a resumed run of one process then continues bit for bit.
    * An iteration that is done is not repeated: ``learn`` after ``load`` (or after ``learn``) starts with the number
      behind the last finished one, where rsl_rl uses that number twice. ``current_learning_iteration`` is the number of
      the last finished iteration, as there; setting it makes the next ``learn`` start with that number.
    * ``load`` refuses what does not fit before it changes anything, models that have seen other observation groups
      included, and reads with ``weights_only=True``. What has diverged is never saved.
    * Environments may lack ``cfg`` and ``episode_length_buf``; several processes also train on the CPU.
    """

    required_keys: tuple[str, ...] = _RUN_KEYS + ("actor", "critic")
    """What the configuration must have."""

    def __init__(
        self,
        env: Any,  # noqa: ANN401
        train_cfg: dict[str, Any] | RunnerCfg,
        log_dir: str | Path | None = None,
        device: torch.device | str = "cpu",
        *,
        console: str | None = None,
    ) -> None:
        """Build the algorithm and the logger.

        Args:
            env: Environment with the interface of :class:`rslcore.env.VecEnv`.
            train_cfg: Configuration as rsl_rl 5.5.1 takes it, in which the keys ``multi_gpu`` and ``obs_groups`` are
                written; or a typed one, which is left as it is.
            log_dir: Run folder; None writes no files.
            device: Device of the algorithm.
            console: Style of the console, see :class:`~rslcore.logging.Logger`; None is "plain" with a run folder and
                "none" without, which is what rsl_rl 5.5.1 shows.

        Raises:
            ValueError: The configuration does not fit the environment, or is wrong in itself.
        """
        see_generator()  # before weights are drawn
        self.env = env
        self.cfg = _checked(train_cfg, self.required_keys)
        self.device = device
        ranks = join_processes(device)
        self.gpu_world_size = ranks.world_size
        self.gpu_global_rank = ranks.global_rank
        self.gpu_local_rank = ranks.local_rank
        self.is_distributed = ranks.world_size > 1
        self.cfg["multi_gpu"] = (
            {"global_rank": ranks.global_rank, "local_rank": ranks.local_rank, "world_size": ranks.world_size}
            if self.is_distributed
            else None
        )
        self.logger = Logger(
            log_dir=log_dir,
            cfg=self.cfg,
            env_cfg=getattr(env, "cfg", {}),
            num_envs=env.num_envs,
            is_distributed=self.is_distributed,
            gpu_world_size=self.gpu_world_size,
            gpu_global_rank=self.gpu_global_rank,
            device=device,
            console=console or ("none" if log_dir is None else "plain"),
        )
        algorithm_class: Any = resolve_callable(self.cfg["algorithm"]["class_name"])
        obs = env.get_observations()
        with self.logger.console.quiet():
            self.alg = algorithm_class.construct_algorithm(obs, env, self.cfg, device)
        self._start_unsaved(obs)

    def learn(self, num_learning_iterations: int, init_at_random_ep_len: bool = False) -> None:
        """Train for a number of iterations.

        Args:
            num_learning_iterations: Iterations to run, beyond those already finished.
            init_at_random_ep_len: Start the environments at random points of their first episode, where they have
                ``episode_length_buf`` and were not restored from a checkpoint.

        Raises:
            TypeError: The environment returned something else than tensors.
            ValueError: The environment returned NaN, inf or wrong shapes, or a loss is not finite.
            CheckpointError: Another process is training in the same run folder.
            KeyboardInterrupt: Ctrl-C. The first one lets the iteration end and saves it, a second one ends at once.
        """
        writes_files = self.logger.log_dir is not None and not self.logger.disable_logs
        held = self.run_dir_lock
        takes = writes_files and held is None
        with checkpoint.lock(str(self.logger.log_dir)) if takes else contextlib.nullcontext(held) as self.run_dir_lock:
            try:
                self._learn(num_learning_iterations, init_at_random_ep_len)
            finally:
                self.run_dir_lock = held

    def get_inference_policy(self, device: torch.device | str | None = None) -> Any:  # noqa: ANN401
        """Return the policy in evaluation mode, moved to ``device`` if one is given."""
        self.alg.eval_mode()
        return self.alg.get_policy().to(device)

    def export_policy_to_jit(self, path: str | os.PathLike[str], filename: str = "policy.pt") -> None:
        """Write the policy as TorchScript to the file ``filename`` in the folder ``path``, which is created."""
        export_to_jit(self.alg.get_policy(), Path(path) / filename)

    def export_policy_to_onnx(
        self, path: str | os.PathLike[str], filename: str = "policy.onnx", verbose: bool = False
    ) -> None:
        """Write the policy as ONNX to the file ``filename`` in the folder ``path``; see `rslcore.export`."""
        export_to_onnx(self.alg.get_policy(), Path(path) / filename, verbose=verbose)

    def add_git_repo_to_log(self, repo_file_path: str) -> None:
        """Have commit and uncommitted changes of the repository around a file stored in the run folder."""
        self.logger.git_status_repos.append(repo_file_path)

    def _learn(self, num_learning_iterations: int, init_at_random_ep_len: bool) -> None:
        self._drop_rollout()  # of an error: it may have come between any two steps
        with torch.no_grad():
            env_restored = self._resume is not None and self._resume.restore_env(
                self.env, self.logger, self.gpu_global_rank
            )
            if init_at_random_ep_len and not env_restored:
                self._randomize_episode_lengths()
            if self._resume is not None:
                self._resume.restore_hidden_states(self.alg, self.device, continues=env_restored)
            obs = self.env.get_observations()
            StepChecks(self.env.num_envs, self.cfg.get("check_for_nan", True)).check_first(obs)
            obs = obs.to(self.device)
        self.alg.train_mode()
        if self.is_distributed:
            self.logger.console.message(f"Synchronizing parameters for rank {self.gpu_global_rank}...")
            self.alg.broadcast_parameters()
        start_it = self.next_iteration
        self.logger.init_logging_writer(start_it)
        if self._resume is not None:
            self._resume.restore_random(self.device, self.gpu_global_rank, self.gpu_world_size)
            self._resume = None

        total_it = start_it + num_learning_iterations
        self._announce(start_it, total_it)
        # Processes that train together must stop together: there, Ctrl-C is left alone.
        interrupt = DeferredInterrupt(self.logger.console.notice, enabled=not self.is_distributed)
        try:
            saved_iteration = self._save_at_start()
            self.logger.console.start(start_it, total_it)
            with interrupt:
                for it in range(start_it, total_it):
                    if interrupt.requested:
                        break
                    obs = self._iterate(obs, it, start_it, total_it)
                    if self.logger.writer is not None and it % self.cfg["save_interval"] == 0:
                        self._save_in_run_dir()
                        saved_iteration = it
                if self.logger.writer is not None and saved_iteration != self.current_learning_iteration:
                    self._save_in_run_dir()
            if interrupt.requested:
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            self._restore_superseded()
            self._end_after_interrupt(save=not interrupt.requested)
            raise
        except BaseException:
            self._restore_superseded()
            if self.logger.writer is not None and not self._updating:
                self._check_run_dir()
            self.logger.flush()
            raise
        self.logger.stop_logging_writer()

    def _iterate(self, obs: Any, it: int, start_it: int, total_it: int) -> Any:  # noqa: ANN401
        """Run one rollout and update, and log them; returns the observations to go on from."""
        device = torch.empty(0, device=self.device).device
        clock = IterationClock(device)
        checks = StepChecks(self.env.num_envs, self.cfg.get("check_for_nan", True))
        use_final_obs = getattr(self.alg, "bootstrap_final_obs", False)
        use_rnd = bool(self.cfg["algorithm"].get("rnd_cfg"))
        with torch.no_grad():  # not inference mode: its tensors would stay in the environment, and be written to later
            for step in range(self.cfg["num_steps_per_env"]):
                actions = self.alg.act(obs)
                obs, rewards, dones, extras = self.env.step(actions.to(self.env.device))
                checks.check(obs, rewards, dones, extras, it, step)
                if use_final_obs and "time_outs" in extras and "final_obs" in extras:
                    checks.check_final(extras["final_obs"], obs, extras["time_outs"], it, step)
                obs, rewards, dones = _on_device(obs, device), rewards.to(device), dones.to(device)
                self.alg.process_env_step(obs, rewards, dones, extras)
                intrinsic_rewards = self.alg.intrinsic_rewards if use_rnd else None
                self.logger.process_env_step(rewards, dones, extras, intrinsic_rewards)
            joint = self._join_reads(checks, it)
            clock.end_rollout()
            self.alg.compute_returns(obs)
        self._updating = True
        losses = self._update(it, joint, saves=it % self.cfg["save_interval"] == 0 or it == total_it - 1)
        self._updating = False
        collect_time, learn_time = clock.stop()
        self.current_learning_iteration = self._last_finished = it
        self._superseded = []
        self.logger.log(
            it=it,
            start_it=start_it,
            total_it=total_it,
            collect_time=collect_time,
            learn_time=learn_time,
            loss_dict=losses,
            learning_rate=self.alg.learning_rate,
            action_std=_action_std(self.alg.get_policy()),
            rnd_weight=self.alg.rnd.weight if use_rnd else None,
        )
        return obs

    def _join_reads(self, checks: StepChecks, iteration: int) -> JointRead | None:
        """Let the coming update read for everybody, where it changes nothing if the rollout has a NaN.

        Returns:
            What it will have fetched; None if it reads for itself, and the rollout has been found to be without NaN.

        Raises:
            ValueError: Something in the rollout was NaN.
        """
        join = getattr(getattr(self.alg, "engine", None), "join", None)
        if join is None or "update" in vars(self.alg) or self.is_distributed:
            checks.raise_if_nan(iteration)
            return None

        def refuse() -> None:
            self._updating, updating = False, self._updating
            checks.raise_if_nan(iteration)
            self._updating = updating

        joint = JointRead(checks.found(), refuse)
        self.logger.join(joint, lambda: _action_std(self.alg.get_policy()))
        join(joint)
        return joint

    def _update(self, iteration: int, joint: JointRead | None, *, saves: bool) -> dict[str, float]:
        """Let the algorithm learn; returns its losses.

        Raises:
            ValueError: The update diverged; it is refused before it can be saved. Or it was refused the rollout.
        """
        # What the last step did shows in no loss.
        share = joint.add(lambda: excess(self.alg)) if saves and joint is not None else []
        try:
            losses = self.alg.update()
        except RuntimeError:  # e.g. of sampling with a mean that is NaN
            self._check_divergence(iteration, excess(self.alg).item())
            raise
        if joint is not None:
            joint.fetch()
        for name, loss in losses.items():
            if not math.isfinite(loss):
                raise ValueError(diverged(f"the loss '{name}' must be finite, got {float(loss)}", iteration))
        if saves:
            self._check_divergence(iteration, share[0] if share else excess(self.alg).item())
        return losses

    def _randomize_episode_lengths(self) -> None:
        lengths = getattr(self.env, "episode_length_buf", None)
        limit = getattr(self.env, "max_episode_length", None)
        if lengths is None or limit is None:
            warnings.warn(
                "OnPolicyRunner.learn: `init_at_random_ep_len` is ignored, the environment has no `episode_length_buf` "
                "or no `max_episode_length`",
                stacklevel=3,
            )
        elif isinstance(limit, torch.Tensor) and limit.numel() > 1:
            fraction = torch.rand(lengths.shape, device=lengths.device)
            self.env.episode_length_buf = (fraction * limit.to(lengths.device)).to(lengths.dtype)
        else:
            self.env.episode_length_buf = torch.randint_like(lengths, high=int(limit))

    def _announce(self, start_it: int, total_it: int) -> None:
        if hasattr(self.alg, "select_engine"):  # models may have been compiled, loaded or hooked since
            self.alg.select_engine()
        engine = getattr(self.alg, "engine", None)
        if engine is not None:
            name = getattr(engine, "name", type(engine).__name__)
            self.logger.console.message(f"Engine: {name} ({getattr(self.alg, 'engine_reason', 'no reason given')})")
        if start_it > 0:
            self.logger.console.message(f"Continuing with iteration {start_it}, up to {total_it}")

    def _end_after_interrupt(self, *, save: bool) -> None:
        """Save where Ctrl-C stopped the run.

        A checkpoint that exists is never replaced, and an update broken off in the middle is not saved.
        """
        if self.logger.writer is not None:
            path = self._model_path()
            if save and not self._updating and not os.path.exists(path):
                self._save_in_run_dir()
            self.logger.console.close()
            saved = checkpoint.latest(str(self.logger.log_dir))
            self.logger.console.message(f"Interrupted: checkpoint saved in {saved}" if saved else "Interrupted")
        self.logger.stop_logging_writer()

    def _drop_rollout(self) -> None:
        """Forget what is stored of a rollout, and of a step, that did not come to its end."""
        for part in ("storage", "transition"):
            if hasattr(self.alg, part):
                getattr(self.alg, part).clear()


def _on_device(obs: Any, device: torch.device) -> Any:  # noqa: ANN401 - a TensorDict, or what behaves like one
    """Observations on a device: themselves where they are there; ``TensorDict.to`` would make another container."""
    return obs if all(getattr(x, "device", device) == device for x in obs.values()) else obs.to(device)


def _action_std(policy: Any) -> torch.Tensor:  # noqa: ANN401
    """Standard deviations of the actions; zero for a policy that acts without noise."""
    return torch.zeros(1, device="cpu") if getattr(policy, "distribution", True) is None else policy.output_std


def _checked(train_cfg: dict[str, Any] | RunnerCfg, required_keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the dictionary of a configuration, with all that the runner itself reads."""
    cfg = train_cfg.to_dict() if isinstance(train_cfg, Cfg) else train_cfg
    missing = [key for key in required_keys if key not in cfg]
    if missing:
        raise ValueError(f"OnPolicyRunner: `train_cfg` must have the keys {missing}, got {sorted(cfg)}")
    for key in ("num_steps_per_env", "save_interval"):
        require("OnPolicyRunner", key, cfg[key], integer=True, least=1)
    return cfg
