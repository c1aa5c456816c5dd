"""What a request tells, asked of the cluster question by question; nothing is changed.

Theory of operation. The nodes are visited one after the other, so that a refused password is offered
once. Each node is asked about itself, and about the cluster as long as a question about it is open: a
question whose answer got lost on one node is put to one more. What a cmdlet refuses to tell, or cannot,
is noted with its words and the next question is asked; nothing is guessed.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from toolkit.cluster import _cmdlets
from toolkit.errors import (
    AuthenticationError,
    ClusterError,
    CommandError,
    ConnectError,
    InputError,
    ReachError,
)
from toolkit.model import Command, HealthCheck, KnownCluster, Node, Progress, T, UpdateEnvironment
from toolkit.request import (
    EndpointReach,
    HealthSummary,
    Origin,
    SiteRequest,
    VolumeSpace,
    new_request,
    sbe_state_of,
)
from toolkit.sbe import Hardware

_log = logging.getLogger(__name__)

ENDPOINTS = (
    ("Update discovery", "aka.ms", 443),
    ("Update download", "azurestackreleases.download.prss.microsoft.com", 443),
    ("ARB", "msk8s.api.cdp.microsoft.com", 443),
    ("AKS", "mcr.microsoft.com", 443),
    ("Arc agent and ARM", "management.azure.com", 443),
    ("Revocation", "crl3.digicert.com", 80),
    ("Microsoft Update", "go.microsoft.com", 80),
    ("ARB", "kvamanagementoperator.azurecr.io", 443),
    ("AKS", "hybridaks.azurecr.io", 443),
    ("Arc agent and ARM", "login.microsoftonline.com", 443),
    ("Revocation", "ocsp.digicert.com", 80),
)
"""One or two addresses of each group that an update needs: those whose name is the same in every region.

Each group is asked once before any is asked again, because the time for them is limited.

