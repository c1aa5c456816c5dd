"""Commands that read how nodes and cluster are set up, and who installed what. Pure; nothing is changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import INFRASTRUCTURE_SHARE, building, reading
from toolkit.errors import InputError
from toolkit.model import Cmdlet, Command, Plain
from toolkit.xmltext import Element, read_xml

MODULES = (
    "Az.Accounts",
    "Az.Attestation",
    "Az.ConnectedMachine",
    "Az.Resources",
    "Az.StackHCI",
    "Az.Storage",
    "AzStackHci.EnvironmentChecker",
)
"""PowerShell modules that an update brings, and people are tempted to bring first.

Source: about-updates-23h2.md; Solution-Update-EvalTVMFlow-UpdateArbAndExtensions.md.
"""

_MODULES_FOLDER = PureWindowsPath(r"C:\Program Files\WindowsPowerShell\Modules")
_WINDOWS_VERSION = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_AUTOMATIC_UPDATES = r"HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU"
_UPDATE_AGENT = "Microsoft-Windows-WindowsUpdateClient"
_INSTALLED = 19
_MOST_EVENTS = 1000
_CAU_ROLE = "ClusterAwareUpdatingResource"
_NUMBER = re.compile(r"[0-9]{1,9}")
_KB = re.compile(r"KB\d{6,8}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Culture:
    """How a node writes numbers and dates."""

    name: str
    decimal_separator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsSettings:
    """What the registry says of Windows itself."""

    build: str
    """Build and revision: `26100.32370`."""
    no_auto_update: str
    """The policy `NoAutoUpdate` as it stands there; empty: not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledUpdate:
    """One update that the Windows Update agent of a node says it installed."""

    at: datetime
    title: str

    @property
    def kbs(self) -> frozenset[str]:
        """The numbers that its title names: `KB5066780`."""
        return frozenset(found.upper() for found in _KB.findall(self.title))


@dataclass(frozen=True, slots=True, kw_only=True)
class CauReport:
    """One finished CAU run, as its report tells it."""

    run_id: str
    plugin: str
    """Several are joined by commas."""
    status: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """One `.msu` of the package that the cluster holds."""

    kbs: frozenset[str]
    is_dotnet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Disc:
    """A disc image in the drive of a virtual machine."""

    vm: str
    path: str


# --- one node -----------------------------------------------------------------------------------


def time_zone() -> Command[str]:
    """Read a node's time zone by its id."""
    return _named("Get-TimeZone", "Id")


def culture() -> Command[Culture]:
    """Read how a node writes numbers and dates for this account."""
    stage = Cmdlet("Get-Culture")
    return Command(
        pipeline=(stage, building.select(["Name", "NumberFormat"])),
        parse=lambda reply: _culture(reading.only(reply, stage)),
    )


def ui_culture() -> Command[str]:
    """Read the display language of a node for this account."""
    return _named("Get-UICulture", "Name")


def system_locale() -> Command[str]:
    """Read the locale that a node takes for programs without Unicode."""
    return _named("Get-WinSystemLocale", "Name")


def home_location() -> Command[str]:
    """Read the region of a node for this account by its number: `244`."""
    return _named("Get-WinHomeLocation", "GeoId")


def hotfixes() -> Command[tuple[str, ...]]:
    """Read which hotfixes Windows lists as installed, each once: `KB5066780`."""
    name = "Get-HotFix"
    return Command(
        pipeline=(Cmdlet(name), building.select(["HotFixID"])),
        parse=lambda reply: tuple(
            sorted(
                {reading.text(reading.row(item, name), "HotFixID").upper() for item in reply} - {""}
            )
        ),
    )


def modules() -> Command[tuple[str, ...]]:
    """Read which versions of `MODULES` are installed: `Az.Accounts 3.0.3`.

    By their folders: importing one of them in a session stops a later update.

    Source: Update-fails-at-VersionControl-UpdatePowerShellModules.md.
    """
    paths: list[Plain] = [str(_MODULES_FOLDER / name / "*") for name in MODULES]
    parameters = (("Path", paths), ("Directory", None), ("ErrorAction", "SilentlyContinue"))
    return Command(
        pipeline=(Cmdlet("Get-ChildItem", parameters), building.select(["FullName"])),
        parse=_modules,
    )


def windows() -> Command[WindowsSettings]:
    """Read the build of Windows, and whether its own updates are switched off by policy.

    Source: cluster-aware-updating-requirements.md (`NoAutoUpdate`).
    """
    keys: list[Plain] = [_WINDOWS_VERSION, _AUTOMATIC_UPDATES]
    parameters = (("LiteralPath", keys), ("ErrorAction", "SilentlyContinue"))
    values = ["CurrentBuildNumber", "UBR", "NoAutoUpdate"]
    return Command(
        pipeline=(Cmdlet("Get-ItemProperty", parameters), building.select(values)), parse=_windows
    )


