"""Several media at once: every device is read at its own pace, media on one device one after the other.

Metadata are proven first, in the order in which the media were named: each may be what the site remembers next.
Then the bytes are read, a thread for each device. What is wrong with one medium does not keep the others from
being read.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import StorageError, ToolkitError
from toolkit.media._device import on_storage
from toolkit.media._medium import Medium
from toolkit.media._open import open_medium
from toolkit.media._place import device_of
from toolkit.media._report import BAD, MediumReport
from toolkit.media._scan import Scan, Scanner, scan_medium
from toolkit.media._set import COMPLETE
from toolkit.model import Progress

_LOOK_AGAIN_S = 1
"""A wait without an end cannot be stopped by hand on Windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found of one medium."""

    root: Path
    """As it was named."""
    medium: Medium | None = None
    """None: its metadata could not be proven."""
    report: MediumReport | None = None
    """None: it could not be read at all."""
    scan: Scan | None = None
    problem: ToolkitError | None = None
    """None: everything was proven, here or on a supplement, and nothing found by a scanner."""
    made_good: tuple[str, ...] = ()
    """Paths that are missing or bad here, and were proven on a supplement that was named, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    """How much of a set is there and good."""

    set_name: str
    media_count: int
    good: frozenset[int]
    """Numbers of the media that were proven."""
    bad: frozenset[int]
    """Numbers of those that are there, and of which no copy was proven."""
    made_good: int = 0
    """How many files of them were proven on supplements only."""

    @property
    def is_whole(self) -> bool:
        """Whether every medium of the set was proven."""
        return len(self.good) == self.media_count

    def __str__(self) -> str:
        """Return it as a sentence: `2 of 3 media of AZL-2611-K7Q2: 3/3 is missing`."""
        if self.is_whole:
            count = (
                "its one medium is"
                if self.media_count == 1
                else f"all {self.media_count} media are"
            )
            by = f", with {self.made_good} file(s) of a supplement" if self.made_good else ""
            return f"{self.set_name} is whole: {count} proven{by}"
        absent = set(range(1, self.media_count + 1)) - self.good - self.bad
        lacking = [f"{number}/{self.media_count} is missing" for number in sorted(absent)]
        lacking += [f"{number}/{self.media_count} is not proven" for number in sorted(self.bad)]
        return (
            f"{len(self.good)} of {self.media_count} media of {self.set_name}: {', '.join(lacking)}"
        )


def examine_media(
    roots: Sequence[Path], trust_dir: Path, *, scanner: Scanner | None = None, progress: Progress
) -> tuple[Examined, ...]:
    """Prove media and read them whole, several devices at the same time.

    Args:
        roots: Roots of media, or set folders on them.
        trust_dir: The site's trust state, which remembers each medium that is complete.
        scanner: Run on each medium that was proven, one after the other.
        progress: Told of all of them together.

    Returns:
        What was found of each, in the order of `roots`.
    """
    found = [_opened(root, trust_dir) for root in roots]
    opened = [number for number, item in enumerate(found) if item.medium is not None]
    if len(opened) == 1:
        found[opened[0]] = _read(found[opened[0]], progress)
    elif opened:
        _read_all(found, opened, progress)
    found = _supplemented(found)
    if scanner is not None:
        found = [_scanned(item, scanner, progress) for item in found]
    return tuple(found)


def sets_of(found: Sequence[Examined]) -> tuple[SetState, ...]:
    """Return how much of each set that media belong to is there and good; supplements are not counted."""
    names: dict[str, tuple[str, int]] = {}
    made_good: Counter[str] = Counter()
    good: dict[str, set[int]] = {}
    seen: dict[str, set[int]] = {}
    for item in found:
        if item.report is None:
            continue
        report = item.report
        names[report.set_id] = (report.set_name, report.media_count)
        seen.setdefault(report.set_id, set())
        if report.supplement:
            continue
        seen[report.set_id].add(report.medium)
        made_good[report.set_id] += len(item.made_good)
        if item.problem is None:
            good.setdefault(report.set_id, set()).add(report.medium)
    return tuple(
        SetState(
            set_name=name,
            media_count=count,
            good=frozenset(good.get(set_id, ())),
            bad=frozenset(seen[set_id] - good.get(set_id, set())),
            made_good=made_good[set_id],
        )
        for set_id, (name, count) in names.items()
    )


