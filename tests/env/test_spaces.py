# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Gymnasium spaces become observation groups and actions as the tables of the documentation say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from rslcore.env.spaces import ObservationMap, read_action_space

spaces = pytest.importorskip("gymnasium").spaces

BOX = {"low": 0, "high": 255}


def read(space, array, **kwargs):
    """Convert one batch of a space without inner ones."""
    return ObservationMap(space, "Owner", **kwargs)(array)["policy"]


@pytest.mark.parametrize(
    ("shape", "dtype", "expected", "kwargs"),
    [
        ((), np.float64, (2, 1), {}),
        ((5,), np.float64, (2, 5), {}),
        ((5,), np.uint8, (2, 5), {}),
        ((5,), np.int64, (2, 5), {}),
        ((10, 5), np.float32, (2, 50), {}),
        ((10, 5), np.uint8, (2, 1, 10, 5), {}),
        ((4, 84, 84), np.uint8, (2, 4, 84, 84), {}),
        ((84, 80, 3), np.uint8, (2, 3, 84, 80), {}),
        ((84, 80, 1), np.float32, (2, 1, 84, 80), {}),
        ((3, 3, 3), np.uint8, (2, 3, 3, 3), {"image_layout": "chw"}),
        ((6, 7, 5), np.uint8, (2, 5, 6, 7), {"image_layout": "hwc"}),
        ((6, 7, 3), np.uint8, (2, 6, 7, 3), {"image_layout": "chw"}),
        ((4, 8, 9, 3), np.uint8, (2, 12, 8, 9), {}),
        ((84, 80, 2), np.uint8, (2, 2, 84, 80), {}),
        ((84, 80, 6), np.float32, (2, 6, 84, 80), {}),
    ],
)
def test_box_shapes_and_types(shape, dtype, expected, kwargs):
    """Vectors become float32 [N, D]; images [N, C, H, W] keep uint8; every element is found where it belongs."""
    space = spaces.Box(**BOX, shape=shape, dtype=dtype)
    array = np.random.default_rng(0).integers(0, 200, (2, *shape)).astype(dtype)
    tensor = read(space, array, **kwargs)
    assert tensor.shape == expected and tensor.is_contiguous()
    assert tensor.dtype == (torch.uint8 if dtype == np.uint8 and len(expected) > 2 else torch.float32)
    moved = array
    if len(shape) == 3 and expected[1:] != shape:
        moved = array.transpose(0, 3, 1, 2)
    elif len(shape) == 4:
        moved = array.transpose(0, 1, 4, 2, 3)
    assert np.array_equal(tensor.numpy(), moved.reshape(expected))
    array[:] = 0
    assert tensor.any()


STACKED = (2, 3, 20, 24)
"""Two images of three channels."""


@pytest.mark.parametrize("layout", ["auto", "chw"])
def test_stacked_images_channels_first(layout):
    """[K, C, H, W] becomes K * C channels, every pixel where it belongs."""
    array = np.random.default_rng(0).integers(0, 200, (5, *STACKED)).astype(np.uint8)
    tensor = read(spaces.Box(**BOX, shape=STACKED, dtype=np.uint8), array, image_layout=layout)
    assert np.array_equal(tensor.numpy(), array.reshape(5, 6, 20, 24))


@pytest.mark.parametrize("shape", [(12, 6, 3), (3, 12, 12), (3, 6, 12, 4), (2, 4, 12, 12), (20, 24, 84), (4, 4, 4)])
def test_a_layout_that_was_said_is_obeyed(shape, recwarn):
    """Of every rank, whatever the sizes look like, without a word."""
    array = np.random.default_rng(0).integers(0, 200, (5, *shape)).astype(np.uint8)
    space = spaces.Box(**BOX, shape=shape, dtype=np.uint8)
    *stack, first, second, third = shape
    stack = stack or [1]
    tensor = read(space, array, image_layout="chw")
    assert np.array_equal(tensor.numpy(), array.reshape(5, stack[0] * first, second, third))
    tensor = read(space, array, image_layout="hwc")
    moved = np.moveaxis(array.reshape(5, *stack, first, second, third), -1, 2)
    assert np.array_equal(tensor.numpy(), moved.reshape(5, stack[0] * third, first, second))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((12, 12, 3), r"\[H, W, C\], 3 channels of 12 x 12"),
        ((3, 12, 12), r"\[C, H, W\], 3 channels of 12 x 12"),
        ((4, 4, 4), r"\[C, H, W\], 4 channels of 4 x 4"),
        ((20, 24, 84), r"\[C, H, W\], 20 channels of 24 x 84"),
        ((84, 84, 9), r"\[H, W, C\], 9 channels of 84 x 84"),
        ((2, 6, 12, 4), r"\[K, H, W, C\], 2 images of 4 channels of 6 x 12"),
        ((5, 2, 12, 12), r"\[K, C, H, W\], 5 images of 2 channels of 12 x 12"),
    ],
)
def test_a_layout_that_must_be_guessed_is_named(shape, taken):
    """Where both readings are possible, a warning names the observation and what was taken."""
    space = spaces.Dict(camera=spaces.Box(**BOX, shape=shape, dtype=np.uint8))
    with pytest.warns(UserWarning, match=f"Owner: observation 'camera' .* taken for {taken}.*`image_layout`"):
        ObservationMap(space, "Owner")


