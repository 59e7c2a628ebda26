# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The logger of a training run."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch

import rslcore
from rslcore.logging.code_state import store_code_state
from rslcore.logging.console import Console, make_console
from rslcore.logging.metrics_file import MetricsFile
from rslcore.logging.report import IterationReport
from rslcore.logging.statistics import EpisodeStatistics, LogAverages
from rslcore.logging.writers import WandbLogWriter, make_writer, writer_name
from rslcore.utils import JointRead

WINDOW = 100
"""Finished episodes the means run over, as rsl_rl 5.5.1."""


class _Numbers(NamedTuple):
    """What is read of the device in an iteration, once it has been fetched."""

    mean_std: list[float]
    reported: list[list[float]]
    episodes: list[float]


class Logger:
    """Turns rollouts and updates into scalars, and hands these to a writer, to metrics.jsonl and to the console.

    Names, tags and meanings are those of rsl_rl 5.5.1. Per step it only launches device operations; the device is read
    once per iteration: in :meth:`log`, or with another read (:meth:`join`). Deviations: statistics and totals are kept
    without a ``log_dir`` too, and the ETA counts the iterations of this call of ``learn`` only.
    """

    def __init__(
        self,
        log_dir: str | Path | None,
        cfg: dict[str, Any],
        env_cfg: dict | object,
        num_envs: int,
        is_distributed: bool = False,
        gpu_world_size: int = 1,
        gpu_global_rank: int = 0,
        device: torch.device | str = "cpu",
        *,
        console: str = "auto",
    ) -> None:
        """Prepare the statistics; nothing is opened or written yet.

        Args:
            log_dir: Run folder; None writes no files, and then "auto" shows nothing on the console.
            cfg: Training configuration.
            env_cfg: Configuration of the environment, for writers that store it.
            num_envs: Environments of this process (N).
            is_distributed: Whether several processes train together; only rank 0 logs.
            gpu_world_size: Number of processes.
            gpu_global_rank: Rank of this process.
            device: Device of the rewards.
            console: "auto", "plain", "live", "json" or "none", see :func:`~rslcore.logging.console.make_console`.

        Raises:
            ValueError: ``console`` is unknown.
        """
        self.log_dir = None if log_dir is None else str(log_dir)
        self.cfg = cfg
        self.env_cfg = env_cfg
        self.num_envs = num_envs
        self.gpu_world_size = gpu_world_size
        self.device = device
        self.disable_logs = is_distributed and gpu_global_rank != 0
        self.console = Console() if self.disable_logs else make_console(console, silent_by_default=log_dir is None)
        self.git_status_repos: list[str] = [] if rslcore.__file__ is None else [rslcore.__file__]
        self.writer: Any = None
        self.tot_timesteps = 0
        self.tot_time = 0.0
        self.rewbuffer: deque[float] = deque(maxlen=WINDOW)
        self.lenbuffer: deque[float] = deque(maxlen=WINDOW)
        self._has_rnd = bool(cfg["algorithm"].get("rnd_cfg"))
        if self._has_rnd:
            self.erewbuffer: deque[float] = deque(maxlen=WINDOW)
            self.irewbuffer: deque[float] = deque(maxlen=WINDOW)
        self._episodes = EpisodeStatistics(num_envs, device, WINDOW, intrinsic_rewards=self._has_rnd)
        self._reported = LogAverages()
        self._numbers: _Numbers | None = None
        self._metrics: MetricsFile | None = None
        self._learn_time = 0.0
        self._videos: set[Path] = set()

    @property
    def cur_episode_length(self) -> torch.Tensor:
        """Steps so far of the running episodes. [N]."""
        return self._episodes.running[0]

    @property
    def cur_reward_sum(self) -> torch.Tensor:
        """Rewards so far of the running episodes, intrinsic ones included. [N]."""
        return self._episodes.running[1]

    @property
    def logger_type(self) -> str:
        """Class name of the writer that the configuration asks for, or "tensorboard"."""
        return writer_name(self.cfg)

    def init_logging_writer(self, first_iteration: int = 0) -> None:
        """Open the writer and metrics.jsonl, and store configuration and code state; :meth:`log` may follow.

        What the folder has recorded of ``first_iteration`` and later ones, before training went back to it, gives way.
        """
        self._learn_time = 0.0
        self._numbers = None  # of an iteration that did not end, as what is dropped next
        self._reported = LogAverages()
        if self._metrics is not None:
            self._metrics.close()
        if self.log_dir is None or self.disable_logs:
            return
        Path(self.log_dir).mkdir(parents=True, exist_ok=True)
        self._metrics = MetricsFile(self.log_dir)
        earlier = self._metrics.records()
        goes_back = any(record["iteration"] >= first_iteration for record in earlier)
        self.writer = make_writer(self.cfg, self.log_dir, first_iteration if goes_back else None)
        if goes_back:
            self._repeat_times([record for record in earlier if record["iteration"] < first_iteration], first_iteration)
        files = store_code_state(self.log_dir, self.git_status_repos)
        for file in files:
            self.console.message(f"Code state (git commit, status, diff) stored in: {file}")
        self._tell_writer("store_config", self.env_cfg, self.cfg)
        for file in files:
            self._tell_writer("save_file", file)

    def process_env_step(
        self,
        rewards: torch.Tensor,
        dones: torch.Tensor,
        extras: dict[str, Any],
        intrinsic_rewards: torch.Tensor | None = None,
    ) -> None:
        """Add one step of all environments to the statistics.

        Args:
            rewards: [N].
            dones: [N], any dtype; not 0 where the episode ended on this step.
            extras: ``extras["episode"]``, else ``extras["log"]``, is a dict of numbers and tensors to be averaged over
                the iteration.
            intrinsic_rewards: [N], with random network distillation.
        """
        if self.disable_logs:
            return
        reported = extras.get("episode", extras.get("log"))
        if reported:
            self._reported.add(reported)
        self._episodes.step(rewards, dones, intrinsic_rewards)

    def join(self, joint: JointRead, action_std: Callable[[], torch.Tensor]) -> None:
        """Have what :meth:`log` would otherwise read itself fetched by another read, which must come before it.

        Args:
            joint: The read.
            action_std: Returns the standard deviations of the actions, any shape, at that time.
        """
        if self.disable_logs:
            return
        self._numbers = _Numbers(
            mean_std=joint.add(lambda: action_std().detach().mean()),
            reported=[joint.add(sums) for sums in self._reported.device_sums()],
            episodes=joint.add(self._episodes.numbers),
        )

    def log(
        self,
        it: int,
        start_it: int,
        total_it: int,
        collect_time: float,
        learn_time: float,
        loss_dict: Mapping[str, float | torch.Tensor],
        learning_rate: float,
        action_std: torch.Tensor,
        rnd_weight: float | None = None,
        print_minimal: bool = False,
        width: int = 80,
        pad: int = 40,
    ) -> None:
        """Report one iteration everywhere.

        Args:
            it: Number of the iteration.
            start_it: First iteration of this call of ``learn``.
            total_it: One past its last iteration.
            collect_time: Seconds of the rollout.
            learn_time: Seconds of returns and update.
            loss_dict: Mean losses by name.
            learning_rate: Learning rate after the update.
            action_std: Standard deviations of the actions, any shape; not looked at after :meth:`join`.
            rnd_weight: Weight of intrinsic rewards, with random network distillation.
            print_minimal: Leave what the environment reports out of the console.
            width: Columns of a plain console block.
            pad: Columns of the names in it.
        """
        if self.disable_logs:
            return
        losses, mean_std, extras = self._read_device(loss_dict, action_std)
        steps = self.cfg["num_steps_per_env"] * self.num_envs * self.gpu_world_size
        iteration_time = collect_time + learn_time
        self.tot_timesteps += steps
        self.tot_time += iteration_time
        self._learn_time += iteration_time
        report = IterationReport(
            iteration=it,
            start_iteration=start_it,
            end_iteration=total_it,
            run_name=self.cfg.get("run_name") or "",
            total_timesteps=self.tot_timesteps,
            total_time=self.tot_time,
            learn_time_so_far=self._learn_time,
            collection_time=collect_time,
            learning_time=learn_time,
            steps_per_second=int(steps / max(iteration_time, 1e-9)),
            losses=losses,
            learning_rate=learning_rate,
            mean_std=mean_std,
            mean_reward=_mean(self.rewbuffer),
            mean_episode_length=_mean(self.lenbuffer),
            mean_extrinsic_reward=_mean(self.erewbuffer) if self._has_rnd else None,
            mean_intrinsic_reward=_mean(self.irewbuffer) if self._has_rnd else None,
            rnd_weight=rnd_weight,
            extras=extras,
            peak_memory=_peak_memory(self.device),
        )
        self._write(report)
        self.console.iteration(report, minimal=print_minimal, width=width, pad=pad)

    def save_model(self, path: str, it: int) -> None:
        """Hand a checkpoint file to the writer, if it stores such."""
        self._tell_writer("save_model", path, it)

    def is_in_place(self) -> bool:
        """Return whether what was written is still in the run folder: metrics.jsonl may have been deleted."""
        return self._metrics is None or self._metrics.is_in_place()

    def flush(self) -> None:
        """Give the terminal back and write out what is held in memory."""
        self.console.close()
        self._tell_writer("flush")

    def stop_logging_writer(self) -> None:
        """Close writer, metrics.jsonl and console; a later ``learn`` opens them again."""
        self.console.close()
        if self._metrics is not None:
            self._metrics.close()
        for method in ("stop", "close"):  # TensorBoard's writer has `close`
            if callable(getattr(self.writer, method, None)):
                self._tell_writer(method)
                break

    def state_dict(self) -> dict[str, Any]:
        """Return totals and statistics as tensors and plain numbers."""
        state = {
            "tot_timesteps": self.tot_timesteps,
            "tot_time": self.tot_time,
            "running": self._episodes.running.clone(),
        }
        return state | {name: list(buffer) for name, buffer in self._buffers().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue totals and the statistics of finished episodes.

        Running episodes are continued by :meth:`load_running`, and only where the environment continues them too.
        """
        self.tot_timesteps = state["tot_timesteps"]
        self.tot_time = state["tot_time"]
        for name, buffer in self._buffers().items():
            buffer.clear()
            buffer.extend(state.get(name, ()))

    def load_running(self, state: Mapping[str, Any]) -> None:
        """Continue the sums over running episodes of a state with as many environments and kinds of rewards."""
        if state["running"].shape == self._episodes.running.shape:
            self._episodes.running.copy_(state["running"])

    def _buffers(self) -> dict[str, deque[float]]:
        """Return the buffers of finished episodes, in the order of the rows of the statistics."""
        buffers = {"lenbuffer": self.lenbuffer, "rewbuffer": self.rewbuffer}
        if self._has_rnd:
            buffers |= {"erewbuffer": self.erewbuffer, "irewbuffer": self.irewbuffer}
        return buffers

    def _read_device(
        self, loss_dict: Mapping[str, float | torch.Tensor], action_std: torch.Tensor
    ) -> tuple[dict[str, float], float, dict[str, float]]:
        """Return losses, mean standard deviation and reported means, and fill the buffers; reads what is not yet."""
        joint = JointRead()
        read = {name: joint.add(value) for name, value in loss_dict.items() if isinstance(value, torch.Tensor)}
        if self._numbers is None:
            self.join(joint, lambda: action_std)
        joint.fetch()
        numbers, self._numbers = self._numbers, None
        assert numbers is not None
        episodes = self._episodes.collect(numbers.episodes)
        for buffer, column in zip(self._buffers().values(), zip(*episodes, strict=True), strict=False):
            buffer.extend(column)
        losses = {name: read[name][0] if name in read else float(value) for name, value in loss_dict.items()}
        return losses, numbers.mean_std[0], self._reported.pop(chain.from_iterable(numbers.reported))

    def _write(self, report: IterationReport) -> None:
        if self.writer is not None:
            scalars = report.scalars()
            for tag, value in scalars.items():
                self.writer.add_scalar(tag, value, report.iteration)
            self._write_by_time(scalars, report.total_time)
            if self.log_dir is not None and hasattr(self.writer, "save_video"):
                for video in sorted(set(Path(self.log_dir).rglob("*.mp4")) - self._videos):
                    self._videos.add(video)
                    self.writer.save_video(video, report.iteration)
        if self._metrics is not None:
            self._metrics.write(report.record())

    def _write_by_time(self, scalars: Mapping[str, Any], total_time: float) -> None:
        """Write what rsl_rl also draws over the seconds of training."""
        if isinstance(self.writer, WandbLogWriter):  # whose steps must not go back
            return
        for tag in ("Train/mean_reward", "Train/mean_episode_length"):
            if scalars.get(tag) is not None:
                self.writer.add_scalar(f"{tag}/time", scalars[tag], int(total_time))

    def _repeat_times(self, earlier: Iterable[Mapping[str, Any]], purge_step: int) -> None:
        """Write again what TensorBoard takes for later than ``purge_step`` as its steps are seconds."""
        if writer_name(self.cfg) == "tensorboard":
            for record in earlier:
                if (record.get("total_time") or 0) >= purge_step:
                    self._write_by_time(record, record["total_time"])

    def _tell_writer(self, method: str, *arguments: Any) -> None:  # noqa: ANN401
        """Call a method that only some writers have (TensorBoard's has none of rsl_rl's)."""
        function = getattr(self.writer, method, None)
        if callable(function):
            function(*arguments)


def _peak_memory(device: torch.device | str) -> float | None:
    """Most memory that tensors ever took on a GPU, MiB; asks torch's allocator, not the device."""
    on_gpu = torch.device(device).type == "cuda"
    return torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu else None


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return statistics.fmean(values) if values else None
