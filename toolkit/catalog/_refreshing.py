"""Public pages and manifests → a refresh: reads addresses or files, compares, writes what is safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from toolkit.catalog import _discovery, _pagetables
from toolkit.catalog._bundletable import read_bundle_page
from toolkit.catalog._discovery import read_discovery
from toolkit.catalog._document import is_address, read_document, shown_origin
from toolkit.catalog._fetch import Fetcher
from toolkit.catalog._loading import Library, load_library
from toolkit.catalog._proposals import Refresh
from toolkit.catalog._readings import Reading
from toolkit.catalog._refresh import RELEASES, propose
from toolkit.catalog._storage import storage
from toolkit.errors import StorageError
from toolkit.filesystem import write_beside
from toolkit.model import Progress, Silent

BUNDLE_PAGE = (
    "https://learn.microsoft.com/azure/azure-local/update/import-discover-updates-offline-23h2"
)
DISCOVERY = "https://aka.ms/AzureEdgeUpdates"
"""Source: DellGEOS/AzureStackHOLs and NeilBird/Azure-Local, which read it without signing in."""


def refresh(
    pages: Sequence[str] = (),
    discoveries: Sequence[str] = (),
    *,
    fetcher: Fetcher,
    manifest_dirs: Sequence[Path] = (),
    write_to: Path | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Refresh:
    """Read what is published now and compare it with the manifests.

    Args:
        pages: Addresses or files of pages with the table of bundles.
        discoveries: Addresses or files of solution discovery manifests. If nothing is named here and
            in `pages`, both are read where Microsoft publishes them.
        fetcher: What fetches addresses.
        manifest_dirs: Folders of further manifests.
        write_to: Where to write new and safely changed manifests; what stands there counts, too.
        progress: Told what is read.
        sleep: Waits before a repetition.
        now: The time, aware UTC.

    Raises:
        InputError: A page, discovery manifest or manifest cannot be understood.
        DownloadError: An address does not give us the page.
        StorageError: A file cannot be read or written.
    """
    if not pages and not discoveries:
        pages, discoveries = (BUNDLE_PAGE,), (DISCOVERY,)
    progress = progress or Silent()
    today = now().date()
    folders = [*manifest_dirs, *([write_to] if write_to and write_to.is_dir() else [])]
    library = load_library(folders)

    def read(address: str, limit_bytes: int) -> bytes:
        progress.say(f"reading {shown_origin(address)}")
        return read_document(fetcher, address, limit_bytes=limit_bytes, sleep=sleep).data

    readings = [
        *(_page(address, read(address, _pagetables.LIMIT_BYTES), today) for address in pages),
        *(
            Reading(
                source=f"{_name(address)} (read on {today})",
                seen_on=today,
                discovery=read_discovery(
                    read(address, _discovery.LIMIT_BYTES), file=shown_origin(address)
                ),
            )
            for address in discoveries
        ),
    ]
    found = propose(readings, library)
    return found if write_to is None else replace(found, written=_write(found, library, write_to))


def _page(address: str, data: bytes, today: date) -> Reading:
    page = read_bundle_page(data, file=shown_origin(address))
    day = f"page of {page.revised_on}" if page.revised_on else f"read on {today}"
    source = f"{_name(address)} ({day})"
    if page.address and not is_address(address):
        source = f"{page.address} (saved as {_name(address)}, {day})"
    return Reading(source=source, seen_on=page.revised_on or today, page=page)


def _name(address: str) -> str:
    """Return what a source is called: folders of this machine and signed queries are nobody's business."""
    return shown_origin(address) if is_address(address) else Path(address).name


def _write(found: Refresh, library: Library, folder: Path) -> tuple[str, ...]:
    """Write the safe texts of manifests; the table of releases belongs to ferry itself."""
    with storage(f"write manifests to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    paths = {file.manifest.version: file.path for file in library.files}
    written = []
    for change in found.changes:
        if change.name == RELEASES or change.version is None or change.safe == change.before:
            continue
        path = paths.get(change.version, folder)
        if path.parent != folder:
            path = folder / f"{change.version}.yaml"
            _check_free(path)
        with storage(f"write {path}"):
            write_beside(path, change.safe.encode())
        written.append(path.name)
    return tuple(written)


def _check_free(path: Path) -> None:
    """Refuse to overwrite a manifest of another version."""
    if path.exists():
        raise StorageError(
            f"write {path}",
            found="a manifest of another version under this name",
            expected="no such file",
            hint="rename that file after its own version",
        )
