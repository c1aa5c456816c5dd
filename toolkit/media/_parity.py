"""Parity beside the payload: a damaged block is a repair, not a second trip.

`par2` (PAR2, Reed-Solomon) is run as a program of its own: it is not ours, and a medium with its files can be
repaired without ferry. Each file below `data/` has a set of its own in `parity/<first 12 digits of its SHA-256>/`.
Nothing of it is believed: repaired bytes count only if they have the signed hash.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolkit.errors import InputError, StorageError
from toolkit.filesystem import sync_file, sync_folder
from toolkit.media._device import CHUNK_BYTES, gone_on_error, reading_device
from toolkit.model import Progress, Sha256

PARITY = "parity"
MEMORY_MB = 512
DEFAULT_PERCENT = 5
PARITY_PATH = re.compile(rf"{PARITY}/[0-9a-f]{{12}}(\.part)?/p[.\w+]*\.par2\Z", re.ASCII)
"""Of any file that `par2` makes there, finished or not."""
_TOOL = "par2"
_INDEX = "p.par2"
_BLOCKS = 1000
"""Of one file. The work grows with blocks x bytes; at 5 %, 50 places of a file may be damaged."""
_CHECKSUM_BYTES = 20 * 10
"""Of one block: MD5 and CRC-32, repeated among the recovery blocks. Source: PAR2 specification 2.0, IFSC packet."""
_SECTOR_BYTES = 4096
_PERCENT = re.compile(rb"(\d{1,3})(?:\.\d)?%")
_POSSIBLE, _IMPOSSIBLE = 1, 2
"""Exit codes of `par2`: repair needed and possible, or not possible. Source: par2cmdline, libpar2.h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How parity is made."""

    tool: Path
    """The program `par2`."""
    percent: int
    memory_mb: int = MEMORY_MB


def choose_parity(percent: int | None, *, memory_mb: int, progress: Progress) -> Parity | None:
    """Return how parity shall be made, or None if there shall be none.

    Args:
        percent: As asked for; None: `DEFAULT_PERCENT`, where `par2` is installed.
        memory_mb: What `par2` may take.
        progress: Told when there will be none although nobody said so.

    Raises:
        InputError: Asked for, but `par2` is not installed.
    """
    if percent == 0:
        return None
    if percent is None and not has_tool():
        progress.say(
            "no parity: the program `par2` is not installed; a damaged block would be a second trip"
        )
        return None
    tool = require_tool("write parity")
    return Parity(tool=tool, percent=percent or DEFAULT_PERCENT, memory_mb=memory_mb)


def has_tool() -> bool:
    """Whether the program is installed."""
    return shutil.which(_TOOL) is not None


def require_tool(attempted: str, *, otherwise: str = "") -> Path:
    """Return the program.

    Args:
        attempted: What needs it.
        otherwise: What else helps, for the error.

    Raises:
        InputError: It is not installed.
    """
    tool = shutil.which(_TOOL)
    if tool is None:
        raise InputError(
            attempted,
            found="the program `par2` is not installed",
            expected="par2cmdline or par2cmdline-turbo on the PATH",
            hint="Debian, Ubuntu: apt install par2; Windows: put par2.exe of par2cmdline-turbo into a folder on "
            f"the PATH{otherwise}",
        )
    return Path(tool)


def parity_folder(folder: Path, sha256: Sha256) -> Path:
    """Return where the parity of a file with this hash lies in a set folder."""
    return folder / PARITY / sha256[:12]


def has_parity(folder: Path, sha256: Sha256) -> bool:
    """Whether a set folder holds finished parity for a file with this hash."""
    try:
        return (parity_folder(folder, sha256) / _INDEX).is_file()
    except OSError:
        return False  # a device that fails there gives no parity either


def parity_bytes(size_bytes: int, percent: int) -> int:
    """Return the room that parity of a file takes, at most."""
    if not percent or not size_bytes:
        return 0
    block = -(-size_bytes // _BLOCKS) + 4
    return -(-_BLOCKS * percent // 100) * (block + 100) + _BLOCKS * _CHECKSUM_BYTES


def make_parity(
    parity: Parity, file: Path, folder: Path, *, size_bytes: int, progress: Progress
) -> dict[str, Sha256]:
    """Write parity of one file into `folder`, which appears by one rename.

    Returns:
        Its files by name, with their hashes as the system has them in memory.

    Raises:
        StorageError: `par2` failed.
        OSError: The medium is full or gone.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with gone_on_error(part):
        part.mkdir(parents=True)
        options = [
            f"-r{parity.percent}",
            "-n1",
            f"-b{_BLOCKS}",
            f"-m{parity.memory_mb}",
            f"-B{file.parent}",
        ]
        progress.begin(f"parity of {file.name}", total_bytes=size_bytes)
        try:
            code, last = _run(
                [str(parity.tool), "create", *options, "--", str(part / _INDEX), str(file)],
                size_bytes=size_bytes,
                progress=progress,
            )
        finally:
            progress.end()
        if code:
            raise StorageError(
                f"make parity of {file}",
                found=f"par2 ended with {code}: {last}",
                expected="parity beside the file",
                hint="is there room on the medium? --parity 0 writes without",
            )
        written: dict[str, Sha256] = {}
        for item in part.iterdir():
            with item.open("rb") as file_in_memory:
                found = hashlib.file_digest(file_in_memory, "sha256")
            written[item.name] = Sha256(found.hexdigest())
            sync_file(item)
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run, which was not noted
        part.rename(folder)
    sync_folder(folder.parent)
    return written


