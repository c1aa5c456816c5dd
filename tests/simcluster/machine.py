"""One running node: its WinRM listeners, its shells and its file share, switched on and off as a whole."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.simcluster import soap
from tests.simcluster.auth import Policy
from tests.simcluster.cmdlets import LIBRARY
from tests.simcluster.faults import Faults
from tests.simcluster.httpd import DropConnectionError, Exchange, Listener, Reply, Service
from tests.simcluster.ntlm import Accounts
from tests.simcluster.pipeline import Stage, Streams, run_pipeline
from tests.simcluster.shells import Shells
from tests.simcluster.soap import Request, WSManFaultError
from tests.simcluster.state import Node, World
from tests.simcluster.values import Value

_IDENTIFY = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
    '<wsmid:IdentifyResponse xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/'
    'wsmanidentity.xsd"><wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'
    "</wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>"
    "<wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"
    "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
)


class Share(Protocol):
    """A file server."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """Stop listening and cut every connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a node listens."""

    https: int
    http: int
    smb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server certificate and its key, as files."""

    certificate_file: Path
    key_file: Path
    certificate_der: bytes
    ca_file: Path
    """Client certificates must chain to it."""

    def context(self) -> ssl.SSLContext:
        """Return a TLS server context that takes client certificates without asking for one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_file, self.key_file)
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


class Machine:
    """One node with everything that listens on its address."""

    def __init__(
        self,
        node: Node,
        world: World,
        faults: Faults,
        accounts: Accounts,
        certificate: Certificate,
        ports: Ports,
        *,
        open_share: Callable[[], Share] | None,
        before_request: Callable[[], None] = lambda: None,
        certificate_users: tuple[str, ...] = (),
        allows_basic: bool = False,
        needs_channel_binding: bool = False,
        shell_limit: int = 30,
    ) -> None:
        self.node = node
        self.ports = ports
        self.share: Share | None = None
        self._open_share = open_share
        self.shells = Shells(self._run, limit=shell_limit)
        self._world = world
        self._faults = faults
        self._certificate = certificate
        self._listeners: list[Listener] = []
        self._cmdlets: dict[str, set[str]] = {}
        self._before_request = before_request
        self._policies = {
            is_tls: Policy(
                accounts=accounts,
                is_tls=is_tls,
                certificate_der=certificate.certificate_der if is_tls else None,
                needs_channel_binding=needs_channel_binding,
                allows_basic=allows_basic,
                certificate_users=certificate_users,
                record=lambda user, accepted: world.journal.count_logon(
                    "winrm", user, accepted=accepted
                ),
                refuses=lambda: faults.standing("refuse-password", node.name) is not None,
            )
            for is_tls in (True, False)
        }

    # --- power ---------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Begin to listen everywhere.

        Raises:
            OSError: A port is taken.
        """
        try:
            for is_tls, port in ((True, self.ports.https), (False, self.ports.http)):
                service = Service(
                    policy=self._policies[is_tls],
                    answer=self._answer,
                    identify=_IDENTIFY.encode(),
                    count_bytes=self._world.journal.count_bytes,
                )
                tls = self._certificate.context() if is_tls else None
                self._listeners.append(Listener(self.node.address, port, service, tls))
            if self._open_share is not None:
                self.share = self._open_share()
                self.share.start()
        except OSError:
            for listener in self._listeners:
                listener.server_close()
            self._listeners.clear()
            raise
        for listener in self._listeners:
            listener.start()
        self.node.is_up = True

    def power_off(self) -> None:
        """Lose every connection and every shell, and listen no more."""
        if not self.node.is_up:
            return
        self.node.is_up = False
        self.shells.close_all()
        self._cmdlets.clear()
        for listener in self._listeners:
            listener.stop()
        self._listeners.clear()
        if self.share is not None:
            self.share.stop()

    # --- requests ------------------------------------------------------------------------------

    def _answer(self, exchange: Exchange) -> Reply:
        self._world.journal.count_request()
        try:
            self._before_request()
            request = soap.read_request(exchange.body)
        except WSManFaultError as error:
            return Reply(500, soap.fault(error, "", self.node.name))
        except ValueError as exc:
            return Reply(500, soap.fault(soap.internal_error(str(exc)), "", self.node.name))
        cmdlets = self._cmdlets_of(request)
        self._maybe_drop(request, cmdlets, "before")
        reply = self._dispatch(request, exchange)
        self._maybe_wait(request, cmdlets)
        self._maybe_drop(request, cmdlets, "after")
        return reply

    def _dispatch(self, request: Request, exchange: Exchange) -> Reply:
        if exchange.user in self._world.ready.ordinary_users:
            denied = soap.access_denied()
            return Reply(500, soap.fault(denied, request.message_id, self.node.name))
        try:
            body = self.shells.answer(request, exchange.user, exchange.client_address)
        except WSManFaultError as error:
            return Reply(500, soap.fault(error, request.message_id, self.node.name))
        except Exception as exc:  # noqa: BLE001 - else the client sees a cut line and no reason
            bug = soap.internal_error(f"The simulator failed: {exc!r}")
            return Reply(500, soap.fault(bug, request.message_id, self.node.name))
        return Reply(200, body)

    def _maybe_drop(self, request: Request, cmdlets: set[str], when: str) -> None:
        name = self.node.name
        fault = self._faults.take("drop", node=name, cmdlets=cmdlets, verb=request.verb, when=when)
        if fault is not None:
            self._world.journal.count_drop()
            raise DropConnectionError

    def _maybe_wait(self, request: Request, cmdlets: set[str]) -> None:
        fault = self._faults.take(
            "slow", node=self.node.name, cmdlets=cmdlets, verb=request.verb, when=""
        )
        if fault is not None:
            time.sleep(fault.seconds)

    def _cmdlets_of(self, request: Request) -> set[str]:
        """Return the names of the commands in the pipeline a request is about, in lower case."""
        line = request.body.find("rsp:CommandLine", soap.NS)
        if line is not None:
            command_id = line.get("CommandId", "").lower()
            first = request.body.findtext("rsp:CommandLine/rsp:Arguments", "", soap.NS)
            sent = base64.b64decode(first).lower()
            self._cmdlets[command_id] = {
                name for name in LIBRARY.commands if f">{name}<".encode() in sent
            }
            return self._cmdlets[command_id]
        for element in request.body.iter():
            named = element.get("CommandId", "").lower()
            if named in self._cmdlets:
                return self._cmdlets[named]
        return set()

    def _run(self, stages: list[Stage], source: Iterator[Value], streams: Streams) -> None:
        streams.pause(self._world.ready.pipeline_seconds)
        run_pipeline(
            stages,
            source,
            library=LIBRARY,
            world=self._world,
            node=self.node,
            streams=streams,
        )