def installed_by_windows_update() -> Command[tuple[InstalledUpdate, ...]]:
    """Read what the Windows Update agent installed, newest first, as far as the event log goes back.

    `wevtutil` prints the arguments of each event, which are the same in every language, and prints
    nothing where there is none; `Get-WinEvent` calls that an error.
    """
    query = f"*[System[Provider[@Name='{_UPDATE_AGENT}'] and EventID={_INSTALLED}]]"
    arguments = ["qe", "System", f"/q:{query}", "/f:XML", "/rd:true", f"/c:{_MOST_EVENTS}"]
    return Command(pipeline=(building.program("wevtutil.exe", arguments),), parse=_installed)


def attack_surface_rules() -> Command[dict[str, str]]:
    """Read the attack surface reduction rules of Defender: rule, in lower case, and its action."""
    stage = Cmdlet("Get-MpPreference")
    names = ["AttackSurfaceReductionRules_Ids", "AttackSurfaceReductionRules_Actions"]
    return Command(
        pipeline=(stage, building.select(names)),
        parse=lambda reply: _rules(reading.only(reply, stage), *names),
    )


def vm_discs() -> Command[tuple[Disc, ...]]:
    """Read which disc images are in drives of the virtual machines that a node runs."""
    name = "Get-VMDvdDrive"
    return Command(
        pipeline=(Cmdlet(name, (("VMName", "*"),)), building.select(["VMName", "Path"])),
        parse=lambda reply: tuple(
            Disc(vm=reading.text(row, "VMName"), path=path)
            for row in (reading.row(item, name) for item in reply)
            if (path := reading.text(row, "Path"))
        ),
    )


# --- the cluster --------------------------------------------------------------------------------


def cau_reports(cluster: str) -> Command[tuple[CauReport, ...]]:
    """Read the finished CAU runs with the plug-ins they used, newest first.

    Source: Get-CauReport (ClusterAwareUpdating);
    OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md (`Plugin`).
    """
    name = "Get-CauReport"
    return Command(
        pipeline=(
            Cmdlet(name, (("ClusterName", cluster), ("Detailed", None))),
            building.select(["Plugin", "ClusterResult"]),
        ),
        parse=lambda reply: _reports([reading.row(item, name) for item in reply]),
        timeout_s=300,
    )


def cau_role_is_installed() -> Command[bool]:
    """Ask whether there is a CAU role; only then `cau_role` tells how the cluster updates by itself.

    Compared by `-Like`, which takes the type of a resource as text.

    Source: clusapi.h (`CLUS_RESTYPE_NAME_CAU`).
    """
    where = (("Property", "ResourceType"), ("Like", None), ("Value", _CAU_ROLE))
    return Command(
        pipeline=(
            Cmdlet("Get-ClusterResource"),
            Cmdlet("Where-Object", where),
            building.select(["Name"]),
        ),
        parse=bool,
    )


def cau_role(cluster: str) -> Command[dict[str, str]]:
    """Read the settings of the CAU role by their names.

    Source: OS-update-automatically-set-to-run-on-3rd-Tuesday-following-SBE-update.md.
    """
    name = "Get-CauClusterRole"
    return Command(
        pipeline=(
            Cmdlet(name, (("ClusterName", cluster),)),
            building.select(["Name", "Value"]),
        ),
        parse=lambda reply: {
            reading.text(row, "Name"): _joined(row.get("Value"))
            for row in (reading.row(item, name) for item in reply)
        },
    )


def package_files() -> Command[tuple[PackageFile, ...]]:
    """Read which `.msu` files the package of the update service holds; none where it holds no package.

    Source: CauPostVersionCheck-2510-23H2.md (their folders).
    """
    parameters: tuple[tuple[str | None, Plain], ...] = (
        ("LiteralPath", str(INFRASTRUCTURE_SHARE / "CloudMedia")),
        ("Recurse", None),
        ("Filter", "*.msu"),
        ("ErrorAction", "SilentlyContinue"),
    )
    name = "Get-ChildItem"
    return Command(
        pipeline=(Cmdlet(name, parameters), building.select(["FullName"])),
        parse=lambda reply: tuple(
            PackageFile(
                kbs=frozenset(found.upper() for found in _KB.findall(path)),
                is_dotnet="\\dotnet\\" in path.lower(),
            )
            for path in (reading.text(reading.row(item, name), "FullName") for item in reply)
        ),
        timeout_s=300,
    )


# --- reading ------------------------------------------------------------------------------------


def _named(cmdlet: str, name: str) -> Command[str]:
    """Read the one property that names a setting."""
    stage = Cmdlet(cmdlet)
    return Command(
        pipeline=(stage, building.select([name])),
        parse=lambda reply: _said(reading.only(reply, stage), name, cmdlet),
    )


