"""What is asked about that which an update needs besides its payload."""

from __future__ import annotations

from toolkit.cluster._cmdlets import building, reading
from toolkit.cluster._sbe_foresight import NeededSbe
from toolkit.model import Cmdlet, Command, Plain, ResourceId


def sbe_asked_for(resource_id: ResourceId) -> Command[NeededSbe]:
    """Read which SBE a listed update asks for, and what its vendor says of it.

    Source: solution-builder-extension.md (`SbeVersion` and `AdditionalProperties` of an update that needs one).
    """
    stage = Cmdlet("Get-SolutionUpdate", (("Id", resource_id),))
    return Command(
        pipeline=(stage, building.select(["SbeVersion", "AdditionalProperties"])),
        parse=lambda reply: _needed(reading.only(reply, stage)),
    )


def _needed(row: dict[str, Plain]) -> NeededSbe:
    said = dict(reading.pairs(row.get("AdditionalProperties")))
    return NeededSbe(
        publisher=said.get("SBEPublisher", ""),
        family=said.get("SBEFamily", ""),
        version=reading.text(row, "SbeVersion"),
        release_link=said.get("SBEReleaseLink", ""),
        notify_message=said.get("SBENotifyMessage", ""),
    )
