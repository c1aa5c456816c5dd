"""A web site in memory that satisfies `Fetcher`, and manifests of what it publishes."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from tests.vendorsite.bundle import solution_update_xml
from toolkit.catalog._fetch import Answer, InterruptedDownload
from toolkit.errors import DownloadError
from toolkit.model import (
    BundleStatus,
    Manifest,
    Payload,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Witness,
)

BASE = "https://vendor.example/files"


class FakeAnswer:
    total_bytes: int | None

    def __init__(self, site: FakeSite, data: bytes, start: int, total_bytes: int) -> None:
        self.start, self.total_bytes, self.validator = start, total_bytes, site.etag
        self._site, self._data, self._at = site, data, start
        self._cut = site.cuts.pop(0) if site.cuts else None
        if site.announces != ():
            self.total_bytes = site.announces

    def readinto(self, buffer: memoryview) -> int:
        left = len(self._data) - self._at
        if self._cut is not None:
            left = min(left, self._cut)
            if left == 0:
                raise InterruptedDownload("fetch", found="the line was cut")
        count = min(len(buffer), left)
        buffer[:count] = self._data[self._at : self._at + count]
        self._at += count
        self._site.bytes_served += count
        if self._cut is not None:
            self._cut -= count
        self._site.on_read()
        return count

    def close(self) -> None:
        self._site.closed += 1


@dataclass
class FakeSite:
    """Everything a test needs to arrange and to see."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"1"'
    resumes: bool = True
    stops: bool = True
    """Whether an answer ends where it was asked to; it need not."""
    cuts: list[int | None] = field(default_factory=list)
    """For each answer in turn: after how many bytes it is cut."""
    announces: int | tuple[()] | None = ()
    """Length that every answer announces, or None for none; (): the true one."""
    asked: list[tuple[str, int, str]] = field(default_factory=list)
    bytes_served: int = 0
    opened: int = 0
    closed: int = 0
    on_read: Callable[[], None] = lambda: None
    on_open: Callable[[str, int], None] = lambda url, offset: None
    """Called before a file is looked for; may raise what opening raises."""

    def open(self, url: str, *, offset: int, validator: str, stop: int | None = None) -> Answer:
        self.asked.append((url, offset, validator))
        self.on_open(url, offset)
        if url not in self.files:
            raise DownloadError(f"fetch {url}", found="404")
        self.opened += 1
        fresh = validator in ("", self.etag)
        start = offset if self.resumes and fresh and offset <= len(self.files[url]) else 0
        data = self.files[url]
        return FakeAnswer(
            self, data if stop is None or not self.stops else data[:stop], start, len(data)
        )

    def log_on(self, url: str) -> None:
        pass


class Listener:
    """A `Progress` that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int | None]] = []
        self.open_steps = 0

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        self.steps.append((what, total_bytes))
        self.open_steps += 1

    def advance(self, count_bytes: int) -> None:
        assert count_bytes >= 0

    def end(self) -> None:
        self.open_steps -= 1

    def say(self, message: str) -> None:
        self.lines.append(message)


def zip_of(size_bytes: int, *, seed: int = 4) -> bytes:
    """Return a whole solution bundle of exactly that many bytes, which do not compress."""
    noise = random.Random(seed)

    def packed(count: int) -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            stated = solution_update_xml("12.2604.1003.9", size_bytes)
            archive.writestr(zipfile.ZipInfo("SolutionUpdate.xml"), stated)
            services = io.BytesIO()
            with zipfile.ZipFile(services, "w") as inner:
                inner.writestr(zipfile.ZipInfo("Services.nupkg"), noise.randbytes(count))
            archive.writestr(zipfile.ZipInfo("SolutionUpdate.zip"), services.getvalue())
        return sink.getvalue()

    return packed(size_bytes - len(packed(0)))


def digest_of(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def payload_of(
    data: bytes,
    name: str = "CombinedSolutionBundle.12.2604.1003.9.zip",
    *,
    kind: PayloadKind = PayloadKind.SOLUTION_BUNDLE,
    sha256: Sha256 | None = None,
    witnesses: tuple[Witness, ...] | None = None,
    size_bytes: int | None = None,
) -> Payload:
    pinned = sha256 or digest_of(data)
    return Payload(
        name=name,
        kind=kind,
        url=f"{BASE}/{name}",
        sha256=pinned,
        witnesses=(witness_of(pinned),) if witnesses is None else witnesses,
        size_bytes=size_bytes,
    )


def witness_of(value: str, source: str = "a page") -> Witness:
    return Witness(value=value, source=source, seen_on=date(2026, 4, 20))


def manifest_of(*payloads: Payload, version: str = "12.2604.1003.9", **facts: object) -> Manifest:
    values: dict[str, object] = {
        "version": SolutionVersion.parse(version),
        "os_build": "26100.32999",
        "available_on": date(2026, 4, 20),
        "status": BundleStatus.LISTED,
        "sources": (("version", "a page"),),
        **facts,
    }
    return Manifest(payloads=payloads, **values)  # type: ignore[arg-type]
