"""The files of a trip: requests that come in, vendors' manifests, and the plan that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit import __version__
from toolkit.catalog._held import all_held
from toolkit.catalog._holding import Holding
from toolkit.catalog._loading import Manifests, load_sbe_sources
from toolkit.catalog._plan import Plan
from toolkit.catalog._plan_file import KIND, read_plan, to_bytes
from toolkit.catalog._plan_file import LIMIT_BYTES as PLAN_LIMIT_BYTES
from toolkit.catalog._plan_page import PAGE_MARK, plan_page
from toolkit.catalog._planning import plan_trip
from toolkit.catalog._sbe_fetch import read_checked
from toolkit.catalog._storage import free_bytes, read_at_most, storage
from toolkit.errors import StorageError
from toolkit.filesystem import has_mark, write_beside
from toolkit.request import SiteRequest, read_request
from toolkit.sbe import SbeManifest
from toolkit.signed import LIMIT_BYTES, KnownKey
from toolkit.xmltext import LIMIT_BYTES as XML_LIMIT_BYTES


def plan_from_files(
    requests: Iterable[Path],
    holding: Holding,
    *,
    goal: str | None,
    manifests: Manifests,
    sbe_manifests: Iterable[Path],
    named: Sequence[str],
) -> Plan:
    """Return the plan of a trip to every cluster whose request is given.

    Args:
        requests: Signed requests, as JSON or as scanned from paper.
        holding: What is held; it also knows the keys of the sites.
        goal: The wanted version, in full or short; None: for each cluster the newest it can reach.
        manifests: What exists, the supported paths and the known issues.
        sbe_manifests: Vendors' discovery manifests.
        named: SBEs that a person asks for, by name or version.

    Raises:
        SignatureError: A request was edited, or signed by a key that nobody here has decided to believe; or the
            signature of a vendor's manifest does not hold.
        InputError: A file cannot be understood, a version cannot be reached, or an SBE does not fit.
        StorageError: A file or the catalog cannot be read.
    """
    asked = [_request(path, holding) for path in requests]
    with storage(f"ask for free space in {holding.root}"):
        free = free_bytes(holding.root)
    return plan_trip(
        [request for request, _ in asked],
        signed_by=[known.name for _, known in asked],
        goal=None if goal is None else manifests.version(goal),
        manifests=manifests,
        sbes=[sbe for path in sbe_manifests for sbe in _sbe_manifest(path, holding).sbes],
        sbe_sources=load_sbe_sources(),
        held=all_held(holding.store),
        now=holding.now().replace(microsecond=0),
        tool=f"ferry {__version__}",
        named=named,
        home_free_bytes=free,
    )


def keep_plan(plan: Plan, holding: Holding, to: Path, *, page: Path | None = None) -> None:
    """Write a plan, and a copy into the catalog, which keeps everything that a plan refers to.

    Args:
        plan: The plan.
        holding: Where the copy goes: `plans/<plan_id>.json`.
        to: The file to write.
        page: Also write the page to read, there.

    Raises:
        StorageError: A file that is no plan or page has the name, or it cannot be written.
    """
    _check_replaceable(to, f'"{KIND}"')
    if page is not None:
        _check_replaceable(page, PAGE_MARK)
    text = to_bytes(plan).decode()
    folder = holding.store.plans
    with storage(f"write {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{plan.plan_id}.json", text)
    _write(to, text)
    if page is not None:
        _write(page, plan_page(plan))


def open_plan(path: Path) -> Plan:
    """Return the plan in a file.

    Raises:
        InputError: Not a plan, one of a newer format, or changed after it was made.
        StorageError: It cannot be read.
    """
    return read_plan(read_at_most(path, PLAN_LIMIT_BYTES), file=str(path))


def _request(path: Path, holding: Holding) -> tuple[SiteRequest, KnownKey]:
    request, sealed = read_request(read_at_most(path, LIMIT_BYTES), file=str(path))
    known = holding.known_keys.require(
        sealed,
        what=f"request of {request.cluster}",
        whose=request.cluster,
        hint="compare the fingerprint with the site over another channel, then: "
        f'ferry catalog know-key "{path}" --name NAME --fingerprint "…" --catalog "{holding.root}"',
    )
    return request, known


def _sbe_manifest(path: Path, holding: Holding) -> SbeManifest:
    _, manifest = read_checked(
        read_at_most(path, XML_LIMIT_BYTES),
        file=path.name,
        origin=str(path.parent),
        now=holding.now(),
    )
    return manifest


def _check_replaceable(path: Path, mark: str) -> None:
    """Refuse to write over anything but an earlier file of the same kind."""
    with storage(f"write {path}"):
        is_ours = not path.exists() or has_mark(path, mark)
    if not is_ours:
        raise StorageError(
            f"write {path}",
            found="a file of that name that is not such a file of ferry",
            hint="choose another name; files of others are never overwritten",
        )


def _write(path: Path, text: str) -> None:
    with storage(f"write {path}"):
        write_beside(path, text.encode())
