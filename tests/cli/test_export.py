# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""``rslcore export``: its files, its report, its errors."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from rslcore.tasks import half_cheetah


def test_writes_both_files_beside_the_checkpoint(trained, run):
    """By default TorchScript and ONNX go to 'exported' in the run folder; the report names them."""
    folder, _ = trained
    code, out, err = run("export", folder)
    assert (code, err) == (0, "")
    assert {file.name for file in (folder / "exported").iterdir()} == {"policy.pt", "policy.onnx"}
    assert f"Policy of {folder / 'model_1.pt'}, task half-cheetah" in out
    assert f"TorchScript: {folder / 'exported' / 'policy.pt'}" in out
    shutil.rmtree(folder / "exported")


@pytest.mark.parametrize(("format", "name"), [("jit", "policy.pt"), ("onnx", "policy.onnx")])
def test_one_format_to_a_folder_of_choice(trained, tmp_path, run, format, name):
    """--format and --out do what they say; with --json, stdout is one object."""
    out_folder = tmp_path / "deep" / "er"
    code, out, err = run("export", trained[0] / "model_0.pt", "--format", format, "--out", out_folder, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report == {
        "task": "half-cheetah",
        "checkpoint": str(trained[0] / "model_0.pt"),
        "jit": None,
        "onnx": None,
    } | {format: str(out_folder / name)}
    assert [file.name for file in out_folder.iterdir()] == [name]


def test_file_acts_as_the_trained_policy(trained, tmp_path, run):
    """What is exported is the actor of the checkpoint with its normalizer, without exploration noise."""
    run("export", trained[0], "--format", "jit", "--out", tmp_path)
    saved = torch.load(trained[0] / "model_1.pt", weights_only=True)["actor_state_dict"]
    observation = half_cheetah.HalfCheetahEnv(1, seed=3).get_observations()["policy"]
    x = (observation - saved["obs_normalizer._mean"]) / (saved["obs_normalizer._std"] + 1e-2)
    for layer in (0, 2, 4):
        x = torch.nn.functional.linear(x, saved[f"mlp.{layer}.weight"], saved[f"mlp.{layer}.bias"])
        x = torch.nn.functional.elu(x) if layer < 4 else x
    torch.testing.assert_close(torch.jit.load(tmp_path / "policy.pt")(observation), x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/no/such/file.pt"], "export: checkpoint: there is no file or folder '/no/such/file.pt'"),
        (["run", "--format", "tflite"], "export: --format must be jit, onnx or both, got 'tflite'"),
        (["run", "--formats", "jit"], "unknown option '--formats'; did you mean '--format'?"),
        ([], "usage: rslcore export CHECKPOINT [OPTIONS]"),
    ],
)
def test_errors(error_line, arguments, message):
    """What the user got wrong is told in one line."""
    assert message in error_line("export", *arguments)


def test_folder_that_cannot_be_written(trained, error_line):
    """A folder that cannot be made is told in one line."""
    assert "/dev/null" in error_line("export", trained[0], "--out", "/dev/null/exported")


def test_missing_package(trained, tmp_path, error_line, monkeypatch):
    """Without onnx: what to install, or what to ask for instead; nothing is written."""
    from rslcore.export import policy_files

    monkeypatch.setattr(policy_files, "_has_onnx", lambda: False)
    line = error_line("export", trained[0], "--out", tmp_path / "out")
    assert 'pip install "rslcore[onnx]"' in line
    assert "--format jit" in line
    assert not (tmp_path / "out").exists()
