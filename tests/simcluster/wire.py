"""A record of every PowerShell remoting message a node received, as the CLIXML that was sent.

Source: [MS-PSRP] 2.2.4 (fragments), 2.2.1 (messages).
"""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Callable
from pathlib import Path

_FRAGMENT = struct.Struct(">QQBI")
_IS_LAST = 2
_MESSAGE_HEADER_BYTES = 40


class WireRecord:
    """Writes what arrives to `folder`, one message a file: `<number>-<node>-<type>.xml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def listener(self, node: str) -> Callable[[bytes], None]:
        """Return who listens to one shell of a node."""
        open_messages: dict[int, bytes] = {}

        def hear(data: bytes) -> None:
            while data:
                number, _, flags, size = _FRAGMENT.unpack_from(data)
                begun = open_messages.pop(number, b"") + data[_FRAGMENT.size :][:size]
                data = data[_FRAGMENT.size + size :]
                if flags & _IS_LAST:
                    self._write(node, begun)
                else:
                    open_messages[number] = begun

        return hear

    def _write(self, node: str, message: bytes) -> None:
        kind = int.from_bytes(message[4:8], "little")
        with self._lock:
            name = f"{next(self._numbers):05}-{node}-{kind:08x}.xml"
        (self.folder / name).write_bytes(message[_MESSAGE_HEADER_BYTES:])
