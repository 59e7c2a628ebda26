# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""`split_and_pad_trajectories` and `unpad_trajectories` against rsl_rl 5.5.1's functions of these names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from rsl_rl import utils as rsl_rl
from tensordict import TensorDict

from rslcore.utils import split_and_pad_trajectories, unpad_trajectories

SHAPES = [(1, 1), (1, 6), (9, 1), (5, 3), (24, 33), (7, 501)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tests are about values."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dones_of(shape: tuple[int, int], probability: float) -> torch.Tensor:
    """Flags [T, N, 1] as a storage has them."""
    generator = torch.Generator().manual_seed(shape[0] * 1009 + shape[1])
    return (torch.rand(*shape, 1, generator=generator) < probability).byte()


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_tensordicts_equal_rsl_rl(shape: tuple[int, int], probability: float) -> None:
    """Same values, dtypes, batch size and masks for every group; unpadding gives the rollout, as there."""
    dones = dones_of(shape, probability)
    data = TensorDict(
        {"policy": torch.randn(*shape, 5), "image": torch.randint(0, 256, (*shape, 2, 3), dtype=torch.uint8)},
        batch_size=shape,
        device="cpu",
    )
    expected, expected_masks = rsl_rl.split_and_pad_trajectories(data, dones)
    padded, masks = split_and_pad_trajectories(data, dones)
    assert torch.equal(masks, expected_masks)
    assert (padded.batch_size, padded.device) == (expected.batch_size, expected.device)
    for group in data.keys():  # noqa: SIM118 - a TensorDict iterates over its rows
        assert padded[group].dtype == data[group].dtype
        assert torch.equal(padded[group], expected[group])
    back, expected_back = unpad_trajectories(padded, masks), rsl_rl.unpad_trajectories(expected, expected_masks)
    assert back.batch_size == expected_back.batch_size
    for group in data.keys():  # noqa: SIM118
        assert torch.equal(back[group], expected_back[group])
        assert torch.equal(back[group], data[group])


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("done_dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_tensors_of_any_dtype_equal_rsl_rl(dtype: torch.dtype, done_dtype: torch.dtype) -> None:
    """Every dtype of data and dones; dones and data are left as they were."""
    dones = dones_of((11, 7), 0.3).to(done_dtype)
    data = torch.randint(0, 2, (11, 7, 3)).to(dtype)
    before = data.clone(), dones.clone()
    expected, expected_masks = rsl_rl.split_and_pad_trajectories(data, dones)
    padded, masks = split_and_pad_trajectories(data, dones)
    assert padded.dtype == dtype
    assert torch.equal(padded, expected)
    assert torch.equal(masks, expected_masks)
    assert torch.equal(data, before[0])
    assert torch.equal(dones, before[1])


@pytest.mark.parametrize("copied", [False, True])
def test_gradient_equals_rsl_rl(copied: bool) -> None:
    """Through both functions; padding takes no gradient. Masks made here and copies of them give the same."""
    dones = dones_of((9, 5), 0.3)
    weight = torch.randn(9, 5, 3)
    gradients = []
    ours = split_and_pad_trajectories, unpad_trajectories
    theirs = rsl_rl.split_and_pad_trajectories, rsl_rl.unpad_trajectories
    for split, unpad in (ours, theirs):
        data = torch.arange(135.0).view(9, 5, 3).requires_grad_()
        padded, masks = split(data, dones)
        padded.retain_grad()
        (unpad(padded.sin(), masks.clone() if copied else masks) * weight).sum().backward()
        gradients.append((data.grad, padded.grad))
    for got, expected in zip(*gradients, strict=True):
        assert torch.equal(got, expected)


def test_slices_of_masks_equal_rsl_rl() -> None:
    """Whole environments cut out of padded trajectories unpad alone, as minibatches do."""
    dones = dones_of((9, 5), 0.3)
    data = torch.randn(9, 5, 3)
    padded, masks = split_and_pad_trajectories(data, dones)
    first = int(dones[:-1, :2].sum()) + 2
    got = unpad_trajectories(padded[:, :first], masks[:, :first])
    assert torch.equal(got, rsl_rl.unpad_trajectories(padded[:, :first], masks[:, :first]))
    assert torch.equal(got, data[:, :2])


def test_a_mask_that_was_written_to_is_read_again() -> None:
    """What a mask remembers of its making does not outlive a change: one environment of two is taken out."""
    dones = torch.tensor([[0, 0], [1, 0], [0, 0]])
    data = torch.arange(6.0).view(3, 2, 1)
    padded, masks = split_and_pad_trajectories(data, dones)
    masks[:, 2] = False
    assert torch.equal(unpad_trajectories(padded, masks), data[:, :1])


def test_in_inference_mode() -> None:
    """Both functions work there too, although its tensors keep no count of writes."""
    with torch.inference_mode():
        data = torch.randn(9, 5, 3)
        padded, masks = split_and_pad_trajectories(data, dones_of((9, 5), 0.3))
        assert torch.equal(unpad_trajectories(padded, masks), data)


def test_the_device_is_not_waited_for() -> None:
    """With masks made here unpadding reads nothing of the device, with copies of them one number."""
    padded, masks = split_and_pad_trajectories(torch.randn(9, 5, 3), dones_of((9, 5), 0.3))
    calls = []

    class Reads(torch.utils._python_dispatch.TorchDispatchMode):
        """Notes reads of single numbers."""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append(str(func))
            return func(*args, **(kwargs or {}))

    with Reads():
        unpad_trajectories(padded, masks)
        assert not any("_local_scalar_dense" in call for call in calls)
        unpad_trajectories(padded, masks.clone())
    assert sum("_local_scalar_dense" in call for call in calls) == 1


def test_what_does_not_fit_is_refused() -> None:
    """One line that names the function, the argument, what was expected and what came."""
    padded, masks = split_and_pad_trajectories(torch.randn(4, 2, 3), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"^unpad_trajectories: `masks` must be \[4, 2\] like `trajectories`, got "):
        unpad_trajectories(padded, masks[:, :1])
    with pytest.raises(ValueError, match=r"`masks` must hold whole rollouts of 4 steps, got 7 valid steps$"):
        unpad_trajectories(padded, masks & torch.tensor([[True, True]] * 3 + [[True, False]]))
    with pytest.raises(
        ValueError, match=r"^split_and_pad_trajectories: `tensor` must be \[4, 2, ...\] like `dones`, got"
    ):
        split_and_pad_trajectories(torch.randn(4, 3, 3), torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"^split_trajectories: `dones` must be \[T, N\] or \[T, N, 1\], got \[4\]"):
        split_and_pad_trajectories(torch.randn(4, 2), torch.zeros(4))