Source: eastus-hci-endpoints.md (Azure/AzureStack-Tools).
"""

ENDPOINTS_S = 60.0
"""After this time no further address is asked: where a firewall drops packets each costs half a minute."""

_MOST_LOSSES = 2
"""A question whose answer got lost on so many nodes is not asked again."""


_MOST_UNTOLD = 2
"""After so many addresses of which the node could tell nothing, no further one is asked."""

_OF_ENVIRONMENT = (
    "solution_version, package_versions, sbe_family, sbe_version, update_state, health"
)
_NOT_TOLD = "the cluster does not tell it"


class SurveySession(Protocol):
    """What a survey needs of a session with a node."""

    def invoke(self, command: Command[T]) -> T:
        """Send one command and read its reply."""


@dataclass(slots=True, kw_only=True)
class Survey:
    """One round through a cluster."""

    known: KnownCluster
    site_id: str
    open: Callable[[Node], AbstractContextManager[SurveySession]]
    progress: Progress
    clock: Callable[[], float] = time.monotonic
    lost: list[tuple[Node, ReachError]] = field(default_factory=list)
    """The nodes that told nothing at all."""
    _facts: dict[str, Any] = field(default_factory=dict)
    """Fields of the request, found out so far."""
    _unknown: dict[str, str] = field(default_factory=dict)
    _volumes: list[VolumeSpace] = field(default_factory=list)
    _modes: list[tuple[str, str]] = field(default_factory=list)
    _hardware: dict[str, Hardware] = field(default_factory=dict)
    _settings: dict[str, _cmdlets.MachineSettings] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)
    """Questions about the cluster that are not asked again."""
    _losses: Counter[str] = field(default_factory=Counter)
    _lost: ReachError | None = None
    """How the last answer of the node at hand got lost."""
    _replies: int = 0

    def run(self) -> SiteRequest:
        """Return what was found out; what was not stands in `unknown`.

        Raises:
            AuthenticationError: A node refused the credential; no other was asked.
        """
        for node in self.known.nodes:
            self._visit(node)
        shared = self._facts.pop("volumes", ())
        request = replace(
            new_request(self.known.name, site_id=self.site_id, origin=Origin.MEASURED),
            **self._facts,
            volumes=(*shared, *self._volumes),
            language_modes=tuple(self._modes),
            hardware=self._common_hardware(),
            is_disconnected_operations=self._common_setting(),
        )
        request = replace(request, sbe_publisher=_publisher(request))
        self._note_blanks(request)
        return replace(request, unknown=tuple(self._unknown.items()))

    # --- asking ---------------------------------------------------------------------------------

    def _visit(self, node: Node) -> None:
        self.progress.say(f"{node.name}: asking")
        before, self._lost = self._replies, None
        try:
            with self.open(node) as session:
                self._ask_node(session, node.name)
                self._ask_cluster(session)
        except AuthenticationError:
            raise
        except ReachError as error:
            _log.info("node %s: %s", node.name, error)
            self._unknown[f"everything of {node.name}"] = str(error)
            self._lost = error
        if self._lost is not None and self._replies == before:
            self.lost.append((node, self._lost))

    def _ask(self, session: SurveySession, what: str, command: Command[T]) -> T | None:
        """Return an answer; without one, note why.

        Raises:
            ReachError: The node is gone, or refuses the credential.
        """
        try:
            answer = session.invoke(command)
        except (AuthenticationError, ConnectError):
            raise
        except ReachError as error:  # this answer is lost; whether the node is, the next one tells
            self._lost = error
            self._losses[what] += 1
            if self._losses[what] == _MOST_LOSSES:
                self._closed.add(what)
            self._unknown[what] = str(error)
            return None
        except (ClusterError, InputError) as error:
            self._replies += 1
            self._closed.add(what)
            self._unknown[what] = str(error)
            return None
        self._replies += 1
        self._closed.add(what)
        self._unknown.pop(what, None)
        return answer

    def _ask_node(self, session: SurveySession, node: str) -> None:
        what = f"volumes of {node}"
        volumes = self._ask(session, what, _cmdlets.local_volumes(node))
        if volumes is not None:
            self._volumes += self._spaces(what, volumes)
        mode = self._ask(session, f"language_modes of {node}", _cmdlets.language_mode())
        if mode is not None:
            self._modes.append((node, mode))
        hardware = self._ask(session, f"hardware of {node}", _cmdlets.hardware())
        if hardware is not None:
            self._hardware[node] = hardware
        what = f"is_disconnected_operations of {node}"
        settings = self._ask(session, what, _cmdlets.machine_settings())
        if settings is not None:
            self._settings[node] = settings

    def _ask_cluster(self, session: SurveySession) -> None:
        questions: tuple[tuple[str, Command[Any], Callable[[Any], dict[str, Any]]], ...] = (
            (_OF_ENVIRONMENT, _cmdlets.environment(), _of_environment),
            ("updates", _cmdlets.listed_updates(), lambda rows: {"updates": rows}),
            ("discovery", _cmdlets.discovery(), lambda rows: {"discovery": rows}),
            ("volumes", _cmdlets.shared_volumes(), self._of_volumes),
            ("node_count", _cmdlets.cluster_nodes(), self._of_nodes),
        )
        for what, command, facts in questions:
            if what not in self._closed:
                answer = self._ask(session, what, command)
                if answer is not None:
                    self._facts |= facts(answer)
        if "endpoints" not in self._closed:
            self._closed.add("endpoints")
            self._facts["endpoints"] = tuple(self._ask_endpoints(session))

    def _ask_endpoints(self, session: SurveySession) -> Iterator[EndpointReach]:
        """Yield what the node reaches outside; the rest is noted."""
        self.progress.say("asking what is reached outside")
        until = self.clock() + ENDPOINTS_S
        has_proxy = any(settings.has_proxy for settings in self._settings.values())
        untold: list[str] = []
        behind_proxy: list[str] = []
        for number, (group, host, port) in enumerate(ENDPOINTS):
            if self.clock() >= until or len(untold) == _MOST_UNTOLD:
                rest = ", ".join(f"{name}:{at}" for _, name, at in ENDPOINTS[number:])
                untold.append(f"not asked, it would have taken too long: {rest}")
                break
            address = f"{host}:{port}"
            try:
                is_reachable = _reaches(session, host, port)
            except AuthenticationError:
                raise
            except (ReachError, ClusterError, InputError) as error:
                untold.append(f"{address}: {error}")
                continue
            if is_reachable or not has_proxy:
                yield EndpointReach(group=group, address=address, is_reachable=is_reachable)
            else:
                behind_proxy.append(address)
        if behind_proxy:
            untold.append(
                "not reached without the machine's proxy, and not tried through it: "
                + ", ".join(behind_proxy)
            )
        if untold:
            self._unknown["endpoints"] = "; ".join(untold)

    # --- judging --------------------------------------------------------------------------------

    def _spaces(self, what: str, volumes: _cmdlets.Volumes) -> tuple[VolumeSpace, ...]:
        if volumes.untold:
            self._unknown[what] = f"no space is told of {', '.join(volumes.untold)}"
        return volumes.spaces

    def _of_volumes(self, volumes: _cmdlets.Volumes) -> dict[str, Any]:
        return {"volumes": self._spaces("volumes", volumes)}

    def _of_nodes(self, nodes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        known = {_short(node.name) for node in self.known.nodes}
        for name, _ in nodes:
            if _short(name) not in known:
                self._unknown[f"everything of {name}"] = "this site does not know the node"
        return {"node_count": len(nodes)}

    def _common_hardware(self) -> Hardware:
        """Return what the machines have in common: an SBE must fit all of them."""
        common = {}
        for name in ("manufacturer", "model", "sku"):
            told = {node: getattr(item, name) for node, item in self._hardware.items()}
            common[name] = self._agreed(f"hardware.{name}", told)
        return Hardware(**common)

    def _common_setting(self) -> bool | None:
        told = {node: item.disconnected_operations for node, item in self._settings.items()}
        if not told:
            return None
        what = "is_disconnected_operations"
        values = {text.lower() for text in told.values()}
        if values <= {"", "false"}:
            return False
        if values == {"true"}:
            return True
        self._unknown[what] = f"the nodes say: {_each(told)}"
        return None

    def _agreed(self, what: str, told: dict[str, str]) -> str:
        if len(set(told.values())) <= 1:
            return next(iter(told.values()), "")
        self._unknown[what] = f"the nodes differ: {_each(told)}"
        return ""

    def _note_blanks(self, request: SiteRequest) -> None:
        """Note every fact that was asked for and came back empty: it must not pass for an answer."""
        if self._is_told(_OF_ENVIRONMENT):
            self._blank("solution_version", request.solution_version)
            self._blank("update_state", request.update_state)
            self._blank("health.state", request.health.state)
            self._blank("sbe_version", request.sbe_version)
            if request.sbe_state != "none":
                self._blank("sbe_family", request.sbe_family)
                self._blank("sbe_publisher", request.sbe_publisher, "no listed update names it")
        if self._hardware:
            for name in ("manufacturer", "model", "sku"):
                self._blank(f"hardware.{name}", getattr(request.hardware, name))
        if self._is_told("discovery"):
            told = {source.component: source.status for source in request.discovery}
            for component in ("Solution", "SBE"):
                self._blank(f"discovery of {component}", told.get(component, ""))

    def _is_told(self, question: str) -> bool:
        return question in self._closed and question not in self._unknown

    def _blank(self, what: str, value: str, why: str = _NOT_TOLD) -> None:
        if not value:
            self._unknown.setdefault(what, why)


def _publisher(request: SiteRequest) -> str:
    """Return who publishes the installed SBE's family, if a listed update names them."""
    families = ("", request.sbe_family.casefold())
    named = {
        update.sbe_publisher
        for update in request.updates
        if update.sbe_publisher and update.sbe_family.casefold() in families
    }
    return named.pop() if len(named) == 1 else ""


