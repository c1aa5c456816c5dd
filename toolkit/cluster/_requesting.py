"""From what was asked or typed to a signed request: the site's own memory and its key are added."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.errors import InputError, StorageError, TrustError, system_says
from toolkit.filesystem import write_beside
from toolkit.request import KIND, SiteRequest, to_bytes
from toolkit.signed import open_key
from toolkit.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it goes home."""

    request: SiteRequest
    data: bytes
    """The signed document."""
    fingerprint: str
    """That of the site's key, in groups of four, for reading aloud."""

    def write(self, path: Path) -> None:
        """Write the document; an earlier request of that name is replaced.

        Raises:
            StorageError: A file that is no request has the name, or it cannot be written.
        """
        _write(path, self.data, mark=KIND)

    def write_page(self, path: Path) -> None:
        """Write the page to print; an earlier page of that name is replaced.

        Raises:
            StorageError: A file that is no such page has the name, or it cannot be written.
            InputError: The request is too large for one page.
        """
        from toolkit.request import PAGE_MARK, render_page  # with what draws it

        page = render_page(self.request, self.data, self.fingerprint)
        _write(path, page.encode(), mark=PAGE_MARK)


def sign_request(request: SiteRequest, site: Site) -> SignedRequest:
    """Add what the site remembers of earlier media, and sign with its key, made for the first request.

    Raises:
        StorageError: The key cannot be read or written.
        InputError: What stands in its place is not such a key.
    """
    from toolkit.media import recall  # with TUF; an update run needs none of it

    try:
        memory = recall(site.trust_dir)
        request = replace(request, time_floor=memory.floor, trusted_metadata=dict(memory.versions))
    except (TrustError, InputError, StorageError) as error:
        reason = ("time_floor, trusted_metadata", str(error))
        request = replace(request, unknown=(*request.unknown, reason))
    key = open_key(site.request_key)
    return SignedRequest(request=request, data=to_bytes(request, key), fingerprint=key.fingerprint)


def _write(path: Path, data: bytes, *, mark: str) -> None:
    attempted = f"write {path}"
    try:
        if path.exists() and not _has_mark(path, mark.encode()):
            raise StorageError(
                attempted,
                found="a file of that name that is not such a file of ferry",
                hint="choose another name; files of others are never overwritten",
            )
        write_beside(path, data)  # durably: sticks are pulled out
    except OSError as error:
        raise StorageError(attempted, found=system_says(error)) from error


def _has_mark(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return mark in file.read(2048)
