"""A sink that outlives its connection: the medium is read once, however often the line breaks.

Theory of operation. A copy proves every byte of the medium from the first one on, so beginning it anew after each
loss would read gigabytes to send megabytes. An upload has what was fed to it and the node has not acknowledged; after
a loss the next one goes on where that begins, and is given it first, and then what comes. Where it must begin lower
(the node lost what it had not written to its disk), the copy begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from toolkit.errors import AuthenticationError, ReachError


class UploadSink(Protocol):
    """A resumable upload: fed the whole stream, it sends what the node does not have yet."""

    resumed_at_bytes: int
    acknowledged_bytes: int

    @property
    def sent_to_bytes(self) -> int:
        """How far into the file something was sent."""

    def skip(self, count_bytes: int) -> None:
        """Pass over the next bytes of the stream, all below `resumed_at_bytes`."""

    def unacknowledged(self) -> tuple[int, list[bytes]]:
        """Return where in the stream that begins which was taken and not acknowledged, and all of it."""

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream."""

    def finish(self) -> None:
        """Flush, and give the file its final name."""

    def __enter__(self) -> Self:
        """Return the sink."""

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        """Let go of the file; what arrived stays for the next try."""


class BeginAnewError(Exception):
    """The stream must be fed anew: the node lost what is not here any more. The loss is borne, and the way stands."""


class LastingSink:
    """Feeds one upload after the other, each going on where the one before was cut off."""

    def __init__(
        self,
        begin: Callable[[int | None], AbstractContextManager[UploadSink]],
        bear: Callable[[ReachError], None],
        count: Callable[[UploadSink], None],
    ) -> None:
        """Begin the first upload.

        Args:
            begin: Opens an upload that goes on with what stands there; told below which offset an earlier one of
                this stream was acknowledged.
            bear: Told of a loss; returns when there is a new way to the cluster, or raises.
            count: Told of each upload at its end.
        """
        self._begin = begin
        self._bear = bear
        self._count = count
        self._held = contextlib.ExitStack()
        self._fed_bytes = 0
        self._upload = self._opened(None)

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes of the stream; return how many, which is all.

        Raises:
            ReachError: The line broke and is not borne any longer.
            BeginAnewError: The stream must begin anew.
            StorageError: The node's disk is full.
            ClusterError: The node refuses, in its own words.
        """
        try:
            self._upload.write(data)
        except AuthenticationError:
            raise
        except ReachError as error:
            self._go_on(error, memoryview(data))
        self._fed_bytes += len(data)
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

    def _opened(self, held_bytes: int | None) -> UploadSink:
        upload = self._held.enter_context(self._begin(held_bytes))
        self._held.callback(self._count, upload)
        return upload

    def _go_on(self, error: ReachError, data: memoryview) -> None:
        """Give the next upload what this one was given in vain, and the rest of `data`, which it did not take."""
        rest: list[bytes | memoryview]
        start, kept = self._upload.unacknowledged()
        if start < self._fed_bytes:
            rest = [*kept, data[start + sum(map(len, kept)) - self._fed_bytes :]]
        else:
            start, rest = self._fed_bytes, [data]
        while True:
            held_bytes = self._upload.resumed_at_bytes + self._upload.acknowledged_bytes
            self._held.close()
            self._bear(error)
            try:
                self._upload = self._opened(held_bytes)
                if self._upload.resumed_at_bytes >= start:
                    self._upload.skip(start)
                    for part in rest:
                        self._upload.write(part)
                    return
            except AuthenticationError:
                raise
            except ReachError as another:
                error = another
            else:
                raise BeginAnewError from error