def _said(row: dict[str, Plain], name: str, cmdlet: str) -> str:
    text = reading.text(row, name).strip()
    if not text:
        raise InputError(f"read the reply of {cmdlet}", found=f"no {name}", expected="one")
    return text


def _culture(row: dict[str, Plain]) -> Culture:
    numbers = row.get("NumberFormat")
    return Culture(
        name=_said(row, "Name", "Get-Culture"),
        decimal_separator=_said(
            numbers if isinstance(numbers, dict) else {}, "NumberDecimalSeparator", "Get-Culture"
        ),
    )


def _modules(reply: tuple[Plain, ...]) -> tuple[str, ...]:
    paths = [
        PureWindowsPath(reading.text(reading.row(item, "Get-ChildItem"), "FullName"))
        for item in reply
    ]
    if not paths:  # errors are silent there, and every node has some of them
        raise InputError(
            "read which PowerShell modules are installed",
            found=f"none below {_MODULES_FOLDER}",
            expected="some of those that an update brings",
        )
    return tuple(sorted(f"{path.parent.name} {path.name}" for path in paths))


def _windows(reply: tuple[Plain, ...]) -> WindowsSettings:
    rows = [reading.row(item, "Get-ItemProperty") for item in reply]
    build, revision, policy = (
        next((text for row in rows if (text := reading.text(row, name))), "")
        for name in ("CurrentBuildNumber", "UBR", "NoAutoUpdate")
    )
    if not _NUMBER.fullmatch(build) or not _NUMBER.fullmatch(revision):
        raise InputError(
            "read the build of Windows",
            found=f"{build or 'nothing'}.{revision or 'nothing'}",
            expected="two numbers, such as 26100.32370",
        )
    return WindowsSettings(build=f"{build}.{revision}", no_auto_update=policy)


def _installed(reply: tuple[Plain, ...]) -> tuple[InstalledUpdate, ...]:
    document = "\n".join(str(item) for item in reply)
    root = read_xml(
        f"<Events>{document}</Events>".encode(),
        attempted="read the events of the Windows Update agent",
        file=None,
    )
    return tuple(_event(event) for event in root.children)


def _event(event: Element) -> InstalledUpdate:
    said = next((item for item in event.named("TimeCreated")), None)
    at = reading.time(said.value("SystemTime")) if said is not None else None
    title = next(
        (item.text for item in event.named("Data") if item.value("Name") == "updateTitle"), ""
    )
    if at is None:
        raise InputError(
            "read an event of the Windows Update agent",
            found="no time",
            expected="TimeCreated with SystemTime",
        )
    return InstalledUpdate(at=at, title=title.strip() or "an update without a title")


def _rules(row: dict[str, Plain], ids: str, actions: str) -> dict[str, str]:
    """Join rules and actions; the actions are an array of bytes (MSFT_MpPreference)."""
    rules, told = reading.items(row.get(ids)), row.get(actions)
    does = list(told) if isinstance(told, bytes) else reading.items(told)
    if len(rules) != len(does):
        raise InputError(
            "read the rules of Defender",
            found=f"{len(rules)} rules and {len(does)} actions",
            expected="one action for each rule",
        )
    return {str(rule).lower(): str(action) for rule, action in zip(rules, does, strict=True)}


def _joined(value: Plain) -> str:
    """Return what may be a text, a number, a list or an object as one text."""
    match value:
        case None:
            return ""
        case list():
            return ", ".join(_joined(item) for item in value)
        case dict():
            return reading.text(value, "Name", "PluginName") or ", ".join(
                f"{name} {_joined(item)}" for name, item in value.items()
            )
        case _:
            return str(value)


def _reports(rows: list[dict[str, Plain]]) -> tuple[CauReport, ...]:
    """Read reports, newest first; one without a beginning comes last."""
    reports = [_report(row) for row in rows]
    return tuple(
        sorted(
            reports,
            key=lambda report: report.started_at.timestamp() if report.started_at else 0.0,
            reverse=True,
        )
    )


def _report(row: dict[str, Plain]) -> CauReport:
    told = row.get("ClusterResult")
    result = told if isinstance(told, dict) else {}
    started_at = reading.time(result.get("StartTimestamp"))
    took = reading.span(result.get("RunDuration"))
    return CauReport(
        run_id=reading.text(result, "RunId"),
        plugin=_joined(row.get("Plugin")),
        status=reading.text(result, "Status"),
        started_at=started_at,
        ended_at=_later(started_at, took),
    )


def _later(at: datetime | None, by: timedelta | None) -> datetime | None:
    try:
        return at + by if at is not None and by is not None else None
    except OverflowError:
        return None
