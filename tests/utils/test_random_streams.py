# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Laws of the seeds of streams that do not come from a generator."""

from __future__ import annotations

import torch

from rslcore.utils import StreamSeed, see_generator


def test_one_seed_gives_different_streams_and_the_same_ones_again() -> None:
    """Law: streams made after one seed differ; the same program after the same seed has them again."""

    def program() -> list[int]:
        torch.manual_seed(3)
        see_generator()  # as a model does before it draws its weights
        streams = [StreamSeed()]
        torch.rand(2)
        streams += [StreamSeed(), StreamSeed()]
        return [stream.value for stream in streams]

    seeds = program()
    assert len(set(seeds)) == 3
    assert program() == seeds
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_run_that_is_repeated_beside_the_first_has_its_stream() -> None:
    """Law: what was made in the same state after the same seed is the same stream, also while the first one lives."""

    def make() -> StreamSeed:
        torch.manual_seed(3)
        see_generator()
        torch.rand(2)
        return StreamSeed()

    first, again = make(), make()
    assert first.value == again.value


def test_a_seed_set_before_the_first_use_counts() -> None:
    """Law: the seed follows from the generator when it is first asked for, whenever the stream was made, and stays."""
    streams = [StreamSeed() for _ in range(3)]
    torch.manual_seed(5)
    first = streams[0].value
    torch.manual_seed(6)
    assert streams[1].value != first == streams[0].value
    torch.rand(1)
    see_generator()
    torch.manual_seed(5)
    assert streams[2].value == first


def test_the_generator_is_left_as_it_is() -> None:
    """Law: making a stream and asking for its seed draw nothing; so does looking ahead, which also settles nothing."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    stream = StreamSeed()
    assert stream.foreseen() == stream.value
    assert torch.equal(torch.get_rng_state(), before)
    other = StreamSeed()
    foreseen = other.foreseen()
    torch.manual_seed(8)
    assert other.value != foreseen


def test_a_given_seed_stays() -> None:
    """Law: a seed that is given is the seed, whatever the generator does."""
    stream = StreamSeed(-3)
    torch.manual_seed(9)
    assert stream.value == stream.foreseen() == -3
