# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Options from the command line: tyro over dataclasses, with errors of one line."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from rslcore.cli.errors import CliError
from rslcore.config import nearest

_OptionsT = TypeVar("_OptionsT")

_MARKERS = (tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed, tyro.conf.FlagCreatePairsOff)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")


def parse(
    options: type[_OptionsT],
    arguments: Sequence[str],
    *,
    command: str,
    usage: str,
    description: str,
    default: _OptionsT | None = None,
) -> _OptionsT:
    """Parse the options of a command.

    Args:
        options: A dataclass; each field becomes an option, its docstring the help.
        arguments: What follows the command.
        command: The command, for errors.
        usage: The command with its positional arguments, for the help.
        description: Text at the top of the help.
        default: Values of the options that are not given; by default those of the dataclass.

    Raises:
        CliError: An option is unknown, or its value wrong; the message is one line.
        SystemExit: The help was asked for and has been printed.
    """
    settings: dict[str, Any] = {"prog": usage, "description": description, "config": _MARKERS}
    if default is not None:
        settings["default"] = default
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            parsed, unknown = tyro.cli(options, args=arguments, return_unknown_args=True, **settings)
    except SystemExit as request:
        if request.code in (0, None):
            raise
        raise CliError(f"{command}: {_first_part(messages.getvalue())}") from None
    print(messages.getvalue(), end="", file=sys.stderr)
    if unknown:
        raise CliError(f"{command}: {_unknown(unknown, _option_names(options, settings), usage)}")
    return parsed


def _first_part(box: str) -> str:
    """Return the sentence of the box that tyro draws, without frame, hints and line breaks."""
    lines = []
    for line in _ANSI.sub("", box).splitlines():
        text = line.strip(" │|")
        if text.startswith(("╭", "╰", "+")):
            continue
        if text.startswith("──"):
            break
        lines.append(text)
    sentence = " ".join(lines).removeprefix("Error parsing ")
    return sentence[:1].lower() + sentence[1:]


def _option_names(options: type, settings: dict[str, Any]) -> list[str]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        tyro.cli(options, args=["--help"], **settings)
    lines = (line.strip(" │|") for line in _ANSI.sub("", text.getvalue()).splitlines())
    return list(dict.fromkeys(name for line in lines if line.startswith("-") for name in _OPTION.findall(line)))


def _unknown(tokens: Sequence[str], valid: Sequence[str], usage: str) -> str:
    name = next((token.partition("=")[0] for token in tokens if token.startswith("-")), None)
    if name is None:
        return f"unexpected argument '{tokens[0]}'; usage: {usage} [OPTIONS]"
    # A key is often right but for its prefix: 'gamma' for 'algorithm.gamma'.
    tails = [option for option in valid if option.rpartition(".")[2] == name.lstrip("-").replace("_", "-")]
    hint = f"did you mean '{tails[0]}'?" if tails else nearest(name, valid)
    if not hint.startswith("did you mean"):
        hint = "--help lists all options"
    return f"unknown option '{name}'; {hint}"
