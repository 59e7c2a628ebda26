# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""csrc/common/thread_choice.h on a simulated clock: machines whose every piece of work takes what is written here."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import NamedTuple

import pytest

_numpy = pytest.importorskip("rslcore._numpy", reason="needs the compiled operators")
pytestmark = pytest.mark.skipif(os.environ.get("RSLCORE_THREADS") == "all", reason="RSLCORE_THREADS asks for all")

TRIAL_SHARE = 0.02
PREFERENCE = 0.02
"""What is so little faster does not displace the number in use."""
NOISE = 0.01
"""Of the means of what is drawn below, over 20 simulated seconds; measured over 30 seeds: 0.006 at most."""


class Machine(NamedTuple):
    """Seconds of a piece of work on a number of threads."""

    piece: float
    """On one thread, seconds."""
    taken: float = 0.0
    """Probability that the system takes one of the further threads off its core, each."""
    held: float = 0.0
    """How long it then holds up all others, seconds."""

    SERIAL = 0.1
    HICCUP = (1.0, 0.005)
    """Every machine does something else once a second, for so many seconds."""

    def draw(self, threads: int, rng: random.Random) -> float:
        """A piece."""
        seconds = self.piece * (self.SERIAL + (1 - self.SERIAL) / threads) * rng.uniform(0.96, 1.04)
        every, hiccup = self.HICCUP
        if rng.random() < seconds / every:
            seconds += hiccup
        if rng.random() < self._any_taken(threads):
            seconds += rng.uniform(0.5, 1.5) * self.held
        return seconds

    def mean(self, threads: int) -> float:
        """Mean of what is drawn."""
        seconds = self.piece * (self.SERIAL + (1 - self.SERIAL) / threads)
        every, hiccup = self.HICCUP
        return seconds * (1 + hiccup / every) + self._any_taken(threads) * self.held

    def best(self, most: int) -> float:
        """Mean on the best number of threads."""
        return min(self.mean(threads) for threads in range(1, most + 1))

    def _any_taken(self, threads: int) -> float:
        return 1 - (1 - self.taken) ** (threads - 1)


def ratio(choice: object, machine: Machine, most: int, rng: random.Random, start: float, seconds: float) -> float:
    """Time taken for so many seconds, over what the same work takes with the best number of threads."""
    now, pieces = start, 0
    while now < start + seconds:
        threads = choice.next(most, now)
        assert 1 <= threads <= most
        end = now + machine.draw(threads, rng)
        choice.took(threads, 1.0, now, end)
        now, pieces = end, pieces + 1
    return (now - start) / (pieces * machine.best(most))


QUIET = [Machine(piece) for piece in (0.0005, 0.006, 0.2)]
BUSY = [Machine(0.0005, 0.2, 0.004), Machine(0.0005, 0.05, 0.02), Machine(0.006, 0.3, 0.01), Machine(0.2, 0.9, 0.01)]


@pytest.mark.parametrize("machine", QUIET)
@pytest.mark.parametrize("most", [2, 3, 4])
def test_nothing_is_lost_on_a_quiet_machine(machine, most):
    """Law: the time is that of the best number, and what trials and preference may lose."""
    choice = _numpy.ThreadChoice(TRIAL_SHARE)
    for seed in range(3):
        found = ratio(choice, machine, most, random.Random(seed), 100.0 * seed, 20.0)
        assert found < 1 + TRIAL_SHARE + PREFERENCE + NOISE


@pytest.mark.parametrize("machine", BUSY)
@pytest.mark.parametrize("most", [2, 4, 8])
def test_neighbours_cost_no_more_than_with_the_best_number(machine, most):
    """Law: whatever the neighbours do, the time is below 1.15 times that of the best number, from the start."""
    choice = _numpy.ThreadChoice(TRIAL_SHARE)
    assert ratio(choice, machine, most, random.Random(0), 0.0, 20.0) < 1.15


