"""The physics of a medium: durable writes, room, and reading past the page cache.

Reading back what was just written proves nothing if the answer comes from memory. Each operating system
has its own way around the cache; the one used is reported so that it can be recorded. Aligned reads and writes
of 2 MiB with a few reused buffers are as fast as the device. One thread reads ahead, so the device is read in
order and never waits; another one hashes, for that can take as long. Reading, writing and hashing release the
interpreter.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import shutil
import stat
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import IO, BinaryIO, NewType, Protocol, cast

from blake3 import blake3

from toolkit.filesystem import NotRegularError as NotRegularError  # media take these two from here
from toolkit.filesystem import aligned_buffers, open_regular, sync_folder
from toolkit.filesystem import on_storage as on_storage
from toolkit.model import Progress, Sha256, Silent

CHUNK_BYTES = 2 << 20
"""A few buffers of this size stay in a processor's cache, and larger reads gain nothing more."""
KEPT_CHUNKS = 2
"""How many chunks stay as they are while more are read: as far as hashing may fall behind."""
_AHEAD_CHUNKS = 4
"""How many are read before somebody asks for them; with fewer the device waits while two hashes keep two processors
busy, and more gain nothing."""
BLOCK_BYTES = 64 << 20
"""Size of the blocks whose hashes are signed, so that damage is named by its place."""
_ALIGNED_BYTES = 64 << 10
"""Direct reads are of a multiple of this: no sector is larger."""
_BAD_SECTOR = frozenset({errno.EACCES, errno.EINVAL} if sys.platform == "win32" else ())
"""What reading an open file fails with besides EIO where the device fails: the C runtime of Windows makes the first of
ERROR_CRC, ERROR_SECTOR_NOT_FOUND and ERROR_NOT_READY, the second of ERROR_IO_DEVICE (`_dosmaperr`)."""
BlockHash = NewType("BlockHash", str)
"""BLAKE3 of one block, 256 bits in lower-case hex."""
ABSENT = FileNotFoundError, NotADirectoryError
"""What is raised where no file stands; the second, where one stands in place of a folder above it."""


class ReadMethod(StrEnum):
    """How bytes were read; only `CACHED` may have come from memory instead of the device."""

    DIRECT = "O_DIRECT"
    NO_BUFFERING = "FILE_FLAG_NO_BUFFERING"
    NO_CACHE = "F_NOCACHE"
    DONT_NEED = "posix_fadvise"
    CACHED = "cached"


class Readable(Protocol):
    """What a copy is made from: a file, or one that is read through something."""

    def seek(self, offset: int, /) -> object:
        """Go on at this offset."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer and return the count; 0 at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredBlocks:
    """What one complete reading of a file found, block by block."""

    size_bytes: int
    blocks: tuple[BlockHash, ...]
    """Hash of each block of `BLOCK_BYTES`; the last may be shorter."""
    method: ReadMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one complete reading of a file found, as a whole and, if asked for, block by block."""

    size_bytes: int
    sha256: Sha256
    blocks: tuple[BlockHash, ...]
    method: ReadMethod


