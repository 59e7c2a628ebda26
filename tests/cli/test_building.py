# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Runners and policies that the commands build."""

from __future__ import annotations

import shutil

import pytest

from rslcore import checkpoint


@pytest.mark.parametrize("command", [["play", "--episodes", 0, "--video", "off"], ["export", "--format", "jit"]])
def test_a_policy_gets_the_observations_it_was_trained_on(trained, tmp_path, run, command):
    """The commands play and export refuse a policy whose observation groups stand elsewhere now, by name."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    content = checkpoint.read(folder / "model_1.pt")
    content["observation_groups"]["actor"] = [["before", [1]], ["policy", [16]]]
    checkpoint.write(content, folder / "model_1.pt")
    code, _, err = run(command[0], folder, *command[1:])
    assert code == 2
    message = "the observation group 'policy' of the actor was columns 1:17 of what it saw, and is columns 0:17 now"
    assert message in err.splitlines()[-1]
