# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore train``: the run folder, resuming, errors, Ctrl-C. Half-cheetah, seconds of training."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from limits import HANG

from rslcore import checkpoint
from rslcore.cli import train
from rslcore.config import OnPolicyRunnerCfg
from rslcore.logging import read_metrics
from rslcore.logging.metrics_file import MetricsFile
from rslcore.runners import OnPolicyRunner

from .conftest import TRAINING


def test_run_folder_holds_everything(trained):
    """Checkpoints, TensorBoard events, metrics, settings as resolved, versions and the picture are in the folder."""
    folder, _ = trained
    assert {"model_0.pt", "model_1.pt", "metrics.jsonl", "curves.png", "params"} <= {p.name for p in folder.iterdir()}
    assert list(folder.glob("events.out.tfevents.*"))
    agent = OnPolicyRunnerCfg.from_dict(yaml.safe_load((folder / "params" / "agent.yaml").read_text()))
    assert (agent.algorithm.gamma, agent.seed, agent.max_iterations, agent.num_steps_per_env) == (0.98, 7, 2, 8)
    run = yaml.safe_load((folder / "params" / "run.yaml").read_text())
    assert (run["task"], run["num_envs"]) == ("half-cheetah", 4)
    (session,) = run["sessions"]
    assert session["command"].startswith("rslcore train half-cheetah --num-envs 4")
    assert {"python", "torch", "mujoco", "rslcore"} <= session["versions"].keys()
    assert (folder / "params" / "env.yaml").is_file()


def test_the_seed_is_that_of_every_generator(trained):
    """--seed seeds the global generators of torch, NumPy and Python, from which environments draw; all are saved."""
    state = checkpoint.read(trained[0] / "model_0.pt")["rslcore_state"]["random"]
    assert state["python"]["words"].tolist() == list(random.Random(7).getstate()[1])
    assert state["numpy"]["keys"].tolist() == np.random.RandomState(7).get_state()[1].tolist()


def test_a_pipe_gets_plain_text(trained):
    """Without a terminal: rsl_rl's blocks, then figures, run folder and the play command; no escape sequences."""
    folder, printed = trained
    assert "Learning iteration 1/2" in printed
    assert "Evaluation over 2 episodes" in printed
    assert "Mean return" in printed
    assert str(folder / "curves.png") in printed
    assert printed.rstrip().endswith(f"rslcore play {folder}")
    assert "\x1b" not in printed


def test_resume_in_place_up_to_the_total(trained, tmp_path, run, json_lines):
    """--resume continues the same folder with the settings of the run; --iterations is the total."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    options = ("--iterations", 4, "--eval-episodes", 0, "--video", "off", "--json")
    code, out, _ = run("train", "--resume", folder, *options)
    assert code == 0
    assert [record["iteration"] for record in read_metrics(folder)] == [0, 1, 2, 3]
    records = json_lines(out)
    assert [record["iteration"] for record in records if "iteration" in record] == [2, 3]
    result = records[-1]["result"]
    assert (result["run_folder"], result["iterations"], result["task"]) == (str(folder), 4, "half-cheetah")
    assert result["total_steps"] == 4 * 8 * 4 and result["interrupted"] is False
    agent = yaml.safe_load((folder / "params" / "agent.yaml").read_text())
    assert (agent["algorithm"]["gamma"], agent["max_iterations"]) == (0.98, 4)
    sessions = yaml.safe_load((folder / "params" / "run.yaml").read_text())["sessions"]
    assert [session["resumed_from"] for session in sessions] == [None, str(folder / "model_1.pt")]

    code, out, _ = run("train", "--resume", folder / "model_3.pt", *options)
    assert code == 0
    assert "4 iterations are done" in json_lines(out)[0]["message"]


def test_damaged_last_checkpoint_is_passed_over(trained, tmp_path, run, json_lines):
    """A run folder whose last checkpoint is cut short resumes from the one before."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    last = folder / "model_1.pt"
    last.write_bytes(last.read_bytes()[:1000])
    code, out, _ = run("train", "--resume", folder, "--eval-episodes", 0, "--video", "off", "--json")
    assert code == 0
    assert [record["iteration"] for record in json_lines(out) if "iteration" in record] == [1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["half-chetah"], "unknown task 'half-chetah'; did you mean 'half-cheetah'?"),
        (["half-cheetah", "--algorithm.gama", "1"], "did you mean '--algorithm.gamma'?"),
        (["half-cheetah", "--num-envs", "0"], "--num-envs must be at least 1, got 0"),
        (["half-cheetah", "--save-interval", "0"], "--save-interval must be at least 1, got 0"),
        (["half-cheetah", "--iterations", "0"], "--iterations must be at least 1, got 0"),
        (["half-cheetah", "--video", "on"], "--video must be auto or off, got 'on'"),
        (["half-cheetah", "--device", "gpu"], "--device must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (["--num-envs", "4", "half-cheetah"], "usage: rslcore train [TASK] [OPTIONS]"),
        (["--resume", "/no/such/run"], "there is no file or folder '/no/such/run'"),
    ],
)
def test_errors(error_line, arguments, message):
    """What the user got wrong is told in one line, before anything is created."""
    assert message in error_line("train", *arguments)


