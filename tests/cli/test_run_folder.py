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
