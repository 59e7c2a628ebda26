# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Running without autograd."""

from __future__ import annotations

import pytest
import torch

from rslcore.utils import without_gradient


@without_gradient
def double(x: torch.Tensor) -> torch.Tensor:
    """Twice a tensor."""
    if x.numel() == 0:
        raise ValueError("empty")
    return 2 * x


def test_nothing_is_recorded_and_the_mode_is_as_before():
    """Law: as under torch.no_grad(), whatever the mode was, and also where the function raises."""
    x = torch.ones(2, requires_grad=True)
    assert not double(x).requires_grad
    assert torch.is_grad_enabled()
    with pytest.raises(ValueError, match="empty"):
        double(x[:0])
    assert torch.is_grad_enabled()
    with torch.no_grad():
        assert not double(x).requires_grad
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        assert double(x).is_inference()
    assert double.__name__ == "double"
