# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The wheel at work in fresh environments: for NumPy alone, for torch alone, and for training."""

from __future__ import annotations

import json
import os
import re

import pytest

ABOVE_THE_KERNELS = ("tensordict", "mujoco", "tensorboard", "gymnasium", "rich", "tyro")

_NUMPY = """
import importlib.util, sys
import numpy as np, rslcore.numpy as rn
ones, zeros = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
returns, advantages = rn.gae(ones, zeros, zeros, zeros[0], gamma=0.5, lam=1.0)
assert advantages.tolist() == [[1.5] * 3, [1.0] * 3]
assert sorted(rn.permutation(5, seed=0)) == [0, 1, 2, 3, 4]
assert importlib.util.find_spec("torch") is None
try:
    import rslcore.ops
except ImportError as error:
    assert "torch" in str(error)
else:
    raise AssertionError("rslcore.ops without torch")
import rslcore
assert rslcore.build_info()["operators"]["numpy"] == {"available": True, "reason": None}
"""


def test_numpy_operators_need_numpy_alone(environment):
    """Law: beside NumPy and nothing else, `rslcore.numpy` computes, and `rslcore.ops` says that torch is missing."""
    made = environment("numpy")
    made.run("python", "-c", _NUMPY)
    assert 'pip install "rslcore[mujoco]"' in made.run("python", "-m", "rslcore", "tasks")


def test_operators_need_torch_alone(environment):
    """Law: with torch and its own dependencies alone, the compiled operators pass their tests, copied elsewhere."""
    # The compiler of torch 2.10 imports setuptools, which torch declares for Python 3.12 and newer only.
    made = environment("torch", "numpy", "pytest", "hypothesis", "setuptools")
    program = (
        "import json, sys, torch, rslcore.ops; from rslcore.ops import _library; "
        "print(json.dumps([list(rslcore.__path__), _library.errors, sorted(sys.modules)]))"
    )
    paths, errors, loaded = json.loads(made.run("python", "-c", program))
    assert paths == [str(made.site / "rslcore")]
    assert errors["cpu"] is None
    assert errors["cuda"] is None or "build without CUDA" in errors["cuda"]
    assert not [name for name in ABOVE_THE_KERNELS if name in loaded or (made.site / name).exists()]
    made.copy_operator_tests()
    # Compiling takes longest, and tells something new only beside another torch than `make test` has used.
    chosen = () if os.environ.get("RSLCORE_WHEEL_BESIDE") else ("-k", "not inductor")
    told = made.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/ops", *chosen)
    assert re.search(r"\d\d+ passed", told), told


@pytest.fixture(scope="module")
def trained(environment):
    """An environment of all that rslcore[mujoco,onnx] declares, and a short training in it."""
    made = environment("rslcore[mujoco,onnx]")
    made.run(
        *("rslcore", "train", "quadruped-flat", "--num-envs", "16", "--iterations", "2", "--threads", "1"),
        *("--eval-episodes", "0", "--video", "off", "--device", "cpu"),
    )
    return made


def test_training_needs_what_is_declared(trained):
    """Law: with the declared dependencies alone, `rslcore train` trains and keeps checkpoints."""
    assert [file.name for file in sorted(trained.work.glob("runs/quadruped-flat/*/model_*.pt"))] == [
        "model_0.pt",
        "model_1.pt",
    ]


def test_export_needs_what_is_declared(trained):
    """Law: with the extra onnx, `rslcore export` writes a policy for TorchScript and one for ONNX."""
    (run,) = trained.work.glob("runs/quadruped-flat/*")
    trained.run("rslcore", "export", run, "--out", "exported")
    assert {file.name for file in (trained.work / "exported").iterdir()} == {"policy.pt", "policy.onnx"}


def test_doctor_finds_the_installation_sound(trained, wheel):
    """Law: `rslcore doctor` tells the wheel's version and finds everything that training on the CPU needs."""
    told = json.loads(trained.run("rslcore", "doctor", "--json"))
    assert told["ok"]
    assert told["build"]["version"] == wheel.name.split("-")[1]
    assert {check["name"] for check in told["checks"] if check["ok"]} >= {"CPU operators", "NumPy operators"}
