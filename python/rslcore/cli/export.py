# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore export``: a trained policy as files for robots and other programs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from rslcore.cli.arguments import parse
from rslcore.cli.building import find_run, load_policy, make_env, user_errors
from rslcore.cli.errors import CliError

FORMATS = ("jit", "onnx", "both")
_DESCRIPTION = """\
Write a trained policy as TorchScript (policy.pt) and ONNX (policy.onnx).

Observation normalizer and hidden state are inside, names those of rsl_rl.
"""


@dataclasses.dataclass
class ExportOptions:
    """Options of ``rslcore export``."""

    checkpoint: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")]
    """A model_*.pt file, or a run folder, whose latest one is taken."""
    format: str = "both"
    """jit, onnx, or both."""
    out: Path | None = None
    """Folder of the files; by default 'exported' in the run folder."""
    task: str | None = None
    """Task; by default the one kept in the run folder."""
    trust: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="MODULE")] = ()
    """Module whose classes and tasks the run folder may name; may be given again for others."""
    json: bool = False
    """Print one JSON object and nothing else."""


def run(arguments: Sequence[str]) -> int:
    """Export the policy of a checkpoint."""
    options = parse(
        ExportOptions,
        arguments,
        command="export",
        usage="rslcore export",
        description=_DESCRIPTION,
        argument="CHECKPOINT",
    )
    if options.format not in FORMATS:
        raise CliError(f"export: --format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got '{options.format}'")
    with contextlib.redirect_stdout(sys.stderr) if options.json else contextlib.nullcontext():
        report = _export(options)
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"Policy of {report['checkpoint']}, task {report['task']}")
    for kind, title in (("jit", "TorchScript"), ("onnx", "ONNX")):
        if report[kind] is not None:
            console.print(f"{title + ':':<13}{report[kind]}")
    return 0


def _export(options: ExportOptions) -> dict[str, Any]:
    """Write the files; returns what --json prints."""
    file, spec, cfg = find_run(options.checkpoint, options.task, options.trust, "export")
    from rslcore.export import require_onnx

    if options.format != "jit":  # before anything is written
        try:
            require_onnx()
        except ImportError as error:
            raise CliError(f"{error}, or use --format jit") from error
    folder = file.parent / "exported" if options.out is None else options.out
    # The environment tells which observations and actions there are.
    runner = load_policy(make_env(spec, 1, cfg.seed, "cpu", "export"), cfg, file, "cpu", "export")
    with user_errors("export"):
        if options.format != "onnx":
            runner.export_policy_to_jit(folder)
        if options.format != "jit":
            runner.export_policy_to_onnx(folder)
    return {
        "task": spec.name,
        "checkpoint": str(file),
        "jit": None if options.format == "onnx" else str(folder / "policy.pt"),
        "onnx": None if options.format == "jit" else str(folder / "policy.onnx"),
    }