def repair_file(
    tool: Path,
    damaged: Path,
    parity: Path,
    target: Path,
    *,
    work: Path,
    memory_mb: int,
    size_bytes: int,
    progress: Progress,
) -> str | None:
    """Make `target` from a damaged file and its parity; neither of them is touched.

    Args:
        tool: The program `par2`.
        damaged: The file.
        parity: The folder of its parity.
        target: Where it shall stand when it is repaired.
        work: A folder that is not there yet, on the same disk; gone again at the end, unless this process is killed.
        memory_mb: What `par2` may take.
        size_bytes: How long the file ought to be.
        progress: Told of every step.

    Returns:
        None when `par2` says it is repaired, else why it is not. `target` must be compared with the signed
        hash in any case; it is absent if nothing was repaired.

    Raises:
        OSError: The scratch folder is full.
    """
    work.mkdir(parents=True)
    copy = work / damaged.name
    words = ["repair", f"-m{memory_mb}", f"-B{work}", "--", str(parity / _INDEX), str(copy)]
    try:
        progress.begin(f"read what is left of {damaged.name}", total_bytes=size_bytes)
        try:
            rescue(damaged, copy, size_bytes=size_bytes, progress=progress)
        finally:
            progress.end()
        progress.begin(f"repair {damaged.name}", total_bytes=size_bytes)
        try:
            code, last = _run([str(tool), *words], size_bytes=size_bytes, progress=progress)
        finally:
            progress.end()
        if code:
            return last if code in (_POSSIBLE, _IMPOSSIBLE) else f"par2 ended with {code}: {last}"
        sync_file(copy)
        copy.replace(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return None


def rescue(source: Path, target: Path, *, size_bytes: int, progress: Progress) -> int:
    """Copy what can be read of a file, with zeros for sectors that cannot; return how many bytes those are.

    Raises:
        OSError: The device is gone, which looks as if each sector were bad; or there is no room for the copy.
    """
    lost = 0
    with source.open("rb", buffering=0) as reading, target.open("wb") as out:
        for start in range(0, size_bytes, CHUNK_BYTES):
            stretch = min(CHUNK_BYTES, size_bytes - start)
            pieces, missing = _read_around(reading, start, stretch)
            if missing:
                source.open("rb", buffering=0).close()  # fails where the whole device is gone
            out.seek(start)
            out.writelines(pieces)
            lost += missing
            progress.advance(stretch)
    return lost


def _read_around(reading: IO[bytes], start: int, count: int) -> tuple[Sequence[bytes], int]:
    """Read a stretch; where the device fails, halve it until what fails is one sector."""
    try:
        with reading_device():
            reading.seek(start)
            piece = reading.read(count)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        if count <= _SECTOR_BYTES:
            return [bytes(count)], count
    else:
        if not 0 < len(piece) < count:
            return [piece], 0
        # the system gives what lies before a bad sector, and the error only to whoever goes on
        rest, lost = _read_around(reading, start + len(piece), count - len(piece))
        return [piece, *rest], lost
    half = -(-count // 2 // _SECTOR_BYTES) * _SECTOR_BYTES
    first, lost_first = _read_around(reading, start, half)
    second, lost_second = _read_around(reading, start + half, count - half)
    return [*first, *second], lost_first + lost_second


def _run(words: Sequence[str], *, size_bytes: int, progress: Progress) -> tuple[int, str]:
    """Run `par2`, drive the progress by the percentages it prints, and return its code and last line."""
    done, tail = 0, b""
    with subprocess.Popen(  # noqa: S603 - a program found on the PATH, our own words, no shell
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        output = process.stdout
        assert output is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            while chunk := output.read1(4096):  # type: ignore[attr-defined]  # buffered pipe
                tail = (tail + chunk)[-4096:]
                for found in _PERCENT.finditer(chunk):
                    reached = size_bytes * min(100, int(found[1])) // 100
                    if reached > done:
                        progress.advance(reached - done)
                        done = reached
        except BaseException:
            process.kill()
            raise
    lines = re.split(r"[\r\n]+", tail.decode(errors="replace"))
    return process.returncode, next((line for line in reversed(lines) if line.strip()), "")
