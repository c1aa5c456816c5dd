r"""What is known of the bytes of an unfinished download, as lines that are only ever added (pure).

Each line is the CRC-32 of its text in eight hex digits, a space, and the text::

    1b4e… {"format": 2, "total_bytes": 5368709120, "block_bytes": 262144}     the first line
    90f2… {"url": "https://…", "validator": "\"65f0-140000000\""}             one for each address used
    c03d… 7 65536 5f0a11c2                 block 7: its first 65,536 bytes are there, and their CRC-32

A later line about the same thing replaces an earlier one. Power may fail while a line is written, or
after a line and before the bytes it tells of: a line that is not what its CRC says is skipped, and bytes
are compared with theirs before they are believed. Without a good first line nothing is known.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from toolkit.catalog._ranges import BLOCK_BYTES, Blocks

FORMAT = 2
LINE_LIMIT_BYTES = 16 << 10


@dataclass(slots=True)
class Known:
    """What a journal tells."""

    total_bytes: int | None = None
    validators: dict[str, str] = field(default_factory=dict)
    """What names the state of the file at each address that bytes came from; may be empty."""
    blocks: Blocks = field(default_factory=Blocks)


def first_line(total_bytes: int | None) -> bytes:
    """Return the line a journal begins with; again later, when the length is known."""
    values = {"format": FORMAT, "total_bytes": total_bytes, "block_bytes": BLOCK_BYTES}
    return _line(json.dumps(values))


def address_line(url: str, validator: str) -> bytes:
    """Return the line that ties the bytes to what an address has."""
    return _line(json.dumps({"url": url, "validator": validator}))


def block_line(index: int, filled: int, crc: int) -> bytes:
    """Return the line about one block."""
    return _line(f"{index} {filled} {crc:08x}")


def read_lines(lines: Iterable[bytes]) -> Known | None:
    """Return what a journal tells; None if it is damaged at its start or of another format."""
    known: Known | None = None
    for line in lines:
        text = _text(line)
        if text is None:
            if known is None:
                return None
        elif text.startswith("{"):
            values = json.loads(text)
            if "format" in values:
                if (values["format"], values.get("block_bytes")) != (FORMAT, BLOCK_BYTES):
                    return None
                known = known or Known()
                known.total_bytes = values["total_bytes"]
            elif known is not None:
                known.validators[values["url"]] = values["validator"]
        elif known is not None:
            index, filled, crc = text.split(" ")
            known.blocks.note(int(index), int(filled), int(crc, 16))
    return known


def _line(text: str) -> bytes:
    data = text.encode()
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _text(line: bytes) -> str | None:
    """Return the text of a line that is whole, else None."""
    text = line[9:-1]
    return text.decode() if line == b"%08x %b\n" % (zlib.crc32(text), text) else None
