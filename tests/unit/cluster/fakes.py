"""A node as plain data that satisfies the session protocol of `toolkit.cluster`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from toolkit.cluster._cmdlets import INFRASTRUCTURE_SHARE
from toolkit.errors import CommandError, ConnectError, TransferError
from toolkit.model import PayloadKind, Sha256, SolutionVersion, Target, TargetName

VERSION = SolutionVersion.parse("12.2604.1003.9")
BUNDLE = b"solution bundle" * 1000
SBE_VERSION = "4.2.2604.1"


def sbe_files(
    family: str = "GenA", version: str = SBE_VERSION, *, validated: str = "12.2604.*.*"
) -> dict[str, bytes]:
    """The three files of an SBE, as small as they can be."""
    files = {f"SBE_Contoso_{family}_{version}.{kind}": kind.encode() for kind in ("xml", "zip")}
    discovery = f"""<ASZSolutionBundleUpdates><ApplicableUpdate Version="{version}"><UpdateInfo>
        <SBEPublisher>Contoso</SBEPublisher><SBEFamily>{family}</SBEFamily><Version>{version}</Version>
        <SupportedModels><SupportedModel>Contoso680</SupportedModel></SupportedModels>
        <ValidatedConfigurations><Solution>{validated}</Solution></ValidatedConfigurations>
        </UpdateInfo></ApplicableUpdate></ASZSolutionBundleUpdates>"""
    return {**files, "SBE_Discovery_Contoso.xml": discovery.encode()}


SBE = sbe_files()


class Medium:
    """A verified medium in memory."""

    def __init__(self, files: dict[str, tuple[PayloadKind, bytes]]) -> None:
        self.files = files

    def targets(self):
        return tuple(
            Target(
                name=TargetName(f"payload/{name}"),
                size_bytes=len(data),
                sha256=Sha256(hashlib.sha256(data).hexdigest()),
                kind=kind,
                version=VERSION,
            )
            for name, (kind, data) in self.files.items()
        )

    def copy_target(self, name, sink, *, progress):
        sink.write(self.files[name.removeprefix("payload/")][1])


@dataclass
class World:
    """What stands on the cluster, and what was sent to it."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {str(INFRASTRUCTURE_SHARE)})
    updates: list[dict] = field(default_factory=list)
    runs: str = ""
    run_states: list[dict] = field(default_factory=list)
    start_reply: list[str] = field(default_factory=lambda: ["redmond/Solution12.2604.1003.9/run-1"])
    sent: list[str] = field(default_factory=list)
    add_calls: int = 0
    list_calls: int = 0
    listed_after: int = 1
    state_after_add: str = "Ready"
    asks_for_sbe: str = SBE_VERSION
    additional: dict[str, str] = field(default_factory=dict)
    min_sbe: str = ""
    """`MinSbeVersionRequired` of the update once it is added."""
    installed_sbe: str = "4.2.2512.1616"
    sbe_family: str = "GenA"
    lists_sbes: bool = False
    """An SBE that is added has a row of its own, and no other row changes."""
    flip_in_transit: bool = False
    loses_copies: int = 0
    reaches: Callable[[], float] = lambda: 0.5
    """How far into what is written the line holds, before it is lost."""
    flushes: bool = False
    """What is written is on the disk before the line is lost."""
    booted_at: str = "2026-11-20T12:00:00+00:00"
    safe_bytes: list[int | None] = field(default_factory=list)
    time: str = "2026-11-26T12:00:00+00:00"
    nothing_from: set[str] = field(default_factory=set)
    fail_on: dict[str, Exception] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        return path in self.files or path in self.folders


