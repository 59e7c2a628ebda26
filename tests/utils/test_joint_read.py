# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of reading the device once for everybody."""

from __future__ import annotations

import pytest
import torch

from rslcore.utils import JointRead


def test_everybody_gets_the_own_numbers_of_when_they_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any shape and dtype, none lost in a narrower one; tensors and functions are looked at by `fetch`, once."""
    joint, counter = JointRead(), torch.zeros((), dtype=torch.int64)
    exact = torch.tensor([[1.0, 1e-9 + 1.0]], dtype=torch.float64)
    lists = [joint.add(counter), joint.add(lambda: exact), joint.add(torch.zeros(0)), joint.add(lambda: counter + 1)]
    assert lists == [[], [], [], []]
    counter += 5
    reads, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(self.shape) or tolist(self))
    joint.fetch()
    joint.fetch()
    assert lists == [[5.0], [1.0, 1e-9 + 1.0], [], [6.0]]
    assert len(reads) == 1


def test_gradients_and_inference_do_not_matter() -> None:
    """Parameters, and tensors made in inference mode, are read as all others."""
    joint = JointRead()
    with torch.inference_mode():
        read = joint.add(torch.ones(()))
    learned = joint.add(torch.nn.Parameter(torch.ones(2)))
    joint.fetch()
    assert (read, learned) == ([1.0], [1.0, 1.0])


@pytest.mark.parametrize("spoiled", [False, True])
def test_data_that_must_not_be_used_is_refused(spoiled: bool) -> None:
    """`fetch` raises where the flag is set, and only there; `settle` always asks."""

    def refuse() -> None:
        raise ValueError("spoiled")

    joint = JointRead(torch.tensor(float(spoiled)), refuse)
    if spoiled:
        with pytest.raises(ValueError, match="spoiled"):
            joint.fetch()
    else:
        joint.fetch()
    with pytest.raises(ValueError, match="spoiled"):
        joint.settle()
    JointRead().settle()
