# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""Philox 4x32-10: the generator behind every random number of the operators."""

from __future__ import annotations

import pytest

from rslcore.ops import reference

# Known answers published with Random123 (Salmon et al. 2011): counter, key, words.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter: str, key: str, words: str) -> None:
    """The published vectors; the compiled generator is held to this one through the permutations it keys."""

    def integers(text: str) -> tuple[int, ...]:
        return tuple(int(word, 16) for word in text.split())

    assert reference.philox(integers(counter), integers(key)) == integers(words)