@pytest.mark.parametrize(
    "shape", [(84, 80, 3), (4, 84, 84), (1, 28, 28), (4, 84, 84, 1), STACKED, (8, 8, 2), (12, 84, 84)]
)
def test_a_clear_layout_needs_no_words(shape, recwarn):
    """Where only one end can be the channels, there is no warning."""
    ObservationMap(spaces.Box(**BOX, shape=shape, dtype=np.uint8), "Owner")
    assert not recwarn.list


def test_categories_become_one_hot():
    """Discrete counts from its start; the components of MultiDiscrete stand side by side."""
    assert read(spaces.Discrete(3, start=5), np.array([5, 7])).tolist() == [[1, 0, 0], [0, 0, 1]]
    several = spaces.MultiDiscrete([2, 3], start=[0, 1])
    assert read(several, np.array([[1, 1], [0, 3]])).tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    assert read(spaces.MultiBinary(2), np.array([[1, 0]], np.int8)).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("space", "counts", "actions", "expected"),
    [
        (spaces.Discrete(3, start=5), [3], [[0.0], [2.0]], [5, 7]),
        (spaces.MultiDiscrete([2, 3], start=[0, 1]), [2, 3], [[1.0, 0.0], [0.0, 2.0]], [[1, 1], [0, 3]]),
        (spaces.MultiDiscrete([[2, 3], [4, 5]]), [2, 3, 4, 5], [[1.0, 2.0, 3.0, 4.0]], [[[1, 2], [3, 4]]]),
        (spaces.MultiBinary(2), [2, 2], [[1.0, 0.0]], [[1, 0]]),
    ],
)
def test_categorical_actions(space, counts, actions, expected):
    """Indices of categories become the actions of the space, which contains them."""
    convert = read_action_space(space, "Owner", "clip")
    assert convert.num_actions == len(actions[0])
    assert convert.distribution_cfg == {"class_name": "CategoricalDistribution", "num_categories": counts}
    result = convert(torch.tensor(actions)).numpy()
    assert result.tolist() == expected and result.dtype == np.int64
    assert all(space.contains(action.astype(space.dtype)) for action in result)


@pytest.mark.parametrize("bad", [-1.0, 3.0, float("nan"), float("inf")])
def test_what_is_no_category_is_refused(bad):
    """The error names environment and component."""
    convert = read_action_space(spaces.MultiDiscrete([2, 3]), "Owner", "clip")
    with pytest.raises(ValueError, match=r"Owner.step: `actions\[1, 1\]` must be a category from 0 to 2, got"):
        convert(torch.tensor([[0.0, 0.0], [0.0, bad]]))


def test_box_actions():
    """Clipping stops at the bounds, infinite ones too; rescaling maps [-1, 1] to them; none passes on."""
    space = spaces.Box(np.array([[-2.0], [0.0]]), np.array([[2.0], [8.0]]), dtype=np.float64)
    actions = torch.tensor([[3.0, -1.0], [0.5, 0.5]])
    for mode, expected in (
        ("clip", [[2.0, 0.0], [0.5, 0.5]]),
        ("rescale", [[2.0, 0.0], [1.0, 6.0]]),
        ("none", [[3.0, -1.0], [0.5, 0.5]]),
    ):
        result = read_action_space(space, "Owner", mode)(actions)
        assert result.shape == (2, 2, 1) and result.dtype == torch.float64
        assert result.flatten(1).tolist() == expected
    unbounded = read_action_space(spaces.Box(-np.inf, np.inf, (2,), np.float32), "Owner", "clip")
    assert unbounded(actions).dtype == torch.float32 and torch.equal(unbounded(actions), actions)
    with pytest.raises(ValueError, match="Owner: `action_mode` 'rescale' needs actions with finite bounds"):
        read_action_space(spaces.Box(-np.inf, np.inf, (2,), np.float32), "Owner", "rescale")


def test_importing_environments_imports_no_library_of_them():
    """The libraries behind the adapters load when an adapter is used."""
    libraries = ("gymnasium", "envpool", "jax", "mujoco", "mjbatch")
    script = f"import sys, rslcore.env, rslcore.tasks; print([name for name in {libraries} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
