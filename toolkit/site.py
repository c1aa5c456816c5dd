"""The disconnected place: trusted root, known clusters, journal and lock, in one local directory.

Layout::

    site.json        what this is, with its id; written last by `Site.create`
    clusters.json    the clusters and how to reach their nodes (no credential is ever written)
    ca/              certificates of the authorities that the nodes' certificates chain to
    trust/           pinned root and trust state; its content belongs to `toolkit.media`
    request.key.pem  the key this site signs its requests with; made with the first one
    identity.age.key what decrypts media that were encrypted for this site; made by `ferry site identity`
    journal.jsonl    every change made to a cluster, append-only, one JSON object a line
    lock             held by the one process that may change something
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import filelock

from toolkit.errors import InputError, StorageError, misread
from toolkit.filesystem import on_storage, read_regular, refuse_pipe, write_beside
from toolkit.model import AuthMethod, KnownCluster, Node, Transport
from toolkit.names import is_device_name

_log = logging.getLogger(__name__)

FORMAT = 1
TRUST = "trust"
"""Folder of the pinned root and the trust state."""
REMOVED_STEP = "remove-cluster"
"""Journal step written when a cluster is forgotten."""
REASON_LETTERS = 10
"""Of a reason that goes into the journal: a shorter one says nothing to whoever reads it."""
_LINE_LIMIT_BYTES = 1 << 20
"""Of the journal: many times longer than any line we write."""
_AFTER_ZEROS = (
    "a power cut or a failing disk leaves zeros: restore the journal from a backup; without one, keep a copy of it and "
    "delete the zeros, and the line if nothing else stands in it. What stood there is recorded nowhere else: look at "
    "the cluster before you change anything"
)
_EDITED = "somebody edited the journal; restore that line from a backup"
_RESTORE_SITE = (
    "restore it from a backup; without one, move it away and run `ferry site init` for the same directory and root: "
    "home then knows the site by a new id"
)
_RESTORE_CLUSTERS = "remove the file and add the clusters again with `ferry site add-cluster`"
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?![\d.]+\Z)[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_][a-z0-9_-]*)*\.?", re.I | re.A
)
_SCOPE = re.compile(r"[\w.-]+", re.A)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def says_why(reason: str) -> bool:
    """Whether a written reason has `REASON_LETTERS` letters at least; signs, digits and blanks are none."""
    return sum(map(str.isalpha, reason)) >= REASON_LETTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One line of the journal: what was about to be done, or how it ended."""

    at: datetime
    cluster: str
    subject: str
    """What it is about: `import 12.2603.1002.15`."""
    step: str
    """`copy CombinedSolutionBundle…zip`, `submit` …"""
    outcome: str
    """`intent` before a change is sent; `done`, `refused` or `failed` after."""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def forgets_cluster(self) -> bool:
        """Whether the cluster was forgotten: what stands before it is about another one of that name."""
        return (self.step, self.outcome) == (REMOVED_STEP, "done")


def _line(entry: JournalEntry) -> bytes:
    row = asdict(entry) | {"at": entry.at.isoformat()}
    # an argument that was no UTF-8 has lone surrogates, which no file takes
    return (json.dumps(row, ensure_ascii=False) + "\n").encode(errors="replace")


def _entry(row: dict[str, Any]) -> JournalEntry:
    entry = JournalEntry(**row | {"at": datetime.fromisoformat(row["at"])})
    texts = (entry.cluster, entry.subject, entry.step, entry.outcome, *entry.facts.values())
    if not all(isinstance(text, str) for text in texts) or entry.at.tzinfo is None:
        raise TypeError("an entry is made of texts, at a time with its zone")
    return entry