def test_wrong_settings_leave_no_run_folder(run, tmp_path):
    """Settings that do not fit the rollout are told in one line too, and the new run folder is removed."""
    code, _, err = run(*TRAINING, "--log-dir", tmp_path, "--algorithm.num-mini-batches", 1000)
    assert code == 2
    assert err.splitlines()[-1].startswith("rslcore: train: PPO: `num_mini_batches` must be at most 32")
    assert "Traceback" not in err
    assert list((tmp_path / "half-cheetah").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--actor.hidden-dims", "-5", "64"], "`hidden_dims[0]` must be an integer and at least 1, got -5"),
        (["--actor.class-name", "math:nope"], "nope"),
        (["--algorithm.class-name", "MLPModel"], "MLPModel"),
        (["--algorithm.num-mini-batches", "0"], "`num_mini_batches` must be"),
        (["--seed", "99999999999999999999"], "train: "),
        (["--torch-compile-mode", "fastest"], "fastest"),
    ],
)
def test_settings_that_nothing_can_be_built_from(run, tmp_path, arguments, message):
    """Whatever a constructor raises about the settings is one line, and no new run folder stays behind."""
    code, _, err = run(*TRAINING, "--log-dir", tmp_path, *arguments)
    assert code == 2
    assert message in err.splitlines()[-1] and err.splitlines()[-1].startswith("rslcore: train: ")
    assert "Traceback" not in err
    assert not list(tmp_path.glob("half-cheetah/*"))


def _content(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "arguments", [["--actor.hidden-dims", "32", "32"], ["--algorithm.num-mini-batches", "1000"]], ids=["load", "learn"]
)
def test_a_refused_resume_changes_nothing(trained, tmp_path, run, arguments):
    """Settings that the checkpoint or the first update refuses leave the run folder as it was, byte for byte."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    before = _content(folder)
    assert run("train", "--resume", folder, "--iterations", 4, "--json", *arguments)[0] == 2
    assert _content(folder) == before


@pytest.mark.parametrize("setting", ["1e6", "1e30"], ids=["later", "at once"])
def test_an_error_after_going_back_moves_checkpoints_back(trained, tmp_path, run, setting):
    """Resumed from an earlier checkpoint, a run that fails in its first iteration leaves the folder as it was."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    before = _content(folder)
    options = ["--algorithm.schedule", "fixed", "--algorithm.learning-rate", setting, "--iterations", 4, "--json"]
    code, _, err = run("train", "--resume", folder / "model_0.pt", *options)
    assert code == 2
    assert "diverged" in err
    assert _content(folder) == before


def test_a_second_training_of_a_folder_touches_nothing(trained, tmp_path, run, monkeypatch):
    """A folder that is being trained in is refused before anything is read into a runner, let alone written."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    monkeypatch.setattr(train, "make_runner", lambda *_: pytest.fail("built a runner without the lock"))
    with checkpoint.lock(folder):
        before = _content(folder)
        code, _, err = run("train", "--resume", folder / "model_0.pt", "--iterations", 4, "--json")
        assert (code, f"is being trained by process {os.getpid()}" in err) == (2, True)
        assert _content(folder) == before


def test_a_lock_that_is_a_link_is_refused(trained, tmp_path, run):
    """A run folder of somebody else, with a link called .lock: one line, and the target stays."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    (folder / ".lock").unlink(missing_ok=True)
    (tmp_path / "precious").write_text("data")
    (folder / ".lock").symlink_to(tmp_path / "precious")
    code, _, err = run("train", "--resume", folder, "--iterations", 4, "--json")
    assert (code, "it is a symbolic link" in err, "Traceback" in err) == (2, True, False)
    assert (tmp_path / "precious").read_text() == "data"


class FolderDeletingEnv:
    """An environment in whose third iteration the run folder goes away."""

    def __init__(self, env, go, error):
        self.env, self.go, self.error, self.count = env, go, error, 0

    def __getattr__(self, name):
        return getattr(self.env, name)

    def step(self, actions):
        """Step, and delete."""
        self.count += 1
        if self.count == 2 * 8 + 1:
            self.go()
            if self.error is not None:
                raise self.error
        return self.env.step(actions)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writer