def _opened(root: Path, trust_dir: Path) -> Examined:
    try:
        return Examined(root=root, medium=open_medium(root, trust_dir, accept_incomplete=True))
    except ToolkitError as error:
        return Examined(root=root, problem=error)


def _read(item: Examined, progress: Progress) -> Examined:
    if item.medium is None:
        return item
    try:
        report = item.medium.verify(progress)
    except ToolkitError as error:
        return replace(item, problem=error)
    return replace(item, report=report, problem=report.problem())


def _supplemented(found: Sequence[Examined]) -> list[Examined]:
    """Have what is bad on a medium count as good where a whole supplement of its set has it."""
    proven: dict[str, set[str]] = {}
    for item in found:
        if item.report is not None and item.report.supplement and item.problem is None:
            paths = (*item.report.supplement, COMPLETE)
            proven.setdefault(item.report.set_id, set()).update(paths)
    return [_made_good(item, proven) for item in found]


def _made_good(item: Examined, proven: Mapping[str, set[str]]) -> Examined:
    if item.report is None or item.report.supplement:
        return item
    bad = item.report.having(*BAD)
    good = proven.get(item.report.set_id, set())
    made_good = tuple(file.path for file in bad if file.path in good)
    return replace(item, made_good=made_good, problem=item.report.problem(made_good=made_good))


def _scanned(item: Examined, scanner: Scanner, progress: Progress) -> Examined:
    if item.medium is None or item.problem is not None:
        return item
    try:
        scan = scan_medium(scanner, item.medium, progress=progress)
    except ToolkitError as error:
        return replace(item, problem=error)
    return replace(item, scan=scan, problem=scan.problem(f"the medium {item.medium.label}"))


def _read_all(found: list[Examined], opened: Sequence[int], progress: Progress) -> None:
    """Replace what was opened by what was read, a thread for each device."""
    devices: dict[tuple[str, int], list[int]] = {}
    for number in opened:
        root = found[number].root
        try:
            with on_storage(f"look at {root}"):
                devices.setdefault(device_of(root), []).append(number)
        except StorageError as error:
            found[number] = replace(found[number], problem=error)
    if not devices:
        return
    together = _Together(progress)

    def read(numbers: Sequence[int]) -> None:
        for number in numbers:
            found[number] = _read(found[number], together)

    media = [found[number].medium for numbers in devices.values() for number in numbers]
    progress.begin(
        f"verify {len(media)} media, {len(devices)} at a time",
        total_bytes=sum(medium.size_bytes for medium in media if medium is not None),
    )
    try:
        with ThreadPoolExecutor(len(devices), "medium") as pool:
            try:
                _wait([pool.submit(read, numbers) for numbers in devices.values()])
            except BaseException:
                together.stop()
                raise
    finally:
        progress.end()


def _wait(tasks: Sequence[Future[None]]) -> None:
    left = set(tasks)
    while left:
        done, left = wait(left, _LOOK_AGAIN_S, FIRST_EXCEPTION)
        for task in done:
            task.result()


class _StoppedError(Exception):
    """Somebody stopped the command; a thread that reads ends with its next chunk."""


class _Together:
    """One progress for several threads: bytes add up, steps become lines."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._is_stopped = threading.Event()

    def begin(self, what: str, *, total_bytes: int | None) -> None:
        self.say(what)

    def advance(self, count_bytes: int) -> None:
        self._tell(lambda: self._progress.advance(count_bytes))

    def end(self) -> None:
        """Nothing: the step that all share goes on."""

    def say(self, message: str) -> None:
        self._tell(lambda: self._progress.say(message))

    def stop(self) -> None:
        self._is_stopped.set()

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._is_stopped.is_set():
            raise _StoppedError
        with self._lock:
            tell()