@pytest.mark.parametrize("busy", BUSY)
def test_neighbours_come_and_go(busy):
    """Law: the same while neighbours come and go every twenty seconds."""
    choice, rng = _numpy.ThreadChoice(TRIAL_SHARE), random.Random(0)
    quiet = Machine(busy.piece)
    for turn in range(6):
        machine = busy if turn % 2 else quiet
        assert ratio(choice, machine, 2, rng, 20.0 * turn, 20.0) < 1.15, f"turn {turn}"


@pytest.mark.parametrize("share", [0.004, TRIAL_SHARE])
@pytest.mark.parametrize("at", [0, 500])
def test_a_stopped_program_goes_on_as_before(share, at):
    """Law: a piece that took an hour, as the program was stopped, says little about its number of threads."""
    choice, rng, now, machine = _numpy.ThreadChoice(share), random.Random(0), 0.0, Machine(0.006)
    used = []
    for piece in range(40_000):
        used.append(choice.next(2, now))
        end = now + machine.draw(used[-1], rng) + 3600.0 * (piece == at)
        choice.took(used[-1], 1.0, now, end)
        now = end
    assert used[-2000:].count(2) > 1900


@pytest.mark.parametrize("most", [3, 4, 8, 16, 64])
@pytest.mark.parametrize("piece", [0.0002, 0.002])
def test_two_numbers_are_the_fastest(most, piece):
    """Law: going from one to another that is as good does not bring the next trial of a bad one forward."""

    class LastThreadIsOfNoUse(Machine):
        def draw(self, threads, rng):
            return super().draw(min(threads, most - 1), rng)

        def best(self, _):
            return self.mean(most - 1)

    choice = _numpy.ThreadChoice(TRIAL_SHARE)
    found = ratio(choice, LastThreadIsOfNoUse(piece), most, random.Random(0), 0.0, 10.0)
    assert found < 1 + TRIAL_SHARE + PREFERENCE + NOISE


def test_the_share_of_trials_is_of_the_time_that_passes():
    """Law: a place that works for a hundredth of the time comes back within seconds after neighbours have left."""
    choice, rng, now = _numpy.ThreadChoice(TRIAL_SHARE), random.Random(0), 0.0
    for machine, expected in ((Machine(0.0005, 1.0, 0.02), 1), (Machine(0.0005), 2)):
        used = []
        for _ in range(200):
            used.append(choice.next(2, now))
            took = machine.draw(used[-1], rng)
            choice.took(used[-1], 1.0, now, now + took)
            now += took + 0.05
        assert used[100:].count(expected) > 80


def test_all_numbers_are_tried_on_many_threads():
    """Law: on 32 threads, of which 20 pay, 20 to 32 are found to within a tenth, and no number is out of 1..32."""

    class Few(Machine):
        def draw(self, threads, rng):
            return super().draw(min(threads, 20), rng) + max(threads - 20, 0) * self.piece / 50

        def best(self, most):
            return self.mean(20)

    choice = _numpy.ThreadChoice(TRIAL_SHARE)
    ratio(choice, Few(0.02), 32, random.Random(0), 0.0, 10.0)
    assert ratio(choice, Few(0.02), 32, random.Random(1), 10.0, 10.0) < 1.25


def test_another_number_of_processors_begins_anew():
    """Law: numbers asked for are never exceeded, whatever was learned before."""
    choice = _numpy.ThreadChoice(TRIAL_SHARE)
    for most in (4, 1, 2, 1, 8):
        assert choice.next(most, 0.0) == most
        choice.took(most, 1.0, 0.0, 1.0)
        assert choice.next(most, 1.0) <= most


def test_the_environment_asks_for_all():
    """Law: with RSLCORE_THREADS=all the number is the largest, however bad it is."""
    program = (
        "from rslcore._numpy import ThreadChoice as C; c = C(0.02); now = 0.0\n"
        "for i in range(99):\n"
        "    n = c.next(4, now); assert n == 4, n; c.took(n, 1.0, now, now + i); now += i\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "RSLCORE_THREADS": "all"})
