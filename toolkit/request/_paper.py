"""The signed document as text that QR codes carry well, and back. Pure.

One code holds `FERRY1:<part>/<parts>:<sum>:<data>`: the document deflated with a preset dictionary
(RFC 1950) and written in base32 without padding (RFC 4648), cut into parts where one code would get too
dense for the camera of a phone; `sum`, the beginning of the SHA-256 of the deflated bytes, holds the
parts together. Every letter belongs to QR's alphanumeric mode. There is no blank and no lower case in
it, so neither a scanner nor a mail program that breaks lines spoils it.

A valid signature is what proves the content; `sum` only finds a part that is missing or foreign.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
import zlib
from collections.abc import Callable

from toolkit.errors import InputError
from toolkit.request._paper_words import WORDS
from toolkit.signed import LIMIT_BYTES

PART_CHARS = 1400
"""With its head still a QR code of version 25 (117 modules), error correction M."""

_MOST_PARTS = 6
"""More do not fit on one page; a cluster of 16 nodes needs two."""
_SUM_CHARS = 8
_MARK = "FERRY1:"
_ANY_MARK = re.compile(rb"\s*(QR-Code:)?FERRY\d{1,4}:", re.IGNORECASE)
_PART = re.compile(rf"(\d{{1,2}})/(\d{{1,2}}):([0-9A-F]{{{_SUM_CHARS}}}):([A-Z2-7]+)\Z", re.ASCII)
_LABEL = re.compile(r"QR-CODE:")
"""What `zbarimg` puts before each code unless told otherwise."""


def to_paper(data: bytes) -> tuple[str, ...]:
    """Return the texts of the codes that carry a document, in order.

    Raises:
        InputError: It does not fit on a page.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, WORDS)
    packed = deflate.compress(data) + deflate.flush()
    text = base64.b32encode(packed).decode().rstrip("=")
    count = -(-len(text) // PART_CHARS)
    if count > _MOST_PARTS:
        raise InputError(
            "put the request on paper",
            found=f"{count} codes",
            expected=f"at most {_MOST_PARTS}",
            hint="carry request.json itself",
        )
    size = -(-len(text) // count)
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return tuple(
        f"{_MARK}{number}/{len(parts)}:{_sum(packed)}:{part}"
        for number, part in enumerate(parts, start=1)
    )


def as_utf8(data: bytes) -> bytes:
    """Return a text as UTF-8; Windows PowerShell's `>` writes UTF-16 with a byte order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def is_paper(data: bytes) -> bool:
    """Whether this is the text of such codes, whatever their format."""
    return _ANY_MARK.match(data) is not None


def from_paper(text: bytes, *, file: str | None = None) -> bytes:
    """Return the document whose codes a scanner read, in any order, also twice.

    Raises:
        InputError: Not such a text, a part is missing or of another request, or it was misread.
    """

    def refuse(found: str, expected: str, hint: str) -> InputError:
        return InputError(
            "read a request from paper", file=file, found=found, expected=expected, hint=hint
        )

    whole = "every code of one page, one after the other"
    again = "scan the page again"
    if len(text) > LIMIT_BYTES:
        raise refuse(f"{len(text)} bytes", f"at most {LIMIT_BYTES}", again)
    letters = re.sub(r"\s+", "", text.decode("ascii", "replace").upper())
    start, *pieces = _LABEL.sub("", letters).split(_MARK)
    parts: dict[int, str] = {}
    heads: set[tuple[int, str]] = set()
    for piece in pieces:
        found = _PART.match(piece)
        if found is None or parts.setdefault(int(found[1]), found[4]) != found[4]:
            raise refuse(f"a code that cannot be read: {_MARK}{piece[:20]}…", whole, again)
        heads.add((int(found[2]), found[3]))
    if not parts or start:
        newer = "use a newer ferry" if start.startswith("FERRY") else again
        raise refuse(
            f"text that begins with {letters[:20]!r}", f"text that begins with {_MARK}", newer
        )
    if len(heads) > 1:
        raise refuse("codes of more than one request", whole, "give each page a file of its own")
    ((count, checksum),) = heads
    missing = [str(number) for number in range(1, count + 1) if number not in parts]
    if missing or len(parts) != count:
        raise refuse(f"no code {', '.join(missing)} of {count}", whole, "scan those too")
    packed = _decoded("".join(parts[number] for number in range(1, count + 1)))
    if packed is None or _sum(packed) != checksum:
        raise refuse("a code that was misread", f"the sum {checksum}", again)
    return _inflated(packed, refuse=lambda found: refuse(found, "a request", again))


def _sum(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()[:_SUM_CHARS].upper()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        return None


def _inflated(packed: bytes, *, refuse: Callable[[str], InputError]) -> bytes:
    inflate = zlib.decompressobj(zdict=WORDS)
    try:
        data = inflate.decompress(packed, LIMIT_BYTES + 1)
    except zlib.error as error:
        raise refuse(f"data that cannot be unpacked ({error})") from error
    if len(data) > LIMIT_BYTES:
        raise refuse(f"more than {LIMIT_BYTES} bytes")
    if not inflate.eof or inflate.unused_data:
        raise refuse("data that ends too early or too late")
    return data
