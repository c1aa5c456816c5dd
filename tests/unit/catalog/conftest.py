from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.unit.catalog.holding import Holding


@pytest.fixture
def holding(tmp_path):
    return Holding(tmp_path / "catalog")


@pytest.fixture
def file_of(tmp_path):
    """Return a factory of files outside the catalog."""

    def make(data, name="came-by-mail"):
        path = tmp_path / "elsewhere" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    return make


@pytest.fixture
def unreadable(monkeypatch):
    """Let a folder be somebody else's: nobody here may list it or look at what is in it."""

    def unreadable(folder):
        def refusing(call, *, itself):
            def refuses(path=".", *more, **options):
                place = None if isinstance(path, int) else Path(path)
                if place and (folder in place.parents or (itself and place == folder)):
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
                return call(path, *more, **options)

            return refuses

        for name, itself in (("listdir", True), ("scandir", True), ("stat", False)):
            monkeypatch.setattr(os, name, refusing(getattr(os, name), itself=itself))

    return unreadable
