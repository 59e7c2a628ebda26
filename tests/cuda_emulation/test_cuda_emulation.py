# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""CUDA kernels without a GPU: every csrc/*/cuda.cu, compiled as C++ against the shim, under sanitizers.

What this cannot show (docs/gpu-status.md lists it) only a run on a GPU shows. Drivers are compiled on first use into
build/cuda_emulation and reused until something that they are made of changes.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from limits import HANG

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "build" / "cuda_emulation"
CACHE_DAYS = 7

OPERATORS = sorted(path.parent.name for path in (ROOT / "csrc").glob("*/cuda.cu"))

COMPILER = os.environ.get("CXX", "c++")
FLAGS = [
    *("-std=c++20", "-O1", "-g1", "-fno-omit-frame-pointer", "-pthread", "-x", "c++"),
    *("-DRSLCORE_CUDA_EMULATION", "-DRSLCORE_SIMD=baseline", "-I", "csrc", "-I", "tests/cuda_emulation"),
]
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=0",
    "TSAN_OPTIONS": "halt_on_error=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Edit(NamedTuple):
    """A replacement in one file; `old` must occur in it."""

    path: str
    old: str
    new: str


SMALL_GRIDS = (
    Edit("csrc/cart_pole/cuda.cu", "kMaxBlocks = 4096", "kMaxBlocks = 3"),
    Edit("csrc/gae/cuda.cu", "kMaxScanBlocks = 2048", "kMaxScanBlocks = 3"),
    Edit("csrc/episode_stats/cuda.cu", "kMaxBlocks = 1024", "kMaxBlocks = 3"),
    Edit("csrc/ppo_loss/cuda.cu", "kMaxBlocks = 512", "kMaxBlocks = 2"),
)
"""Loops over several rounds go round with few environments, so that a case takes milliseconds."""


def _tree(name: str, edits: tuple[Edit, ...]) -> dict[str, str]:
    """All files that driver `name` is made of, by path: edited, and `__shared__` turned into C++."""
    paths = [*HERE.glob("*.h"), HERE / f"{name}.cpp", *(ROOT / "csrc" / "common").glob("*.h")]
    if name in OPERATORS:
        paths += [path for path in (ROOT / "csrc" / name).iterdir() if path.name not in ("torch.cpp", "numpy.cpp")]
        edits = (*SMALL_GRIDS, *edits)
    tree = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(paths) if path.is_file()}
    for path, old, new in edits:
        if path in tree:
            assert old in tree[path], f"{path} has no `{old}`: adapt the edit"
            tree[path] = tree[path].replace(old, new, 1)
    for path in (path for path in tree if path.endswith((".cpp", ".cu"))):
        tree[path] = re.sub(
            r"__shared__ ([^;]+?) (\w+)((?:\[[^;]+\])?);",
            r"static cuda_shim::Shared<\1\3> \2_memory; auto& \2 = \2_memory.get();",
            tree[path],
        )
    return tree


def _with_headers(tree: dict[str, str], path: str) -> list[str]:
    """`path` and all files of the tree that it includes, directly or not."""
    found = [path]
    for file in found:
        for name in re.findall(r'#include "(.+)"', tree[file]):
            candidates = (f"csrc/{name}", f"tests/cuda_emulation/{name}")
            found += [other for other in candidates if other in tree and other not in found]
    return found


@functools.cache
def _compiler_version() -> str:
    return subprocess.run([COMPILER, "--version"], check=True, capture_output=True, text=True).stdout


