"""Commands that bring bytes to the share without SMB, and unpack them there. Pure.

Source: Windows PowerShell 5.1 (`Add-Content -Encoding Byte`); Microsoft, "Tar and Curl Come to Windows!":
`tar.exe` is in the box since Windows 10 1803 and Windows Server 2019, and reads zip archives.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import building, reading
from toolkit.errors import InputError
from toolkit.model import Cmdlet, Command, Plain

TAR = PureWindowsPath(r"C:\Windows\System32\tar.exe")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMark:
    """A file as a node sees it now; two equal marks are the same unchanged file."""

    size_bytes: int
    written_at: str
    """As the node tells it; only ever compared."""


def measure(path: PureWindowsPath) -> Command[FileMark]:
    """Ask how long a file is, and when it was written last."""
    stage = Cmdlet("Get-Item", (("LiteralPath", str(path)),))
    return Command(
        pipeline=(stage, building.select(["Length", "LastWriteTime"])),
        parse=lambda reply: _mark(reading.only(reply, stage)),
    )


def append_bytes(path: PureWindowsPath, data: bytes) -> Command[None]:
    """Write bytes behind what a file holds; one that is not there is made."""
    parameters = (("LiteralPath", str(path)), ("Encoding", "Byte"), ("Value", data))
    return Command(
        pipeline=(Cmdlet("Add-Content", parameters),),
        parse=reading.nothing,
        timeout_s=300,
        changes_cluster=True,
    )


def expand_by_tar(
    archive: PureWindowsPath, destination: PureWindowsPath, *, timeout_s: float
) -> Command[None]:
    """Expand a zip on the node into a folder that exists; what tar prints as errors is an error."""
    return Command(
        pipeline=(building.program(str(TAR), ["-xf", str(archive), "-C", str(destination)]),),
        parse=reading.nothing,
        timeout_s=timeout_s,
        changes_cluster=True,
    )


def _mark(row: dict[str, Plain]) -> FileMark:
    size_bytes = row.get("Length")
    if not isinstance(size_bytes, int):
        raise InputError(
            "read the reply of Get-Item", found=f"a length of {size_bytes!r}", expected="a number"
        )
    return FileMark(size_bytes=size_bytes, written_at=reading.text(row, "LastWriteTime"))
