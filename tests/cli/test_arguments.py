# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Options become dataclasses; errors are one line that names the nearest valid thing."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Literal

import pytest
import tyro

from rslcore.cli.arguments import parse
from rslcore.cli.errors import CliError


@dataclasses.dataclass
class Inner:
    """A group."""

    learning_rate: float = 0.1
    """Step size."""
    schedule: Literal["adaptive", "fixed"] = "adaptive"
    """Rule."""


@dataclasses.dataclass
class Options:
    """Options."""

    file: tyro.conf.Positional[Path]
    """A file."""
    count: int = 3
    """How many."""
    quiet: bool = False
    """Silence."""
    inner: Inner = dataclasses.field(default_factory=Inner)
    """Nested."""


def parsed(*arguments: str) -> Options:
    """Parse for a command called "cmd"."""
    return parse(Options, arguments, command="cmd", usage="rslcore cmd FILE", description="A command.")


def test_values_arrive_with_their_types():
    """Positional, nested and flag options arrive; '_' may stand for '-' as in the configuration's own names."""
    options = parsed("a.pt", "--count", "5", "--quiet", "--inner.learning_rate", "0.5", "--inner.schedule", "fixed")
    assert options == Options(Path("a.pt"), 5, True, Inner(0.5, "fixed"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["f", "--cuont", "5"], "cmd: unknown option '--cuont'; did you mean '--count'?"),
        (
            ["f", "--inner.learning-rat=5"],
            "unknown option '--inner.learning-rat'; did you mean '--inner.learning-rate'?",
        ),
        (["f", "--learning_rate", "5"], "unknown option '--learning-rate'; did you mean '--inner.learning-rate'?"),
        (["f", "--zzz"], "unknown option '--zzz'; --help lists all options"),
        (["--cuont", "5"], "unknown option '--cuont'; did you mean '--count'?"),
        (["f", "--count", "many"], "cmd: --count must be a whole number, got 'many'"),
        (["f", "--inner.learning-rate", "x"], "--inner.learning-rate must be a number, got 'x'"),
        (["f", "--inner.schedule", "fixd"], "--inner.schedule cannot be 'fixd'; did you mean 'fixed'?"),
        (["f", "--count"], "missing value for argument '--count'"),
        (["f", "g"], "unexpected argument 'g'; usage: rslcore cmd FILE [OPTIONS]"),
        ([], "an argument is missing; usage: rslcore cmd FILE [OPTIONS]"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_errors_are_one_plain_line(encoding, arguments, message, monkeypatch):
    """Whatever is wrong is told in one line, with the nearest valid option or value, however tyro draws its boxes."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(CliError) as error:
        parsed(*arguments)
    assert message in str(error.value)
    assert not set(str(error.value)) & set("\n│╭─")
    assert "---" not in str(error.value)


def test_help_goes_to_stdout(capsys):
    """--help prints every option with its docstring and default, and ends with exit code 0."""
    with pytest.raises(SystemExit) as request:
        parsed("--help")
    assert request.value.code == 0
    printed = capsys.readouterr()
    assert "--inner.learning-rate FLOAT" in printed.out
    assert "Step size. (default: 0.1)" in printed.out
    assert printed.err == ""
