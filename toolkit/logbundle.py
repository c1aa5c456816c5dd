"""The log bundle: one zip64 archive of evidence, written once, readable without us.

Layout::

    nodes/<node>/<source>      evidence of one node
    cluster/<source>           evidence asked for once per cluster
    manifest.json              last: what is inside, its SHA-256, who collected it, what is missing

A bundle without `manifest.json` was cut off while it was written and is refused as such. Members are
streamed both ways; nothing is held whole but the manifest, whose size is bounded.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, BinaryIO

from toolkit import __version__
from toolkit.errors import DigestError, InputError, StorageError, misread, system_says
from toolkit.filesystem import refuse_pipe
from toolkit.model import Gap, Member, Sha256

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20
_MANIFEST_LIMIT_BYTES = 64 << 20
_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


def member_path(source: str, node: str) -> str:
    """Return where a source of a node (or, for an empty node, of the cluster) is kept.

    Raises:
        InputError: A name that cannot be a file name everywhere.
    """
    for name in filter(None, (source, node)):
        if not _SAFE_NAME.match(name) or name.strip(".") == "":
            raise InputError("name a member of the log bundle", found=repr(name))
    return f"nodes/{node}/{source}" if node else f"cluster/{source}"


class LogBundleWriter:
    """Writes one bundle beside its final name; `close` makes it appear, complete."""

    def __init__(self, path: Path, *, cluster: str) -> None:
        """Begin a bundle at `path` for the cluster of that name.

        Raises:
            StorageError: The file exists already, or cannot be written here.
        """
        if path.exists():
            raise StorageError(
                f"write log bundle {path}",
                found="a file of that name",
                hint="choose another name; evidence is never overwritten",
            )
        self._final = path
        self._cluster = cluster
        self._members: list[Member] = []
        self._gaps: list[Gap] = []
        with _storage(f"write log bundle {path}"):
            # a name of its own: two collections at once must not write into one file
            handle, part = tempfile.mkstemp(".part", f"{path.name}.", path.parent)
            os.close(handle)
            self._part = Path(part)
            self._zip = zipfile.ZipFile(
                self._part, "w", compression=zipfile.ZIP_DEFLATED, allowZip64=True
            )

    def add(
        self,
        stream: BinaryIO,
        *,
        source: str,
        node: str,
        collector: str,
        collected_at: datetime,
        exit_code: int = 0,
    ) -> Member:
        """Copy a stream to its end into the bundle and return what was recorded of it.

        Raises:
            StorageError: The disk is full or fails.
            InputError: A source or node name that cannot be a file name.
        """
        path = member_path(source, node)
        digest, size = hashlib.sha256(), 0
        with (
            _storage(f"write log bundle {self._final}"),
            self._zip.open(path, "w", force_zip64=True) as out,
        ):
            while data := stream.read(_CHUNK_BYTES):
                digest.update(data)
                size += len(data)
                out.write(data)
        member = Member(
            path=path,
            source=source,
            node=node,
            sha256=Sha256(digest.hexdigest()),
            size_bytes=size,
            collector=collector,
            collected_at=collected_at,
            exit=exit_code,
        )
        self._members.append(member)
        return member

    def add_gap(self, gap: Gap) -> None:
        """Record evidence that could not be had."""
        self._gaps.append(gap)

    def close(self) -> None:
        """Write the manifest, flush to the disk and give the bundle its name.

        Raises:
            StorageError: The disk is full or fails; no file stands under the final name.
        """
        document = {
            "format": FORMAT,
            "kind": "ferry-log-bundle",
            "tool": f"ferry {__version__}",
            "cluster": self._cluster,
            "created_at": datetime.now(UTC).isoformat(),
            "members": [
                {
                    "path": member.path,
                    "source": member.source,
                    "node": member.node,
                    "sha256": member.sha256,
                    "size_bytes": member.size_bytes,
                    "collector": member.collector,
                    "collected_at": member.collected_at.isoformat(),
                    "exit": member.exit,
                }
                for member in self._members
            ],
            "gaps": [
                {"source": gap.source, "node": gap.node, "reason": gap.reason, "detail": gap.detail}
                for gap in self._gaps
            ],
        }
        with _storage(f"write log bundle {self._final}"):
            self._zip.writestr(MANIFEST, json.dumps(document, indent=1, ensure_ascii=False))
            self._zip.close()
            with self._part.open("rb+") as flushed:
                os.fsync(flushed.fileno())
            _publish(self._part, self._final)

    def abandon(self) -> None:
        """Throw away what was not finished; a finished bundle is left alone."""
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> LogBundleWriter:
        """Return the writer."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Finish the bundle, or throw it away if the block failed."""
        try:
            if kind is None:
                self.close()
        finally:
            self.abandon()


