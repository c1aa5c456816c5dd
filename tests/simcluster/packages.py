"""What the update service makes of a source folder: a solution update, an SBE, or words of refusal.

Source: update-via-powershell-23h2.md, step 3 (the required files); public scripts that read
`SolutionUpdate.xml` (root, `ApplicableUpdate/UpdateInfo`). The words of refusal are our own.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

_METADATA = re.compile(r"SBE_([^_]+)_(.+)_(\d+(?:\.\d+){3})\.xml", re.IGNORECASE)


class PackageError(Exception):
    """The folder holds no package the service can take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package as its files describe it."""

    package_type: str
    version: str
    display_name: str
    files: tuple[Path, ...]
    size_in_mb: int
    publisher: str = "Microsoft"
    family: str = ""
    min_version_required: str = ""
    min_sbe_version_required: str = ""
    os_build: str = ""
    validated_for: tuple[str, ...] = ()
    """Of an SBE: `ValidatedConfigurations`, as its discovery manifest lists them."""

    @property
    def name(self) -> str:
        """`Solution<v>` or `SBE<v>`: last part of the resource id and name of the folder."""
        return f"{self.package_type}{self.version}"


def read_package(folder: Path) -> Package:
    """Read and check a source folder.

    Raises:
        PackageError: A file is missing, damaged, or says nothing of use.
    """
    if not folder.is_dir():
        raise PackageError("The source folder does not exist.")
    files = {entry.name.lower(): entry for entry in folder.iterdir() if entry.is_file()}
    manifest = files.get("solutionupdate.xml")
    if manifest is not None:
        package = _solution(manifest, files)
    elif discovery := [path for name, path in files.items() if name.startswith("sbe_discovery_")]:
        package = _sbe(discovery, files)
    else:
        raise PackageError("The source folder does not contain SolutionUpdate.xml.")
    for path in package.files:
        if path.suffix.lower() == ".zip":
            _check_zip(path)
    return package


def _solution(manifest: Path, files: dict[str, Path]) -> Package:
    root = _xml(manifest)
    info = next((one for one in _named(root, "UpdateInfo") if _value(one, "Version")), None)
    version = "" if info is None else _value(info, "Version")
    if not version or info is None:
        raise PackageError(f"{manifest.name} names no ApplicableUpdate with a Version.")
    required = ("SolutionUpdate.zip", f"AS_Update_{version}.zip")
    missing = [name for name in required if name.lower() not in files]
    if missing:
        raise PackageError(f"The source folder does not contain {' and '.join(missing)}.")
    found = (manifest, *(files[name.lower()] for name in required))
    bom = {_value(item, "Id"): _value(item, "Version") for item in _named(root, "BomItem")}
    return Package(
        package_type="Solution",
        version=version,
        display_name=_value(info, "UpdateName") or f"Solution {version}",
        files=found,
        size_in_mb=sum(path.stat().st_size for path in found) >> 20,
        min_version_required=_value(info, "MinVersionRequired"),
        min_sbe_version_required=_value(info, "MinSbeVersionRequired"),
        os_build=bom.get("OSColdpatchVersion", "").removeprefix("10.0."),
    )


def _sbe(discovery: list[Path], files: dict[str, Path]) -> Package:
    if len(discovery) > 1:
        raise PackageError("The source folder contains more than one SBE_Discovery file.")
    manifest = _xml(discovery[0])
    metadata = [path for path in files.values() if _METADATA.fullmatch(path.name)]
    if len(metadata) != 1:
        raise PackageError("The source folder does not contain one SBE metadata XML file.")
    _xml(metadata[0])
    payload = files.get(f"{metadata[0].stem}.zip".lower())
    if payload is None:
        raise PackageError(f"The source folder does not contain {metadata[0].stem}.zip.")
    parts = _METADATA.fullmatch(metadata[0].name)
    publisher, family, version = parts.groups() if parts else ("", "", "")
    return Package(
        package_type="SBE",
        version=version,
        display_name=metadata[0].stem,
        files=(discovery[0], metadata[0], payload),
        size_in_mb=payload.stat().st_size >> 20,
        publisher=publisher,
        family=family,
        validated_for=_validated(manifest, version),
    )


def _validated(manifest: Element, version: str) -> tuple[str, ...]:
    """Return the solution versions that one SBE of a discovery manifest is validated for."""
    return tuple(
        _value(package, "Version")
        for info in _named(manifest, "UpdateInfo")
        if _value(info, "Version") == version
        for configurations in _named(info, "ValidatedConfigurations")
        for package in _named(configurations, "RequiredPackage")
    )


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise PackageError(f"{path.name} is corrupt: {exc}.") from exc
    if damaged is not None:
        raise PackageError(f"{path.name} is corrupt: {damaged} has a bad checksum.")


def _xml(path: Path) -> Element:
    try:
        root: Element | None = parse(path).getroot()
    except (ParseError, DefusedXmlException, UnicodeError) as exc:
        raise PackageError(f"{path.name} cannot be read: {exc}.") from exc
    if root is None:
        raise PackageError(f"{path.name} is empty.")
    return root


def _named(root: Element, name: str) -> list[Element]:
    return [item for item in root.iter() if _local(item) == name]


def _local(item: Element) -> str:
    return str(item.tag).rpartition("}")[2]


def _value(item: Element, name: str) -> str:
    """Return a value, whether it is an attribute or a child."""
    child = next((one for one in item if _local(one) == name), None)
    return (item.get(name) or (child.text if child is not None else "") or "").strip()
