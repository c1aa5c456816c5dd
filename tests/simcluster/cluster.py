"""A whole simulated cluster in one process: nodes on loopback addresses, certificates, control, journal.

Layout of its folder: `csv/` (the Cluster Shared Volumes, the same under `C:\\ClusterStorage` of every
node), `nodes/<name>/` (drive C: of a node), `tls/`, `accounts/`, `journal.json` (what happened),
`control.json` (faults, written by whoever wants some).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.simcluster.baddays import Starved
from tests.simcluster.badruns import restarting
from tests.simcluster.certificates import Authority
from tests.simcluster.faults import Faults
from tests.simcluster.filetree import FileTree
from tests.simcluster.journal import Journal
from tests.simcluster.logons import CountedAccounts
from tests.simcluster.machine import Certificate, Machine, Ports, Share
from tests.simcluster.ntlm import Accounts
from tests.simcluster.samba import SambaServer
from tests.simcluster.settingsstate import install_modules
from tests.simcluster.smb import SmbServer
from tests.simcluster.smb_faults import ArmedFaults
from tests.simcluster.state import SHARE, HealthCheck, Node, World, first_events
from tests.simcluster.story import Failure
from tests.simcluster.updateservice import GROUP
from tests.simcluster.wire import WireRecord

_WATCH_EVERY_S = 0.05
_BASES_TO_TRY = 20
_QUIET_SINCE = timedelta(days=9)

SmbKind = Literal["embedded", "samba", "none"]
"""`samba`: the first node's share is Samba's, the others' our own."""


