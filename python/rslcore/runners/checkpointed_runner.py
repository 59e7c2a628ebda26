# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""What a runner saves and loads: everything or nothing, and nothing that has diverged."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from rslcore import checkpoint
from rslcore.algorithms import PPO, Distillation
from rslcore.algorithms.distillation import PLAIN_NOISE
from rslcore.logging import Logger
from rslcore.runners.divergence import excess, first_excess
from rslcore.runners.observation_groups import KEY as OBSERVATION_GROUPS
from rslcore.runners.observation_groups import check_observation_groups, observation_layouts
from rslcore.runners.resume_state import ResumeState

_MOST_ITERATIONS = 2**62


class CheckpointedRunner:
    """The part of a runner that saves and loads; :class:`OnPolicyRunner` trains."""

    alg: Any
    """The algorithm."""

    current_learning_iteration: int
    """Number of the last finished iteration; 0 before the first."""

    run_dir_lock: checkpoint.RunDirLock | None = None
    """What the caller has got from :func:`rslcore.checkpoint.lock` for the run folder; ``learn`` then takes none."""

    env: Any
    cfg: dict[str, Any]
    device: torch.device | str
    logger: Logger

    def _start_unsaved(self, obs: Any) -> None:  # noqa: ANN401
        """Begin with an algorithm that was neither saved nor loaded; ``obs`` are those that it was built for."""
        self.current_learning_iteration = 0
        self._last_finished: int | None = None
        self._resume: ResumeState | None = None
        self._loaded_from: Path | None = None
        self._own_files: set[Path] = set()
        """Checkpoints that this runner was loaded from or has written."""
        self._superseded: list[Path] = []
        """Checkpoints moved away for a branch of which no iteration is done yet."""
        self._updating = False
        """Whether parameters and optimizer are somewhere between two iterations."""
        self._observation_layouts = observation_layouts(obs, self.cfg["obs_groups"] or {})

    @property
    def next_iteration(self) -> int:
        """Number of the iteration that ``learn`` starts with."""
        done = self._last_finished == self.current_learning_iteration
        return self.current_learning_iteration + 1 if done else self.current_learning_iteration

    def save(self, path: str | os.PathLike[str], infos: dict[str, Any] | None = None) -> None:
        """Write a checkpoint that rsl_rl 5.5.1 and this class load, replacing ``path`` in one step.

        Args:
            path: The file.
            infos: Returned by :meth:`load`. Values other than tensors and plain ones make the file load with
                ``weights_only=False`` only.

        Raises:
            ValueError: Something to be saved is NaN or infinite; nothing has been written.
        """
        if not excess(self.alg).item() < 1 and (what := first_excess(self.alg)) is not None:
            raise ValueError(diverged(what, self.current_learning_iteration))
        content = self.alg.save()
        content["iter"] = self.current_learning_iteration
        content["infos"] = infos
        content[OBSERVATION_GROUPS] = self._observation_layouts
        content["rslcore_state"] = ResumeState.capture(
            self.alg,
            self.env,
            self.logger,
            self.device,
            finished=self._last_finished == self.current_learning_iteration,
        )
        unsafe = checkpoint.first_not_plain(infos, "infos")
        if unsafe is not None:
            warnings.warn(
                f"OnPolicyRunner.save: {unsafe} is neither a tensor nor a plain value; '{path}' will load with "
                "`weights_only=False` only",
                stacklevel=2,
            )
        checkpoint.write(content, path)
        self._own_files.add(Path(path).resolve())
        self.logger.save_model(str(path), self.current_learning_iteration)

    def load(
        self,
        path: str | os.PathLike[str],
        load_cfg: dict[str, bool] | None = None,
        strict: bool = True,
        map_location: torch.device | str | None = None,
        *,
        weights_only: bool = True,
    ) -> Any:  # noqa: ANN401
        """Load a checkpoint of this class or of rsl_rl 4 and 5.

        Models, optimizer and counters are set at once. Random state and the state of the environment follow when
        ``learn`` starts, so that loading a policy to play it touches neither.

        Args:
            path: The file.
            load_cfg: Which of "actor", "critic", "optimizer", "iteration", "rnd" to load; None means all. Random
                state, totals and environment go with "iteration".
            strict: Refuse missing and surplus entries.
            map_location: Device to read the tensors to, from where they are copied to their place; None means the CPU.
            weights_only: Refuse files with other objects than tensors and plain values; such files can run any code
                while they are read.

        Returns:
            The ``infos`` the checkpoint was saved with.

        Raises:
            FileNotFoundError: There is no such file.
            CheckpointError: The file is damaged, or does not fit the models or what they see (a kind of ValueError);
                nothing has been changed.
        """
        content = checkpoint.read(path, map_location or "cpu", weights_only=weights_only)
        if isinstance(actor := content.get("actor_state_dict"), dict):
            own = self.alg.get_policy().state_dict()  # a model of the user's may have a "std" of its own
            content["actor_state_dict"] = {  # rsl_rl 4.x named its noise otherwise
                name if name in own else PLAIN_NOISE.get(name, name): tensor for name, tensor in actor.items()
            }
        with _refusals(path):
            self._check_loadable(content, load_cfg, strict)
            if load_cfg is None or load_cfg.get("iteration"):
                self._check_progress(content)
        if self._load_into_algorithm(content, load_cfg, strict, path):
            self.current_learning_iteration = content["iter"]
            # Files of rsl_rl have no such state; they are written after an iteration.
            state = content.get("rslcore_state")
            self._last_finished = content["iter"] if state is None or state["finished"] else None
            self._resume = None if state is None else ResumeState(state)
            if state is not None:
                self.logger.load_state_dict(state["logger"])
            self._updating = False
            self._loaded_from = Path(path).resolve()
            self._own_files.add(self._loaded_from)
        return content.get("infos")

    def _check_loadable(self, content: dict[str, Any], load_cfg: dict[str, bool] | None, strict: bool) -> None:
        """Refuse a checkpoint that does not fit the algorithm, before anything is changed."""
        if type(self.alg).load is PPO.load:  # an algorithm with its own `load` knows itself what it accepts
            self._check_parts(content, load_cfg, strict, None if self.alg.rnd is None else self.alg.rnd.optimizer)
        self._check_groups(content, load_cfg)

    def _check_parts(
        self,
        content: dict[str, Any],
        load_cfg: dict[str, bool] | None,
        strict: bool,
        rnd_optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Refuse parts of a checkpoint that do not fit those of the algorithm."""
        checkpoint.check_compatible(
            self.alg.save(),
            content,
            optimizer=self.alg.optimizer,
            rnd_optimizer=rnd_optimizer,
            load_cfg=load_cfg,
            strict=strict,
        )

    def _check_groups(self, content: dict[str, Any], load_cfg: dict[str, bool] | None) -> None:
        """Refuse models of a checkpoint that have seen other observations, whatever algorithm loads them."""
        loaded = [part for part in checkpoint.PARTS if load_cfg is None or load_cfg.get(part)]
        check_observation_groups(self._observation_layouts, content.get(OBSERVATION_GROUPS), loaded)

    def _check_progress(self, content: dict[str, Any]) -> None:
        """Refuse a checkpoint that does not say where to go on."""
        iteration = content.get("iter")
        if type(iteration) is not int or not 0 <= iteration < _MOST_ITERATIONS:
            got = iteration if isinstance(iteration, (bool, int)) else type(iteration).__name__
            raise checkpoint.CheckpointError(f"checkpoint: 'iter' must be an int, 0 or more, got {got}")
        if content.get("rslcore_state") is not None:
            ResumeState.check(content["rslcore_state"], self.logger, self.alg, self.device)

    def _load_into_algorithm(
        self, content: dict[str, Any], load_cfg: dict[str, bool] | None, strict: bool, path: str | os.PathLike[str]
    ) -> bool:
        """Let the algorithm load all or nothing: what it refuses half way is undone.

        One with a ``load`` of its own is left to itself.
        """
        if type(self.alg).load not in (PPO.load, Distillation.load):
            return self.alg.load(content, load_cfg, strict)
        before, kept = (
            copy.deepcopy(self.alg.save()),
            {name: value for name, value in vars(self.alg).items() if isinstance(value, (bool, int, float))},
        )
        try:
            return self.alg.load(content, load_cfg, strict)
        except Exception as error:
            self.alg.load(before, dict.fromkeys((*checkpoint.PARTS, "optimizer", "iteration"), True), True)
            vars(self.alg).update(kept)
            raise checkpoint.CheckpointError(f"checkpoint: '{path}' does not load ({error})") from error

    def _check_divergence(self, iteration: int, share: float) -> None:
        """Refuse an algorithm whose state has diverged, given its :func:`excess`."""
        if not share < 1 and (what := first_excess(self.alg)) is not None:
            raise ValueError(diverged(what, iteration))

    def _save_at_start(self) -> int | None:
        """Save before the first iteration, so that a run killed in it leaves a checkpoint; returns its iteration."""
        if self.logger.writer is None:
            return None
        folder = str(self.logger.log_dir)
        checkpoint.clean_leftovers(folder)
        path = Path(self._model_path())
        is_own = path.is_file() and path.resolve() in self._own_files
        self._superseded = checkpoint.supersede(folder, self.current_learning_iteration - (0 if is_own else 1))
        if self._superseded:
            names = ", ".join(file.name for file in self._superseded)
            place = self._superseded[0].parent
            self.logger.console.message(f"Moved to {place}, as training continues before them: {names}")
        if not is_own or not (self._updating or path.resolve() == self._loaded_from):
            self.save(str(path))
        return self.current_learning_iteration

    def _restore_superseded(self) -> None:
        """Move back the checkpoints of the other branch, where no iteration of this one was done."""
        with contextlib.suppress(OSError):  # the folder may be gone, which is told by who looks for it
            checkpoint.restore_superseded(self._superseded)
        self._superseded = []

    def _save_in_run_dir(self) -> None:
        """Save the last finished iteration in the run folder.

        Raises:
            FileNotFoundError: It is not the folder that the training began in; the checkpoint has been saved though.
        """
        self._check_run_dir()
        self.save(self._model_path())

    def _check_run_dir(self) -> None:
        """Find out whether the run folder still is what the training has written into, and rescue what was learned.

        Raises:
            FileNotFoundError: It is not; the last finished iteration has been saved in a folder of its name.
        """
        if self.run_dir_lock is None or (self.run_dir_lock.is_in_place() and self.logger.is_in_place()):
            return
        self.save(self._model_path())
        raise FileNotFoundError(
            errno.ENOENT,
            "the run folder was deleted or moved while it was trained in; what was learned is in "
            f"{self._model_path()}, settings and metrics are gone",
            str(self.logger.log_dir),
        )

    def _model_path(self) -> str:
        return os.path.join(str(self.logger.log_dir), f"model_{self.current_learning_iteration}.pt")


@contextlib.contextmanager
def _refusals(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let whatever content that is not ours makes the checks raise be of one kind."""
    try:
        yield
    except checkpoint.CheckpointError:
        raise
    except Exception as error:
        raise checkpoint.CheckpointError(f"checkpoint: '{path}' does not load ({error!r})") from error


def diverged(what: str, iteration: int) -> str:
    """Return what to tell of an iteration whose results cannot be used."""
    return (
        f"OnPolicyRunner: {what} in iteration {iteration}. The training has diverged; the last checkpoint is of "
        "before. Try a smaller learning rate, or rewards and observations of smaller magnitude"
    )