class StreamDigest:
    """Hashes a stream as a whole, block by block, or both, in one pass; each in a thread of its own.

    The whole is SHA-256, which vendors publish and TUF signs; its blocks are BLAKE3, more than three times as fast.
    Use as a context manager.
    """

    def __init__(self, *, whole: bool = True, blocks: bool = True) -> None:
        """Start before the first byte; what is not wanted is not hashed."""
        self._whole = hashlib.sha256() if whole else None
        self._blocks: list[blake3] | None = [] if blocks else None
        self._threads = (ThreadPoolExecutor(1, "hash"), ThreadPoolExecutor(1, "hash-blocks"))
        self._under_way: deque[tuple[int, list[Future[object]]]] = deque()
        self._hashed_bytes = 0
        self.size_bytes = 0

    def update(self, chunk: memoryview) -> None:
        """Take the next bytes, which must stay as they are until `KEPT_CHUNKS` further ones were given."""
        tasks: list[Future[object]] = []
        if self._whole is not None:
            tasks.append(self._threads[0].submit(self._whole.update, chunk))
        if self._blocks is not None:
            tasks += self._update_blocks(self._blocks, chunk)
        self.size_bytes += len(chunk)
        self._under_way.append((len(chunk), tasks))
        self._wait(KEPT_CHUNKS)

    def closed_blocks(self, first: int) -> list[BlockHash]:
        """Return the hashes of the blocks from number `first` on that are hashed to their end by now."""
        blocks = self._blocks or []
        return [_block_hash(block) for block in blocks[first : self._hashed_bytes // BLOCK_BYTES]]

    def whole(self) -> Sha256:
        """Wait for the last byte and return the hash of everything."""
        self._wait(0)
        if self._whole is None:
            raise ValueError("the whole was not to be hashed")
        return Sha256(self._whole.hexdigest())

    def blocks(self) -> tuple[BlockHash, ...]:
        """Wait for the last byte and return the hashes of all blocks; none, if they were not wanted."""
        self._wait(0)
        return tuple(map(_block_hash, self._blocks or ()))

    def measured(self, method: ReadMethod) -> Measured:
        """Wait for the last byte and return everything that was found."""
        return Measured(
            size_bytes=self.size_bytes, sha256=self.whole(), blocks=self.blocks(), method=method
        )

    def _update_blocks(self, blocks: list[blake3], chunk: memoryview) -> Iterator[Future[object]]:
        at = self.size_bytes
        while len(chunk):
            number = at // BLOCK_BYTES
            if number == len(blocks):
                blocks.append(blake3())
            part = chunk[: BLOCK_BYTES - at % BLOCK_BYTES]
            yield self._threads[1].submit(blocks[number].update, part)
            at += len(part)
            chunk = chunk[len(part) :]

    def _wait(self, most: int) -> None:
        while len(self._under_way) > most:
            size, tasks = self._under_way.popleft()
            for task in tasks:
                task.result()
            self._hashed_bytes += size

    def __enter__(self) -> StreamDigest:
        """Return the digest."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """End the threads."""
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)


def require_regular(path: Path) -> None:
    """Refuse what is not a plain file: opening a pipe may never end, and a link leads off the medium.

    Raises:
        NotRegularError: Something else stands there.
        OSError: Nothing stands there, or it cannot be looked at.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise NotRegularError(None, "not a regular file", str(path))


def write_durably(path: Path, data: bytes) -> None:
    """Write beside, flush to the device, rename: the name never stands over half a file, and no half file stays.

    Raises:
        OSError: The device is full, write-protected or gone; what stood there before still does.
    """
    part = path.with_name(path.name + ".part")
    with gone_on_error(part):
        part.unlink(missing_ok=True)  # never written through: on a prepared medium it may be a link
        with part.open("xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def reading_device() -> Iterator[None]:
    """Have a device that fails while an open file is read say so on every system: nobody is asked for a permission then.

    Raises:
        OSError: EIO: the device failed.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _BAD_SECTOR:
            raise
        raise OSError(errno.EIO, "Input/output error") from error


@contextlib.contextmanager
def gone_on_error(part: Path) -> Iterator[None]:
    """Remove a half file or folder when the block that makes it fails, as far as its device still lets us."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        raise


def copy_durably(
    source: Path,
    target: Path,
    *,
    offset: int = 0,
    size_bytes: int | None = None,
    digest: StreamDigest,
    accept: Callable[[], bool],
    progress: Progress,
    through: Callable[[io.FileIO], Readable] | None = None,
) -> bool:
    """Read, hash and write one file, or a stretch of it, in one pass; rename only what is accepted.

    Args:
        source: What to copy.
        target: Where; never stands over anything that was not accepted.
        offset: Where in the source to begin.
        size_bytes: How much to copy at most; None: to the end.
        digest: Hashes what is copied.
        accept: Asked once everything is hashed and on the device, and before it has its name.
        progress: Told of every chunk.
        through: What the source is read through; offset, size and hash are of what comes out of it.

    Returns:
        Whether it was accepted. If not, nothing is left under the target's name.
    """
    part = target.with_name(target.name + ".part")
    left = size_bytes
    with gone_on_error(part):
        with open_regular(source) as file:
            reading = _read_through(file, through)
            reading.seek(offset)

            def fill(buffer: memoryview) -> int:
                nonlocal left
                count = reading.readinto(buffer if left is None else buffer[:left]) or 0
                if left is not None:
                    left -= count
                return count

            with (
                contextlib.closing(_ahead(fill)) as chunks,
                contextlib.closing(_UncachedWriter(part)) as writer,
            ):
                for chunk in chunks:
                    digest.update(chunk)
                    writer.write(chunk)
                    progress.advance(len(chunk))
                writer.flush()
        if not accept():
            part.unlink()
            return False
        part.replace(target)
    sync_folder(target.parent)
    return True


def read_ahead(
    path: Path, *, through: Callable[[io.FileIO], Readable] | None = None
) -> Generator[memoryview, None, None]:
    """Yield a file in chunks through the page cache; each stays valid until `KEPT_CHUNKS` further ones came.

    Close the generator when it is not read to its end. `through` is as in `copy_durably`.
    """
    with open_regular(path) as file:
        reading = _read_through(file, through)
        with contextlib.closing(_ahead(lambda buffer: reading.readinto(buffer) or 0)) as chunks:
            yield from chunks


def _read_through(file: io.FileIO, through: Callable[[io.FileIO], Readable] | None) -> Readable:
    return file if through is None else through(file)


def _ahead(
    fill: Callable[[memoryview], int], chunks: int = _AHEAD_CHUNKS
) -> Generator[memoryview, None, None]:
    """Yield what `fill` puts into aligned buffers, while a thread lets it fill so many further ones.

    A view is valid until `KEPT_CHUNKS` further ones were given; `fill` returns 0 at the end. Close the
    generator before what `fill` reads from: closing waits for the thread.
    """
    empty: SimpleQueue[memoryview | None] = SimpleQueue()
    filled: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
    for buffer in aligned_buffers(KEPT_CHUNKS + chunks, CHUNK_BYTES):
        empty.put(buffer)

    def run() -> None:
        try:
            while (buffer := empty.get()) is not None and (count := fill(buffer)):
                filled.put((buffer, count))
        finally:
            filled.put(None)

    given: deque[memoryview] = deque()
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        reading = thread.submit(run)
        try:
            while (next_one := filled.get()) is not None:
                buffer, count = next_one
                given.append(buffer)
                yield buffer[:count]
                if len(given) > KEPT_CHUNKS:
                    empty.put(given.popleft())
        finally:
            empty.put(None)
        reading.result()


class _UncachedWriter:
    """Writes one file past the page cache as long as chunks are whole, where the system can.

    Buffered writing of gigabytes costs processor time and stalls when dirty pages are flushed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_direct = False
        path.unlink(missing_ok=True)  # never written through: on a prepared medium it may be a link
        if sys.platform == "linux" and hasattr(os, "O_DIRECT"):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_DIRECT
            with contextlib.suppress(OSError):  # what is really wrong, plain opening says
                self._file: IO[bytes] = os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0)
                self._is_direct = True
        if not self._is_direct:
            path.unlink(missing_ok=True)  # a refused direct opening may have made it
            self._file = path.open("xb", buffering=0)

    def write(self, chunk: memoryview) -> None:
        if self._is_direct and len(chunk) % CHUNK_BYTES:
            self._continue_plainly()  # the last chunk need not end on a sector
        done = 0
        while done < len(chunk):
            try:
                done += self._file.write(chunk[done:])
            except OSError as error:
                if error.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._continue_plainly()

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _continue_plainly(self) -> None:
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._is_direct = False


class DeviceReader:
    """Reads one file past the page cache, in chunks of a few reused buffers.

    Use as a context manager. `method` says how the bytes were read, and is final only afterwards: a
    file system may refuse direct reads at the first one.
    """

    def __init__(self, path: Path, *, ahead_chunks: int = _AHEAD_CHUNKS) -> None:
        """Open the file in the strongest way the system offers; read so far ahead of whoever asks."""
        require_regular(path)
        self._path = path
        self._offset = 0
        self._file, self.method = _open_uncached(path)
        self.size_bytes = os.fstat(self._file.fileno()).st_size
        self._chunks = _ahead(self._fill, ahead_chunks)

    def chunks(self) -> Iterator[memoryview]:
        """Yield the bytes in order; each view is valid until `KEPT_CHUNKS` further ones came."""
        return self._chunks

    def _fill(self, buffer: memoryview) -> int:
        left = self.size_bytes - self._offset
        if left == 0:  # one that grew is noticed, and not followed
            left = os.fstat(self._file.fileno()).st_size - self._offset
        if left <= 0:  # a direct read behind the end may be refused
            return 0
        # a direct read makes ready all it is given: most of what a small file took
        count = self._read(buffer[: -(-left // _ALIGNED_BYTES) * _ALIGNED_BYTES])
        self._offset += count
        return count

    def _read(self, buffer: memoryview) -> int:
        try:
            with reading_device():
                return self._file.readinto(buffer) or 0  # type: ignore[attr-defined]  # raw file
        except OSError as error:
            if error.errno != errno.EINVAL or self.method is not ReadMethod.DIRECT:
                raise
        # the file system accepted O_DIRECT and then refused to honour it
        self._file.close()
        self._file, self.method = _open_dropping(self._path)
        self._file.seek(self._offset)
        return self._file.readinto(buffer) or 0  # type: ignore[attr-defined]  # raw file

    def __enter__(self) -> DeviceReader:
        """Return the open reader."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Close the file."""
        self._chunks.close()
        self._file.close()


def measure(
    path: Path,
    *,
    blocks: bool = False,
    progress: Progress | None = None,
    also: Callable[[memoryview], object] | None = None,
) -> Measured:
    """Read a file completely past the cache and return its size and hashes.

    Args:
        path: The file.
        blocks: Whether to hash block by block, too.
        progress: Told of every chunk.
        also: Given every chunk, too.
    """
    with DeviceReader(path) as reader, StreamDigest(blocks=blocks) as digest:
        _read_all(reader, digest, progress or Silent(), also)
        return digest.measured(reader.method)


def measure_blocks(path: Path, *, progress: Progress | None = None) -> MeasuredBlocks:
    """Read a file completely past the cache and return its size and the hashes of its blocks, and of nothing else."""
    with DeviceReader(path) as reader, StreamDigest(whole=False) as digest:
        _read_all(reader, digest, progress or Silent())
        return MeasuredBlocks(
            size_bytes=digest.size_bytes, blocks=digest.blocks(), method=reader.method
        )


def _read_all(
    reader: DeviceReader,
    digest: StreamDigest,
    progress: Progress,
    also: Callable[[memoryview], object] | None = None,
) -> None:
    for chunk in reader.chunks():
        digest.update(chunk)
        if also is not None:
            also(chunk)
        progress.advance(len(chunk))


def weakest(methods: Iterator[ReadMethod] | list[ReadMethod]) -> ReadMethod:
    """Return the method that proves least, for a record about several files."""
    order = list(ReadMethod)
    return max(methods, key=order.index, default=ReadMethod.CACHED)


def holds(path: Path, *, size_bytes: int, sha256: Sha256, progress: Progress) -> bool:
    """Whether a file holds these bytes; one of another size is not read for it.

    Args:
        path: The file; it need not be there.
        size_bytes: How many it should hold.
        sha256: Their hash.
        progress: Told of every chunk that is read.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_file() or path.stat().st_size != size_bytes:
        return False
    progress.begin(f"read {path.name} again", total_bytes=size_bytes)
    try:
        return measure(path, progress=progress).sha256 == sha256
    finally:
        progress.end()


def free_bytes(folder: Path) -> int:
    """Return the room left for this user."""
    return shutil.disk_usage(folder).free


def _block_hash(block: blake3) -> BlockHash:
    return BlockHash(block.hexdigest())


# --- the operating systems ----------------------------------------------------------------------


def _open_uncached(path: Path) -> tuple[BinaryIO, ReadMethod]:
    if sys.platform == "win32":
        return _open_no_buffering(path)
    if sys.platform == "darwin":
        import fcntl

        file = cast("BinaryIO", path.open("rb", buffering=0))
        fcntl.fcntl(file.fileno(), fcntl.F_NOCACHE, 1)
        return file, ReadMethod.NO_CACHE
    if hasattr(os, "O_DIRECT"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
                raise
        else:
            return cast("BinaryIO", os.fdopen(handle, "rb", buffering=0)), ReadMethod.DIRECT
    return _open_dropping(path)


def _open_dropping(path: Path) -> tuple[BinaryIO, ReadMethod]:
    """Open normally, after asking the kernel to drop the file's clean pages."""
    file = cast("BinaryIO", path.open("rb", buffering=0))
    if sys.platform != "win32" and hasattr(os, "posix_fadvise"):
        try:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            return file, ReadMethod.CACHED
        return file, ReadMethod.DONT_NEED
    return file, ReadMethod.CACHED


if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes

    _GENERIC_READ = 0x80000000
    _SHARE_READ_DELETE = 0x1 | 0x4
    _OPEN_EXISTING = 3
    _NO_BUFFERING_SEQUENTIAL = 0x20000000 | 0x08000000
    _ERROR_INVALID_PARAMETER = 87

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateFileW.restype = wintypes.HANDLE
    _kernel32.CreateFileW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    ]

    def _open_no_buffering(path: Path) -> tuple[BinaryIO, ReadMethod]:
        handle = _kernel32.CreateFileW(
            str(path),
            _GENERIC_READ,
            _SHARE_READ_DELETE,
            None,
            _OPEN_EXISTING,
            _NO_BUFFERING_SEQUENTIAL,
            None,
        )
        if handle in (None, wintypes.HANDLE(-1).value):
            code = ctypes.get_last_error()
            if code == _ERROR_INVALID_PARAMETER:  # a file system that cannot
                return cast("BinaryIO", path.open("rb", buffering=0)), ReadMethod.CACHED
            raise ctypes.WinError(code)
        number = msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY)
        return cast("BinaryIO", os.fdopen(number, "rb", buffering=0)), ReadMethod.NO_BUFFERING
