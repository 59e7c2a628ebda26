# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The count of samples in `ops.update_moments` and `ops.update_and_normalize`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rslcore.numpy as rnp
from rslcore import ops
from rslcore.ops import reference

EXPECTED = r"`count` must be >= 0, got -"


@pytest.mark.parametrize("count", [-1, -(2**63)])
@pytest.mark.parametrize("column", [(), (1,)], ids=["as it is", "to be converted"])
@pytest.mark.parametrize("operator", [ops.update_moments, ops.update_and_normalize], ids=lambda x: x.__name__)
def test_a_negative_count_is_refused(operator, column: tuple[int, ...], count: int) -> None:
    """A count is not negative: the rate n / (count + n) of the moments would be infinite. Nothing is written."""
    state = [torch.zeros(2, 2)[:, 0].view(*column, 2), torch.ones(2, 2)[:, 0].view(*column, 2), torch.tensor(count)]
    before = [part.clone() for part in state]
    with pytest.raises(ValueError, match=f"{operator.__name__}: {EXPECTED}"):
        operator(torch.arange(8.0).view(4, 2), *state)
    assert all(torch.equal(a, b) for a, b in zip(state, before, strict=True))


def test_a_negative_count_is_refused_by_numpy() -> None:
    """The same for arrays."""
    mean, var, count = np.zeros(2), np.ones(2), np.array(-1)
    with pytest.raises(ValueError, match=EXPECTED):
        rnp.update_and_normalize(np.arange(8.0).reshape(4, 2), mean, var, count)
    assert (mean.tolist(), var.tolist(), count.item()) == ([0.0, 0.0], [1.0, 1.0], -1)


def test_a_negative_count_is_refused_by_the_reference() -> None:
    """And where the compiled operator is missing."""
    with pytest.raises(ValueError, match=EXPECTED):
        reference.update_moments(torch.ones(4, 1), torch.zeros(1), torch.ones(1), torch.tensor(-3), None)
