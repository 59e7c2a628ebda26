# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The frame of the command line: help, version, unknown commands, exit codes."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys

import pytest

from rslcore import __version__
from rslcore.cli.main import COMMANDS, main


def test_help_lists_every_command(run):
    """The help names all commands; without arguments it is shown too."""
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert run() == (code, out, err)


def test_version(run):
    """--version prints the version of the package."""
    assert run("--version") == (0, f"rslcore {__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_quick_commands_load_no_heavy_package(option):
    """Help and version come at once: neither torch nor simulator, tyro or rich are loaded for them."""
    program = (
        "import sys; from rslcore.cli import main; code = main(sys.argv[1:]); "
        "print(code, [name for name in ('torch', 'numpy', 'mujoco', 'tyro', 'rich') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, check=True)
    assert printed.stdout.endswith("0 []\n")


def test_python_m(tmp_path):
    """``python -m rslcore`` is the command, exit code included."""
    printed = subprocess.run([sys.executable, "-m", "rslcore", "trian"], capture_output=True, text=True, cwd=tmp_path)
    assert (printed.returncode, printed.stdout) == (2, "")
    assert printed.stderr == "rslcore: unknown command 'trian'; did you mean 'train'?\n"


def test_unknown_option(error_line):
    """A wrong option before the command is told, with the nearest right one."""
    assert "unknown option '--verson'; did you mean '--version'?" in error_line("--verson")


def test_ctrl_c_ends_with_130(run, monkeypatch):
    """Ctrl-C anywhere ends without traceback, with the exit code that shells expect."""

    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules[main.__module__], "_run", interrupted)
    assert run("tasks") == (130, "", "")


@pytest.mark.parametrize(("code", "expected"), [("no way", (1, "", "no way\n")), (3, (3, "", "")), (None, (0, "", ""))])
def test_system_exit(run, monkeypatch, code, expected):
    """A library that ends the program does so as without this frame: a text is shown and means failure."""

    def ended(arguments: list[str]) -> int:
        raise SystemExit(code)

    monkeypatch.setattr(sys.modules[main.__module__], "_run", ended)
    assert run("tasks") == expected


def test_closed_pipe():
    """A reader that closes the pipe early (``| head``) sees no traceback; the exit code is that of SIGPIPE."""
    command = f"{sys.executable} -m rslcore --help | true"
    printed = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert (printed.returncode, printed.stderr) == (141, "")


@pytest.mark.parametrize("command", ["play", "export"])
def test_help_names_the_argument_once(run, command):
    """The usage line has the one positional argument once, under the name that errors and docs give it."""
    code, out, _ = run(command, "--help")
    usage = out.split("\n\n")[0].split()
    assert code == 0 and usage[:3] == ["usage:", "rslcore", command]
    assert [word for word in usage[3:] if not (word.startswith("[") or word.endswith("]"))] == ["CHECKPOINT"]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_help_says_first_fits_eighty_columns(run, command):
    """No line above the options is longer than a usual terminal, which would break it within a word."""
    lines = run(command, "--help")[1].partition("\n\n")[2].splitlines()
    above = list(itertools.takewhile(lambda line: not re.search("─ (positional|options)|^options:", line), lines))
    assert above and max(map(len, above)) <= 80
