"""How much room a trip needs at home, on the medium and at the site. Pure.

No size of a solution bundle is published, so a size is what we measured ourselves, or unknown; an unknown
one makes "cannot tell" of every answer that it could change.

Source: update-via-powershell-23h2.md (what is unpacked and copied where), Troubleshooting-Test-SystemDrive-
Free-Space.md (30 GB on C:). That an import takes three to four times the zip is inferred: the zip, its
unpacked copy, the service's own copy, and on 12.x the expanded OS image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from toolkit.model import OsTrain, SolutionVersion, human_size
from toolkit.request import SiteRequest, VolumeSpace

SYSTEM_DRIVE_BYTES = 30 << 30
EXPANSION = {OsTrain.H23: 3, OsTrain.H24: 4}
"""Times the zip, while it is imported."""


class Room(StrEnum):
    """Whether something fits."""

    ENOUGH = "enough"
    SHORT = "too little"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A sum of sizes, some of which may be unknown."""

    known_bytes: int
    unknown: tuple[str, ...] = ()
    """Names of the files whose size is unknown."""

    @classmethod
    def of(cls, sizes: Sequence[tuple[str, int | None]]) -> Total:
        """Add up (name, size)."""
        return cls(
            known_bytes=sum(size for _, size in sizes if size is not None),
            unknown=tuple(name for name, size in sizes if size is None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceNeed:
    """The room that one place needs, and has."""

    place: str
    """`home`, `medium`, or a volume with its node."""
    need_bytes: int
    """At least this much."""
    is_complete: bool
    """Whether it is all; otherwise files of unknown size come on top."""
    free_bytes: int | None
    """None: not known."""
    room: Room
    why: str


def at_least(need: SpaceNeed) -> str:
    """Return how much room a place needs, as people say it."""
    if need.is_complete:
        return human_size(need.need_bytes)
    return f"more than {human_size(need.need_bytes)}" if need.need_bytes else "not known"


def room_at_home(missing: Total, free_bytes: int | None) -> SpaceNeed:
    """Return the room for what is not held yet."""
    return _need("home", missing, free_bytes, "the payloads that the catalog does not hold yet")


def room_on_medium(all_payloads: Total) -> SpaceNeed:
    """Return the room for everything that travels."""
    return _need("medium", all_payloads, None, "every payload once, for all sites of this trip")


def room_at_site(
    request: SiteRequest, zips: Sequence[tuple[SolutionVersion, str, int | None]]
) -> tuple[SpaceNeed, ...]:
    """Return the room that the imports need on a cluster's volumes.

    Args:
        request: What the site told of its volumes.
        zips: (version, name, size) of each solution bundle, in the order of the hops.
    """
    needs = []
    if zips:
        volume = next((item for item in request.volumes if _is_infrastructure(item)), None)
        name = f"{volume.volume}{_at(volume)}" if volume else "infrastructure volume"
        needs.append(
            _need(name, _peak(zips), volume.free_bytes if volume else None, _peak_why(zips))
        )
    drives = [item for item in request.volumes if item.volume.rstrip("\\").upper() == "C:"]
    why = "30 GB must be free on C: of every node, or the readiness check stops the update"
    for drive in drives:
        needs.append(
            _need(f"C:{_at(drive)}", Total(known_bytes=SYSTEM_DRIVE_BYTES), drive.free_bytes, why)
        )
    nodes = {item.node for item in drives}
    if not drives or (request.node_count and len(nodes) < request.node_count):
        needs.append(
            _need(
                "C: of the other nodes" if drives else "C: of every node",
                Total(known_bytes=SYSTEM_DRIVE_BYTES),
                None,
                why,
            )
        )
    return tuple(needs)


def _peak(zips: Sequence[tuple[SolutionVersion, str, int | None]]) -> Total:
    """Return the most that is there at once: an import, and the service's copies of those before."""
    known = [0 if size is None else size for _, _, size in zips]
    peaks = [
        EXPANSION[version.os_train] * size + sum(known[:number])
        for number, ((version, _, _), size) in enumerate(zip(zips, known, strict=True))
    ]
    return Total(
        known_bytes=max(peaks), unknown=tuple(name for _, name, size in zips if size is None)
    )


def _peak_why(zips: Sequence[tuple[SolutionVersion, str, int | None]]) -> str:
    times = max(EXPANSION[version.os_train] for version, _, _ in zips)
    earlier = ", beside the copies of the updates before" if len(zips) > 1 else ""
    return f"about {times} times the zip while it is imported{earlier} (inferred)"


def _need(place: str, total: Total, free_bytes: int | None, why: str) -> SpaceNeed:
    room = Room.UNKNOWN
    if free_bytes is not None and total.known_bytes > free_bytes:
        room = Room.SHORT
    elif free_bytes is not None and not total.unknown:
        room = Room.ENOUGH
    return SpaceNeed(
        place=place,
        need_bytes=total.known_bytes,
        is_complete=not total.unknown,
        free_bytes=free_bytes,
        room=room,
        why=why,
    )


def _is_infrastructure(volume: VolumeSpace) -> bool:
    return "infrastructure" in volume.volume.casefold()


def _at(volume: VolumeSpace) -> str:
    return f" on {volume.node}" if volume.node else ""
