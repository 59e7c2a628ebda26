# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The files in ``params/`` of a run folder."""

from __future__ import annotations

import os

import pytest

from rslcore.cli import run_folder
from rslcore.cli.errors import CliError


def write(folder, agent) -> None:
    """Write settings as the command train does."""
    settings = run_folder.RunSettings("half-cheetah", 4, agent)
    run_folder.write(folder, settings, {}, command="rslcore train", device="cpu", threads=1, resumed_from=None)


def test_only_what_the_run_made_is_removed(tmp_path):
    """After an error, settings are what they were; files that a run does not make, or others did, stay."""
    write(tmp_path, {"value": 1})
    (tmp_path / "model_1.pt").write_bytes(b"1")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CliError, match="no"), run_folder.unchanged_on_error(tmp_path, new=False):
        write(tmp_path, {"value": 2})
        for name in ("git/robot.diff", "events.out.tfevents.1", "params/new.yaml", "model_2.pt", "play.mp4", "a/b"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"2")
        raise CliError("no")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before | {tmp_path / name: b"2" for name in ("model_2.pt", "play.mp4", "a/b")}


def test_settings_are_a_regular_file(tmp_path):
    """A pipe in place of the settings is an error of one line; nobody waits for its other end."""
    write(tmp_path, {})
    (tmp_path / "params" / "agent.yaml").unlink()
    os.mkfifo(tmp_path / "params" / "agent.yaml")
    with pytest.raises(CliError, match=r"cannot read '.*agent.yaml' \(.*it is no regular file"):
        run_folder.read(tmp_path)


@pytest.mark.parametrize("text", ["1e-3", "1E3", "+1e3", "-2.5e-4", ".5e1"])
def test_exponents_need_no_point(tmp_path, text):
    """Numbers that Python reads as a float are floats in params/*.yaml."""
    write(tmp_path, {})
    (tmp_path / "params" / "agent.yaml").write_text(f"value: {text}\nname: e3\n")
    settings = run_folder.read(tmp_path)
    assert settings is not None
    assert settings.agent == {"value": float(text), "name": "e3"}


def test_a_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    """A full disk is told in one line with the file, whose old content stays, without a temporary file beside it."""
    write(tmp_path, {"value": 1})
    before = {path: path.read_bytes() for path in (tmp_path / "params").iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CliError, match=r"cannot write '.*params/run.yaml' \(No space left on device\)"):
        write(tmp_path, {"value": 2})
    assert {path: path.read_bytes() for path in (tmp_path / "params").iterdir()} == before


@pytest.mark.parametrize("option", ["--run-name", "--experiment-name"])
@pytest.mark.parametrize(
    "name", ["../../x", "..", ".", "ABSOLUTE", "a/../../x", "a\0b", "a\nb", "\x1b[2J", "\udcff", "x" * 201]
)
def test_names_stay_in_the_folder_of_all_runs(option, name, tmp_path, error_line):
    """Law: a name that leads elsewhere, or is no name of a folder, is refused by its option before anything is made."""
    name = str(tmp_path / "x") if name == "ABSOLUTE" else name
    root = tmp_path / "runs"
    message = error_line("train", "cart-pole", "--log-dir", root, f"{option}={name}")
    assert message.startswith(f"rslcore: train: {option} must be ")
    with pytest.raises(CliError, match=option):
        run_folder.create(root, *((name, "") if option == "--experiment-name" else ("cart-pole", name)))
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_folders(tmp_path):
    """Law: experiments may be grouped in folders; letters of any language, spaces and dots are fine."""
    folder = run_folder.create(tmp_path, "group/été 1", "v1.0 ..a")
    assert folder.is_dir() and folder.parent == tmp_path / "group" / "été 1"
    assert folder.name.endswith("_v1.0 ..a")
    assert run_folder.create(tmp_path, "x", "y" * run_folder.LONGEST_NAME).is_dir()


def test_a_name_in_a_file_that_is_not_used(tmp_path, run):
    """Law: a resumed run stays in its folder, so the names in its files do not matter."""
    options = ("--num-envs", 2, "--num-steps-per-env", 8, "--eval-episodes", 0, "--video", "off", "--device", "cpu")
    assert run("train", "cart-pole", "--log-dir", tmp_path, "--iterations", 1, *options)[0] == 0
    (folder,) = (tmp_path / "cart-pole").iterdir()
    agent = folder / "params" / "agent.yaml"
    agent.write_text(agent.read_text().replace("run_name: ''", "run_name: ../../x"))
    assert "../../x" in agent.read_text()
    assert run("train", "--resume", folder, "--iterations", 2, *options)[0] == 0
    assert (folder / "model_1.pt").is_file() and list((tmp_path / "cart-pole").iterdir()) == [folder]


NESTED = "[" * 5000 + "]" * 5000
BOMB = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}' if n else '0'] * 10)}]" for n in range(10))


@pytest.mark.parametrize("file", ["run.yaml", "agent.yaml"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"deep: {NESTED}", "nested too deeply"),
        ("own: &a {b: *a}", "aliases"),
        (BOMB, "aliases"),
        ("#" * (run_folder.LARGEST_FILE + 1), "larger than"),
        ("a: !!bool x", "KeyError"),
        ("a: !!int ''", "index out of range"),
        ("a: !!timestamp x", "no attribute"),
    ],
    ids=["deep", "contains itself", "bomb", "large", "bool", "int", "timestamp"],
)
def test_settings_that_would_not_end(tmp_path, file, text, message):
    """Law: whatever a file of settings says, it is read in bounded time and memory, or refused in one line."""
    write(tmp_path, {})
    path = tmp_path / "params" / file
    path.write_text(f"{text}\n{path.read_text()}".replace("\n{}", ""))
    with pytest.raises(CliError, match=rf"cannot read '.*{file}' \(.*{message}"):
        run_folder.read(tmp_path)


@pytest.mark.parametrize("sessions", ["5", "null", "text", "{a: 1}"])
def test_earlier_sessions_that_are_no_list(tmp_path, sessions):
    """Law: what a file says of earlier sessions keeps no run from being resumed; what is no list is left out."""
    write(tmp_path, {})
    (tmp_path / "params" / "run.yaml").write_text(f"task: half-cheetah\nnum_envs: 4\nsessions: {sessions}\n")
    write(tmp_path, {})
    settings = run_folder.read(tmp_path)
    assert settings is not None and settings.task == "half-cheetah"