@pytest.mark.parametrize(("interrupted", "emptied"), [(False, False), (True, False), (False, True)])
def test_a_deleted_run_folder_is_told(trained, tmp_path, run, monkeypatch, interrupted, emptied):
    """Deleted while it is trained in: an error names what is left, and no command is offered that would fail."""
    del trained  # the packages are there
    make_env = train.make_env

    def go():
        (folder,) = (tmp_path / "half-cheetah").iterdir()
        if not emptied:
            folder.rename(tmp_path / "gone")  # at once, where deleting competes with who writes into it
            return
        for path in folder.rglob("[!.]*"):
            if path.is_file():
                path.unlink()

    def wrapped(*arguments):
        return FolderDeletingEnv(make_env(*arguments), go, KeyboardInterrupt() if interrupted else None)

    monkeypatch.setattr(train, "make_env", wrapped)
    code, _, err = run(*TRAINING, "--iterations", "4", "--save-interval", "100", "--log-dir", tmp_path)
    (folder,) = (tmp_path / "half-cheetah").iterdir()
    (model,) = folder.glob("model_*.pt")
    assert code == 2
    assert f"the run folder was deleted or moved while it was trained in; what was learned is in {model}" in err
    assert "--resume" not in err
    assert checkpoint.read(model)["iter"] >= 1


def test_numbers_written_by_hand(trained, tmp_path, run, error_line):
    """In params/agent.yaml 1e-3 is a number, as in Python; what is none is told in one line."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    agent = folder / "params" / "agent.yaml"
    text = agent.read_text()
    assert "entropy_coef: 0.0" in text
    agent.write_text(text.replace("entropy_coef: 0.0", "entropy_coef: 1e-3"))
    code, _, err = run("train", "--resume", folder, "--iterations", 2, "--eval-episodes", 0, "--video", "off")
    assert code == 0, err
    assert yaml.safe_load(agent.read_text())["algorithm"]["entropy_coef"] == 0.001
    agent.write_text(text.replace("gamma: 0.98", "gamma: high"))
    assert "`algorithm.gamma` must be a number, got 'high'" in error_line("train", "--resume", folder)
    agent.write_text(text.replace("gamma: 0.98", "gamma: 1"))
    assert run("train", "--resume", folder, "--help")[0] == 0


def test_foreign_checkpoint_starts_a_new_run_folder(trained, tmp_path, run, json_lines):
    """A checkpoint whose folder this program has not written is continued in a new run folder."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    shutil.copy(trained[0] / "model_1.pt", foreign)
    before = _content(foreign)
    options = [*TRAINING, "--iterations", "3", "--eval-episodes", "0", "--log-dir", tmp_path / "runs", "--json"]
    code, out, err = run(*options, "--resume", foreign / "model_1.pt")
    assert code == 0, err
    (folder,) = (tmp_path / "runs" / "half-cheetah").iterdir()
    assert json_lines(out)[-1]["result"]["run_folder"] == str(folder)
    assert [record["iteration"] for record in read_metrics(folder)] == [2]
    assert _content(foreign) == before


def test_resume_refuses_another_task(trained, error_line):
    """A run of one task cannot be continued as another."""
    assert "is a run of task 'half-cheetah', got task 'quadruped-flat'" in error_line(
        "train", "quadruped-flat", "--resume", trained[0]
    )


def test_resume_refuses_another_shape(trained, tmp_path, run):
    """A checkpoint that does not fit the model is told with both shapes; the checkpoint stays as it was."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    before = (folder / "model_1.pt").read_bytes()
    code, _, err = run("train", "--resume", folder, "--iterations", 4, "--actor.hidden-dims", 32, 32, "--json")
    assert code == 2
    assert "must be [32, 17], got [64, 17]" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert (folder / "model_1.pt").read_bytes() == before


def _learning_rate(checkpoint: Path) -> float:
    return torch.load(checkpoint, weights_only=True)["optimizer_state_dict"]["param_groups"][0]["lr"]


@pytest.mark.parametrize("schedule", ["fixed", "adaptive"])
def test_learning_rate_and_seed_on_resume(trained, tmp_path, run, schedule):
    """A learning rate given is applied where it is fixed; where the checkpoint decides, a line says so."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    options = ["--iterations", 3, "--eval-episodes", 0, "--video", "off", "--seed", 3]
    given = ["--algorithm.schedule", schedule, "--algorithm.learning-rate", "5e-5"]
    code, out, err = run("train", "--resume", folder, *options, *given)
    assert code == 0, err
    assert "the seed given (3) is only used to evaluate" in out
    if schedule == "fixed":
        assert "Learning rate: 5e-05, as given" in out
        assert _learning_rate(folder / "model_2.pt") == 5e-5
    else:
        kept = _learning_rate(folder / "model_1.pt")
        assert f"Learning rate: {kept:g}, of the checkpoint; the one given (5e-05)" in out