def _compile(arguments: list[str], folder: str | None, output: Path) -> None:
    """Makes `output` in one step, so that an interrupted run leaves no half of it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f"{output.name}.{os.getpid()}")
    command = [COMPILER, *arguments, "-o", str(partial)]
    result = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    if re.search(r"cannot find .*(asan|tsan)", result.stderr):
        pytest.skip(f"{COMPILER} has no sanitizer libraries: install its libasan and libtsan")
    assert result.returncode == 0, result.stderr
    partial.replace(output)


def build(name: str, sanitizer: str, *edits: Edit) -> Path:
    """The driver `name`.cpp of this folder with its operator, compiled from the edited sources."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"no C++ compiler `{COMPILER}`")
    tree = _tree(name, edits)
    flags = [*FLAGS, *SANITIZERS[sanitizer]]
    objects = []
    with tempfile.TemporaryDirectory() as folder:
        for path in (path for path in tree if path.endswith((".cpp", ".cu"))):
            text = [part for file in _with_headers(tree, path) for part in (file, tree[file])]
            content = "\0".join([_compiler_version(), *flags, *text])
            key = hashlib.sha256(content.encode()).hexdigest()[:16]
            objects.append(CACHE / f"{name}-{Path(path).stem}-{sanitizer}-{key}.o")
            if not objects[-1].exists():
                for file, text in tree.items():
                    (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
                    (Path(folder) / file).write_text(text)
                _compile([*flags, "-c", path], folder, objects[-1])
    key = hashlib.sha256("".join(o.name for o in objects).encode()).hexdigest()[:16]
    driver = CACHE / f"{name}-{sanitizer}-{key}"
    if not driver.exists():
        _compile(["-pthread", *SANITIZERS[sanitizer], *map(str, objects)], None, driver)
    for used in (*objects, driver):
        os.utime(used)
    return driver


def run(driver: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a driver; its output is in `stdout`."""

    def call(*prefix: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, str(driver), *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG,
            env={**os.environ, **ENVIRONMENT},
        )

    result = call()
    if "unexpected memory mapping" in result.stdout:
        # ThreadSanitizer of older compilers does not know the address layout of newer kernels.
        result = call("setarch", os.uname().machine, "--addr-no-randomize")
    return result


@pytest.fixture(scope="module", autouse=True)
def _forget_old_builds():
    yield
    for path in CACHE.glob("*"):
        if path.stat().st_mtime < time.time() - CACHE_DAYS * 24 * 3600:
            path.unlink()


@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("name", [*OPERATORS, "shim"])
def test_emulation_equals_cpu(name: str, sanitizer: str) -> None:
    """Every operator's launchers and kernels, over odd sizes: the CPU's result and no report of a sanitizer."""
    assert (HERE / f"{name}.cpp").exists(), f"csrc/{name}/cuda.cu has no driver tests/cuda_emulation/{name}.cpp"
    result = run(build(name, sanitizer))
    assert result.returncode == 0, result.stdout
    assert re.fullmatch(r"\d+ cases\n", result.stdout), result.stdout


@pytest.mark.parametrize(
    ("fault", "sanitizer", "report"),
    [
        ("early_exit", "address", "left the kernel"),
        ("two_barriers", "address", "threads wait at different barriers"),
        ("wrong_mask", "address", "must name the lanes that exist, and all of them"),
        ("block_order", "address", "the order of the blocks changes the result"),
        ("other_stream", "address", "launched on another stream than the caller's"),
        ("shared_off_by_one", "address", "index 64 out of bounds"),
        ("shuffle_as_barrier", "thread", "ThreadSanitizer: data race"),
    ],
)
def test_shim_reports(fault: str, sanitizer: str, report: str) -> None:
    """What CUDA forbids ends the driver with a message that says so; it neither passes nor hangs."""
    result = run(build("shim", sanitizer), fault)
    assert result.returncode != 0
    assert report in result.stdout


NORMALIZATION = "csrc/normalization/cuda.cu"
SHIM = "tests/cuda_emulation/cuda_shim.h"
PLANTS = {
    "missing_barrier": (
        Edit(NORMALIZATION, "    __syncthreads();\n", ""),
        *("thread", "ThreadSanitizer: data race"),
    ),
    "missing_barrier_behind_block_sum": (
        Edit(SHIM, "    __syncthreads(site);\n    return sum;\n", "    return sum;\n"),
        *("thread", "ThreadSanitizer: data race"),
    ),
    "off_by_one_loop": (
        Edit("csrc/gae/cuda.cu", "n < args.num_envs", "n <= args.num_envs"),
        *("address", "AddressSanitizer: heap-buffer-overflow"),
    ),
    "off_by_one_exit": (
        Edit("csrc/shuffle/cuda.cu", "if (i >= n)", "if (i > n)"),
        *("address", "AddressSanitizer: heap-buffer-overflow"),
    ),
    "off_by_one_in_shared_memory": (
        Edit(NORMALIZATION, "__shared__ double sums[kBlock]", "__shared__ double sums[kBlock - 1]"),
        *("address", "index 255 out of bounds"),
    ),
    "episodes_that_others_displace": (
        Edit("csrc/episode_stats/cuda.cu", "if (episode_kept(own, total, args.window))", "if (true)"),
        # Threads of one block write the same row: by luck the CPU's result, and then in the first order only.
        *("address", "the order of the blocks changes the result|finished.* in the emulation"),
    ),
    "one_sum_too_few": (
        Edit(NORMALIZATION, "for (int64_t i = 1; i < cut.fold", "for (int64_t i = 2; i < cut.fold"),
        *("address", "in the emulation"),
    ),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_fault_is_caught(plant: str) -> None:
    """The project's own kernels with one fault planted in a copy: the run that passes without it reports it."""
    edit, sanitizer, report = PLANTS[plant]
    name = "gae" if edit.path == SHIM else Path(edit.path).parent.name
    result = run(build(name, sanitizer, edit))
    assert result.returncode != 0
    assert re.search(report, result.stdout), result.stdout
