from __future__ import annotations

import pytest

from toolkit.catalog._patience import LONGEST_RETRY_AFTER_S, PROGRESS_BYTES, Mirrors, Retries

A, B, C = (f"https://{name}.example/x" for name in "abc")


def delays(retries, done=0, asked=None):
    found = []
    while (delay := retries.delay_s(done, asked)) is not None:
        found.append(delay)
    return found


def test_delays_come_in_turn_and_end():
    assert delays(Retries((1, 2, 4), random=lambda: 0.5)) == [1, 2, 4]


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.75), (1.0, 1.25)])
def test_delays_are_a_little_different_everywhere(number, factor):
    assert delays(Retries((1, 4), random=lambda: number)) == [factor, 4 * factor]


def test_new_bytes_refill_the_budget_and_old_ones_do_not():
    retries = Retries((1, 2), random=lambda: 0.5)
    assert delays(retries) == [1, 2]
    assert delays(retries, PROGRESS_BYTES) == [1, 2]
    assert delays(retries, PROGRESS_BYTES + 5) == []


def test_what_the_server_asks_for_is_waited_but_not_for_ever():
    retries = Retries((1, 1), random=lambda: 0.5)
    assert retries.delay_s(0, 30.0) == 30
    assert retries.delay_s(0, 1e9) == LONGEST_RETRY_AFTER_S


def test_the_first_address_is_preferred():
    assert Mirrors([A, B]).pick() == A


def test_an_address_that_fails_is_followed_by_the_next_at_once():
    mirrors = Mirrors([A, B])
    assert mirrors.failed(A)
    assert mirrors.pick() == B


def test_when_all_have_failed_equally_there_is_a_wait():
    mirrors = Mirrors([A, B])
    assert [mirrors.failed(A), mirrors.failed(B)] == [True, False]
    assert [mirrors.failed(mirrors.pick()), mirrors.failed(mirrors.pick())] == [True, False]


def test_bytes_forgive_failures():
    mirrors = Mirrors([A, B])
    mirrors.failed(A)
    mirrors.brought(A, 100)
    mirrors.brought(B, 50)
    assert mirrors.pick() == A


def test_among_equals_the_fastest_is_asked_and_an_untried_one_before():
    mirrors = Mirrors([A, B, C])
    mirrors.brought(A, 100)
    assert mirrors.pick() == B
    mirrors.brought(B, 300)
    mirrors.brought(C, 200)
    assert mirrors.pick() == B


def test_a_dropped_address_is_never_asked():
    mirrors = Mirrors([A, B])
    mirrors.drop(A)
    mirrors.failed(B)
    assert (mirrors.pick(), mirrors.usable) == (B, 1)
