# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of writers, metrics.jsonl and the record of the code."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rslcore.logging import Logger, LogWriter, read_metrics, store_code_state
from rslcore.logging.metrics_file import MetricsFile


class RecordingWriter(LogWriter):
    """A writer of the user's, found by its name."""

    calls: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, log_dir: str, colour: str) -> None:
        self.calls.append(("init", log_dir, colour))

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Record a scalar."""
        self.calls.append((tag, scalar_value, global_step))

    def store_config(self, env_cfg: dict | object, train_cfg: dict) -> None:
        """Record the configuration."""
        self.calls.append(("config", env_cfg))

    def save_model(self, model_path: str, it: int) -> None:
        """Record a model."""
        self.calls.append(("model", model_path, it))

    def save_video(self, video: Path, it: int) -> None:
        """Record a video."""
        self.calls.append(("video", video.name, it))

    def stop(self) -> None:
        """Record the end."""
        self.calls.append(("stop",))


def make_logger(run_dir: Path | None, **cfg: Any) -> Logger:
    """Return a silent logger of four environments."""
    return Logger(run_dir, {"num_steps_per_env": 1, "algorithm": {}} | cfg, {"gravity": 9.81}, 4, console="none")


def log(logger: Logger, it: int) -> None:
    """Log an iteration of one second."""
    logger.log(it, 0, 9, 0.5, 0.5, {"value": 1.0}, 1e-3, torch.ones(2))


def test_own_writer_gets_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class named "module:Class" gets its arguments, configuration, scalars, models, each video once, and the end."""
    monkeypatch.setattr(RecordingWriter, "calls", [])
    module = types.ModuleType("own_writer_module")
    module.RecordingWriter = RecordingWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_writer_module", module)
    settings = {"class_name": "own_writer_module:RecordingWriter", "colour": "red"}
    logger = make_logger(tmp_path, logger=settings)
    logger.init_logging_writer()
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"")
    log(logger, 0)
    log(logger, 1)
    logger.save_model("model_1.pt", 1)
    logger.stop_logging_writer()
    calls = RecordingWriter.calls
    assert calls[0] == ("init", str(tmp_path), "red")
    assert calls[1] == ("config", {"gravity": 9.81})
    assert ("Loss/value", 1.0, 1) in calls
    assert [call for call in calls if call[0] == "video"] == [("video", "a.mp4", 0)]
    assert calls[-2:] == [("model", "model_1.pt", 1), ("stop",)]
    assert settings["class_name"] == "own_writer_module:RecordingWriter"  # the configuration is not modified
    assert len(read_metrics(tmp_path)) == 2


def test_unknown_writer_is_named(tmp_path: Path) -> None:
    """A writer that does not exist is a ValueError with its name."""
    for name in ("Wandbb", "no_such_module_here:Writer"):
        with pytest.raises(ValueError, match=f"'module:Class', got '{name}'"):
            make_logger(tmp_path, logger={"class_name": name}).init_logging_writer()


@pytest.mark.parametrize("logger", ["neptune", {"class_name": "rsl_rl.utils:NeptuneLogWriter", "project_name": "p"}])
def test_neptune_is_refused_clearly(tmp_path: Path, logger: Any) -> None:
    """A service that is not supported is one error that says what to take instead."""
    with pytest.raises(ValueError, match="is not in rslcore; take 'tensorboard' or 'WandbLogWriter'"):
        make_logger(tmp_path, logger=logger).init_logging_writer()


def test_missing_wandb_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wandb the error says what to install; the deprecated string works the same and warns."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    settings = {"class_name": "WandbLogWriter", "project_name": "p"}
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rslcore\[wandb\]'"):
        make_logger(tmp_path, logger=settings).init_logging_writer()
    with pytest.warns(DeprecationWarning, match="WandbLogWriter"), pytest.raises(ModuleNotFoundError):
        make_logger(tmp_path, logger="wandb", wandb_project="p").init_logging_writer()


@dataclasses.dataclass
class EnvCfg:
    """A configuration without to_dict()."""

    gravity: float = 9.81


