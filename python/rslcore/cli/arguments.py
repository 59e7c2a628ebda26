# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Options from the command line: tyro over dataclasses, or --json alone without tyro; errors of one line."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from rslcore.cli.errors import CliError
from rslcore.config import nearest

_OptionsT = TypeVar("_OptionsT")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BAD_CHOICE = re.compile(r"[Ii]nvalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*)\)")
_MISSING_POSITIONAL = re.compile(r"Missing from |Missing value for argument '(?!-)")
_PLAIN_WORDS = {
    "invalid literal for int() with base 10:": "must be a whole number, got",
    "could not convert string to float:": "must be a number, got",
    ": must be": " must be",
    ". Expected 1 values.": "",
}
_BAD_DEFAULT = re.compile(
    r"The field `(.*?)` is annotated with type `(?:<class ')?(.*?)(?:'>)?`, but the default value `(.*)`"
)
_RULE = re.compile(r"[-─+╰╯]{5}")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")


def parse(
    options: type[_OptionsT],
    arguments: Sequence[str],
    *,
    command: str,
    usage: str,
    description: str,
    argument: str = "",
    default: _OptionsT | None = None,
) -> _OptionsT:
    """Parse the options of a command.

    Args:
        options: A dataclass; each field becomes an option, its docstring the help.
        arguments: What follows the command.
        command: The command, for errors.
        usage: The command, with the positional arguments that are none of the options, for the help.
        description: Text at the top of the help, in paragraphs of at most 80 columns: tyro does not break lines there.
        argument: Name of the one positional argument among the options, as in their help.
        default: Values of the options that are not given; by default those of the dataclass.

    Raises:
        CliError: An option is unknown, or its value wrong; the message is one line.
        SystemExit: The help was asked for and has been printed.
    """
    import tyro

    markers = (tyro.conf.AvoidSubcommands, tyro.conf.SuppressFixed, tyro.conf.FlagCreatePairsOff)
    settings: dict[str, Any] = {"prog": usage, "description": description, "config": markers}
    usage = f"{usage} {argument}".rstrip()
    if default is not None:
        settings["default"] = default
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages), warnings.catch_warnings():
            warnings.filterwarnings("error", message="The field .* is annotated with type")
            parsed, rest = tyro.cli(options, args=arguments, return_unknown_args=True, **settings)
    except UserWarning as warning:
        if (wrong := _BAD_DEFAULT.match(str(warning))) is None:
            raise
        raise CliError(
            f"{command}: '{wrong[1]}' must be of type {wrong[2]}, got {wrong[3].split('` has')[0]}"
        ) from None
    except SystemExit as request:
        if request.code in (0, None):
            raise
        unknown = _unknown_options(arguments, _option_names(options, settings))
        problem = _sentence(messages.getvalue(), usage)
        raise CliError(f"{command}: {unknown or problem}") from None
    print(messages.getvalue(), end="", file=sys.stderr)
    if rest:
        unknown = _unknown_options(rest, _option_names(options, settings))
        problem = f"unexpected argument '{rest[0]}'; usage: {usage} [OPTIONS]"
        raise CliError(f"{command}: {unknown or problem}")
    return parsed


class _JsonParser(argparse.ArgumentParser):
    """argparse, with the errors of this program."""

    def error(self, message: str) -> NoReturn:
        raise CliError(f"{self.prog.removeprefix('rslcore ')}: {message}")


def parse_json_option(arguments: Sequence[str], *, command: str, description: str) -> bool:
    """Parse the options of a command that has --json alone and works beside the standard library alone.

    Raises:
        CliError: An option is unknown; the message is one line.
        SystemExit: The help was asked for and has been printed.
    """
    parser = _JsonParser(prog=f"rslcore {command}", description=description, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parsed, rest = parser.parse_known_args(arguments)
    if rest:
        problem = f"unexpected argument '{rest[0]}'; usage: {parser.prog} [OPTIONS]"
        raise CliError(f"{command}: {_unknown_options(rest, ['--json', '--help']) or problem}")
    return parsed.json


def _sentence(box: str, usage: str) -> str:
    """Return what tyro says in a box, in one sentence without frame and hints."""
    _title, *lines = (line.strip(" │|") for line in _ANSI.sub("", box).splitlines() if line.strip())
    body = itertools.dropwhile(_RULE.match, lines)  # under the title there is a rule where the box is drawn in ASCII
    sentence = " ".join(itertools.takewhile(lambda line: not _RULE.match(line), body)).removeprefix("Error parsing ")
    if choice := _BAD_CHOICE.match(sentence):
        value, option, valid = choice[1], choice[2], re.findall(r"'([^']*)'", choice[3])
        return f"{option} cannot be '{value}'; {nearest(value, valid)}"
    if _MISSING_POSITIONAL.match(sentence):
        return f"an argument is missing; usage: {usage} [OPTIONS]"
    for technical, plain in _PLAIN_WORDS.items():
        sentence = sentence.replace(technical, plain)
    return sentence[:1].lower() + sentence[1:]


def _option_names(options: type, settings: dict[str, Any]) -> list[str]:
    import tyro

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        tyro.cli(options, args=["--help"], **settings)
    lines = (line.strip(" │|") for line in _ANSI.sub("", text.getvalue()).splitlines())
    return list(dict.fromkeys(name for line in lines if line.startswith("-") for name in _OPTION.findall(line)))


def _unknown_options(arguments: Sequence[str], valid: Sequence[str]) -> str | None:
    """Return what is wrong with the first option that does not exist, None if all do."""
    names = [argument.partition("=")[0].replace("_", "-") for argument in arguments if argument.startswith("--")]
    name = next((name for name in names if name not in valid), None)
    if name is None:
        return None
    # A key is often right but for its prefix: 'gamma' for 'algorithm.gamma'.
    tails = [option for option in valid if option.rpartition(".")[2] == name.lstrip("-")]
    hint = f"did you mean '{tails[0]}'?" if tails else nearest(name, valid)
    return f"unknown option '{name}'; {hint if hint.startswith('did') else '--help lists all options'}"
