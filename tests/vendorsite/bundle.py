"""Files as the vendors publish them, at any size: a solution bundle, and the three files of an SBE.

Member names follow Microsoft's update pages; the XML follows the part of its schema that public
scripts read (root `ASZSolutionBundleUpdates`, `ApplicableUpdate/UpdateInfo`, `BomItem`). Where the
published pages leave a choice open (attribute or element, the names inside `ValidatedConfigurations`),
this generator picks one; no reader may depend on that choice.

The same arguments give the same bytes on every machine: time stamps are fixed, the payload comes from
a seeded generator and is stored, so it does not compress.
"""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

_CHUNK_BYTES = 1 << 20
_FIRST_RELEASE = {1001: 2504, 1002: 2510, 1003: 2604}
"""Feature train (third number of a version) -> its first month."""
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)
_OVERHEAD_BYTES = 4096
"""About what headers, metadata and the services payload take of a bundle."""
_REVISIONS = 32098
"""Revision of Windows before the first build: so 12.2603.1002.901 brings what `tests.stage` declares."""


def make_bundle(folder: Path, version: str, *, size_bytes: int, seed: int = 0) -> Path:
    """Write `CombinedSolutionBundle.<version>.zip` of about `size_bytes` into `folder`.

    Source: update-via-powershell-23h2.md, step 3 (member names).
    """
    path = folder / f"CombinedSolutionBundle.{version}.zip"
    payload_bytes = max(0, size_bytes - _OVERHEAD_BYTES)
    with zipfile.ZipFile(path, "w", allowZip64=True) as bundle:
        bundle.writestr(_entry("SolutionUpdate.xml"), solution_update_xml(version, size_bytes))
        with bundle.open(_entry("SolutionUpdate.zip"), "w", force_zip64=True) as member:
            _inner_zip(member, {"Services/Services.nuspec": [version.encode()]})
        with bundle.open(_entry(f"AS_Update_{version}.zip"), "w", force_zip64=True) as member:
            _inner_zip(
                member, {"Platform/OsUpdate.msu": _noise(payload_bytes, f"{version}/{seed}")}
            )
    return path


def solution_update_xml(version: str, size_bytes: int) -> bytes:
    """Return the discovery manifest of a solution update.

    `MinVersionRequired` is the lowest version it may start from; that its element is called like the
    property of `Get-SolutionUpdate` is our reading.
    """
    product, release, train, build = (int(part) for part in version.split("."))
    os_build = f"10.0.{26100 if product == 12 else 25398}.{_REVISIONS + build}"
    root = ET.Element("ASZSolutionBundleUpdates")
    update = ET.SubElement(root, "ApplicableUpdate", Version=version)
    _texts(
        ET.SubElement(update, "UpdateInfo"),
        UpdateName=f"20{release // 100:02}.{release % 100:02} Cumulative Update",
        Version=version,
        MinVersionRequired=_lowest_start(product, release, train),
        MinSbeVersionRequired="2.0.0.0",
        PackageSizeInMb=str(size_bytes >> 20),
    )
    platform = ET.SubElement(
        ET.SubElement(update, "BillOfMaterials"), "BomItem", Id="PlatformUpdate", Version=version
    )
    ET.SubElement(platform, "BomItem", Id="OSColdpatchVersion", Version=os_build)
    services = ET.SubElement(ET.SubElement(root, "PackageMetadata"), "ServicesUpdates")
    _texts(
        ET.SubElement(ET.SubElement(services, "Update"), "UpdateInfo"),
        UpdateName="Services",
        Version=version,
    )
    return _xml(root)


@dataclass(frozen=True)
class SbeEntry:
    """One SBE as a discovery manifest lists it."""

    manufacturer: str
    family: str
    version: str
    models: tuple[tuple[str, str, str], ...] = ()
    """(model, `SupportedSKUs`, `NotSupportedSKUs`)."""
    package_hash: str = ""
    validated: tuple[str, ...] = ("10.*.*.*", "11.*.*.*", "12.*.*.*")
    facts: tuple[tuple[str, str], ...] = ()
    """What else it says: `SBEReleaseLink`, `MinVersionRequired` …"""
    is_recalled: bool = False


def sbe_discovery_xml(
    entries: Iterable[SbeEntry], *, attributes: bool = False, namespace: str = ""
) -> bytes:
    """Return `SBE_Discovery_<Manufacturer>.xml`, its facts as elements or as attributes."""
    root = ET.Element("ASZSolutionBundleUpdates", {"xmlns": namespace} if namespace else {})
    for entry in entries:
        name = "RecalledUpdate" if entry.is_recalled else "ApplicableUpdate"
        update = ET.SubElement(root, name, Version=entry.version)
        info = ET.SubElement(update, "UpdateInfo")
        facts = {
            "UpdateName": f"SBE_{entry.manufacturer}_{entry.family}_{entry.version}",
            "Version": entry.version,
            "Publisher": entry.manufacturer,
            "Family": entry.family,
            "packageHash": entry.package_hash,
            **dict(entry.facts),
        }
        written = {key: value for key, value in facts.items() if value}
        if attributes:
            info.attrib.update(written)
        else:
            _texts(info, **written)
        models = ET.SubElement(info, "SupportedModels")
        for model, skus, excluded in entry.models:
            limits = {"SupportedSKUs": skus, "NotSupportedSKUs": excluded}
            limits = {key: value for key, value in limits.items() if value}
            ET.SubElement(models, "SupportedModel", limits).text = model
        validated = ET.SubElement(info, "ValidatedConfigurations")
        for versions in entry.validated:
            ET.SubElement(validated, "RequiredPackage", Version=versions)
    return _xml(root)


