# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""What is in the wheel, and where it can be installed."""

from __future__ import annotations

import email
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).parents[2]

SYSTEM = {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
"""Libraries that every manylinux system has."""
LOADER = {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
NEEDS = {
    "rslcore/lib/librslcore.so": {"libtorch_cpu.so"},
    "rslcore/lib/librslcore_cuda.so": {"libtorch_cpu.so", "libtorch_cuda.so"},
    f"rslcore/_numpy{sysconfig.get_config_var('EXT_SUFFIX')}": set(),
}
"""The libraries inside, and what each needs besides the system: torch's own, which the user brings."""
MAX_MEGABYTES = 6.0
NEWEST_GLIBC = (2, 34)
"""Of the systems that the wheel must install on: RHEL 9, Ubuntu 22.04, Debian 12."""


@pytest.fixture(scope="module")
def archive(wheel):
    """The wheel, opened."""
    with zipfile.ZipFile(wheel) as opened:
        yield opened


@pytest.fixture(scope="module")
def libraries(archive, tmp_path_factory):
    """The compiled files of the wheel by name, extracted."""
    folder = tmp_path_factory.mktemp("libraries")
    return {name: Path(archive.extract(name, folder)) for name in archive.namelist() if ".so" in name}


def readelf(option, file):
    """Return what readelf tells of a library."""
    return subprocess.run(["readelf", "-W", option, file], check=True, capture_output=True, text=True).stdout


def test_files_are_those_of_the_package(archive):
    """Law: every source file of the package is inside, and nothing else but the libraries and the metadata."""
    package = ROOT / "python" / "rslcore"
    expected = {f"rslcore/{file.relative_to(package)}" for file in package.rglob("*") if file.is_file()}
    expected = {name for name in expected if "__pycache__" not in name}
    found = {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert expected <= found
    assert found - expected <= {"rslcore/_build.json", *NEEDS}


def test_libraries_are_inside_and_torch_is_not(libraries):
    """Law: the CPU and the NumPy library are inside, the CUDA one where nvcc is found, none of torch or of CUDA."""
    without_cuda = set(NEEDS) - {"rslcore/lib/librslcore_cuda.so"}
    cuda = subprocess.run(["sh", "-c", "command -v nvcc"], capture_output=True, check=False).returncode == 0
    assert set(libraries) == (set(NEEDS) if cuda else without_cuda)


def test_libraries_need_only_the_system_and_the_torch_of_the_user(libraries):
    """Law: no dependency on Python, CUDA's runtime or torch's C++ libraries, and no search path of their own."""
    for name, file in libraries.items():
        dynamic = readelf("-d", file)
        needed = {line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line}
        assert needed - SYSTEM - LOADER == NEEDS[name], name
        assert "RPATH" not in dynamic, name
        assert "RUNPATH" not in dynamic, name


def test_libraries_are_stripped_and_name_no_place_of_the_build_machine(archive, libraries):
    """Law: no symbol tables, and no path of the source tree, its environment or the user in any file."""
    for name, file in libraries.items():
        assert ".symtab" not in readelf("-S", file), name
    places = [str(place).encode() for place in (ROOT, sys.prefix, Path.home()) if len(str(place)) > len("/root")]
    for name in archive.namelist():
        content = archive.read(name)
        assert not [place for place in places if place in content], name


def test_platform_tag_is_what_the_libraries_need(wheel):
    """Law: the tag is of one CPython and a manylinux no newer than promised, and auditwheel finds the same."""
    tags = parse_wheel_filename(wheel.name)[3]
    version = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert {(tag.interpreter, tag.abi) for tag in tags} == {(version, version)}
    for tag in tags:
        kind, *glibc = tag.platform.split("_")[:3]
        assert kind == "manylinux"
        assert tuple(map(int, glibc)) <= NEWEST_GLIBC
    told = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, check=True
    )
    assert any(f'"{tag.platform}"' in told.stdout.replace("\n", " ") for tag in tags), told.stdout


def test_metadata_declares_what_is_used(archive):
    """Law: torch >= 2.10 and the needs of training are declared; simulators and exporters are extras."""
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    always = {requirement.name: str(requirement.specifier) for requirement in requirements if not requirement.marker}
    assert always["torch"] == ">=2.10"
    assert "numpy" in always
    assert not {"mujoco", "gymnasium", "onnx", "matplotlib", "wandb", "pytest"} & set(always)
    assert {"mujoco", "gymnasium", "onnx", "plot", "video", "wandb"} <= set(metadata.get_all("Provides-Extra"))
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_wheel_is_small(wheel):
    """Law: a download of a few megabytes, kernels for all GPUs included."""
    assert wheel.stat().st_size < MAX_MEGABYTES * 1e6