def test_full_disk_keeps_the_run(tmp_path, run, monkeypatch):
    """A file that cannot be written in the middle of a training is told with its path; the run folder stays."""

    def full(self: MetricsFile, record: dict) -> None:
        raise OSError(28, "No space left on device", str(self.path))

    monkeypatch.setattr(MetricsFile, "write", full)
    code, _, err = run(*TRAINING, "--log-dir", tmp_path)
    assert (code, "Traceback" in err) == (2, False)
    (folder,) = (tmp_path / "half-cheetah").iterdir()
    assert f"train: cannot write '{folder / 'metrics.jsonl'}' (No space left on device)" in err.splitlines()[-1]
    assert (folder / "model_0.pt").is_file()


class RunnerOfTheUser(OnPolicyRunner):
    """Has the signature of rsl_rl's runner."""

    def __init__(self, env, train_cfg, log_dir=None, device="cpu"):
        super().__init__(env, train_cfg, log_dir, device)


def test_runner_without_console(tmp_path, run, json_lines):
    """A runner class with rsl_rl's signature can be trained, and --json holds for it too."""
    name = f"{__name__}:RunnerOfTheUser"
    code, out, err = run(*TRAINING, "--log-dir", tmp_path, "--class-name", name, "--json")
    assert code == 0, err
    assert [record["iteration"] for record in json_lines(out) if "iteration" in record] == [0, 1]


@pytest.mark.parametrize("result", ["", subprocess.TimeoutExpired("play", 600)])
def test_film_that_fails_is_a_hint(tmp_path, monkeypatch, result):
    """A drawing process that hangs or prints nothing costs the video only."""

    def process(*_: object, timeout: float, **__: object) -> subprocess.CompletedProcess:
        if isinstance(result, Exception):
            raise result
        return subprocess.CompletedProcess([], 0, result, "")

    monkeypatch.setattr(subprocess, "run", process)
    hints: list[str] = []
    assert train._film(tmp_path, hints) is None
    assert hints[0].startswith("No video: ")


def test_ctrl_c_saves_and_says_how_to_resume(trained, tmp_path, json_lines):
    """SIGINT in a training: exit code 130, a checkpoint, the command that continues, the result last."""
    del trained  # the packages are there
    command = [sys.executable, "-m", "rslcore", *TRAINING, "--iterations", "100000", "--save-interval", "100000"]
    process = subprocess.Popen(
        [*command, "--log-dir", str(tmp_path), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = []
    while '"iteration": 1,' not in (lines[-1] if lines else ""):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate()[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    (folder,) = (tmp_path / "half-cheetah").iterdir()
    assert "\nStopping after this iteration (Ctrl-C again: at once, without saving)\n" in err
    assert f"Interrupted. Continue with: rslcore train --resume {folder}" in err
    assert "Traceback" not in err
    records = json_lines("".join(lines) + out)
    last = [record for record in records if "iteration" in record][-1]["iteration"]
    assert (folder / f"model_{last}.pt").is_file()
    result = records[-1]["result"]
    assert (result["interrupted"], result["iterations"], result["evaluation"]) == (True, last + 1, None)
    assert result["curves"] == str(folder / "curves.png") and Path(result["curves"]).is_file()


def test_ctrl_c_after_the_training_keeps_the_result(tmp_path, run, json_lines, monkeypatch):
    """Ctrl-C in the evaluation: exit code 130, and the result of what was done comes last all the same."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "evaluate", interrupted)
    code, out, err = run(*TRAINING, "--log-dir", tmp_path, "--json")
    assert code == 130 and "Interrupted after the training. Evaluate with: " in err
    result = json_lines(out)[-1]["result"]
    assert (result["interrupted"], result["iterations"], result["evaluation"]) == (True, 2, None)
    assert Path(result["curves"]).is_file()


def test_help_shows_the_defaults_of_the_task(run):
    """``train TASK --help`` lists every setting with the task's own defaults."""
    code, out, err = run("train", "half-cheetah", "--help")
    assert (code, err) == (0, "")
    text = " ".join(out.replace("│", " ").split())
    assert "--num-envs INT Environments that are simulated side by side. (default: 64)" in text
    assert "--iterations INT, --max-iterations INT" in text
    assert "(default: 651)" in text
    assert "--algorithm.gamma FLOAT" in text
