# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Seeds of the random streams that do not come from a generator: the noise of actions, the order of minibatches."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import torch

_Ticket: TypeAlias = tuple[bytes, int]


class _Seen:
    """A state of torch's generator, and the streams that were made and settled while it stayed as it is."""

    def __init__(self, state: bytes) -> None:
        self.state = state
        self.made = 0
        self.settled: list[_Ticket] = []


_last_seen = _Seen(b"")


def see_generator() -> _Seen:
    """Look at the state of torch's generator, which is left as it is; another one than the last begins a new count."""
    global _last_seen
    state = hashlib.blake2b(torch.get_rng_state().numpy().data, digest_size=16).digest()
    if state != _last_seen.state:
        _last_seen = _Seen(state)
    return _last_seen


class StreamSeed:
    """The seed of a stream, settled when it is first asked for: a ``torch.manual_seed`` until then counts.

    It follows from the state of torch's generator (of the CPU) at that time, and from the number of the stream among
    those settled in the same state. So streams made after one seed are independent, and the same program has the same
    ones again. A stream is known again by the state in which it was made, so that a run that is repeated after the same
    seed has the same stream, whether or not the first one is still there.
    """

    def __init__(self, seed: int | None = None) -> None:
        """Take a seed, any 64-bit integer; or, with None, remember when this was."""
        self._seed = seed
        self._ticket: _Ticket = (b"", 0)
        if seed is None:
            seen = see_generator()
            self._ticket = seen.state, seen.made
            seen.made += 1

    @property
    def value(self) -> int:
        """The seed, a 63-bit integer unless it was given; settled from now on."""
        if self._seed is None:
            self._seed = self.foreseen()
            settled = see_generator().settled
            if self._ticket not in settled:
                settled.append(self._ticket)
        return self._seed

    def foreseen(self) -> int:
        """Return what the seed would be if it were settled now."""
        if self._seed is not None:
            return self._seed
        seen = see_generator()
        settled = seen.settled
        number = settled.index(self._ticket) if self._ticket in settled else len(settled)
        digest = hashlib.blake2b(seen.state + number.to_bytes(8, "little"), digest_size=8).digest()
        return int.from_bytes(digest, "little") >> 1
