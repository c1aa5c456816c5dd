"""A request from answers that a person typed in, where nothing may be run on the cluster. Pure.

The form is a strict YAML: a key that nobody asked for or a value of the wrong kind is refused with its
key and line; a question that is not answered, or answered by `unknown`, is carried home as not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from toolkit.model import SolutionVersion, UpdateState
from toolkit.request._nouns import (
    A_NAME,
    DiscoverySource,
    EndpointReach,
    HealthSummary,
    ListedUpdate,
    Origin,
    SiteRequest,
    VolumeSpace,
    cluster_name,
    new_request,
    sbe_state_of,
)
from toolkit.request._paper import as_utf8
from toolkit.sbe import Hardware, SbeVersion
from toolkit.yamltext import Value, read_yaml, require_format

T = TypeVar("T")
Read = Callable[[str], str]

FORMAT = 1
ANSWERS = """\
# What one cluster is and needs, typed in by hand: ferry cluster request --from-file THIS.yaml
#
# Answer what you can. What you leave empty, delete or answer by `unknown` goes home as not known, which
# is better than a guess. Where a command stands, run it on a node, as the deployment (LCM) user.
format: 1

# How home will call this cluster.
cluster:

# Get-SolutionUpdateEnvironment: CurrentVersion (12.2602.1002.501), State, PackageVersions
solution_version:
update_state:
package_versions: unknown
#  Services: 12.2602.1002.501
#  Platform: 12.2602.1002.501

# Get-SolutionUpdateEnvironment: SbeFamily, CurrentSbeVersion (4.2.2512.1616; 2.1.0.0 if there is none).
# publisher: as in the names of the vendor's files, SBE_<publisher>_<family>_<version>.
# state: installed, none, not installed or partially installed (see AdditionalData).
sbe:
  publisher:
  family:
  version:
  state:

# Get-ItemProperty HKLM:\\HARDWARE\\DESCRIPTION\\System\\BIOS: SystemManufacturer, SystemProductName, SystemSKU
hardware:
  manufacturer:
  model:
  sku:
node_count:

# Get-SolutionUpdate: every update that is listed. Only version and state must be given.
# Where State is AdditionalContentRequired: SbeVersion, and AdditionalProperties (SBEFamily, SBEPublisher).
updates: unknown
#  - version: 12.2603.1002.15
#    state: AdditionalContentRequired
#    type: Solution
#    sbe_version: 4.2.2603.1
#    sbe_family: GenA
#    sbe_publisher: Contoso
#    min_version_required: 12.2510.1002.0
#    min_sbe_version_required: 2.0.0.0

# Get-SolutionDiscoveryDiagnosticInfo: SbeManifestResult (component SBE), and the same for Solution
discovery: unknown
#  - component: SBE
#    manifest_source: https://aka.ms/AzureStackSBEUpdate/Contoso
#    status: ConnectionFailure

# Get-Volume on every node; Get-ClusterSharedVolume (no node). GB as Windows means it: 1024 MB.
volumes: unknown
#  - node: node1
#    volume: "C:"
#    free: 61.5 GB
#    size: 446 GB
#  - volume: C:\\ClusterStorage\\Infrastructure_1
#    free: 180 GB
#    size: 251.9 GB

# Get-Variable ExecutionContext | Select-Object -ExpandProperty Value | Select-Object -ExpandProperty
# SessionState: LanguageMode
language_modes: unknown
#  node1: FullLanguage

# Get-SolutionUpdateEnvironment: HealthState; names of the failed checks by their severity
health:
  state:
  failed_critical: unknown
  failed_warning: unknown
#    - AzStackHci_Hardware_Test_SystemDrive_Free_Space

# Can the cluster reach this address outside? Group: Update discovery, Update download, Microsoft Update,
# ARB, AKS, Arc agent and ARM, Revocation
endpoints: unknown
#  - group: AKS
#    address: mcr.microsoft.com:443
#    reachable: no