@pytest.mark.parametrize("env_cfg", [{"gravity": 9.81}, EnvCfg()])
def test_wandb_gets_configuration_scalars_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env_cfg: Any
) -> None:
    """Recorded at wandb's interface: dict and dataclass configurations, scalars, model files, finish; no /time tags."""
    calls: list[tuple[Any, ...]] = []
    wandb = types.ModuleType("wandb")
    wandb.init = lambda **k: calls.append(("init", k))  # type: ignore[attr-defined]
    wandb.log = lambda values, step: calls.append(("log", values, step))  # type: ignore[attr-defined]
    wandb.save = lambda path, base_path: calls.append(("save", path, base_path))  # type: ignore[attr-defined]
    wandb.finish = lambda: calls.append(("finish",))  # type: ignore[attr-defined]
    wandb.config = types.SimpleNamespace(update=lambda values: calls.append(("config", values)))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_USERNAME", "somebody")
    logger = make_logger(tmp_path, logger={"class_name": "WandbLogWriter", "project_name": "walk"})
    logger.env_cfg = env_cfg
    logger.git_status_repos.clear()
    logger.init_logging_writer()
    logger.process_env_step(torch.ones(4), torch.ones(4), {})
    log(logger, 3)
    logger.save_model("/runs/a/model_3.pt", 3)
    logger.stop_logging_writer()
    assert calls[0][1] == {
        "project": "walk",
        "entity": "somebody",
        "name": tmp_path.name,
        "group": tmp_path.name,
        "config": {"log_dir": str(tmp_path)},
    }
    assert calls[1][1]["env_cfg"] == {"gravity": 9.81}
    assert ("log", {"Train/mean_reward": 1.0}, 3) in calls
    assert not [call for call in calls if call[0] == "log" and any("/time" in tag for tag in call[1])]
    assert calls[-2:] == [("save", "/runs/a/model_3.pt", "/runs/a"), ("finish",)]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_metrics_file_has_every_iteration_once(tmp_path: Path) -> None:
    """A resumed run overwrites what it repeats and a line cut short by a crash; NaN is null; a new run starts anew."""
    metrics = MetricsFile(tmp_path)
    for it in range(5):
        metrics.write({"iteration": it, "run": 1, "value": float("nan")})
    with open(metrics.path, "a", encoding="utf-8") as file:
        file.write('{"iteration": 5, "ru')
    assert [r["iteration"] for r in read_metrics(tmp_path)] == [0, 1, 2, 3, 4]
    metrics = MetricsFile(tmp_path)
    metrics.write({"iteration": 3, "run": 2})
    metrics.close()
    metrics.write({"iteration": 4, "run": 2})
    lines = [json.loads(line) for line in metrics.path.read_text().splitlines()]
    assert [(r["iteration"], r["run"]) for r in lines] == [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2)]
    assert lines[0]["value"] is None
    MetricsFile(tmp_path).write({"iteration": 0, "run": 3})
    assert [r["run"] for r in read_metrics(tmp_path)] == [3]
    with pytest.raises(FileNotFoundError, match="metrics"):
        read_metrics(tmp_path / "absent")


def test_ranks_but_the_first_log_nothing(tmp_path: Path) -> None:
    """In distributed training only rank 0 opens files and counts."""
    cfg = {"num_steps_per_env": 1, "algorithm": {}}
    logger = Logger(tmp_path / "run", cfg, {}, 4, is_distributed=True, gpu_world_size=2, gpu_global_rank=1)
    logger.init_logging_writer()
    logger.process_env_step(torch.ones(4), torch.ones(4), {})
    log(logger, 0)
    assert logger.disable_logs
    assert logger.writer is None
    assert logger.tot_timesteps == 0
    assert not (tmp_path / "run").exists()


def test_without_folder_statistics_are_kept_silently(capsys: pytest.CaptureFixture[str]) -> None:
    """log_dir=None writes and prints nothing, but counts steps and episodes."""
    logger = Logger(None, {"num_steps_per_env": 1, "algorithm": {}}, {}, 4)
    logger.init_logging_writer()
    logger.process_env_step(torch.ones(4), torch.ones(4), {})
    log(logger, 0)
    assert (logger.tot_timesteps, list(logger.rewbuffer)) == (4, [1.0] * 4)
    assert capsys.readouterr().out == ""


def test_code_state_has_commit_status_and_diff(tmp_path: Path) -> None:
    """Uncommitted changes are stored once per repository; what is no repository is passed over."""
    repository, run_dir = tmp_path / "robot", tmp_path / "run"
    repository.mkdir()

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(repository), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    assert store_code_state(run_dir, [repository]) == []  # no commit yet
    (repository / "code.py").write_text("speed = 1\n")
    git("add", ".")
    git("commit", "-q", "-m", "start")
    (repository / "code.py").write_text("speed = 2\n")
    (tmp_path / "outside").mkdir()
    written = store_code_state(run_dir, [repository / "code.py", tmp_path / "outside", "/nowhere/file.py"])
    assert written == [str(run_dir / "git" / "robot.diff")]
    text = Path(written[0]).read_text()
    for part in ("--- git commit ---\n" + git("rev-parse", "HEAD"), "--- git status ---", "modified:", "+speed = 2"):
        assert part in text
    (repository / "code.py").write_text("speed = 3\n")
    (again,) = store_code_state(run_dir, [repository])
    assert again == str(run_dir / "git" / "robot_2.diff")
    assert "+speed = 3" in Path(again).read_text()
    assert "+speed = 2" in Path(written[0]).read_text()
    assert store_code_state(run_dir, [repository]) == []


