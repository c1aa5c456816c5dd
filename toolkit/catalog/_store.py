"""Where the catalog's bytes and records stand on disk. Nothing here judges a file.

Layout::

    objects/<2 digits>/<sha256>       the bytes of a payload, once, read-only
    <version>/, sbe/<…>/              shelves:
      <name>                          a hard link to the bytes, for people; not on every file system
      <name>.held.json                the record that counts, written last
      <name>.part …, <name>.tmp       an unfinished download with its journal, an unfinished copy
      <name>.lock                     held by the process that works on this payload
    quarantine/                       files that are not what was published, each with an explanation
    unpacked-…/                       what is looked at before it is taken in, for as long as that takes
    plans/                            trips planned from this catalog
    catalog.lock                      held for the moment in which objects and records change

Every name appears whole, by a rename or a link; a process may be killed at any moment. A process holds
first the lock of its payload, for as long as it works, then that of the catalog, for a moment; so whoever
looks for bytes that no record refers to (`prune`) never sees them between object and record.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from toolkit.catalog._hashing import Measured, measure
from toolkit.catalog._locks import locked
from toolkit.catalog._records import (
    ENDING,
    Record,
    object_path,
    read_record,
    record_path,
    write_record,
)
from toolkit.catalog._shelf import Shelf
from toolkit.catalog._storage import free_bytes, listed, remove_file, storage
from toolkit.errors import InputError, StorageError
from toolkit.filesystem import DRAFT, read_regular, sync_folder, write_beside
from toolkit.model import Progress, Sha256

_CHANGE_WAIT_S = 60.0
UNPACKED = "unpacked-"
"""The beginning of a scratch folder's name."""


