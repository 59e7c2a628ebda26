# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Runs every test that depends on rounding as other processors, other numbers of threads and busy cores would.

    python tests/matrix.py                    # make test-matrix
    python tests/matrix.py --only busy avx2   # some of the rows
    python tests/matrix.py --json             # a JSON object instead of the table

`docs/testing.md` says which rows there are, and why these. Exits with 1 if a test failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]

SELECTION = ["-m", "rounding and not gpu", "-k", "not compile"]
"""Arguments that select tests; what torch.compile makes takes half the time, and calls the same kernels."""

LIBRARIES = {
    "baseline": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "best": {},
}
"""Variables that hold torch's own libraries to an instruction set."""


@dataclass(frozen=True)
class Setting:
    """A row of the table."""

    name: str
    level: str
    """RSLCORE_SIMD."""
    libraries: str
    """Key of `LIBRARIES`."""
    threads: int = 1
    busy: int = 0
    """Processes beside the tests that keep a core busy each."""


SETTINGS = (
    Setting("baseline", "baseline", "baseline"),
    Setting("avx2", "avx2", "avx2"),
    Setting("avx512", "avx512", "best"),
    Setting("old libraries", "avx512", "baseline"),
    Setting("old kernels", "baseline", "best"),
    Setting("two threads", "avx512", "best", threads=2),
    Setting("four threads", "avx512", "best", threads=4),
    Setting("busy", "avx512", "best", threads=2, busy=4),
)


@dataclass
class Row:
    """What came of a setting."""

    setting: Setting
    in_use: str = ""
    """SIMD level of rslcore's kernels; empty where this processor lacks the one that was asked for."""
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0


def environment_of(setting: Setting) -> dict[str, str]:
    """Variables of the tests' process."""
    threads = str(setting.threads)
    held = {name: value for values in LIBRARIES.values() for name, value in values.items()}
    own = {name: value for name, value in os.environ.items() if name not in held}
    return own | LIBRARIES[setting.libraries] | {
        "RSLCORE_SIMD": setting.level,
        "RSLCORE_TEST_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "passive",
    }  # fmt: skip


def level_in_use(setting: Setting) -> str:
    """The SIMD level of rslcore's kernels under a setting."""
    program = "import rslcore; print(rslcore.build_info()['simd_in_use'])"
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(
        command, env=environment_of(setting), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


@contextlib.contextmanager
def busy_cores(number: int) -> Iterator[None]:
    """Processes that compute without end while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run(setting: Setting, arguments: list[str]) -> Row:
    """Run the tests under a setting."""
    row = Row(setting, level_in_use(setting))
    if row.in_use != setting.level:
        row.in_use = ""
        return row
    with tempfile.TemporaryDirectory() as folder, busy_cores(setting.busy):
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SELECTION]
        # torch's cache of compiled code does not know ATEN_CPU_CAPABILITY: a level would get what another one left.
        environment = environment_of(setting) | {"TORCHINDUCTOR_CACHE_DIR": folder}
        code = subprocess.run(
            [*command, f"--junit-xml={report}", *arguments], env=environment, cwd=ROOT, check=False, stdout=sys.stderr
        ).returncode
        if code not in (0, 1):
            sys.exit(f"tests/matrix.py: pytest ended with {code} under {setting.name!r}")
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                row.failed.append(f"{case.get('classname')}::{case.get('name')}")
            elif case.find("skipped") is not None:
                row.skipped += 1
            else:
                row.passed += 1
    return row


def processor() -> str:
    """Name of this processor."""
    with contextlib.suppress(OSError):
        about = dict(
            (key.strip(), value.strip())
            for key, _, value in (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        )
        return f"{about['model name']} (family {about['cpu family']}, model {about['model']}), {os.cpu_count()} cores"
    return platform.processor()


def table(rows: list[Row]) -> str:
    """The rows as text, and below it the names of tests that failed."""
    lines = [
        "| setting | RSLCORE_SIMD | in use | torch's libraries | threads | busy | passed | failed | skipped |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        setting = row.setting
        counts = [str(row.passed), str(len(row.failed)), str(row.skipped)] if row.in_use else ["not run", "", ""]
        cells = [setting.name, setting.level, row.in_use or "not on this processor", setting.libraries]
        lines.append("| " + " | ".join([*cells, str(setting.threads), str(setting.busy), *counts]) + " |")
    lines += [f"failed under {row.setting.name!r}: {name}" for row in rows for name in row.failed]
    return "\n".join(lines)


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [setting.name for setting in SETTINGS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {names}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    rows = [run(setting, options.arguments) for setting in SETTINGS if setting.name in options.only]
    if options.json:
        print(json.dumps({"processor": processor(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(processor(), table(rows), sep="\n\n")
    sys.exit(any(row.failed for row in rows))


if __name__ == "__main__":
    main()
