"""How many connections, on lines that are imitated in steps of a tenth of a second."""

from __future__ import annotations

import random

import pytest

from toolkit.catalog._growth import FAST_BYTES_S, Growth, Sample

MB = 1_000_000


class Line:
    """A line of some capacity over servers that give each connection a share."""

    def __init__(
        self, growth, *, each, whole=10_000 * MB, busy=0.0, paced=False, noise=0.0, opening_s=0.0
    ):
        self.growth, self.each, self.whole = growth, each, whole
        self.busy, self.paced, self.noise = busy, paced, noise
        self.at_s = self.received = 0.0
        self.opening_s, self.active = opening_s, 0
        self.seen = []
        self.chance = random.Random(1)

    def run(self, seconds):
        for _ in range(round(seconds * 10)):
            settling = self.active < self.growth.wanted
            rate = min(self.active * self.each, self.whole)
            self.received += rate * 0.1 * self.chance.uniform(1 - self.noise, 1 + self.noise)
            self.active = self.growth.wanted
            self.at_s += 0.1
            self.growth.see(
                Sample(
                    at_s=self.at_s,
                    received_bytes=int(self.received),
                    busy_s=self.at_s * self.busy,
                    opening_s=self.opening_s,
                    is_settling=settling,
                    is_paced=self.paced,
                )
            )
            if not self.seen or self.seen[-1] != self.growth.wanted:
                self.seen.append(self.growth.wanted)
        return self.growth.wanted


def test_as_many_connections_as_allowed_when_each_helps():
    line = Line(Growth(8), each=20 * MB)
    assert line.run(3) == 8
    assert line.seen == [1, 4, 8]


@pytest.mark.parametrize("most", [2, 5, 16])
def test_never_more_than_allowed(most):
    line = Line(Growth(most), each=1 * MB)
    assert line.run(20) == most


def test_one_connection_when_the_line_itself_is_full():
    line = Line(Growth(8), each=6 * MB, whole=6 * MB)
    assert line.run(4) == 1
    assert line.seen == [1, 4, 1]


def test_tries_become_rare_on_a_line_that_is_full():
    line = Line(Growth(8), each=6 * MB, whole=6 * MB)
    line.run(600)
    assert line.seen.count(4) <= 8


def test_only_as_many_stay_as_the_rate_has_grown_for():
    line = Line(Growth(8), each=10 * MB, whole=15 * MB)
    assert line.run(4) == 2


def test_a_fast_line_is_left_alone():
    assert Line(Growth(8), each=1.1 * FAST_BYTES_S).run(10) == 1


def test_a_busy_processor_is_left_alone():
    assert Line(Growth(8), each=20 * MB, busy=0.9).run(10) == 1


def test_a_rate_that_a_person_set_is_left_alone():
    assert Line(Growth(8), each=20 * MB, paced=True).run(10) == 1


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_noise_does_not_hide_that_connections_help(noise):
    assert Line(Growth(8), each=20 * MB, noise=noise).run(8) == 8


def test_refused_connections_are_not_asked_for_again():
    growth = Growth(8)
    line = Line(growth, each=20 * MB)
    line.run(1)
    growth.limit(3)
    assert line.run(20) == 3


def test_after_all_have_ended_it_begins_anew_with_one():
    growth = Growth(8)
    line = Line(growth, each=20 * MB)
    line.run(1)
    growth.limit(2)
    growth.restart(line.at_s)
    assert growth.wanted == 1
    assert line.run(5) == 8


def test_nothing_is_tried_while_nothing_comes():
    assert Line(Growth(8), each=0).run(20) == 1


def test_on_a_long_way_moments_are_longer():
    near, far = Line(Growth(8), each=MB), Line(Growth(8), each=MB, opening_s=1.0)
    assert near.run(1) > 1
    assert far.run(1) == 1
    assert far.run(20) == 8
