"""`tar.exe` of a node: it unpacks zip archives. The program is there if its file is on the node's drive.

Source: Microsoft, "Tar and Curl Come to Windows!" (in the box, bsdtar of libarchive); bsdtar(1) for options
and words. The program's exit code stays in $LASTEXITCODE, which remoting does not carry.
"""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PureWindowsPath

from tests.simcluster.filecmdlets import check_change, locate, unpack
from tests.simcluster.pipeline import Call, Library, not_found, print_errors
from tests.simcluster.values import PsError, Value

LIBRARY = Library()
PROGRAM = r"C:\Windows\System32\tar.exe"


@LIBRARY.program(PROGRAM)
def tar(call: Call) -> Iterator[Value]:
    """Unpack an archive (`-xf ARCHIVE -C FOLDER`); what stands there is replaced."""
    if not locate(call, PROGRAM).is_file():
        raise not_found(PROGRAM)
    match call.arguments["args"]:
        case ["-xf", str(archive), "-C", str(folder)]:
            print_errors(call, "\n".join(_unpack(call, archive, folder)))
        case _:
            print_errors(call, "tar.exe: Must specify one of -c, -r, -t, -u, -x")
    yield from ()


def _unpack(call: Call, archive: str, folder: str) -> Iterator[str]:
    """Unpack, and yield the lines that the program prints on its error stream."""
    found, into = locate(call, archive), locate(call, folder)
    if not found.is_file():
        yield f"tar.exe: Error opening archive: Failed to open '{archive}'"
    elif not into.is_dir():
        yield f"tar.exe: could not chdir to '{folder}'"
    else:
        try:
            with zipfile.ZipFile(found) as opened:
                for member in opened.infolist():
                    _place(call, opened, member, folder)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            yield "tar.exe: Error opening archive: Unrecognized archive format"
        except OSError as error:
            yield f"tar.exe: Write failed: {error.strerror}"
            yield "tar.exe: Error exit delayed from previous errors."


def _place(call: Call, opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: str) -> None:
    shown = str(PureWindowsPath(folder, member.filename))
    target = locate(call, shown)
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    try:
        check_change(call, shown, "Tar", grows=True)
    except PsError as error:
        raise OSError(errno.ENOSPC, error.message) from error
    unpack(call, opened, member, target)