class SimCluster:
    """A simulated Azure Local cluster; `with` starts and stops it."""

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        name: str = "cluster1",
        nodes: int = 4,
        base: str = "127.0.77",
        https_port: int = 5986,
        http_port: int = 5985,
        smb_port: int = 4455,
        smb: SmbKind = "embedded",
        run_seconds: float | None = 20.0,
        failing_node: str | None = None,
        failure: Failure = "installer-blocked",
        required_sbe_version: str | None = None,
        language_mode: str = "FullLanguage",
        allows_basic: bool = False,
        needs_channel_binding: bool = False,
        shell_limit: int = 30,
        disk_bytes: int | None = None,
        clock_offsets: Mapping[str, timedelta] | None = None,
        record_wire: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.user = user
        self.csv = self.folder / "csv"
        self.authority = Authority(self.folder / "tls")
        self.journal = Journal(self.folder / "journal.json")
        self.faults = Faults(self.folder / "control.json")
        self.machines: list[Machine] = []
        self._smb: SmbKind = smb
        self._ports = Ports(https=https_port, http=http_port, smb=smb_port)
        self._base = base
        self._password = password
        self._allows_basic = allows_basic
        self._needs_channel_binding = needs_channel_binding
        self._shell_limit = shell_limit
        self._wire = WireRecord(self.folder / "wire") if record_wire else None
        self._disk_bytes = disk_bytes
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._down_until: dict[str, float] = {}
        self._switched_off: set[str] = set()
        self._overridden: dict[str, object] = {}
        """What the world said before a fault changed it, by the dotted name of the field."""
        names = [f"node{number}" for number in range(1, nodes + 1)]
        if failing_node is not None and failing_node not in names:
            raise ValueError(f"{failing_node} is none of {', '.join(names)}")
        self.world = World(
            name=name,
            journal=self.journal,
            nodes=[
                Node(
                    name=one,
                    address="",
                    drive=self._drive(one),
                    language_mode=language_mode,
                    clock_offset=(clock_offsets or {}).get(one, timedelta()),
                    is_up=False,
                )
                for one in names
            ],
            run_seconds=run_seconds,
            failing_node=failing_node,
            failure=failure,
            required_sbe_version=required_sbe_version,
            health_checks=_usual_checks(),
            refuse_add=self._refusal,
        )
        self.world.share_days.faults = self.faults
        for node in self.world.nodes:
            booted_at = self.world.node_time(node) - _QUIET_SINCE
            node.channels = first_events(node, self.world.domain, booted_at)
        domains = [*names, "WORKGROUP", self.world.domain.partition(".")[0], self.world.domain, "."]
        self.accounts = Accounts(self.folder / "accounts", {user: password}, domains)
        self.share_folder.mkdir(parents=True, exist_ok=True)

    def _drive(self, name: str) -> FileTree:
        root = self.folder / "nodes" / name
        for folder in ("Temp", "System32"):
            (root / "Windows" / folder).mkdir(parents=True, exist_ok=True)
        (root / "Windows" / "System32" / "tar.exe").touch()
        install_modules(root)
        return FileTree(root, {"ClusterStorage": self.csv})

    @property
    def share_folder(self) -> Path:
        """The infrastructure share (`SU1_Infrastructure_1`) on this machine."""
        return self.csv.joinpath(*SHARE.split("\\")[2:])

    @property
    def ready(self) -> dict[str, object]:
        """What a client needs to know, ready for JSON."""
        return {
            "cluster": self.world.name,
            "nodes": [
                {
                    "name": machine.node.name,
                    "address": machine.node.address,
                    "https_port": machine.ports.https,
                    "http_port": machine.ports.http,
                    "smb_port": machine.ports.smb,
                }
                for machine in self.machines
            ],
            "ca_file": str(self.authority.ca_file),
            "control": str(self.faults.control),
            "journal": str(self.journal.path),
            "share_folder": str(self.share_folder),
        }

    # --- start and stop ------------------------------------------------------------------------

    def start(self) -> None:
        """Switch every node on; where a port is taken, on the next loopback network.

        Raises:
            OSError: No network had all ports free.
        """
        first, second, third = (int(part) for part in self._base.split("."))
        for offset in range(_BASES_TO_TRY):
            base = f"{first}.{second}.{(third + offset) % 256}"
            try:
                self._switch_on(base)
                break
            except OSError:
                self._switch_off()
                if offset + 1 == _BASES_TO_TRY:
                    raise
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _switch_on(self, base: str) -> None:
        self.machines = []
        for number, node in enumerate(self.world.nodes, start=1):
            node.address = f"{base}.{number}"
            machine = self._machine(node)
            machine.power_on()
            self.machines.append(machine)

    def _switch_off(self) -> None:
        for machine in self.machines:
            machine.power_off()
        self.machines = []

    def _machine(self, node: Node) -> Machine:
        certificate_file, key_file, der = self.authority.issue_server(node.name, node.address)
        return Machine(
            node,
            self.world,
            self.faults,
            self.accounts,
            Certificate(
                certificate_file=certificate_file,
                key_file=key_file,
                certificate_der=der,
                ca_file=self.authority.ca_file,
            ),
            self._ports,
            open_share=None if self._smb == "none" else lambda: self._share(node),
            before_request=self._apply_faults,
            certificate_users=(self.user,),
            allows_basic=self._allows_basic,
            needs_channel_binding=self._needs_channel_binding,
            shell_limit=self._shell_limit,
            wire=self._wire,
        )

    def _share(self, node: Node) -> Share:
        shares = {"C$": node.drive}
        if self._smb == "samba" and node is self.world.nodes[0]:
            # one only: it must have the shared volumes below its own root, which no second could
            return SambaServer(
                node.address,
                self._ports.smb,
                folder=self.folder / "samba",
                user=self.user,
                password=self._password,
                shares=shares,
            )
        accounts = CountedAccounts(self.accounts, self.journal)
        return SmbServer(
            node.address,
            self._ports.smb,
            accounts=accounts,
            shares=shares,
            hook=ArmedFaults(self.faults, self.journal, node.name),
            capacity_bytes=self._disk_bytes,
            open_files=self.world.open_files,
            days=self.world.share_days,
        )

    def stop(self) -> None:
        """Switch everything off."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        self._switch_off()
        self.journal.flush()

    def __enter__(self) -> SimCluster:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- faults --------------------------------------------------------------------------------

    def machine(self, name: str) -> Machine:
        """Return a node's machine."""
        return next(machine for machine in self.machines if machine.node.name == name)

    def _refusal(self) -> str | None:
        fault = self.faults.take("refuse-add")
        return None if fault is None else fault.words or "The update service refused the package."

    def _apply_faults(self) -> None:
        """Let the armed faults change the world."""
        self.faults.reread()
        failing = self.faults.standing("fail-node")
        wanted: dict[str, object] = {}
        if failing is not None:
            wanted |= {"failing_node": failing.node, "failure": _failure(failing.words)}
        if self.faults.standing("other-update") is not None:
            wanted["is_other_update_running"] = True
        wanted |= self._bad_day()
        delay = self.faults.standing("delay-discovery")
        if delay is not None:
            wanted["discovery_polls"] = delay.count
        with self.world.lock:
            for name, value in wanted.items():
                self._overridden.setdefault(name, attrgetter(name)(self.world))
                self._set(name, value)
            for name in self._overridden.keys() - wanted.keys():
                self._set(name, self._overridden.pop(name))
            moved = self.faults.take("move-update-service")
            if moved is not None:
                self.world.ready.group(GROUP).owner = moved.node
                self.world.bad_days.service_silent_until = time.monotonic() + moved.seconds

    def _bad_day(self) -> dict[str, object]:
        wanted: dict[str, object] = {}
        cau = self.faults.standing("cau")
        if cau is not None:
            wanted["bad_days.cau"] = cau.words
            if cau.seconds:
                wanted["bad_days.cau_goes_on_s"] = cau.seconds
        starved = self.faults.standing("gateway-timeout")
        if starved is not None:
            limit = Starved(calls=starved.count, within_s=starved.seconds)
            wanted["bad_days.starved"] = limit
        return wanted

    def _set(self, name: str, value: object) -> None:
        owner, _, field = name.rpartition(".")
        setattr(attrgetter(owner)(self.world) if owner else self.world, field, value)

    def _watch(self) -> None:
        """Switch nodes off and on as faults ask for."""
        while not self._stopping.wait(_WATCH_EVERY_S):
            self._apply_faults()
            for machine in self.machines:
                self._mind(machine)

    def _mind(self, machine: Machine) -> None:
        name = machine.node.name
        reboot = self.faults.take("reboot", node=name)
        if reboot is not None:
            self._down_until[name] = time.monotonic() + reboot.seconds
            if reboot.words == "unflushed" and isinstance(machine.share, SmbServer):
                machine.share.loses_unflushed = True
        must_be_down = (
            self.faults.standing("down", name) is not None
            or self._down_until.get(name, 0.0) > time.monotonic()
            or restarting(self.world, name, self.world.clock.now())
        )
        if must_be_down and machine.node.is_up:
            self._switched_off.add(name)
            machine.power_off()
        elif not must_be_down and name in self._switched_off:
            self._switched_off.discard(name)
            machine.node.ready.booted_at = self.world.node_time(machine.node)
            machine.power_on()


def _failure(words: str) -> Failure:
    match words:
        case "restart-timeout" | "drain":
            return words
        case _:
            return "installer-blocked"


def _usual_checks() -> list[HealthCheck]:
    """Return results every healthy cluster shows, one harmless finding among them.

    Source: update-troubleshooting-23h2.md (the CAU role is not installed, and need not be).
    """
    return [
        HealthCheck(
            name="AzStackHci_Hardware_Test_SystemDrive_Free_Space",
            title="Test System Drive Free Space",
            description="Free space on C: of every node is at least 30 GB.",
            severity="CRITICAL",
        ),
        HealthCheck(
            name="AzStackHci_Cluster_CAU_Role",
            title="The CAU clustered role should be installed on the failover cluster to enable "
            "self-updating mode",
            status="FAILURE",
            severity="INFORMATIONAL",
            description="The role is not installed; the orchestrator starts CAU by itself.",
        ),
    ]
