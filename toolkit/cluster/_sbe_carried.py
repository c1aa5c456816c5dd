"""The SBEs on a medium: three files each, and what their vendor's discovery manifest says of them.

Source: update-via-powershell-23h2.md (the three files).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from toolkit.errors import InputError
from toolkit.model import (
    PayloadKind,
    Progress,
    Silent,
    Target,
    TargetName,
)
from toolkit.sbe import (
    DISCOVERY_NAME,
    Sbe,
    describe_sbe,
    sbe_named,
)
from toolkit.xmltext import LIMIT_BYTES


class TargetSource(Protocol):
    """What is needed of a verified medium."""

    def targets(self) -> tuple[Target, ...]:
        """Return every target of the medium."""

    def copy_target(self, name: TargetName, sink: BinaryIO, *, progress: Progress) -> None:
        """Copy one target, proving every byte on the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedSbe:
    """One SBE on a medium: what its vendor says of it, and its three files."""

    sbe: Sbe
    files: tuple[Target, ...]


def carried_sbes(medium: TargetSource) -> tuple[CarriedSbe, ...]:
    """Return every SBE on a medium, by its vendor's own discovery manifest.

    Raises:
        InputError: Not the three files that belong together, or a manifest that cannot be understood.
        TrustError: The discovery manifest on the medium is not the signed one.
        StorageError: It cannot be read.
    """
    folders: dict[str, list[Target]] = {}
    for target in medium.targets():
        if target.kind is PayloadKind.SBE:
            folders.setdefault(target.name.rpartition("/")[0], []).append(target)
    return tuple(carried for files in folders.values() for carried in _carried(medium, files))


def _carried(medium: TargetSource, files: Sequence[Target]) -> Iterator[CarriedSbe]:
    """Return the SBEs whose files lie in one folder."""
    discovery = [target for target in files if DISCOVERY_NAME.match(_file_name(target))]
    pairs: dict[str, list[Target]] = {}
    for target in sorted(set(files) - set(discovery), key=lambda item: item.name):
        pairs.setdefault(_file_name(target).rpartition(".")[0].casefold(), []).append(target)
    for pair in pairs.values():
        named = sbe_named(_file_name(pair[0]))
        endings = sorted(_file_name(target).rpartition(".")[2].lower() for target in pair)
        if named is None or endings != ["xml", "zip"] or len(discovery) != 1:
            raise InputError(
                "read the SBE on the medium",
                found=", ".join(_file_name(target) for target in files),
                expected="SBE_Discovery_<vendor>.xml and the .xml and .zip of one SBE",
                hint="have the medium written again with all three files",
            )
        yield CarriedSbe(sbe=_as_listed(medium, discovery[0], named), files=(*pair, discovery[0]))


def _as_listed(medium: TargetSource, discovery: Target, named: Sbe) -> Sbe:
    if discovery.size_bytes > LIMIT_BYTES:
        raise InputError(
            "read the SBE on the medium",
            file=_file_name(discovery),
            found=f"{discovery.size_bytes} bytes",
            expected=f"at most {LIMIT_BYTES}",
            hint="have the medium written again with the discovery manifest as its vendor publishes it",
        )
    sink = io.BytesIO()
    medium.copy_target(discovery.name, sink, progress=Silent())
    return describe_sbe(named, sink.getvalue(), file=_file_name(discovery))


def _file_name(target: Target) -> str:
    return target.name.rpartition("/")[2]
