# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The built package: what it says of itself, what its libraries depend on, what loads without a GPU."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import rslcore


def library(stem: str) -> Path:
    """Path of a library of the installed package."""
    for folder in rslcore.__path__:
        path = Path(folder) / "lib" / f"lib{stem}.so"
        if path.is_file():
            return path
    pytest.skip(f"lib{stem}.so was not built (no nvcc)")


def needed(path: Path) -> set[str]:
    """Libraries that a shared library names as dependencies."""
    text = subprocess.run(["readelf", "-d", str(path)], check=True, capture_output=True, text=True).stdout
    return {line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line}


def test_build_info_tells_build_and_state() -> None:
    """Version, revision, SIMD levels, torch at build and now; CPU operators are available, others say why not."""
    info = rslcore.build_info()
    assert info["torch"] == torch.__version__
    assert info["simd_in_use"] in info["simd_compiled"]
    assert info["git_revision"]
    for device in ("numpy", "cpu"):
        assert info["operators"][device] == {"available": True, "reason": None}
    cuda = info["operators"]["cuda"]
    assert cuda["available"] == torch.cuda.is_available()
    assert cuda["available"] or cuda["reason"]


def test_cpu_library_runs_beside_any_torch() -> None:
    """The CPU library depends on libtorch_cpu and the C++ runtime only: no Python, no CUDA, no torch internals."""
    path = library("rslcore")
    torch_libraries = {
        name for name in needed(path) if "torch" in name or "c10" in name or "cuda" in name or "python" in name
    }
    assert torch_libraries == {"libtorch_cpu.so"}
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", "--demangle", str(path)], check=True, capture_output=True, text=True
    ).stdout
    assert "c10::" not in symbols
    assert "at::" not in symbols


def test_cuda_library_needs_only_the_driver_side_of_torch() -> None:
    """The CUDA library names libtorch_cuda, whose current stream it asks for, and carries its CUDA runtime."""
    names = needed(library("rslcore_cuda"))
    assert "libtorch_cuda.so" in names
    assert not any("cudart" in name or "c10_cuda" in name for name in names)


@pytest.mark.parametrize("stem", ["rslcore", "rslcore_cuda"])
def test_libraries_are_found_without_search_paths(stem: str) -> None:
    """No library looks into folders of the machine it was built on: torch's are loaded before they are."""
    text = subprocess.run(["readelf", "-d", library(stem)], check=True, capture_output=True, text=True).stdout
    assert "RPATH" not in text
    assert "RUNPATH" not in text


def test_metadata_leaves_simulators_and_exporters_to_extras() -> None:
    """`pip install rslcore` brings what training needs; what only some need is an extra."""
    requirements = [Requirement(text) for text in importlib.metadata.requires("rslcore") or []]
    always = {requirement.name: str(requirement.specifier) for requirement in requirements if not requirement.marker}
    assert always["torch"] == ">=2.10"
    assert not {"mujoco", "mjbatch", "gymnasium", "envpool", "onnx", "matplotlib", "wandb", "pytest"} & set(always)


_LOAD = """
import ctypes, sys, torch
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
from rslcore import ops
torch.ops.load_library(sys.argv[2])
for name in sys.argv[3:]:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"rslcore::{name}", "CUDA"), name
assert ops.permutation(5, seed=0).sort().values.tolist() == [0, 1, 2, 3, 4]
"""

OPERATORS = (
    "gae",
    "update_moments",
    "normalize",
    "normalize_out",
    "update_and_normalize",
    "discounted_return",
    "permutation",
    "shuffle_rows",
)


def test_cuda_library_loads_without_a_gpu(tmp_path: Path) -> None:
    """Beside a stand-in for libtorch_cuda every symbol resolves and every operator is registered for CUDA."""
    if torch.version.cuda is not None:
        pytest.skip("a CUDA build of torch loads the real libtorch_cuda; the gpu tests cover it")
    source = tmp_path / "stub.c"
    source.write_text("int aoti_torch_get_current_cuda_stream(int index, void** stream) { return 1; }\n")
    stub = tmp_path / "libtorch_cuda.so"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-Wl,-soname,libtorch_cuda.so", "-o", stub, source], check=True)
    subprocess.run([sys.executable, "-c", _LOAD, stub, library("rslcore_cuda"), *OPERATORS], check=True)


_FALLBACK = """
import warnings, torch
from pathlib import Path
Path.is_file = lambda self, f=Path.is_file: False if self.suffix == ".so" else f(self)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from rslcore import ops
    zeros = torch.zeros(2, 3)
    for _ in range(2):
        returns, advantages = ops.gae(zeros + 1, zeros, zeros, zeros[0], gamma=0.5, lam=1.0)
assert advantages.tolist() == [[1.5] * 3, [1.0] * 3]
messages = [str(w.message) for w in caught if "plain-torch reference" in str(w.message)]
assert len(messages) == 1, messages
assert "librslcore.so was not built" in messages[0] and "make clean build" in messages[0]
"""


def test_without_the_library_the_reference_runs_and_warns_once() -> None:
    """A missing library is no import error: the same results in plain torch, one warning with cause and cure."""
    subprocess.run([sys.executable, "-c", _FALLBACK], check=True)


def test_numpy_users_need_no_torch() -> None:
    """`import rslcore.numpy` and a call of it never import torch."""
    program = (
        "import sys, numpy as np, rslcore.numpy as rn; z = np.zeros((2, 3), np.float32); "
        "rn.gae(z, z, z, z[0], gamma=0.9, lam=0.9); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
