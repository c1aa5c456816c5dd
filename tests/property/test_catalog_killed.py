"""At whatever change of the disk a process dies: the same command ends as if nothing had happened.

Every call that changes names on the disk is counted; from a chosen one on, each raises, also those that
would tidy up, for a dead process tidies nothing. Each operation is killed at every one of its calls.
"""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from datetime import timedelta

import pytest

from tests.unit.catalog.fakes import Listener, digest_of, zip_of
from tests.unit.catalog.holding import DATA, MANIFEST, PAYLOAD, SBE_SHELF, SHELF, Holding
from toolkit.catalog import Catalog
from toolkit.errors import ToolkitError

OTHER_DATA = zip_of(5000, seed=9)
_CHANGES = ("replace", "link", "unlink", "fsync", "chmod")


class Killed(BaseException):
    """Nothing after this happens."""


class Reaper:
    """Kills the process at its n-th change of the disk."""

    def __init__(self, monkeypatch) -> None:
        self.left: int | None = None
        for name in _CHANGES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, change):
        def call(*args, **more):
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return change(*args, **more)

        return call

    def kills(self, act, at: int) -> bool:
        """Run `act` and kill it at its change number `at`; False if it had fewer."""
        self.left = at
        try:
            act()
        except Killed:
            return True
        finally:
            self.left = None
        return False


class Scene(ABC):
    """One operation, what must be there before it, and what must be true after it."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.ben = Holding(folder / "ben")

    def prepare(self) -> None:  # noqa: B027 - most scenes need nothing
        pass

    @abstractmethod
    def act(self) -> None: ...

    def mend(self) -> None:
        self.act()

    def check(self) -> None:
        for held in self.ben.catalog.held():
            assert digest_of(held.path.read_bytes()) == held.sha256


class Download(Scene):
    def act(self) -> None:
        self.ben.download()

    def check(self) -> None:
        super().check()
        assert self.ben.catalog.find(MANIFEST.version)[0].path.read_bytes() == DATA


class Adopt(Scene):
    def prepare(self) -> None:
        self.source = self.folder / "source"
        self.source.write_bytes(OTHER_DATA)

    def act(self) -> None:
        self.ben.adopt(self.source, name="SBE_Contoso_Gen_A_4.2.2603.1.zip")

    def check(self) -> None:
        super().check()
        assert self.source.read_bytes() == OTHER_DATA


class Replace(Adopt):
    """A newer file of the same name."""

    def prepare(self) -> None:
        super().prepare()
        older = self.folder / "older"
        older.write_bytes(zip_of(4000))
        self.ben.adopt(older, name="SBE_Contoso_Gen_A_4.2.2603.1.zip")


class TakeOver(Download):
    """A file that an earlier ferry left."""

    def prepare(self) -> None:
        path = self.ben.root / SHELF / PAYLOAD.name
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA)

    def check(self) -> None:
        super().check()
        assert self.ben.site.asked == []


class Send(Scene):
    def prepare(self) -> None:
        self.ben.download()

    def act(self) -> None:
        self.ben.catalog.export(self.folder / "x", progress=Listener())

    def check(self) -> None:
        there = Holding(self.folder / "x")
        assert there.catalog.find(MANIFEST.version)[0].path.read_bytes() == DATA
        assert "catalog.json" in there.files()


class Receive(Send):
    def prepare(self) -> None:
        super().prepare()
        done = self.ben.catalog.export(self.folder / "x", progress=Listener())
        Catalog(self.folder / "anna").know_key(
            self.folder / "x" / "catalog.json",
            name="Ben",
            fingerprint=done.fingerprint,
            progress=Listener(),
        )

    def act(self) -> None:
        Catalog(self.folder / "anna").import_from(
            self.folder / "x", manifests=(), progress=Listener()
        )

    def check(self) -> None:
        super().check()
        (held,) = Catalog(self.folder / "anna").held()
        assert held.path.read_bytes() == DATA


class SetAside(Scene):
    def prepare(self) -> None:
        held = self.ben.download()
        self.bad = bytearray(DATA)
        self.bad[1000] ^= 1
        self.ben.spoil(held)

    def act(self) -> None:
        self.ben.catalog.verify(quarantine=True, progress=Listener())

    def mend(self) -> None:
        self.act()
        self.ben.download()

    def check(self) -> None:
        super().check()
        quarantined = self.ben.root / "quarantine" / f"{PAYLOAD.name}.{digest_of(self.bad)[:12]}"
        assert quarantined.read_bytes() == self.bad
        assert self.ben.catalog.find(MANIFEST.version)[0].path.read_bytes() == DATA


class Prune(Scene):
    def prepare(self) -> None:
        self.ben.download()
        source = self.folder / "source"
        source.write_bytes(OTHER_DATA)
        self.kept = self.ben.adopt(source)

    def act(self) -> None:
        words = [SHELF] if any(held.shelf == SHELF for held in self.ben.catalog.held()) else []
        self.ben.catalog.prune(versions=words, older_than=timedelta(0), progress=Listener())

    def mend(self) -> None:
        self.ben.now = self.ben.now.replace(year=2100)
        self.act()

    def check(self) -> None:
        super().check()
        assert [held.shelf for held in self.ben.catalog.held()] == [SBE_SHELF]
        assert self.kept.path.read_bytes() == OTHER_DATA


@pytest.mark.parametrize(
    "scene", [Download, Adopt, Replace, TakeOver, Send, Receive, SetAside, Prune]
)
def test_killed_at_every_change_of_the_disk_the_same_command_mends_it(scene, tmp_path, monkeypatch):
    reaper = Reaper(monkeypatch)

    def play(at: int | None) -> tuple[set[str], bool]:
        folder = tmp_path / str(at)
        folder.mkdir()
        played = scene(folder)
        played.prepare()
        was_killed = at is not None and reaper.kills(played.act, at)
        try:
            played.mend()
        except ToolkitError as error:
            raise AssertionError(f"killed at change {at}: {error} ({error.hint})") from error
        played.check()
        return played.ben.files(), was_killed

    undisturbed, _ = play(None)
    for at in itertools.count():
        files, was_killed = play(at)
        assert files == undisturbed, f"killed at change {at}"
        if not was_killed:
            break
    assert at > 3
