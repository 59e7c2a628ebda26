# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Where scalars go: TensorBoard, Weights & Biases, or a class of the user's."""

from __future__ import annotations

import dataclasses
import inspect
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rslcore._files import replacing
from rslcore.utils import resolve_class

_WANDB_RUN = "wandb_run.txt"
"""File of a run folder: id of its first run."""


class LogWriter(ABC):
    """Base of the writers named by ``cfg["logger"]["class_name"]``; the names are those of rsl_rl 5.5.1.

    Only :meth:`add_scalar` has to be written, the others do nothing unless overridden. The constructor gets ``log_dir``
    and the other keys of ``cfg["logger"]``; and, if it takes that, ``purge_step``: the iteration that training begins
    with in a folder that has seen it and later ones already, None where there is nothing of that kind.
    """

    @abstractmethod
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Record one value at an iteration."""

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:  # noqa: B027
        """Store the configurations, once, when training starts."""

    def save_model(self, model_path: str, it: int) -> None:  # noqa: B027
        """Store a checkpoint file."""

    def save_file(self, path: str) -> None:  # noqa: B027
        """Store a file."""

    def save_video(self, video: Path, it: int) -> None:  # noqa: B027
        """Store a video file; called once per file."""

    def stop(self) -> None:  # noqa: B027
        """Finish the record."""


class WandbLogWriter(LogWriter):
    """Weights & Biases, and TensorBoard files beside it."""

    def __init__(self, log_dir: str, project_name: str, purge_step: int | None = None) -> None:
        """Start a run named like the log folder, of the entity in ``WANDB_USERNAME`` if that is set.

        A run's steps never go back, so every training is a run of its own. All those of one folder are in one group;
        the configuration of the second and later ones names the first, "continues", whose id the folder keeps.

        Args:
            log_dir: Run folder.
            project_name: Project of the run.
            purge_step: First iteration, where the folder has seen it already.

        Raises:
            ModuleNotFoundError: wandb is not installed.
        """
        try:
            import wandb
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("logger 'WandbLogWriter' needs wandb: pip install 'rslcore[wandb]'") from error
        self._wandb = wandb
        self._tensorboard = tensorboard_writer(log_dir, purge_step)
        kept = Path(log_dir) / _WANDB_RUN
        first = kept.read_text(encoding="utf-8").strip() if kept.is_file() else None
        run = wandb.init(
            project=project_name,
            entity=os.environ.get("WANDB_USERNAME"),
            name=Path(log_dir).name,
            group=Path(log_dir).name,
            config={"log_dir": log_dir} | ({} if first is None else {"continues": first}),
        )
        if first is None and run is not None:
            with replacing(kept) as file:
                file.write(f"{run.id}\n".encode())

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Record one value at an iteration, in both places."""
        self._tensorboard.add_scalar(tag, scalar_value, global_step)
        self._wandb.log({tag: scalar_value}, step=global_step)

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:
        """Store the configurations; that of the environment may be a dict, a dataclass or have ``to_dict()``."""
        self._wandb.config.update({"train_cfg": train_cfg, "env_cfg": _as_dict(env_cfg)})

    def save_model(self, model_path: str, it: int) -> None:
        """Upload a checkpoint file."""
        self.save_file(model_path)

    def save_file(self, path: str) -> None:
        """Upload a file."""
        self._wandb.save(path, base_path=os.path.dirname(path))

    def save_video(self, video: Path, it: int) -> None:
        """Upload a video."""
        self._wandb.log({"video": self._wandb.Video(str(video), format="mp4")}, step=it)

    def stop(self) -> None:
        """Finish the run."""
        self._tensorboard.close()
        self._wandb.finish()


def tensorboard_writer(log_dir: str, purge_step: int | None = None) -> Any:  # noqa: ANN401
    """Return a TensorBoard ``SummaryWriter`` that flushes every ten seconds.

    With ``purge_step``, TensorBoard forgets what the folder has recorded at that step and later ones.
    """
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(log_dir=log_dir, flush_secs=10, purge_step=purge_step)


def writer_name(cfg: Mapping[str, Any]) -> str:
    """Return the class name of the writer a training configuration asks for, or "tensorboard"."""
    logger = cfg.get("logger", "tensorboard")
    return str(logger if isinstance(logger, str) else logger["class_name"])


def make_writer(cfg: Mapping[str, Any], log_dir: str, purge_step: int | None = None) -> Any:  # noqa: ANN401
    """Make the writer a training configuration asks for.

    Args:
        cfg: ``cfg["logger"]`` is "tensorboard" (or absent), or a dict with ``class_name`` ("WandbLogWriter",
            "module:Class") and the arguments of that class. "wandb" with ``cfg["wandb_project"]`` is deprecated.
        log_dir: Run folder.
        purge_step: Iteration that training begins with, where the folder has seen it already.

    Raises:
        ValueError: The name is unknown, or of a service that is not supported.
        ModuleNotFoundError: The package behind the writer is not installed.
    """
    name = writer_name(cfg)
    if name == "tensorboard":
        return tensorboard_writer(log_dir, purge_step)
    logger = cfg["logger"]
    if isinstance(logger, str):
        if name == "wandb":
            warnings.warn(
                "cfg['logger'] = 'wandb' is deprecated; write {'class_name': 'WandbLogWriter', 'project_name': ...}",
                DeprecationWarning,
                stacklevel=2,
            )
            logger = {"class_name": "WandbLogWriter", "project_name": cfg.get("wandb_project")}
        else:
            logger = {"class_name": name}
    if name.lower() in ("neptune", "neptunelogwriter") or name.endswith((":NeptuneLogWriter", ".NeptuneLogWriter")):
        raise ValueError(f"Logger: `logger` '{name}' is not in rslcore; take 'tensorboard' or 'WandbLogWriter'")
    try:
        writer_class, arguments = resolve_class(logger)
    except (ValueError, AttributeError, ImportError) as error:
        raise ValueError(
            f"Logger: `logger` must be 'tensorboard', 'WandbLogWriter' or 'module:Class', got '{name}' ({error})"
        ) from error
    if "purge_step" in inspect.signature(writer_class).parameters:
        arguments = {"purge_step": purge_step, **arguments}
    return writer_class(log_dir=log_dir, **arguments)


def _as_dict(cfg: dict | object) -> dict[str, Any]:
    if isinstance(cfg, Mapping):
        return dict(cfg)
    if callable(to_dict := getattr(cfg, "to_dict", None)):
        return to_dict()
    if dataclasses.is_dataclass(cfg) and not isinstance(cfg, type):
        return dataclasses.asdict(cfg)
    return {} if cfg is None else {"repr": repr(cfg)}
