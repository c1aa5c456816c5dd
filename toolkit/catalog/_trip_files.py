"""The files of a trip: requests that come in, vendors' manifests, and the plan that is kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from toolkit.catalog._plan import Plan
from toolkit.catalog._plan_file import LIMIT_BYTES as PLAN_LIMIT_BYTES
from toolkit.catalog._plan_file import read_plan, to_bytes
from toolkit.catalog._sbe_manifest import read_sbe_manifest
from toolkit.catalog._storage import storage, write_beside
from toolkit.catalog._vendorxml import LIMIT_BYTES as XML_LIMIT_BYTES
from toolkit.request import SiteRequest, read_request
from toolkit.sbe import Sbe
from toolkit.signed import LIMIT_BYTES, KnownKeys

_KNOWN_KEYS, _PLANS = "known-keys.json", "plans"


def open_requests(paths: Iterable[Path], catalog: Path) -> tuple[SiteRequest, ...]:
    """Return the requests of known sites, as JSON or as scanned from paper.

    Args:
        paths: Where they are.
        catalog: The catalog, which knows the keys of the sites.

    Raises:
        SignatureError: One was edited, or signed by a key that nobody here has decided to believe.
        InputError: One cannot be understood, or is of a newer format.
        StorageError: One cannot be read.
    """
    known = KnownKeys(catalog / _KNOWN_KEYS)
    requests = []
    for path in paths:
        request, sealed = read_request(_read(path, LIMIT_BYTES), file=str(path))
        known.require(
            sealed,
            what=f"request of {request.cluster}",
            hint="compare the fingerprint with the site over another channel, then: "
            f'ferry catalog know-key "{path}" --name NAME --fingerprint "…" --catalog "{catalog}"',
        )
        requests.append(request)
    return tuple(requests)


def open_sbe_manifests(paths: Iterable[Path]) -> tuple[Sbe, ...]:
    """Return every SBE that vendors' discovery manifests list.

    Raises:
        InputError: One cannot be understood.
        StorageError: One cannot be read.
    """
    return tuple(
        sbe
        for path in paths
        for sbe in read_sbe_manifest(_read(path, XML_LIMIT_BYTES), file=str(path)).sbes
    )


def keep_plan(plan: Plan, catalog: Path, to: Path) -> None:
    """Write a plan, and a copy into the catalog, which keeps everything that a plan refers to.

    Raises:
        StorageError: It cannot be written.
    """
    text = to_bytes(plan).decode()
    folder = catalog / _PLANS
    with storage(f"write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        write_beside(folder / f"{plan.plan_id}.json", text)
    write_text(to, text)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    with storage(f"write {path}"):
        write_beside(path, text)


def open_plan(path: Path) -> Plan:
    """Return the plan in a file.

    Raises:
        InputError: Not a plan, one of a newer format, or changed after it was made.
        StorageError: It cannot be read.
    """
    return read_plan(_read(path, PLAN_LIMIT_BYTES), file=str(path))


def _read(path: Path, limit_bytes: int) -> bytes:
    """Return a file's bytes; one more than the limit where it is too long, which its reader refuses."""
    with storage(f"read {path}"), path.open("rb") as file:
        return file.read(limit_bytes + 1)