class Journal:
    """Append-only file of every change; a last line torn by a power cut, be it zeros, is not read and not kept.

    An entry is on the disk before the change that it announces is made, so what is torn announced none.
    """

    def __init__(self, path: Path) -> None:
        """Use the journal at `path`; it is created by the first entry."""
        self._path = path

    def append(
        self, *, cluster: str, subject: str, step: str, outcome: str, **facts: str
    ) -> JournalEntry:
        """Write one entry and flush it to the disk before returning.

        Facts of an entry that nobody could read back are shortened.

        Raises:
            InputError: It ends in more zeros than an entry is long.
            StorageError: The disk is full or fails: nothing may be changed unrecorded.
        """
        entry = JournalEntry(
            at=datetime.now(UTC),
            cluster=cluster,
            subject=subject,
            step=step,
            outcome=outcome,
            facts=facts,
        )
        line = _line(entry)
        if len(line) > _LINE_LIMIT_BYTES:
            short = {name: text[:1000] for name, text in facts.items()}
            line = _line(replace(entry, subject=subject[:1000], step=step[:1000], facts=short))
        attempted = f"write {outcome!r} of {step!r} into the journal {self._path}"
        try:
            with on_storage(attempted), self._path.open("ab+") as file:
                self._cut_torn_line(file)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except (InputError, StorageError) as error:
            if outcome == "intent":
                unmade = "a change that cannot be recorded is not made"
                error.hint = f"{error.hint}; {unmade}" if error.hint else unmade
            raise
        return entry

    def _cut_torn_line(self, file: Any) -> None:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        start = max(0, size - _LINE_LIMIT_BYTES)
        file.seek(start)
        tail = file.read()
        if torn := tail[tail.rfind(b"\n") + 1 :]:
            if len(torn) == _LINE_LIMIT_BYTES:  # longer than any entry that could be torn
                self._refuse_zeros(torn, "the last line")
                raise self._no_entry("the last line", "no end of an entry", _EDITED)
            if torn.count(0):
                _log.warning(
                    "the journal %s ended in zeros, as a power cut leaves them: no entry was written to its end there",
                    self._path,
                )
            file.truncate(size - len(torn))
        file.seek(0, os.SEEK_END)

    def entries(self, *, cluster: str, subject: str | None = None) -> Iterator[JournalEntry]:
        """Yield the entries of a cluster (and subject), oldest first.

        Raises:
            InputError: A line that is not ours, with its number.
            StorageError: The journal cannot be read.
        """
        with on_storage(f"read journal {self._path}"):
            try:
                refuse_pipe(self._path)
                file = self._path.open("rb")
            except FileNotFoundError:
                return
            with file:
                lines = iter(lambda: file.readline(_LINE_LIMIT_BYTES), b"")
                for number, line in enumerate(lines, start=1):
                    if not line.endswith(b"\n") and len(line) < _LINE_LIMIT_BYTES:
                        return
                    self._refuse_zeros(line, f"line {number}")
                    entry = self._parse(line, number)
                    same = entry.cluster.casefold() == cluster.casefold()
                    if same and subject in (None, entry.subject):
                        yield entry

    def _parse(self, line: bytes, number: int) -> JournalEntry:
        try:
            return _entry(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._no_entry(f"line {number}", misread(error), _EDITED) from error

    def _refuse_zeros(self, line: bytes, place: str) -> None:
        if zeros := line.count(0):
            raise self._no_entry(place, f"{zeros} bytes that are zero", _AFTER_ZEROS)

    def _no_entry(self, place: str, found: str, hint: str) -> InputError:
        return InputError(
            "read journal",
            file=str(self._path),
            place=place,
            found=found,
            expected="one entry written by ferry",
            hint=hint,
        )


class Site:
    """One site directory, opened."""

    def __init__(self, root: Path) -> None:
        """Open the site at `root`.

        Raises:
            InputError: Not a site, or made by a newer ferry.
            StorageError: It cannot be read.
        """
        self.root = root
        document = _read_json(root / "site.json", "open site", _RESTORE_SITE)
        if document.get("kind") != "ferry-site" or document.get("format") != FORMAT:
            raise InputError(
                "open site",
                file=str(root / "site.json"),
                found=f"{document.get('kind')} format {document.get('format')}",
                expected=f"ferry-site format {FORMAT}",
                hint="use the ferry that made this site, or a newer one",
            )
        self.journal = Journal(root / "journal.jsonl")

    @classmethod
    def create(cls, root: Path, *, pin: Callable[[Path], None]) -> Site:
        """Make `root` a site.

        Args:
            root: A directory on a local disk; made if need be.
            pin: Pins the trusted root in the directory it is given; the site exists only after it.

        Raises:
            TrustError: `pin` refused the root.
            StorageError: It is a site already, or cannot be written.
        """
        if (root / "site.json").exists():
            raise StorageError(
                f"make {root} a site",
                found="it is one already",
                hint="use it as it is, or choose another directory",
            )
        with on_storage(f"make {root} a site"):
            (root / TRUST).mkdir(parents=True, exist_ok=True)
        pin(root / TRUST)
        _write_json(
            root / "site.json",
            {
                "format": FORMAT,
                "kind": "ferry-site",
                "site_id": str(uuid4()),
                "created_at": datetime.now(UTC).isoformat(),
            },
            is_locked=False,
        )
        return cls(root)

    def site_id(self) -> str:
        """Return the site's UUID; a site made before there were any gets one now.

        Raises:
            InputError: `site.json` holds something else there.
            StorageError: It must be written, and another process holds the site or the disk refuses.
        """
        path = self.root / "site.json"
        if "site_id" not in _read_json(path, "open site", _RESTORE_SITE):
            with self.lock():
                document = _read_json(path, "open site", _RESTORE_SITE)
                document["site_id"] = document.get("site_id", str(uuid4()))
                _write_json(path, document, is_locked=True)
        found = _read_json(path, "open site", _RESTORE_SITE)["site_id"]
        try:
            return str(UUID(found))
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(
                "read the id of the site",
                file=str(path),
                place="site_id",
                found=repr(found),
                expected="a UUID",
                hint="restore it from a backup: home knows the site by it",
            ) from error

    @property
    def request_key(self) -> Path:
        """The file of the key that signs this site's requests."""
        return self.root / "request.key.pem"

    @property
    def identity(self) -> Path:
        """The file of the age identity that decrypts media for this site."""
        return self.root / "identity.age.key"

    @property
    def trust_dir(self) -> Path:
        """Where the pinned root and the trust state live."""
        return self.root / TRUST

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the site for a change.

        Raises:
            StorageError: Another process holds it, or the lock cannot be written.
        """
        held = filelock.FileLock(self.root / "lock", timeout=0)
        with on_storage(f"lock site {self.root}"):
            try:
                held.acquire()
            except filelock.Timeout as error:
                raise StorageError(
                    f"lock site {self.root}",
                    found="another ferry is changing something with this site",
                    hint="wait until it has ended; `ferry run watch` needs no lock",
                ) from error
        try:
            yield
        finally:
            held.release()

    def clusters(self) -> tuple[KnownCluster, ...]:
        """Return the known clusters, by name.

        Raises:
            InputError: `clusters.json` cannot be understood.
        """
        path = self.root / "clusters.json"
        if not path.exists():
            return ()
        rows = _read_json(path, "read clusters", _RESTORE_CLUSTERS)
        try:
            return tuple(_cluster(name, rows[name]) for name in sorted(rows))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                "read clusters",
                file=str(path),
                found=misread(error),
                hint=_RESTORE_CLUSTERS,
            ) from error

    def cluster(self, name: str) -> KnownCluster:
        """Return one known cluster.

        Raises:
            InputError: No cluster of that name; the known ones are listed.
        """
        known = self.clusters()
        for cluster in known:
            if cluster.name.casefold() == name.casefold():
                return cluster
        raise InputError(
            f"find cluster {name!r}",
            file=str(self.root),
            found="known are " + ", ".join(cluster.name for cluster in known)
            if known
            else "no cluster at all",
            hint="name one that is known, or add it: ferry site add-cluster NAME --node HOST …",
        )

    def add_cluster(self, cluster: KnownCluster, *, ca_file: Path | None) -> KnownCluster:
        """Remember a cluster; the authority's certificate is copied into the site. Hold `lock` meanwhile.

        Raises:
            InputError: A name that cannot be used, no node, or a node named twice; or the journal cannot be understood.
            StorageError: It is known already, or the site (its journal, too) cannot be read or written.
        """
        names = [cluster.name, *(node.name for node in cluster.nodes)]
        for number, name in enumerate(names):
            if not _NAME.match(name) or is_device_name(name):
                raise InputError(
                    f"add cluster {cluster.name!r}",
                    found=f"{name!r} as the name of {f'node {number}' if number else 'the cluster'}",
                    expected="letters, digits, dots and hyphens, at most 63; no Windows device",
                    hint="name each node by its host name, and its address apart: --node HOST=ADDRESS"
                    if number
                    else "choose a name of your own; only this site calls the cluster by it",
                )
        for node in cluster.nodes:
            if not _is_address(node.address):
                raise InputError(
                    f"add cluster {cluster.name}",
                    found=f"{node.address!r} as the address of node {node.name}",
                    expected="a host name or an IP address",
                    hint="give one address for each node, without a port: --node HOST=ADDRESS",
                )
        if not cluster.nodes or len({name.casefold() for name in names[1:]}) < len(names) - 1:
            raise InputError(
                f"add cluster {cluster.name}",
                found=", ".join(names[1:]) or "no node",
                expected="each of its nodes once",
            )
        if any(old.name.casefold() == cluster.name.casefold() for old in self.clusters()):
            raise StorageError(
                f"add cluster {cluster.name}",
                found="a cluster of that name",
                hint="remove it first: ferry site remove-cluster " + cluster.name,
            )
        self._finish_removal(cluster.name)
        kept = self._keep_ca(cluster.name, ca_file) if ca_file else None
        nodes = tuple(
            Node(**{**_node_row(node), "name": node.name, "ca_file": kept})
            for node in cluster.nodes
        )
        known = KnownCluster(name=cluster.name, nodes=nodes)
        self._write_clusters((*self.clusters(), known))
        return known

    def remove_cluster(self, name: str) -> None:
        """Forget a cluster; its journal entries stay. Hold `lock` meanwhile.

        Raises:
            InputError: No cluster of that name, or the journal ends in more zeros than an entry is long.
            StorageError: The site cannot be written.
        """
        gone = self.cluster(name)
        self._note_removal(gone.name, "intent")
        self._write_clusters(tuple(other for other in self.clusters() if other != gone))
        self._note_removal(gone.name, "done")

    def _note_removal(self, name: str, outcome: str) -> None:
        self.journal.append(cluster=name, subject="site", step=REMOVED_STEP, outcome=outcome)

    def _finish_removal(self, name: str) -> None:
        """Write down that an earlier cluster of this name was forgotten, where only the intent was recorded."""
        entries = self.journal.entries(cluster=name, subject="site")
        outcomes = [entry.outcome for entry in entries if entry.step == REMOVED_STEP]
        if outcomes[-1:] == ["intent"]:
            self._note_removal(name, "done")

    def _keep_ca(self, cluster: str, ca_file: Path) -> str:
        kept = self.root / "ca" / f"{cluster}.pem"
        with on_storage(f"copy {ca_file} into the site"):
            data = read_regular(ca_file)
            if b"-----BEGIN CERTIFICATE-----" not in data[: 1 << 20]:
                raise InputError(
                    "read certificate authority",
                    file=str(ca_file),
                    expected="one or more PEM certificates",
                    hint="save it as Base64 (PEM), which begins with -----BEGIN CERTIFICATE-----: of a binary one "
                    "`certutil -encode FILE FILE.pem` makes it",
                )
            kept.parent.mkdir(exist_ok=True)
            write_beside(kept, data, is_locked=True)
        return kept.name

    def _write_clusters(self, clusters: tuple[KnownCluster, ...]) -> None:
        rows = {
            cluster.name: {"nodes": {node.name: _node_row(node) for node in cluster.nodes}}
            for cluster in clusters
        }
        _write_json(self.root / "clusters.json", rows, is_locked=True)

    def reachable(self, cluster: KnownCluster) -> KnownCluster:
        """Return the cluster with the paths of its certificate files made absolute."""
        nodes = tuple(
            Node(
                **{
                    **_node_row(node),
                    "name": node.name,
                    "ca_file": str(self.root.resolve() / "ca" / node.ca_file)
                    if node.ca_file
                    else None,
                }
            )
            for node in cluster.nodes
        )
        return KnownCluster(name=cluster.name, nodes=nodes)


def _node_row(node: Node) -> dict[str, Any]:
    row = asdict(node)
    del row["name"]
    return row


def _cluster(name: str, row: dict[str, Any]) -> KnownCluster:
    nodes = []
    for node_name, values in row["nodes"].items():
        known = {
            **values,
            "transport": Transport(values["transport"]),
            "auth": AuthMethod(values["auth"]),
        }
        if not isinstance(values["address"], str):
            raise TypeError(f"the address of {node_name} is no text")
        nodes.append(Node(**known, name=node_name))
    return KnownCluster(name=name, nodes=tuple(nodes))


def _is_address(text: str) -> bool:
    address, mark, scope = text.partition("%")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address)
        return not mark or _SCOPE.fullmatch(scope) is not None
    return _HOST.fullmatch(text) is not None


def _read_json(path: Path, attempted: str, hint: str) -> dict[str, Any]:
    with on_storage(f"{attempted} {path}"):
        try:
            data = read_regular(path)
        except FileNotFoundError as error:
            raise InputError(
                attempted,
                file=str(path),
                found="no such file",
                hint="make the site first: ferry site init DIR --root FILE --fingerprint F",
            ) from error
    try:
        document: dict[str, Any] = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(
            attempted, file=str(path), found=misread(error), expected="JSON", hint=hint
        ) from error
    if not isinstance(document, dict):
        raise InputError(attempted, file=str(path), expected="a JSON object", hint=hint)
    return document


def _write_json(path: Path, document: Mapping[str, object], *, is_locked: bool) -> None:
    data = json.dumps(document, indent=1, ensure_ascii=False).encode()
    with on_storage(f"write {path}"):
        write_beside(path, data, is_locked=is_locked)
