# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Entry point: which command is meant, and how errors are shown."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from rslcore.cli.errors import CliError
from rslcore.cli.packages import error_text, is_missing
from rslcore.config import nearest

COMMANDS = {
    "train": "train a policy on a task",
    "play": "evaluate a trained policy, and film it",
    "export": "write a trained policy as TorchScript and ONNX",
    "tasks": "list the tasks that can be trained",
    "doctor": "check what works on this machine, and how to fix what does not",
}

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141

_HELP = """\
usage: rslcore COMMAND [OPTIONS]

On-policy reinforcement learning for massively parallel robot simulation.

commands:
{commands}

options:
  -h, --help    show this help; with a command, its options
  --version     show the version

examples:
  rslcore train                                   train the four-legged robot
  rslcore train half-cheetah --num-envs 128 --seed 1 --algorithm.gamma 0.98
  rslcore train --resume runs/quadruped-flat/2026-01-31_12-00-00
  rslcore play runs/quadruped-flat/2026-01-31_12-00-00 --video walk.mp4
  rslcore export runs/quadruped-flat/2026-01-31_12-00-00 --format onnx
  rslcore train --help                            every setting and its default
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the name of the program; by default what it was started with.

    Returns:
        Exit code: 0, 1 if the doctor finds that training cannot work, 2 for an error of the user, 130 after Ctrl-C,
        141 if the reader of the output is gone.
    """
    # Before torch is loaded: its threads sleep when they wait. Spinning is hardly faster on idle cores; on shared ones,
    # where a spinning thread takes the place of the one it waits for, training was measured five times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except CliError as error:
        print(f"rslcore: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has seen enough; the interpreter must not fail when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_CLOSED_PIPE
    except SystemExit as request:
        if request.code is None or isinstance(request.code, int):
            return request.code or 0
        print(request.code, file=sys.stderr)  # as Python does with a text
        return EXIT_FAILURE


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        commands = "\n".join(f"  {command:<12}  {text}" for command, text in COMMANDS.items())
        print(_HELP.format(commands=commands), end="")
        return 0
    if name == "--version":
        from rslcore import __version__

        print(f"rslcore {__version__}")
        return 0
    if name not in COMMANDS:
        kind = "option" if name.startswith("-") else "command"
        raise CliError(f"unknown {kind} '{name}'; {nearest(name, [*COMMANDS, '--help', '--version'])}")
    try:
        return importlib.import_module(f"rslcore.cli.{name}").run(arguments[1:])
    except ModuleNotFoundError as error:
        if not is_missing(error):
            raise
        raise CliError(f"{name}: {error_text(error)}") from error
