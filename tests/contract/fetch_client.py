"""A fetcher under test and what it says; used by the tests of bodies, certificates and proxies."""

from __future__ import annotations

import contextlib

import pytest

from toolkit.catalog import HttpsFetcher
from toolkit.errors import DownloadError

DATA = bytes(range(256)) * 1024
NAME = "file.bin"


class Client:
    """A fetcher for one server, and what it says."""

    def __init__(self, server, *, ca_file=None, **options):
        self.url = f"{server.url}/{NAME}"
        self.said = []
        self.fetcher = HttpsFetcher(ca_file or server.ca_file, say=self.said.append, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.fetcher.close()

    def open(self, url=None, *, offset=0, validator="", stop=None):
        return self.fetcher.open(url or self.url, offset=offset, validator=validator, stop=stop)

    def get(self, url=None, **options):
        with contextlib.closing(self.open(url, **options)) as answer:
            return read(answer)

    def refused(self, kind=DownloadError, **options):
        with pytest.raises(kind) as caught:
            self.get(**options)
        return caught.value


def read(answer, size=64 << 10):
    buffer, data = memoryview(bytearray(size)), b""
    while count := answer.readinto(buffer):
        data += buffer[:count]
    return data