class Upload:
    """Goes on with an unfinished file, if there is one, and loses the line as often as it is told to."""

    def __init__(
        self,
        world: World,
        path: PureWindowsPath,
        part: str,
        safe_bytes: int | None,
        on_flushed: Callable[[int], None],
    ) -> None:
        self.world, self.path, self.part = world, path, str(path.with_name(part))
        self.data = bytearray(world.files.get(self.part, b"")[:safe_bytes])
        self.on_flushed = on_flushed
        self.resumed_at_bytes = len(self.data)
        self.fed_bytes = 0
        world.files[self.part] = bytes(self.data)

    @property
    def sent_to_bytes(self):
        return len(self.data)

    @property
    def acknowledged_bytes(self):
        return len(self.data) - self.resumed_at_bytes

    def unacknowledged(self):
        return len(self.data), []

    def skip(self, count_bytes):
        self.fed_bytes += count_bytes

    def write(self, data):
        if self.world.loses_copies > 0:
            self.world.loses_copies -= 1
            reached = self.fed_bytes + int(len(data) * self.world.reaches())
            self.data += data[len(self.data) - self.fed_bytes : reached - self.fed_bytes]
            self.world.files[self.part] = bytes(self.data)
            if self.world.flushes:
                self.on_flushed(len(self.data))
            raise TransferError("copy", found="the connection was dropped")
        self.data += data[len(self.data) - self.fed_bytes :]
        self.fed_bytes += len(data)
        return len(data)

    def finish(self):
        if self.world.flip_in_transit:
            self.data[5] ^= 1
        del self.world.files[self.part]
        self.world.files[str(self.path)] = bytes(self.data)

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None


