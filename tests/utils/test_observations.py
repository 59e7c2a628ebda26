# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Groups reach a model side by side, in the dtype of its parameters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from rslcore.utils import check_groups, for_storage, side_by_side

LINEAR = torch.nn.Linear(3, 1)
OBS = {"a": torch.ones(2, 1), "b": torch.zeros(2, 2)}


def test_groups_of_the_dtype_of_the_parameters_are_joined():
    """In the order asked for; a single group is returned itself; nobody is warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert side_by_side("Model", OBS, ["b", "a"], LINEAR).tolist() == [[0, 0, 1], [0, 0, 1]]
        assert side_by_side("Model", OBS, ["a"], LINEAR) is OBS["a"]
        assert side_by_side("Model", OBS, ["a"], torch.nn.Identity()) is OBS["a"]


@pytest.mark.parametrize("groups", [["a"], ["b", "a"]])
def test_what_is_rounded_is_said(groups):
    """float64 becomes float32 with a warning that names its group and no other."""
    obs = {**OBS, "a": torch.full((2, 1), 0.1, dtype=torch.float64)}
    with pytest.warns(UserWarning, match="the group 'a' is float64; it is converted to float32") as told:
        joined = side_by_side("Model", obs, groups, LINEAR)
    assert joined.dtype == torch.float32 and joined[0, -1] == np.float32(0.1) and len(told) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.uint8, torch.bool])
def test_what_is_not_rounded_needs_no_word(dtype):
    """Narrower numbers and integers are converted silently; and all of them to float64 where the model is."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for network in (LINEAR, torch.nn.Linear(3, 1, dtype=torch.float64)):
            joined = side_by_side("Model", {"a": OBS["a"].to(dtype)}, ["a"], network)
            assert joined.dtype == network.weight.dtype and joined.tolist() == [[1], [1]]


def test_a_rollout_is_kept_as_it_is_but_for_what_the_model_rounds():
    """Images stay uint8, float64 becomes the dtype of the parameters, float32 stays where the model is float64."""
    obs = {"x": torch.ones(2, 1, dtype=torch.float64), "image": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), **OBS}
    kept = for_storage(obs, LINEAR)
    assert {name: value.dtype for name, value in kept.items()} == {
        "x": torch.float32,
        "image": torch.uint8,
        "a": torch.float32,
        "b": torch.float32,
    }
    wide = for_storage(obs, torch.nn.Linear(1, 1, dtype=torch.float64))
    assert wide["x"].dtype == torch.float64 and wide["a"].dtype == torch.float32


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        ({"a": np.zeros((2, 1))}, r"the observation group 'a' must be a tensor, got numpy.ndarray; convert it"),
        ({"a": [[0.0]]}, "the observation group 'a' must be a tensor, got list; convert it, with torch.as_tensor"),
        (
            {"a": {"b": OBS["a"]}},
            r"the observation group 'a' must be a tensor, got dict; give its entries \['b'\] groups of their own",
        ),
        ([OBS["a"]], r"observations must be a TensorDict of observation groups, got list; return TensorDict\("),
    ],
)
def test_what_is_no_group_of_tensors_is_named(obs, message):
    """One error that says who got what, and what to do."""
    with pytest.raises(TypeError, match=f"^Model: {message}"):
        check_groups("Model", obs)
    if isinstance(obs, dict):
        with pytest.raises(TypeError, match=f"^Model: {message}"):
            side_by_side("Model", obs, ["a"], LINEAR)
