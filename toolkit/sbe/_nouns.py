"""Solution Builder Extensions as nouns: versions, machines, and one released SBE. Pure.

Source: Solution-builder-extension-overview.md (Azure/AzureLocal-Supportability).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from toolkit.model import Sha256


@total_ordering
@dataclass(frozen=True, slots=True)
class SbeVersion:
    """An SBE version, four whole numbers `4.2.2506.1600`, ordered as .NET orders versions."""

    parts: tuple[int, int, int, int]

    @classmethod
    def parse(cls, text: str) -> SbeVersion:
        """Read a full SBE version.

        Raises:
            ValueError: Not four whole numbers.
        """
        found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})", text.strip(), re.ASCII)
        if found is None:
            raise ValueError(f"{text!r} is not an SBE version of the form 4.2.2506.1600")
        first, second, third, fourth = map(int, found.groups())
        return cls((first, second, third, fourth))

    @classmethod
    def read(cls, text: str) -> SbeVersion | None:
        """Return the version that `text` says in full, or None if it says none."""
        try:
            return cls.parse(text)
        except ValueError:
            return None

    def __lt__(self, other: SbeVersion) -> bool:
        """Order by the four numbers."""
        return self.parts < other.parts

    def __str__(self) -> str:
        """Return the published spelling."""
        return ".".join(map(str, self.parts))


NO_SBE = SbeVersion((2, 1, 0, 0))
"""What a cluster reports that has no SBE at all."""
UNINSTALLED_SBE = SbeVersion((4, 0, 0, 0))
"""What a cluster reports whose SBE was there at deployment but was never installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a cluster's machines are, as their firmware says; empty where nobody could tell."""

    manufacturer: str = ""
    model: str = ""
    sku: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedModel:
    """One model an SBE is made for, and the SKUs it is restricted to."""

    model: str
    skus: tuple[str, ...] = ()
    """Only these; empty: every SKU."""
    excluded_skus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sbe:
    """One released SBE, as its vendor's discovery manifest lists it."""

    publisher: str
    family: str
    version: SbeVersion
    models: tuple[SupportedModel, ...] = ()
    validated_for: tuple[str, ...] = ()
    """Solution versions it was validated with, as patterns: `10.2408.*.*`; empty: not said."""
    package_sha256: Sha256 | None = None
    """`packageHash` of its zip, if it can be read as a SHA-256."""
    package_hash: str = ""
    """`packageHash` as the vendor wrote it; empty: none."""
    digests: tuple[Sha256, ...] = ()
    """Everything in its entry that can be a SHA-256, under whatever name."""
    package_size_mb: int | None = None
    urls: tuple[tuple[str, str], ...] = ()
    """(file name, https address) of each of its files that its entry says where to get."""
    release_link: str = ""
    notify_message: str = ""
    """What the vendor wants operators to read (`SBENotifyMessage`)."""
    min_solution_version: str = ""
    """`MinVersionRequired`."""
    min_sbe_version: str = ""
    """`MinSbeVersionRequired`."""
    is_recalled: bool = False

    @property
    def title(self) -> str:
        """How people name it, and the beginning of its files' names."""
        return f"SBE_{self.publisher}_{self.family}_{self.version}"

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """(file name, address) of metadata and package, where its entry names both; else nothing."""
        found: dict[str, tuple[str, str]] = {}
        for name, url in self.urls:
            named = sbe_named(name)
            if named and (named.family.casefold(), named.version) == (
                self.family.casefold(),
                self.version,
            ):
                found.setdefault(name[-4:].lower(), (name, url))
        pair = tuple(found[ending] for ending in (".xml", ".zip") if ending in found)
        same = len({name[:-4].casefold() for name, _ in pair}) == 1
        return pair if same and len(pair) > 1 else ()


_FILE = re.compile(
    r"SBE_([^_]+)_(.+)_(\d{1,9}(?:\.\d{1,9}){3})(?:\.(?:xml|zip))?\Z", re.ASCII | re.IGNORECASE
)


def sbe_named(name: str) -> Sbe | None:
    """Return what a file name `SBE_<publisher>_<family>_<version>.zip` says, or None if it is no such name.

    Nothing but the name is known of it then: no models, no validated versions.

    Source: update-via-powershell-23h2.md, step 3 (file names).
    """
    found = _FILE.match(name)
    if found is None:
        return None
    return Sbe(publisher=found[1], family=found[2], version=SbeVersion.parse(found[3]))
