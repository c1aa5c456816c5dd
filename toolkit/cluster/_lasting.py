"""A sink that outlives its connection: the medium is read once, however often the line breaks.

Theory of operation. A copy proves every byte of the medium from the first one on, so beginning it anew after each
loss would read gigabytes to send megabytes. An unfinished file is resumed a few MiB below its end; so the last
`_KEPT_BYTES` of the stream are kept, in memory that is used again, and after a loss the next upload is given
these, and then what comes. Where it must begin below them (the node lost what it had not written to its disk),
the loss is passed on: the copy begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from toolkit.errors import AuthenticationError, ReachError

_KEPT_BYTES = 16 << 20
"""More than an upload has on its way (four requests of 1 MiB), believes lost (as much) and has not sent yet (one)."""


class UploadSink(Protocol):
    """A resumable upload: fed the whole stream, it sends what the node does not have yet."""

    resumed_at_bytes: int

    @property
    def sent_to_bytes(self) -> int:
        """How far into the file something was sent."""

    def skip(self, count_bytes: int) -> None:
        """Pass over the next bytes of the stream, all below `resumed_at_bytes`."""

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream."""

    def finish(self) -> None:
        """Flush, and give the file its final name."""

    def __enter__(self) -> Self:
        """Return the sink."""

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Let go of the file; what arrived stays for the next try."""


class LastingSink:
    """Feeds one upload after the other, each going on where the one before was cut off."""

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[UploadSink]],
        bear: Callable[[ReachError], None],
        count: Callable[[UploadSink], None],
    ) -> None:
        """Begin the first upload.

        Args:
            begin: Opens an upload that goes on with what stands there.
            bear: Told of a loss; returns when there is a new way to the cluster, or raises.
            count: Told of each upload at its end.
        """
        self._begin = begin
        self._bear = bear
        self._count = count
        self._held = contextlib.ExitStack()
        self._kept = memoryview(bytearray(_KEPT_BYTES))
        self._fed_bytes = 0
        self._upload = self._opened()

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream; return how many, which is all.

        Raises:
            ReachError: The line broke and is not borne any longer, or the stream must begin anew.
            StorageError: The node's disk is full.
            ClusterError: The node refuses, in its own words.
        """
        self._keep(data)
        try:
            self._upload.write(data)
        except AuthenticationError:
            raise
        except ReachError as error:
            self._go_on(error)
        return len(data)

    def finish(self) -> None:
        """Give the file its final name.

        Raises:
            ReachError: The line broke; whether the file has its name is unknown.
            StorageError: The node's disk is full.
            ClusterError: The node refuses, in its own words.
        """
        self._upload.finish()

    def __enter__(self) -> LastingSink:
        """Return the sink."""
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Let go of the file; what arrived stays for the next try."""
        self._held.close()

    def _opened(self) -> UploadSink:
        upload = self._held.enter_context(self._begin())
        self._held.callback(self._count, upload)
        return upload

    def _keep(self, data: bytes | memoryview) -> None:
        """Note the bytes in a ring: byte n of the stream lies at n modulo its length."""
        rest = memoryview(data)
        self._fed_bytes += max(0, len(rest) - _KEPT_BYTES)
        rest = rest[-_KEPT_BYTES:]
        while rest:
            at = self._fed_bytes % _KEPT_BYTES
            part = rest[: _KEPT_BYTES - at]
            self._kept[at : at + len(part)] = part
            self._fed_bytes += len(part)
            rest = rest[len(part) :]

    def _go_on(self, error: ReachError) -> None:
        while True:
            self._held.close()
            self._bear(error)
            try:
                self._upload = self._opened()
                below = max(0, self._fed_bytes - _KEPT_BYTES)
                if self._upload.resumed_at_bytes >= below:
                    self._upload.skip(below)
                    self._feed_kept(self._upload, below)
                    return
            except AuthenticationError:
                raise
            except ReachError as another:
                error = another
            else:
                raise error

    def _feed_kept(self, upload: UploadSink, offset: int) -> None:
        """Give an upload what is kept, from this offset of the stream on."""
        while offset < self._fed_bytes:
            at = offset % _KEPT_BYTES
            part = self._kept[at : at + self._fed_bytes - offset]
            upload.write(part)
            offset += len(part)