def test_repositories_of_one_name_are_all_stored(tmp_path: Path) -> None:
    """Two repositories called the same have a file each, also where they are equal; a second time changes nothing."""
    repositories = [tmp_path / place / "robot" for place in ("a", "b", "c")]
    for repository, speed in zip(repositories, (1, 2, 2), strict=True):
        repository.mkdir(parents=True)
        (repository / "code.py").write_text(f"speed = {speed}\n")
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        when = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
            subprocess.run(["git", "-C", str(repository), *identity, *arguments], check=True, env=os.environ | when)
    written = store_code_state(tmp_path / "run", repositories)
    assert [Path(file).name for file in written] == ["robot.diff", "robot_2.diff", "robot_3.diff"]
    assert store_code_state(tmp_path / "run", repositories) == []


def test_code_state_is_not_written_through_a_link(tmp_path: Path) -> None:
    """A link of the file's name, to a file that may not exist, stays; the state goes beside it."""
    repository, run_dir = tmp_path / "robot", tmp_path / "run"
    (run_dir / "git").mkdir(parents=True)
    (run_dir / "git" / "robot.diff").symlink_to(tmp_path / "elsewhere")
    repository.mkdir()
    for arguments in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "start"]):
        command = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        subprocess.run(command, check=True)
    assert store_code_state(run_dir, [repository]) == [str(run_dir / "git" / "robot_2.diff")]
    assert not (tmp_path / "elsewhere").exists()


def test_metrics_are_not_written_through_a_link(tmp_path: Path) -> None:
    """metrics.jsonl as a link or a pipe is refused by name, without a wait; a link's target stays as it is."""
    for make in (lambda path: path.symlink_to(tmp_path / "elsewhere"), os.mkfifo):
        path = tmp_path / "metrics.jsonl"
        make(path)
        with pytest.raises(OSError, match=r"it is (a symbolic link|no regular file): .*metrics\.jsonl"):
            MetricsFile(tmp_path).write({"iteration": 0})
        path.unlink()
    assert not (tmp_path / "elsewhere").exists()


def steps(run_dir: Path, tag: str) -> list[int]:
    """Steps of a tag, as TensorBoard shows them."""
    events = EventAccumulator(str(run_dir))
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


def test_tensorboard_shows_every_step_once(tmp_path: Path) -> None:
    """Training that goes back to iteration 3 hides what came after it, and nothing else; one that goes on hides none.

    Curves over seconds lose only the seconds that belong to the hidden iterations.
    """
    for first, end, tot_time in ((0, 5, 0.0), (5, 6, 50.0), (3, 7, 30.0)):
        logger = make_logger(tmp_path)
        logger.git_status_repos.clear()
        logger.tot_time = tot_time
        logger.init_logging_writer(first)
        for it in range(first, end):
            logger.process_env_step(torch.ones(4), torch.ones(4), {})
            logger.log(it, first, end, 5.0, 5.0, {"value": 1.0}, 1e-3, torch.ones(2))
        logger.stop_logging_writer()
        assert steps(tmp_path, "Loss/value") == list(range(end))
        assert steps(tmp_path, "Train/mean_reward/time") == [10 * (it + 1) for it in range(end)]
        assert [record["iteration"] for record in read_metrics(tmp_path)] == list(range(end))


def test_own_writers_may_know_that_training_went_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer whose constructor takes ``purge_step`` gets it: None, or the iteration that is repeated."""
    seen: list[int | None] = []

    class Purging(LogWriter):
        def __init__(self, log_dir: str, purge_step: int | None) -> None:
            seen.append(purge_step)

        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            pass

    module = types.ModuleType("purging_writer_module")
    module.Purging = Purging  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "purging_writer_module", module)
    for first in (0, 1, 1):
        logger = make_logger(tmp_path, logger={"class_name": "purging_writer_module:Purging"})
        logger.init_logging_writer(first)
        log(logger, first)
        logger.stop_logging_writer()
    assert seen == [None, None, 1]


def test_wandb_runs_of_one_folder_name_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded at wandb's interface: the second and third run of a folder are in its group and name the first."""
    calls: list[dict[str, Any]] = []
    wandb = types.ModuleType("wandb")

    def init(**settings: Any) -> Any:
        calls.append(settings)
        return types.SimpleNamespace(id=f"run{len(calls)}")

    wandb.init = init  # type: ignore[attr-defined]
    wandb.finish = lambda: None  # type: ignore[attr-defined]
    wandb.config = types.SimpleNamespace(update=lambda values: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for first in (0, 3, 2):
        logger = make_logger(tmp_path, logger={"class_name": "WandbLogWriter", "project_name": "walk"})
        logger.git_status_repos.clear()
        logger.init_logging_writer(first)
        logger.stop_logging_writer()
    assert [call["config"].get("continues") for call in calls] == [None, "run1", "run1"]
    assert {call["group"] for call in calls} == {tmp_path.name}
