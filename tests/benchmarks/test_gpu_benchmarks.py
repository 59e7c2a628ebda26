# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/gpu: without a GPU it says so; every figure of the table has a benchmark that gives it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks" / "gpu"
if not FOLDER.is_dir():
    pytest.skip("needs the benchmarks of the source tree", allow_module_level=True)


@pytest.fixture
def run(monkeypatch):
    """The module of the one command."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("gpu_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(tmp_path):
    """One line with the reason, nothing written."""
    command = [sys.executable, str(FOLDER / "run.py"), "--out", str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and done.stderr.startswith("No GPU: torch")
    assert not (tmp_path / "results").exists()


def test_every_case_of_the_table_is_measured(run):
    """The cases and figures that the table looks for are those that the benchmarks write."""
    rows = {
        "operators": [
            {"case": "gae 24 x 4,096", "us_in_graph": 1.0, "of_copy_bandwidth": 0.1},
            {"case": "gae 128 x 1,048,576", "us_in_graph": 2.0, "of_copy_bandwidth": 0.2},
        ],
    }
    lines = {line["what"]: line["measured"] for line in run.table({name: {"rows": r} for name, r in rows.items()})}
    assert lines["gae 24 x 4,096"] == {"gae 24 x 4,096": 1.0}
    assert lines["gae 128 x 1,048,576"] == {"gae 128 x 1,048,576": 0.2}
    assert lines["rollout S"] == "not measured"
    sources = {name: (FOLDER / f"{name}.py").read_text() for name in run.BENCHMARKS}
    for _, figure, _ in [(case, figure, goal) for case, (_, figure, goal) in run.GOALS.items()]:
        assert any(f'"{figure}"' in source for source in sources.values()), figure


def test_operators_run_on_the_cpu_to_try_them_out(tmp_path):
    """With tiny sizes the document is written, with machine and command."""
    file = tmp_path / "operators.json"
    command = [sys.executable, str(FOLDER / "operators.py"), "--device", "cpu", "--small", "--out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    document = json.loads(file.read_text())
    assert [row["case"].split()[0] for row in document["rows"]] == [
        "gae",
        "gae",
        "update_and_normalize",
        "shuffle_rows",
    ]
    assert {"date", "command", "torch", "git_revision"} <= document["machine"].keys()
