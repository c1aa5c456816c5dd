"""A malware scanner of the place where we are: its program is run, and its verdict is written down.

The program gets one path and no shell, and answers with its exit code: 0 nothing found, 1 something found. Any
other code, a signal or too long a time is no verdict, and never passes for one. What it prints is read to the
end and kept only at its beginning. It is not given what is ours in the environment: passphrases are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from toolkit.errors import InputError, TrustError, system_says
from toolkit.media._device import on_storage
from toolkit.media._keys import as_instant
from toolkit.media._medium import Medium
from toolkit.model import HeldPayload, Progress, Sha256

_CLEAN, _FOUND = 0, 1
_SAID_CHARACTERS = 200
_KEPT_BYTES, _CHUNK_BYTES = 4096, 64 << 10
_OWN = "FERRY_"  # how the names of our variables in the environment begin
_PATIENCE_S = 5  # with a program that has ended while what it started still holds its output open
# what stands for itself where cmd.exe reads a line; it reads the arguments of batch files
_PLAIN_TO_CMD = re.compile(r"[\w .:\\/~+-]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scanner said of one or more files."""

    exit_code: int
    """0: nothing found; 1: something found."""
    program: str
    """Name of its file."""
    program_sha256: Sha256
    said: str
    """The first line it printed last, 200 characters at most."""
    at: datetime
    """When it said so last."""
    files: int
    """How often it was run; a folder counts as one."""

    def as_fact(self) -> dict[str, object]:
        """Return it as a receipt states it."""
        return {
            "program": self.program,
            "program_sha256": self.program_sha256,
            "exit_code": self.exit_code,
            "said": self.said,
            "at": as_instant(self.at),
            "files": self.files,
        }

    def problem(self, what: str) -> TrustError | None:
        """Return the error this amounts to for what it looked at, or None when nothing was found."""
        if self.exit_code == _CLEAN:
            return None
        return TrustError(
            f"scan {what}",
            found=f"the scanner {self.program} said no: {self.said or 'without a word'}",
            expected="exit code 0, for nothing found",
            hint="write and import nothing of it; ask whoever answers for security here, and its publisher, "
            "what it is",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A program that judges files, known by its hash before it is run."""

    program: Path
    """Absolute: nothing is looked for on the PATH."""
    sha256: Sha256
    timeout_s: float
    """How long one run may take."""

    @classmethod
    def choose(cls, program: Path, *, timeout_s: float) -> Scanner:
        """Take a program, before any work is done that would end with it.

        Raises:
            InputError: Nothing that can be run.
            StorageError: It cannot be read.
        """
        program = program.absolute()
        if not program.is_file() or not os.access(program, os.X_OK):
            raise _not_run(program, "no file that this user may run")
        with on_storage(f"read the scanner {program}"), program.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(program=program, sha256=Sha256(digest), timeout_s=timeout_s)

    def look_at(self, path: Path, *, progress: Progress) -> Scan:
        """Run the program on one file or folder and return its verdict.

        Raises:
            InputError: It could not be run to its end, or ended with a code that is no verdict.
        """
        path = path.absolute()
        self._require_plain(path)
        code, output = self._run(path, progress)
        said = _first_line(output)
        if code not in (_CLEAN, _FOUND):
            raise _not_run(self.program, f"it ended with {code} on {path}: {said or 'no word'}")
        return Scan(
            program=self.program.name,
            program_sha256=self.sha256,
            exit_code=code,
            said=said,
            at=datetime.now(UTC).replace(microsecond=0),
            files=1,
        )

    def _require_plain(self, path: Path) -> None:
        is_batch = sys.platform == "win32" and self.program.suffix.lower() in {".bat", ".cmd"}
        if is_batch and not _PLAIN_TO_CMD.match(str(path)):
            raise _not_run(
                self.program, f"cmd.exe, which runs it, would read more than a path in {path}"
            )

    def _run(self, path: Path, progress: Progress) -> tuple[int, bytes]:
        environment = {
            name: value for name, value in os.environ.items() if not name.upper().startswith(_OWN)
        }
        try:
            process = subprocess.Popen(  # noqa: S603 - named by the person who answers, no shell
                [str(self.program), str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            raise _not_run(self.program, system_says(error)) from error
        kept = bytearray()
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        reader = threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True)
        reader.start()
        try:
            code = self._wait(process, path, progress)
        except BaseException:
            _kill(process)
            process.wait()
            raise
        finally:
            reader.join(_PATIENCE_S)
        return code, bytes(kept)

    def _wait(self, process: subprocess.Popen[bytes], path: Path, progress: Progress) -> int:
        ends_at = time.monotonic() + self.timeout_s
        while (left := ends_at - time.monotonic()) > 0:
            try:
                return process.wait(min(1.0, left))
            except subprocess.TimeoutExpired:
                progress.advance(0)  # time goes by
        raise _not_run(
            self.program,
            f"it did not end within {self.timeout_s / 60:g} minutes on {path}",
            hint="give it longer: --hook-timeout MINUTES",
        )


def scan_payloads(
    scanner: Scanner, payloads: Sequence[HeldPayload], *, progress: Progress
) -> Scan | None:
    """Have payloads scanned where the catalog holds them, before the first of them is written.

    Returns:
        The verdict; None where there is nothing to scan.

    Raises:
        TrustError: The scanner found something.
        InputError: It could not be run, or gave no verdict.
    """
    whole: Scan | None = None
    for number, held in enumerate(payloads, start=1):
        progress.begin(f"scan {held.name}", total_bytes=None)
        try:
            whole = replace(scanner.look_at(held.path, progress=progress), files=number)
        finally:
            progress.end()
        if problem := whole.problem(f"{held.name}, before it is written, in {held.path}"):
            raise problem
    return whole


def scan_medium(scanner: Scanner, medium: Medium, *, progress: Progress) -> Scan:
    """Have the folder `data/` of a medium scanned, once it was proven.

    Returns:
        The verdict, good or bad: a receipt of either is due.

    Raises:
        InputError: The scanner could not be run, or gave no verdict.
    """
    progress.begin(f"scan {medium.label}", total_bytes=None)
    try:
        return scanner.look_at(medium.folder / "data", progress=progress)
    finally:
        progress.end()


def _drain(output: IO[bytes], kept: bytearray) -> None:
    """Read to the end, so that the program never waits for us, and keep the beginning."""
    with output, contextlib.suppress(OSError):
        while chunk := output.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]  # buffered pipe
            kept += chunk[: _KEPT_BYTES - len(kept)]


def _first_line(output: bytes) -> str:
    lines = output.decode(errors="replace").splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    plain = "".join(letter if letter.isprintable() else "?" for letter in line)
    return plain[:_SAID_CHARACTERS]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program, and where the system can, what it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _not_run(program: Path, found: str, *, hint: str | None = None) -> InputError:
    return InputError(
        f"run the scanner {program}",
        found=f"it could not be run to a verdict: {found}",
        expected="exit code 0 for nothing found, or 1 for something found",
        hint=hint or "run it by hand with such a path; nothing counts as scanned until it answers",
    )