def _reaches(session: SurveySession, host: str, port: int) -> bool:
    """Ask for the name first: without an address there is nothing to wait for."""
    try:
        return session.invoke(_cmdlets.resolves(host)) and session.invoke(
            _cmdlets.reaches(host, port)
        )
    except CommandError as error:
        if (error.error_id or "").startswith(("DNS_ERROR_", "ERROR_TIMEOUT,")):
            return False
        raise


def _of_environment(environment: UpdateEnvironment) -> dict[str, Any]:
    told = dict(environment.additional).get("SBEAdditionalData", "")
    return {
        "solution_version": environment.current_version,
        "package_versions": environment.package_versions,
        "sbe_family": environment.sbe_family,
        "sbe_version": environment.current_sbe_version,
        "sbe_state": sbe_state_of(environment.current_sbe_version, told),
        "update_state": environment.state,
        "health": HealthSummary(
            state=environment.health_state,
            failed_critical=_failed(environment.health_checks, "CRITICAL"),
            failed_warning=_failed(environment.health_checks, "WARNING"),
        ),
    }


def _failed(checks: tuple[HealthCheck, ...], severity: str) -> tuple[str, ...]:
    """Return the names of the failed checks of a severity, each once."""
    names = [
        check.name or check.title
        for check in checks
        if check.severity.upper() == severity
        and check.status.upper() in ("FAILURE", "FAILED", "ERROR")
    ]
    return tuple(dict.fromkeys(names))


def _short(name: str) -> str:
    return name.partition(".")[0].casefold()


def _each(told: dict[str, str]) -> str:
    return ", ".join(f"{node} {text or 'nothing'}" for node, text in told.items())
