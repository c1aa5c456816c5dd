"""What makes each check of that which the payload lacks fire, and the worlds in which it is silent."""

from __future__ import annotations

from pathlib import PureWindowsPath

from tests.simcluster.cluster import SimCluster
from tests.simcluster.outside import ALL_ENDPOINTS
from tests.stage import VERSION
from tests.system.checkcases import Batch

PROXY = "http://ada:geheim-proxy-7@proxy.plant7.lan:8080"
EXCLUDED = PureWindowsPath(
    r"C:\Program Files\WindowsPowerShell\Modules\AzStackHci.EnvironmentChecker\ExcludeTests.txt"
)
_GROUPS = ("discovery", "download", "microsoft-update", "arb", "aks", "arc", "revocation")
_ALDO = ("revocation-offline", "manifest-hosted", "update-uri", "excluded-tests", "moc-script")


def set_proxy(sim: SimCluster, *, status: int) -> None:
    """Let the nodes reach the web only through a proxy, and every host answer with one status."""
    sim.world.reachable = set()
    sim.world.outside.proxy_answers = dict.fromkeys(ALL_ENDPOINTS, status)
    for node in sim.world.nodes:
        node.variables["HTTPS_PROXY"] = PROXY


def _cut_off(sim: SimCluster) -> None:
    sim.world.reachable = set()
    sim.world.sbe_discovery = "ConnectionFailure"
    sim.world.outside.connection_status = "NotYet"


def _set_up_disconnected(sim: SimCluster) -> None:
    """Make an island whose appliance takes the place of Azure, as the page asks for it."""
    world = sim.world
    world.reachable = set()
    world.outside.connection_status = "NotYet"
    world.outside.sbe_uri = "https://edgeartifacts.blob.autonomous.cloud.private/clouddeployment/SBE_Discovery_Contoso.xml"
    world.outside.solution_uri = "https://fakehost"
    for node in world.nodes:
        node.variables |= {
            "DISCONNECTED_OPS_SUPPORT": "True",
            "NUGET_CERT_REVOCATION_MODE": "offline",
        }
        path = node.drive.resolve(str(EXCLUDED))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("Test-Other\r\nTest-ARBStackBandwidth\r\n", encoding="utf-8")


def _break_disconnected(sim: SimCluster) -> None:
    _set_up_disconnected(sim)
    sim.world.current_version = "12.2603.1002.15"
    sim.world.outside.sbe_uri = ""
    sim.world.outside.solution_uri = "https://aka.ms/AzureEdgeUpdates"
    del sim.world.nodes[1].variables["NUGET_CERT_REVOCATION_MODE"]
    sim.world.nodes[0].drive.resolve(str(EXCLUDED)).unlink()


def _mix_kinds(sim: SimCluster) -> None:
    sim.world.nodes[0].variables["DISCONNECTED_OPS_SUPPORT"] = "True"


DISCONNECTED = "disconnected operations, well set up"
BATCHES = {
    "an island": Batch(
        breaks=_cut_off,
        fires={
            **{f"endpoints-{group}": "warning" for group in _GROUPS},
            "registration": "critical",
            "discovery-manifests": "warning",
        },
        words=(),
    ),
    "a proxy that wants a logon": Batch(
        breaks=lambda sim: set_proxy(sim, status=407),
        fires={f"endpoints-{group}": "unknown" for group in _GROUPS},
        words=(),
    ),
    "disconnected operations": Batch(
        breaks=_break_disconnected,
        fires={
            "aldo-control-plane": "warning",
            "aldo-revocation-offline": "critical",
            "aldo-manifest-hosted": "critical",
            "aldo-update-uri": "warning",
            "aldo-excluded-tests": "critical",
            "aldo-moc-script": "warning",
        },
        words=("--version", "12.2604.1003.9"),
    ),
    "half an island": Batch(
        breaks=_mix_kinds, fires={"disconnected-operations": "critical"}, words=()
    ),
    DISCONNECTED: Batch(breaks=_set_up_disconnected, fires={}, words=("--version", VERSION)),
}
SILENT_IN = {f"aldo-{name}": DISCONNECTED for name in _ALDO}
"""Check → the batch in which it passes, where that is not the healthy connected cluster."""
NEVER_PASSES = frozenset({"aldo-control-plane"})
"""Asked of disconnected operations only, and a warning there: on a connected cluster it is not asked."""
