from __future__ import annotations

import pytest

from tests.unit.catalog.fakes import FakeSite, Listener
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._together import Together, size_of
from toolkit.errors import AuthenticationError, DownloadError

A, B = "https://a.example/x", "https://b.example/x"


def test_each_step_is_as_long_as_everything_still_to_come():
    listener = Listener()
    together = Together(listener, [100, 20, 3])
    for size in (100, 21, 3):
        together.begin("download x", total_bytes=size)
        together.advance(size)
        together.end()
        together.next()
    assert [total for _, total in listener.steps] == [123, 24, 3]
    assert listener.steps[1][0] == "download x (2 of 3; bytes of all to come)"
    assert listener.open_steps == 0


def test_one_download_is_drawn_as_what_it_is():
    listener = Listener()
    Together(listener, [7]).begin("download x", total_bytes=7)
    assert listener.steps == [("download x", 7)]


def test_without_every_size_there_is_no_end_in_sight():
    listener = Listener()
    together = Together(listener, [100, None])
    together.begin("download x", total_bytes=100)
    together.say("a notice")
    assert (listener.steps[0][1], listener.lines) == (None, ["a notice"])


def test_a_size_is_asked_for_with_one_byte():
    site = FakeSite({A: b"x" * 5000})
    assert size_of([A], site) == 5000
    assert (site.opened, site.closed, site.bytes_served) == (1, 1, 0)


def test_a_size_is_asked_of_the_next_address_where_one_has_no_file():
    assert size_of([A, B], FakeSite({B: b"12345"})) == 5


def test_a_size_is_asked_of_the_next_address_where_one_wants_a_log_on():
    site = FakeSite({A: b"1", B: b"1"})

    def refuse(url, offset):
        if url == A:
            raise AuthenticationError(f"fetch {url}", found="401")

    site.on_open = refuse
    assert size_of([A, B], site) == 1
    with pytest.raises(AuthenticationError):
        size_of([A], site)


def test_a_file_that_nobody_has_is_told():
    with pytest.raises(DownloadError, match="404"):
        size_of([A, B], FakeSite({}))


def test_a_server_that_is_busy_is_asked_later():
    site = FakeSite({A: b"1"})

    def busy(url, offset):
        raise InterruptedDownload(f"fetch {url}", found="503")

    site.on_open = busy
    assert size_of([A], site) is None