class LogBundle:
    """One finished bundle, opened for reading."""

    def __init__(self, path: Path) -> None:
        """Open a bundle and read its manifest.

        Raises:
            StorageError: The file cannot be read.
            InputError: Not a log bundle, cut off, or of a newer format; a pipe or a device.
        """
        self.path = path
        try:
            refuse_pipe(path)
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise StorageError(f"open log bundle {path}", found=system_says(error)) from error
        except zipfile.BadZipFile as error:
            raise InputError(
                "open log bundle",
                file=str(path),
                found=f"not a whole zip archive ({error})",
                hint="it may have been cut off on its way; copy it again",
            ) from error
        try:
            self._read_manifest()
        except (
            KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError,
            zipfile.BadZipFile, zlib.error, OSError,
        ) as error:  # fmt: skip
            raise InputError(
                "read log bundle",
                file=str(path),
                place=MANIFEST,
                found=misread(error),
                expected="the manifest that ferry writes last",
                hint="collection may have been cut off; collect again",
            ) from error

    def _read_manifest(self) -> None:
        info = self._zip.getinfo(MANIFEST)
        if info.file_size > _MANIFEST_LIMIT_BYTES:
            raise ValueError(f"{info.file_size} bytes, more than {_MANIFEST_LIMIT_BYTES}")
        document = json.loads(self._zip.read(info))
        if document["kind"] != "ferry-log-bundle" or document["format"] > FORMAT:
            raise InputError(
                "read log bundle",
                file=str(self.path),
                place=MANIFEST,
                found=f"{document['kind']} format {document['format']}",
                expected=f"ferry-log-bundle format {FORMAT} or older",
                hint="use a newer ferry for a newer bundle",
            )
        self.cluster = str(document["cluster"])
        self.created_at = datetime.fromisoformat(document["created_at"])
        self.members: tuple[Member, ...] = tuple(map(_member, document["members"]))
        self.gaps: tuple[Gap, ...] = tuple(
            Gap(**{key: str(row[key]) for key in ("source", "node", "reason", "detail")})
            for row in document["gaps"]
        )

    def digest(self) -> Sha256:
        """Return the SHA-256 of the whole file: which bundle it is.

        Raises:
            StorageError: The file cannot be read.
        """
        with _storage(f"read log bundle {self.path}"), self.path.open("rb") as file:
            return Sha256(hashlib.file_digest(file, "sha256").hexdigest())

    @contextlib.contextmanager
    def open(self, member: Member) -> Iterator[IO[bytes]]:
        """Open one member for reading; its hash is checked by `copy`, not here.

        Raises:
            InputError: The member is missing or damaged in the archive.
        """
        with _damaged(self.path, member), self._zip.open(member.path) as stream:
            yield stream

    def copy(self, member: Member, sink: BinaryIO) -> None:
        """Copy one member, proving its bytes against the manifest.

        Args:
            member: One of `members`.
            sink: Opened for writing; on error its content must be thrown away.

        Raises:
            DigestError: The bytes are not those that were collected.
            InputError: The member is missing or damaged in the archive.
        """
        digest, size = hashlib.sha256(), 0
        with self.open(member) as stream:
            while data := stream.read(_CHUNK_BYTES):
                digest.update(data)
                size += len(data)
                sink.write(data)
        if digest.hexdigest() != member.sha256 or size != member.size_bytes:
            raise DigestError(
                f"read {member.path} of log bundle {self.path}",
                found=f"{size} bytes, sha256 {digest.hexdigest()}",
                expected=f"{member.size_bytes} bytes, sha256 {member.sha256}",
                hint="the bundle was altered or damaged after collection",
            )

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()

    def __enter__(self) -> LogBundle:
        """Return the open bundle."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Close the archive."""
        self.close()


def _member(row: dict[str, Any]) -> Member:
    return Member(
        path=str(row["path"]),
        source=str(row["source"]),
        node=str(row["node"]),
        sha256=Sha256(str(row["sha256"])),
        size_bytes=int(row["size_bytes"]),
        collector=str(row["collector"]),
        collected_at=datetime.fromisoformat(row["collected_at"]),
        exit=int(row["exit"]),
    )


@contextlib.contextmanager
def _storage(attempted: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise StorageError(
            attempted,
            found=system_says(error),
            hint="free space, then collect again" if full else None,
        ) from error


def _publish(part: Path, final: Path) -> None:
    """Give a finished file its name without ever replacing one."""
    try:
        os.link(part, final)
        part.unlink()
    except FileExistsError:
        raise
    except OSError:  # no hard links on this file system
        if final.exists():
            raise FileExistsError(errno.EEXIST, "a file of that name appeared meanwhile") from None
        part.rename(final)


@contextlib.contextmanager
def _damaged(path: Path, member: Member) -> Iterator[None]:
    try:
        yield
    except (KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(
            "read log bundle",
            file=str(path),
            place=member.path,
            found=misread(error),
            hint="this member is damaged; the others can still be read",
        ) from error