class Store:
    """The folder of a catalog."""

    def __init__(self, root: Path) -> None:
        """Use the folder `root`; nothing is made before something is written."""
        self.root = root
        self.objects = root / "objects"
        self.quarantine = root / "quarantine"
        self.plans = root / "plans"
        self._notices: set[str] = set()

    def shelf(self, shelf: str) -> Path:
        """Return the folder of a shelf."""
        return self.root.joinpath(*shelf.split("/"))

    def shelves(self) -> Iterator[Path]:
        """Find the folders of all shelves.

        Raises:
            StorageError: The catalog's folder cannot be read.
        """
        for folder in (*listed(self.root), *listed(self.root / "sbe")):
            with contextlib.suppress(ValueError):
                Shelf.parse(folder.relative_to(self.root).as_posix())
                yield folder

    def object(self, digest: Sha256) -> Path:
        """Return where the bytes with this SHA-256 stand, or would."""
        return object_path(self.objects, digest)

    # --- records --------------------------------------------------------------------------------

    def record_paths(self, shelf: str | None = None) -> tuple[Path, ...]:
        """Return every record of whatever format, of the whole catalog or of one shelf.

        Raises:
            StorageError: A folder cannot be read.
        """
        folders = self.shelves() if shelf is None else (self.shelf(shelf),)
        return tuple(
            sorted(
                path for folder in folders for path in listed(folder) if path.name.endswith(ENDING)
            )
        )

    def records(self, paths: Iterable[Path] | None = None) -> tuple[Record, ...]:
        """Return every record of the present format, or those among `paths`.

        Raises:
            StorageError: One cannot be read.
            InputError: One cannot be understood.
        """
        paths = self.record_paths() if paths is None else paths
        found = (read_record(path, self.objects) for path in paths)
        return tuple(record for record in found if record is not None)

    def understood(self) -> tuple[list[Record], list[Path], list[InputError]]:
        """Return the records, those of an earlier ferry, and what is wrong with the others.

        Raises:
            StorageError: One cannot be read.
        """
        records, earlier, problems = [], [], []
        for path in self.record_paths():
            try:
                record = read_record(path, self.objects)
            except InputError as error:
                problems.append(error)
                continue
            if record is None:
                earlier.append(path)
            else:
                records.append(record)
        return records, earlier, problems

    def record(self, shelf: str, name: str) -> Record | None:
        """Return one record, if it is there and of the present format.

        Raises:
            StorageError: It cannot be read.
            InputError: It cannot be understood.
        """
        path = record_path(self.shelf(shelf), name)
        with storage(f"read {path}"):
            if not path.exists():
                return None
        return read_record(path, self.objects)

    # --- locks ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def working_on(
        self, shelf: str, name: str, *, attempted: str, progress: Progress
    ) -> Iterator[None]:
        """Hold one payload; a second process is told at once instead of spoiling the first one's file.

        Raises:
            InUseError: Another process holds it.
            StorageError: The catalog cannot be written.
        """
        folder = self.shelf(shelf)
        with storage(f"write catalog {self.root}"):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{name}.lock", attempted=attempted, say=self._once(progress)):
            yield

    @contextlib.contextmanager
    def changing(self, progress: Progress) -> Iterator[None]:
        """Hold the catalog for the moment of a change; a second process waits."""
        with storage(f"write catalog {self.root}"):
            self.root.mkdir(parents=True, exist_ok=True)
        with locked(
            self.root / "catalog.lock",
            attempted=f"write catalog {self.root}",
            say=self._once(progress),
            wait_s=_CHANGE_WAIT_S,
        ):
            yield

    def _once(self, progress: Progress) -> Callable[[str], None]:
        def say(message: str) -> None:
            if not self._notices:
                progress.say(message)
            self._notices.add(message)

        return say

    # --- bytes ----------------------------------------------------------------------------------

    def draft(self, shelf: str, name: str) -> Path:
        """Return where bytes stand that have no name yet; what a killed process left is removed."""
        path = self.shelf(shelf) / (name + DRAFT)
        with storage(f"write {path}"):
            remove_file(path)
        return path

    def link(self, source: Path, draft: Path) -> bool:
        """Give a file of ours a second name on the same file system; False: it must be copied.

        Another user's file is copied: who owns it can change its bytes at any time.
        """
        try:
            facts = source.stat(follow_symlinks=False)
            ours = facts.st_uid == os.geteuid() if hasattr(os, "geteuid") else True
            if not ours or not stat.S_ISREG(facts.st_mode):
                return False
            draft.hardlink_to(source)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make a folder on the catalog's disk that is gone afterwards; `prune` finds it after a kill.

        Raises:
            StorageError: It cannot be made.
        """
        with storage(f"write catalog {self.root}"):
            self.root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=UNPACKED, dir=self.root))
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError):  # whatever stays behind is pruned
                for path in folder.iterdir():
                    remove_file(path)
                folder.rmdir()

    def copy(self, source: Path, draft: Path, *, progress: Progress) -> Measured:
        """Copy a file and hash it on the way.

        Raises:
            StorageError: It cannot be read, or there is no room for it.
        """
        with storage(f"copy {source} to {self.root}"):
            size, free = source.stat().st_size, free_bytes(draft.parent)
            if free is not None and size > free:
                raise StorageError(
                    f"copy {source} to {self.root}",
                    found=f"{free} bytes free",
                    expected=f"{size} bytes",
                    hint="free space there; nothing of this file was written yet, the same command goes on",
                )
            try:
                with draft.open("wb", buffering=0) as file:
                    measured = measure(
                        source, what=f"copy {source.name}", progress=progress, copy_to=file
                    )
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    remove_file(draft)
                raise
        return measured

    def place(self, draft: Path, digest: Sha256) -> Path:
        """Give proven bytes their name; bytes that are there already stay. Only while `changing`."""
        path = self.object(digest)
        with storage(f"write {path}"):
            if path.exists():
                remove_file(draft)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                draft.replace(path)
            with contextlib.suppress(OSError):  # some network disks know no permissions
                path.chmod(0o444)
            sync_folder(path.parent)
        return path

    def show(self, shelf: str, name: str, digest: Sha256) -> None:
        """Hang the bytes under their name on a shelf, for people; whatever else has it is left alone."""
        path = self.shelf(shelf) / name
        with contextlib.suppress(OSError):  # no hard links here: the record is what counts
            path.hardlink_to(self.object(digest))

    def is_shown(self, shelf: str, name: str, digest: Sha256) -> bool:
        """Whether the name on the shelf is a link to these bytes."""
        try:
            return (self.shelf(shelf) / name).samefile(self.object(digest))
        except OSError:
            return False

    def write(self, record: Record) -> None:
        """Write a record. Only while `changing`."""
        held = record.held
        write_record(record_path(self.shelf(held.shelf), held.name), record)

    def hide(self, record: Record) -> None:
        """Remove the link on the shelf, if it is one to these bytes."""
        held = record.held
        path = self.shelf(held.shelf) / held.name
        if self.is_shown(held.shelf, held.name, held.sha256):
            with storage(f"write {path.parent}"):
                remove_file(path)

    def forget(self, record: Record) -> None:
        """Remove a record and its link; the bytes stay. Only while `changing`."""
        self.hide(record)
        folder = self.shelf(record.held.shelf)
        with storage(f"write {folder}"):
            remove_file(record_path(folder, record.held.name))
            sync_folder(folder)

    def quarantined(self, name: str, digest: Sha256) -> tuple[Path, str]:
        """Return where a file goes in quarantine, and what its explanation says so far."""
        target = self.quarantine / f"{name}.{digest[:12]}"
        explanation = _explanation(target)
        with storage(f"read {explanation}"):
            text = read_regular(explanation) if explanation.exists() else b""
        return target, text.decode(errors="replace")

    def set_aside(self, path: Path | None, name: str, digest: Sha256, text: str) -> Path:
        """Move a file to quarantine, add `text` to its explanation, and return where that stands.

        Args:
            path: The file; None: it stays where it is.
            name: What it should have been.
            digest: Its SHA-256.
            text: Why it is there.
        """
        target, before = self.quarantined(name, digest)
        with storage(f"write {self.quarantine}"):
            self.quarantine.mkdir(parents=True, exist_ok=True)
            write_beside(_explanation(target), (before + text).encode(), is_locked=True)
            if path is not None:
                remove_file(target)  # Windows replaces no read-only file
                path.replace(target)
        return _explanation(target)


def _explanation(target: Path) -> Path:
    return target.with_name(target.name + ".txt")