# Is the environment variable DISCONNECTED_OPS_SUPPORT of the machines True? yes or no
disconnected_operations:
"""
"""The form to fill in: every key there is, with where its answer is found."""

_KEYS = (
    "solution_version",
    "update_state",
    "package_versions",
    "sbe",
    "hardware",
    "node_count",
    "updates",
    "discovery",
    "volumes",
    "language_modes",
    "health",
    "endpoints",
    "disconnected_operations",
)
_LANGUAGE_MODES = ("FullLanguage", "ConstrainedLanguage", "RestrictedLanguage", "NoLanguage")
_SBE_STATES = ("installed", "none", "not installed", "partially installed")
_STATES = tuple(state.value for state in UpdateState if state is not UpdateState.UNRECOGNISED)
_A_VERSION = "a version of four numbers"


def read_answers(
    data: bytes,
    *,
    site_id: str,
    cluster: str | None = None,
    file: str | None = None,
    now: datetime | None = None,
) -> SiteRequest:
    """Return the request that typed answers make.

    Args:
        data: The filled-in form.
        site_id: The site that asks.
        cluster: Which cluster it must be about, if that is known.
        file: The form's name, for error messages.
        now: When; the clock by default.

    Raises:
        InputError: Something in it cannot be understood; says file, key and line.
    """
    values = read_yaml(as_utf8(data), file=file, what="answers").record(
        ("format", "cluster"), _KEYS
    )
    require_format(values["format"], FORMAT)
    name = values["cluster"].parse(cluster_name, A_NAME)
    if cluster is not None and name.casefold() != cluster.casefold():
        raise values["cluster"].refuse(found=name, expected=f"{cluster}, as was asked for")
    form = _Form(values)
    sbe = form.part("sbe", ("publisher", "family", "version", "state"), prefix="sbe_")
    sbe_version = sbe.one("version", _sbe_version, "an SBE version like 4.2.2512.1616")
    hardware = form.part("hardware", ("manufacturer", "model", "sku"))
    health = form.part("health", ("state", "failed_critical", "failed_warning"))
    request = replace(
        new_request(name, site_id=site_id, origin=Origin.TYPED, now=now),
        solution_version=form.one("solution_version", _version, "a version like 12.2602.1002.501"),
        package_versions=form.pairs("package_versions", _dotted, _A_VERSION),
        sbe_publisher=sbe.one("publisher"),
        sbe_family=sbe.one("family"),
        sbe_version=sbe_version,
        sbe_state=sbe.one("state", *_choice(_SBE_STATES), sbe_state_of(sbe_version)),
        hardware=Hardware(
            manufacturer=hardware.one("manufacturer"),
            model=hardware.one("model"),
            sku=hardware.one("sku"),
        ),
        node_count=form.number("node_count"),
        update_state=form.one("update_state"),
        updates=form.rows("updates", _update),
        discovery=form.rows("discovery", _discovery),
        volumes=form.rows("volumes", _volume),
        language_modes=form.pairs("language_modes", *_choice(_LANGUAGE_MODES)),
        health=HealthSummary(
            state=health.one("state"),
            failed_critical=health.rows("failed_critical", Value.text),
            failed_warning=health.rows("failed_warning", Value.text),
        ),
        endpoints=form.rows("endpoints", _endpoint),
        is_disconnected_operations=form.yes_or_no(
            "disconnected_operations", "is_disconnected_operations"
        ),
    )
    return replace(request, unknown=tuple(form.unknown))


class _Form:
    """Keys that may be left empty; the empty ones are remembered by the names of the document."""

    def __init__(
        self,
        values: dict[str, Value],
        prefix: str = "",
        unknown: list[tuple[str, str]] | None = None,
    ) -> None:
        self._values = {key: item for key, item in values.items() if not item.says("", "unknown")}
        self._prefix = prefix
        self.unknown: list[tuple[str, str]] = [] if unknown is None else unknown

    def part(self, key: str, keys: tuple[str, ...], prefix: str = "") -> _Form:
        """Return the keys of a section; without the section none of them is answered."""
        values = self._values[key].record((), keys) if key in self._values else {}
        return _Form(values, prefix or f"{key}.", self.unknown)

    def one(self, key: str, read: Read = str, expected: str = "a text", default: str = "") -> str:
        """Return an answer; where a default answers the question, it is not called unknown."""
        if default and key not in self._values:
            return default
        value = self._answer(key)
        return "" if value is None else value.parse(read, expected)

    def number(self, key: str) -> int:
        return int(self.one(key, _count, "a number of nodes, 1 to 999") or 0)

    def yes_or_no(self, key: str, what: str) -> bool | None:
        value = self._answer(key, what)
        return None if value is None else _yes(value)

    def pairs(self, key: str, read: Read, expected: str) -> tuple[tuple[str, str], ...]:
        value = self._answer(key)
        rows: Iterable[tuple[str, Value]] = () if value is None else value.mapping().items()
        return tuple((name, item.parse(read, expected)) for name, item in rows)

    def rows(self, key: str, read: Callable[[Value], T]) -> tuple[T, ...]:
        value = self._answer(key)
        return () if value is None else tuple(read(item) for item in value.items())

    def _answer(self, key: str, what: str = "") -> Value | None:
        if key not in self._values:
            self.unknown.append((what or self._prefix + key, "not answered"))
        return self._values.get(key)


# --- rows ---------------------------------------------------------------------------------------


def _update(row: Value) -> ListedUpdate:
    values = row.record(
        ("version", "state"),
        (
            "type",
            "sbe_version",
            "sbe_family",
            "sbe_publisher",
            "min_version_required",
            "min_sbe_version_required",
        ),
    )

    def version_of(key: str) -> str:
        return values[key].parse(_dotted, _A_VERSION) if key in values else ""

    version = version_of("version")
    kind = values["type"].parse(*_choice(("Solution", "SBE"))) if "type" in values else "Solution"
    return ListedUpdate(
        resource_id=f"{kind}{version}",
        version=version,
        state=values["state"].parse(*_choice(_STATES)),
        package_type=kind,
        sbe_version=version_of("sbe_version"),
        sbe_family=_optional(values, "sbe_family"),
        sbe_publisher=_optional(values, "sbe_publisher"),
        min_version_required=version_of("min_version_required"),
        min_sbe_version_required=version_of("min_sbe_version_required"),
    )


def _discovery(row: Value) -> DiscoverySource:
    values = row.record(("component", "status"), ("manifest_source", "description"))
    return DiscoverySource(
        component=values["component"].parse(*_choice(("Solution", "SBE"))),
        status=values["status"].text(),
        manifest_source=_optional(values, "manifest_source"),
        description=_optional(values, "description"),
    )


def _volume(row: Value) -> VolumeSpace:
    values = row.record(("volume", "free", "size"), ("node",))
    free, size = (values[key].parse(_bytes, "a size like 61.5 GB") for key in ("free", "size"))
    if free > size:
        raise values["free"].refuse(
            found=values["free"].text(), expected=f"at most {values['size'].text()}, its size"
        )
    return VolumeSpace(
        node=_optional(values, "node"),
        volume=values["volume"].text(),
        free_bytes=free,
        size_bytes=size,
    )


def _endpoint(row: Value) -> EndpointReach:
    values = row.record(("address", "reachable"), ("group",))
    return EndpointReach(
        group=_optional(values, "group"),
        address=values["address"].parse(_address, "host:port"),
        is_reachable=_yes(values["reachable"]),
    )


# --- values -------------------------------------------------------------------------------------


def _optional(values: dict[str, Value], key: str) -> str:
    return values[key].text() if key in values else ""


def _choice(known: Sequence[str]) -> tuple[Read, str]:
    def read(text: str) -> str:
        for one in known:
            if one.lower() == text.lower():
                return one
        raise ValueError(text)

    return read, f"one of {', '.join(known)}"


def _yes(value: Value) -> bool:
    read, expected = _choice(("yes", "no", "true", "false"))
    return value.parse(read, expected) in ("yes", "true")


def _version(text: str) -> str:
    return str(SolutionVersion.parse(text))


def _sbe_version(text: str) -> str:
    return str(SbeVersion.parse(text))


def _dotted(text: str) -> str:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){3}", text, re.ASCII):
        raise ValueError(text)
    return text


def _count(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,2}", text, re.ASCII):
        raise ValueError(text)
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}:\d{1,5}", text, re.ASCII):
        raise ValueError(text)
    return text


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) ?([KMGT]?)i?B", text, re.ASCII | re.IGNORECASE)
    if found is None:
        raise ValueError(text)
    return int(float(found[1]) * (1 << 10 * " KMGT".index(found[2].upper() or " ")))
