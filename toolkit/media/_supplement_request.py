"""A site's request for pieces of a set: the document that goes home. Pure.

It is signed with the key of the site's other requests. What it says is a wish: home compares every line with
the set as it left.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from toolkit import __version__
from toolkit.errors import InputError, misread
from toolkit.media._keys import as_instant, read_instant
from toolkit.media._names import check_set_name, check_together
from toolkit.media._report import BAD, Verdict
from toolkit.media._set import read_digest
from toolkit.model import Sha256
from toolkit.signed import SUPPLEMENT_REQUEST, Sealed, SigningKey, seal, unseal

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPiece:
    """One file below `data/` that a site needs again."""

    path: str
    """As in the set's plan."""
    size_bytes: int
    sha256: Sha256
    found: Verdict
    """Missing, damaged or unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplementRequest:
    """What a site asks for, to make one set whole."""

    request_id: str
    made_at: datetime
    site_id: str
    set_id: str
    set_name: str
    metadata: Sha256
    """SHA-256 of the set's timestamp.json: by its signature chain it stands for the whole set."""
    pieces: tuple[AskedPiece, ...]

    @property
    def size_bytes(self) -> int:
        """Of all pieces together."""
        return sum(piece.size_bytes for piece in self.pieces)

    def to_bytes(self, key: SigningKey) -> bytes:
        """Return the signed document; equal input gives equal bytes."""
        body = {**asdict(self), "made_at": as_instant(self.made_at)}
        return seal(
            SUPPLEMENT_REQUEST, {"format": FORMAT, "tool": f"ferry {__version__}", **body}, key
        )


def read_supplement_request(
    data: bytes, *, file: str | None = None
) -> tuple[SupplementRequest, Sealed]:
    """Return the request in `data`, and who signed it (which says nothing about whether to believe them).

    Raises:
        InputError: Not such a request, or one of a newer format.
        SignatureError: It was edited, or is not signed.
    """
    sealed = unseal(data, kind=SUPPLEMENT_REQUEST, file=file)
    body = sealed.body
    if body.get("format") != FORMAT:
        raise InputError(
            "read a request for a supplement",
            file=file,
            found=f"format {body.get('format')!r}, made by {body.get('tool')!r}",
            expected=f"format {FORMAT}",
            hint="a newer ferry may have written it; use that one",
        )
    try:
        request = SupplementRequest(
            request_id=_uuid(body["request_id"]),
            made_at=read_instant(body["made_at"]),
            site_id=_uuid(body["site_id"]),
            set_id=_uuid(body["set_id"]),
            set_name=str(body["set_name"]),
            metadata=read_digest(body["metadata"]),
            pieces=tuple(map(_piece, body["pieces"])),
        )
        if not request.pieces:
            raise ValueError("no piece is asked for")  # noqa: TRY301
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "read a request for a supplement",
            file=file,
            found=misread(error),
            hint="have the site make it again: ferry media request",
        ) from error
    check_set_name(request.set_name)
    check_together(request.set_name, (piece.path for piece in request.pieces))
    return request, sealed


def _piece(row: Mapping[str, Any]) -> AskedPiece:
    size = row["size_bytes"]
    found = Verdict(row["found"])
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is not a size")
    if found not in BAD:
        raise ValueError(f"a piece that was found {found}")
    return AskedPiece(
        path=str(row["path"]), size_bytes=size, sha256=read_digest(row["sha256"]), found=found
    )


def _uuid(text: object) -> str:
    if not isinstance(text, str) or str(uuid.UUID(text)) != text:
        raise ValueError(f"{text!r} is not a UUID in lower case")
    return text
