"""The names of `toolkit.media` load with their files, when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolkit import media


def test_every_name_is_at_home_somewhere():
    at_home = sorted(name for names in media._ROOMS.values() for name in names)
    assert at_home == sorted(media.__all__)
    for name in media.__all__:
        assert getattr(media, name) is not None


def test_another_name_is_refused():
    with pytest.raises(AttributeError, match="open_media"):
        _ = media.open_media


def test_proving_a_medium_loads_nothing_of_writing_and_coming_home():
    script = (
        "import sys; from toolkit.media import examine_media, open_medium;"
        "print(*(name for name in sys.modules if name.startswith('toolkit.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "toolkit.media._verify" in loaded
    rooms = ("_ceremony", "_draft", "_erase", "_home", "_receiving", "_token", "_write")
    assert loaded.isdisjoint({f"toolkit.media.{room}" for room in rooms} | {"toolkit.request"})
