"""An archive on the share becomes a folder there: by the quickest program in the box, and proven afterwards.

`tar.exe` unpacks many times as fast as `Expand-Archive` of Windows PowerShell, which is used where a node has no
`tar.exe`. Neither is believed: the archive's own directory, which goes by at the end of the copy, says which
files with which lengths must stand there.

Source: Microsoft, "Tar and Curl Come to Windows!"; Update-preparation-fails-Could-not-find-part-of-the-file-
path.md (long paths: files of an update that are not there).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PureWindowsPath
from typing import Protocol

from toolkit.cluster import _cmdlets
from toolkit.cluster._cmdlets import roads
from toolkit.errors import ClusterError
from toolkit.model import Command, Progress, T

TAIL_BYTES = 8 << 20
"""The directory of some ten thousand files fits."""
_NAMED = 3


class Invoking(Protocol):
    """What is needed of a session."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


class Writing(Protocol):
    """What is needed of a sink."""

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of a stream."""


class TailSink:
    """Hands a stream on to a sink and keeps its end, where a zip has its directory."""

    def __init__(self, sink: Writing | None, size_bytes: int) -> None:
        """Expect a stream of this length.

        Args:
            sink: Gets all of it; None: only its end is wanted.
            size_bytes: Length of the whole stream.
        """
        self._sink = sink
        self._size_bytes = size_bytes
        self._seen_bytes = 0
        self._tail = bytearray()

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream."""
        unwanted = max(0, self._size_bytes - TAIL_BYTES - self._seen_bytes)
        self._tail += data[unwanted:]
        self._seen_bytes += len(data)
        return len(data) if self._sink is None else self._sink.write(data)

    def members(self) -> Mapping[str, int] | None:
        """Return the length of each file of the archive; None: it has no directory that can be read."""
        from toolkit.catalog import (
            members_at_end,
        )  # only an import needs it

        return members_at_end(bytes(self._tail), self._size_bytes)


def expand(
    session: Invoking,
    archive: PureWindowsPath,
    folder: PureWindowsPath,
    *,
    timeout_s: float,
    progress: Progress,
) -> None:
    """Unpack an archive into an empty folder.

    Raises:
        ReachError: The node went away; what stands in the folder is not whole.
        CommandError: The program failed, in its own words.
    """
    if session.invoke(_cmdlets.path_exists(roads.TAR)):
        session.invoke(roads.expand_by_tar(archive, folder, timeout_s=timeout_s))
        return
    progress.say(f"this node has no {roads.TAR.name}: expanding the slow way, by Expand-Archive")
    session.invoke(_cmdlets.expand(archive, folder, timeout_s=timeout_s))


def check_expanded(
    members: Mapping[str, int],
    found: Iterable[tuple[PureWindowsPath, int]],
    folder: PureWindowsPath,
) -> None:
    """Compare what an archive holds with what stands in a folder.

    Args:
        members: Length of each file, by its name below the folder in lower case.
        found: Path and length of each file that stands below the folder.
        folder: Where it was unpacked.

    Raises:
        ClusterError: A file is missing or has another length.
    """
    there = {str(path.relative_to(folder)).lower(): size_bytes for path, size_bytes in found}
    wrong = [name for name, size_bytes in members.items() if there.get(name) != size_bytes]
    if wrong:
        shown = ", ".join(wrong[:_NAMED])
        raise ClusterError(
            f"expand into {folder}",
            found=f"{len(wrong)} of {len(members)} files are missing there or have another length, among "
            f"them {shown}",
            hint="are long paths switched on, and is there room on the volume (`ferry cluster check`)? Then "
            "run the same command again: it expands anew",
        )
