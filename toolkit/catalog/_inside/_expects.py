"""What an update's archive must hold and where a cluster expands it: by its published name. Pure.

Source: update-via-powershell-23h2.md, step 3 (the files of an update and their names); of
Azure/AzureLocal-Supportability: Update-preparation-fails-Could-not-find-part-of-the-file-path.md (the
service's copy, the expanded platform payload and its long paths),
Solution-builder-extension-deploy-scenarios.md (where an SBE is expanded). The layout of a published
bundle is not documented, so members are looked for in every folder of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from toolkit.xmltext import read_xml

METADATA = "SolutionUpdate.xml"
XML_LIMIT_BYTES = 1 << 20
"""Published manifests have tens of KB; the elements of this many bytes take a few ten MiB."""
_SHARE = r"C:\ClusterStorage\Infrastructure_1\Shares\SU1_Infrastructure_1"


def _form(text: str) -> re.Pattern[str]:
    return re.compile(text + r"\Z", re.IGNORECASE | re.ASCII)


_VERSION = r"(\d+(?:\.\d+){3})"
_BUNDLE = _form(rf"CombinedSolutionBundle\.{_VERSION}\.zip")
_VENDOR = _form(r"Bundle_SBE_.+\.zip")  # Dell's name for it
_SERVICES = _form(r"SolutionUpdate\.zip")
_PLATFORM = _form(rf"AS_Update_{_VERSION}\.zip")
_SBE = _form(rf"SBE_[^_]+_.+_{_VERSION}\.zip")


class ZipKind(StrEnum):
    """What an archive is for, which says what it must hold and where it is expanded."""

    SOLUTION_BUNDLE = "solution-bundle"
    SBE = "sbe"
    """The payload of a Solution Builder Extension."""
    VENDOR = "vendor"
    """A hardware vendor's archive around the three files of an SBE."""
    OTHER = "other"


_DOCUMENTED: Mapping[ZipKind, Mapping[str, re.Pattern[str]]] = {
    ZipKind.SOLUTION_BUNDLE: {
        METADATA: _form(re.escape(METADATA)),
        "SolutionUpdate.zip": _SERVICES,
        "AS_Update_<version>.zip": _PLATFORM,
    },
    ZipKind.VENDOR: {
        "SBE_<manufacturer>_<family>_<version>.zip": _SBE,
        "SBE_<manufacturer>_<family>_<version>.xml": _form(rf"SBE_[^_]+_.+_{_VERSION}\.xml"),
        "SBE_Discovery_<manufacturer>.xml": _form(r"SBE_Discovery_[A-Za-z0-9-]+\.xml"),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expects:
    """What an archive is said to be."""

    kind: ZipKind
    version: str = ""
    """The version in its name; empty if it has none."""

    @classmethod
    def of(cls, name: str) -> Expects:
        """Read it from the published file name."""
        if found := _BUNDLE.match(name):
            return cls(kind=ZipKind.SOLUTION_BUNDLE, version=found[1])
        if _VENDOR.match(name):
            return cls(kind=ZipKind.VENDOR)
        if found := _SBE.match(name):
            return cls(kind=ZipKind.SBE, version=found[1])
        return cls(kind=ZipKind.OTHER)

    @property
    def documented(self) -> Mapping[str, re.Pattern[str]]:
        """The members it is documented to have, by what people call them."""
        return _DOCUMENTED.get(self.kind, {})

    @property
    def root(self) -> str:
        """The longest folder that its members are put into on a cluster; empty where none is known.

        A bundle is expanded below `import` and copied by the service; the copy's path is the longer one.
        """
        if self.kind is ZipKind.SOLUTION_BUNDLE:
            return rf"{_SHARE}\Updates\Packages\Solution{self.version}"
        return rf"{_SHARE}\CloudMedia\SBE\Installed\Content" if self.kind is ZipKind.SBE else ""

    def root_within(self, member: str) -> str | None:
        """Return the folder that an archive inside this one is expanded into.

        Returns:
            Empty if it is not known; None for an archive that is not one of the documented ones.
        """
        if self.kind is ZipKind.SOLUTION_BUNDLE:
            if _PLATFORM.match(member):
                return rf"{self.root}\Platform"
            return "" if _SERVICES.match(member) else None
        return (
            Expects.of(member).root if self.kind is ZipKind.VENDOR and _SBE.match(member) else None
        )


def stated_versions(data: bytes) -> tuple[str, ...]:
    """Return the versions of the applicable updates in `SolutionUpdate.xml`, each once.

    Attributes and child elements are taken alike: the schema is known only from
    public scripts, which read `ApplicableUpdate` and its `UpdateInfo` with `Version`.

    Raises:
        InputError: No XML, or one with entities.
    """
    root = read_xml(data, attempted="read the metadata of an update", file=None)
    found = (
        value.strip()
        for update in root.named("ApplicableUpdate")
        for element in (
            update,
            *(child for child in update.children if child.name.casefold() == "updateinfo"),
        )
        for name, value in element.facts()
        if name.casefold() == "version"
    )
    return tuple(dict.fromkeys(filter(None, found)))