class Session:
    """Interprets commands by their cmdlets' names, like a node."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None

    def upload(
        self, path, *, size_bytes, part=None, must_exist=False, safe_bytes=None, on_flushed=None
    ):
        assert not must_exist or str(path.with_name(part)) in self.world.files
        self.world.safe_bytes.append(safe_bytes)
        return Upload(self.world, path, part, safe_bytes, on_flushed)

    def download(self, path, sink, *, progress):
        data = self.world.files[str(path)]
        sink.write(data)
        return len(data), Sha256(hashlib.sha256(data).hexdigest())

    def invoke(self, command):
        world = self.world
        world.sent.append(command.name)
        if command.name in world.fail_on:
            raise world.fail_on[command.name]
        first = command.pipeline[0]
        values = dict(first.parameters)
        act = getattr(self, "_" + first.name.replace("-", "_").replace(".", "_"))
        reply = act(values, command)
        return command.parse(tuple(reply))

    def _Get_Date(self, values, command):
        return [self.world.time]

    def _Get_CimInstance(self, values, command):
        return [{"LastBootUpTime": self.world.booted_at}]

    def _Test_Path(self, values, command):
        return [self.world.has(values["LiteralPath"])]

    def _New_Item(self, values, command):
        path = values["Path"]
        if values["ItemType"] == "Directory":
            self.world.folders.add(path)
        elif path in self.world.files:
            raise CommandError("run New-Item", cmdlet="New-Item", error_id="NewItemIOError,x")
        else:
            self.world.files[path] = values["Value"].encode()
        return []

    def _Get_ChildItem(self, values, command):
        folder = PureWindowsPath(values["LiteralPath"])
        there = {**dict.fromkeys(self.world.folders), **self.world.files}
        items = {PureWindowsPath(path): data for path, data in there.items()}
        if "Name" in values:
            return [
                path.name
                for path in items
                if path.parent == folder and path.match(values["Filter"])
            ]
        return [
            {
                "FullName": str(path),
                "PSIsContainer": data is None,
                "Length": None if data is None else len(data),
                "LastWriteTime": hashlib.sha256(data or b"").hexdigest(),
            }
            for path, data in items.items()
            if folder in path.parents
        ]

    def _Get_Item(self, values, command):
        data = self.world.files[values["LiteralPath"]]
        return [{"Length": len(data), "LastWriteTime": hashlib.sha256(data).hexdigest()}]

    def _Get_Content(self, values, command):
        named = values["LiteralPath"]
        paths = [named] if isinstance(named, str) else named
        return [self.world.files[path].decode() for path in paths]

    def _Add_Content(self, values, command):
        path = values["LiteralPath"]
        self.world.files[path] = self.world.files.get(path, b"") + bytes(values["Value"])
        return []

    def _Rename_Item(self, values, command):
        path = values["LiteralPath"]
        new = PureWindowsPath(path).with_name(values["NewName"])
        self.world.files[str(new)] = self.world.files.pop(path)
        return []

    def _Remove_Item(self, values, command):
        gone = values["LiteralPath"]
        self.world.files = {k: v for k, v in self.world.files.items() if not k.startswith(gone)}
        self.world.folders = {f for f in self.world.folders if not f.startswith(gone)}
        return []

    def _Move_Item(self, values, command):
        old, new = values["LiteralPath"], values["Destination"]
        if old in self.world.files:
            self.world.files[new] = self.world.files.pop(old)
            return []
        self.world.folders.remove(old)
        self.world.folders.add(new)
        moved = {path for path in self.world.files if path.startswith(old + "\\")}
        for path in moved:
            self.world.files[new + path.removeprefix(old)] = self.world.files.pop(path)
        return []

    def _Get_FileHash(self, values, command):
        data = self.world.files[values["LiteralPath"]]
        return [{"Hash": hashlib.sha256(data).hexdigest().upper()}]

    def _Expand_Archive(self, values, command):
        self.world.folders.add(values["DestinationPath"])
        self.world.files[values["DestinationPath"] + r"\SolutionUpdate.xml"] = b"<xml/>"
        return []

    def _Add_SolutionUpdate(self, values, command):
        self.world.add_calls += 1
        self.world.list_calls = 0
        added = PureWindowsPath(values["SourceFolder"]).name
        if self.world.lists_sbes and "-SBE_" in added:
            version = added.rpartition("_")[2]
            self.world.updates.append(
                {
                    "ResourceId": f"redmond/SBE{version}",
                    "Version": version,
                    "PackageType": "SBE",
                    "State": "Ready",
                    "SbeVersion": version,
                }
            )
            return []
        solutions = [row for row in self.world.updates if "Solution" in row["ResourceId"]]
        for row in solutions:
            row["State"] = "Ready"
        if not solutions:
            self.world.updates.append(
                {
                    "ResourceId": f"redmond/Solution{VERSION}",
                    "Version": str(VERSION),
                    "State": self.world.state_after_add,
                    "SbeVersion": self.world.asks_for_sbe,
                    "AdditionalProperties": self.world.additional,
                    "MinSbeVersionRequired": self.world.min_sbe,
                }
            )
        return []

    def _Get_SolutionUpdate(self, values, command):
        if "Start-SolutionUpdate" in command.name:
            return self.world.start_reply
        if "Set-Content" in command.name:
            return self._save(command)
        if "ConvertTo-Json" in command.name:
            return [self.world.runs]
        if "Get-SolutionUpdateRun" in command.name:
            return self.world.run_states
        self.world.list_calls += 1
        return self.world.updates if self.world.list_calls >= self.world.listed_after else []

    def _Get_SolutionUpdateEnvironment(self, values, command):
        if "Set-Content" in command.name:
            return self._save(command)
        return [
            {
                "CurrentVersion": "12.2603.1002.15",
                "State": "UpdateAvailable",
                "SbeFamily": self.world.sbe_family,
                "CurrentSbeVersion": self.world.installed_sbe,
                "HardwareModel": "Contoso 680",
            }
        ]

    def _Get_SolutionDiscoveryDiagnosticInfo(self, values, command):
        return [{"SbeManifestResult": {"ManifestSource": "https://oem.example/", "Status": "Ok"}}]

    def _Get_ItemProperty(self, values, command):
        return [{"SystemManufacturer": "Contoso", "SystemProductName": "Contoso 680"}]

    def _Get_Cluster(self, values, command):
        return [{"Name": "plant7"}]

    def _Get_CauReport(self, values, command):
        return self._save(command)

    def _Get_ActionPlanInstances(self, values, command):
        return self._save(command)

    def _wevtutil_exe(self, values, command):
        arguments = [value for _, value in command.pipeline[0].parameters]
        if arguments[0] == "qe":
            return self._save(command)
        self.world.files[arguments[2]] = b"ElfFile " + arguments[1].encode()
        return []

    def _save(self, command):
        if command.name in self.world.nothing_from:
            return []
        target = dict(command.pipeline[-1].parameters)["LiteralPath"]
        self.world.files[target] = command.name.encode()
        return []


class Unreachable:
    """A node that does not answer."""

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None

    def invoke(self, command):
        raise ConnectError("connect to node n1", found="connection refused")


def refusal(cmdlet="Add-SolutionUpdate", words="not enough space on the infrastructure volume"):
    return CommandError(f"run {cmdlet}", cmdlet=cmdlet, error_id="AddFailed", found=words)
