# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore tasks`` and ``rslcore doctor``."""

from __future__ import annotations

import json

import pytest

from rslcore import build_info, tasks
from rslcore.cli import doctor, video
from rslcore.cli import tasks as tasks_command


def test_tasks_lists_the_registry(run):
    """Every task is listed with description, environments and needs, for people and as JSON."""
    code, out, _ = run("tasks", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert list(rows) == tasks.names()
    assert {name: tuple(row["needs"]) for name, row in rows.items()} == {
        "quadruped-flat": ("mujoco",),
        "quadruped-flat-teacher": ("mujoco",),
        "quadruped-flat-student": ("mujoco",),
        "half-cheetah": ("mujoco", "gymnasium"),
        "cart-pole": (),
    }
    assert all(tuple(row["needs"]) == tasks.get(name).extras for name, row in rows.items())
    text = " ".join(run("tasks")[1].split())
    for name in tasks.names():
        assert f"{name} {tasks.get(name).description}" in text
    assert "64 environments; built in" in text


def test_tasks_says_how_to_install_what_is_missing(run, monkeypatch):
    """A task whose simulator is missing is listed with the command that installs it."""
    monkeypatch.setitem(tasks_command.EXTRAS, "gymnasium", ("no_such_package",))
    rows = {row["name"]: row for row in json.loads(run("tasks", "--json")[1])}
    assert rows["half-cheetah"]["installed"] is False
    assert rows["half-cheetah"]["install"] == 'pip install "rslcore[gymnasium]"'
    assert 'pip install "rslcore[gymnasium]"' in run("tasks")[1]


@pytest.fixture
def no_drawing(monkeypatch):
    """Do not try the graphics drivers, which takes seconds."""
    monkeypatch.setattr(video, "find_gl", lambda: None)


def test_doctor_reports_for_people_and_programs(no_drawing, run):
    """Each check has a line; what is missing has its fix; JSON has the build information too."""
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert report["ok"] is (code == 0)
    assert report["build"] == build_info()
    assert all((check["fix"] is None) is check["ok"] for check in report["checks"])
    text = " ".join(run("doctor")[1].split())
    for check in report["checks"]:
        assert f"{'ok' if check['ok'] else 'missing'} {check['name']}" in text
        if check["fix"]:
            assert check["fix"] in text


def test_doctor_fails_only_where_training_cannot_work(no_drawing, run, monkeypatch):
    """A missing simulator means exit code 1 and the command that helps; a missing extra does not."""
    import_module = doctor.importlib.import_module

    def without(missing: str):
        def fake(name: str):
            if name == missing:
                raise ImportError(f"No module named '{name}'")
            return import_module(name)

        return fake

    def report(missing: str) -> tuple[int, dict]:
        monkeypatch.setattr(doctor.importlib, "import_module", without(missing))
        code, out, _ = run("doctor", "--json")
        return code, next(check for check in json.loads(out)["checks"] if check["name"] == missing)

    for package in ("mujoco", "mjbatch", "gymnasium"):
        pytest.importorskip(package)
    code, check = report("matplotlib")
    assert (code, check["ok"], check["fix"]) == (0, False, 'pip install "rslcore[plot]"')
    code, check = report("mjbatch")
    assert (code, check["ok"], check["fix"]) == (1, False, 'pip install "rslcore[mujoco]"')
    assert "Training cannot work before this is fixed: mjbatch." in run("doctor")[1]


def test_doctor_survives_broken_packages(run, monkeypatch):
    """Whatever a check raises is a line of the report with its fix, and the other checks are made."""
    import_module = doctor.importlib.import_module

    def broken(*arguments: object) -> None:
        raise RuntimeError("the driver is broken")

    monkeypatch.setattr(doctor.importlib, "import_module", lambda n: broken() if n == "mjbatch" else import_module(n))
    monkeypatch.setattr(video, "find_gl", broken)
    monkeypatch.setattr(video, "has_ffmpeg", broken)
    code, out, _ = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1
    for name in ("mjbatch", "offscreen GL", "ffmpeg"):
        assert checks[name]["detail"].endswith("the driver is broken") and checks[name]["fix"]