def make_sbe(
    folder: Path,
    manufacturer: str,
    family: str,
    version: str,
    *,
    supported_model: str,
    others: Iterable[SbeEntry] = (),
    attributes: bool = False,
    namespace: str = "",
    base64_hash: bool = False,
    validated: tuple[str, ...] = SbeEntry.validated,
    facts: Mapping[str, str] | None = None,
    sign: Callable[[bytes], bytes] = bytes,
) -> tuple[Path, Path, Path]:
    """Write the three files of a Solution Builder Extension; return (discovery, metadata, payload).

    Args:
        folder: Where.
        manufacturer: Its vendor.
        family: The family it is for.
        version: Its version.
        supported_model: The one model it is for.
        others: Further entries of the discovery manifest, after this one.
        attributes: Facts of the discovery manifest as attributes instead of elements.
        namespace: The default namespace of the discovery manifest.
        base64_hash: `packageHash` in base64 instead of hex.
        validated: Solution versions it was validated for.
        facts: Further facts of its entry.
        sign: Signs both XML files.

    Source: Solution-builder-extension-overview.md and Troubleshooting-SBEHealth-Test-Endpoint-
    Matches-ModelSKU.md (file names, `packageHash`, `SupportedModels`, `ValidatedConfigurations`).
    """
    name = f"SBE_{manufacturer}_{family}_{version}"
    payload = folder / f"{name}.zip"
    with zipfile.ZipFile(payload, "w", allowZip64=True) as archive:
        archive.writestr(_entry("CAUPlugins/PreUpdateScript.ps1"), "exit 0\r\n")
        archive.writestr(
            _entry("Configuration/SolutionExtension/SolutionExtension.psd1"),
            f"@{{ ModuleVersion = '{version}' }}\r\n",
        )
    metadata = folder / f"{name}.xml"
    metadata.write_bytes(sign(sbe_metadata_xml(payload, manufacturer, family, version)))
    digest = hashlib.sha256(payload.read_bytes())
    entry = SbeEntry(
        manufacturer,
        family,
        version,
        models=((supported_model, "", ""),),
        package_hash=(
            base64.b64encode(digest.digest()).decode()
            if base64_hash
            else digest.hexdigest().upper()
        ),
        validated=validated,
        facts=tuple((facts or {}).items()),
    )
    discovery = folder / f"SBE_Discovery_{manufacturer}.xml"
    text = sbe_discovery_xml([entry, *others], attributes=attributes, namespace=namespace)
    discovery.write_bytes(sign(text))
    return discovery, metadata, payload


def sbe_metadata_xml(payload: Path, manufacturer: str, family: str, version: str) -> bytes:
    """Return the metadata of an SBE: whose it is, and its files with their hashes."""
    bom = ET.Element("SolutionBuilderExtension")
    _texts(bom, Manufacturer=manufacturer, Family=family, Version=version)
    with zipfile.ZipFile(payload) as archive:
        files = ET.SubElement(bom, "Files")
        for member in archive.namelist():
            ET.SubElement(
                files, "File", Path=member, Sha256=hashlib.sha256(archive.read(member)).hexdigest()
            )
    return _xml(bom)


def make_outer_zip(
    path: Path, files: Iterable[Path], *, sub_folder: str = "", compress: bool = False
) -> Path:
    """Write the zip in which a vendor hands out the files of an SBE: `Bundle_SBE_Dell_….zip`."""
    with zipfile.ZipFile(path, "w", allowZip64=True) as outer:
        for file in files:
            entry = _entry(f"{sub_folder}/{file.name}" if sub_folder else file.name)
            entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            outer.writestr(entry, file.read_bytes())
    return path


def _lowest_start(product: int, release: int, train: int) -> str:
    """Return the first build of the feature train, as in the published sample (2408.2.7: 2408.0.0).

    A feature build itself starts from the month before; 12.2510 also from 11.2510.
    """
    first = _FIRST_RELEASE.get(train, release)
    if release > first or train < 1000:
        return f"{product}.{first:04}.0.0"
    return "11.2510.0.0" if (product, release) == (12, 2510) else f"{product}.{release - 1:04}.0.0"


def _noise(size_bytes: int, seed: str) -> Iterator[bytes]:
    generator = random.Random(seed)
    while size_bytes > 0:
        chunk = generator.randbytes(min(size_bytes, _CHUNK_BYTES))
        size_bytes -= len(chunk)
        yield chunk


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)  # stored, not compressed
    entry.create_system = 3  # else the bytes would differ on Windows
    return entry


def _inner_zip(stream: IO[bytes], members: dict[str, list[bytes] | Iterator[bytes]]) -> None:
    with zipfile.ZipFile(stream, "w", allowZip64=True) as inner:
        for name, chunks in members.items():
            with inner.open(_entry(name), "w", force_zip64=True) as member:
                for chunk in chunks:
                    member.write(chunk)


def _texts(parent: ET.Element, **values: str) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = value


def _xml(root: ET.Element) -> bytes:
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data
