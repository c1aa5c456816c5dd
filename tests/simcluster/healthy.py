"""A cluster on which nothing is to be found: what `state.py` leaves as bare as an old test needs it is set right.

Source: each value is the one that a check of `docs/reference/checks.md` lets pass.
"""

from __future__ import annotations

import json

from tests.simcluster.state import SHARE, Node, World

_WSMAN = r"hklm:\software\microsoft\windows\currentversion\wsman"
_POLICIES = r"hklm:\software\policies\microsoft\windows"
_FRESH = _POLICIES + r"\credentialsdelegation"
_FILE_SYSTEM = r"hklm:\system\currentcontrolset\control\filesystem"
_HEALTH_FOLDER = SHARE + r"\Updates\HealthCheck\System"


def make_healthy(world: World) -> None:
    """Set right what every node and the cluster should be; the nodes have their addresses already."""
    world.sbe_discovery = "Ok"
    hosts = [name for node in world.nodes for name in (node.name, node.address)]
    for node in world.nodes:
        node.ready.wsman[r"Client\TrustedHosts"] = ",".join(hosts)
        _set_registry(node)
    write_health_files(world)


def _set_registry(node: Node) -> None:
    node.registry |= {
        _FILE_SYSTEM: {"LongPathsEnabled": 1},
        _WSMAN + r"\service": {"auth_credssp": 1},
        _WSMAN + r"\client": {"auth_credssp": 1},
        _FRESH: {"ConcatenateDefaults_AllowFresh": 1, "ConcatenateDefaults_AllowFreshNTLMOnly": 1},
        _FRESH + r"\allowfreshcredentials": {"1": "WSMAN/*"},
        _FRESH + r"\allowfreshcredentialswhenntlmonly": {"1": "WSMAN/*"},
        _POLICIES + r"\windowsupdate\au": {"NoAutoUpdate": 1},
    }


def write_health_files(world: World) -> None:
    """Write the results of the health checks to the share, as the daily checks do."""
    folder = world.nodes[0].drive.resolve(_HEALTH_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    at = world.clock.now()
    results = [
        {
            "Name": check.name,
            "DisplayName": check.title,
            "Title": check.title,
            "Status": check.status,
            "Severity": check.severity.capitalize(),
            "Description": check.description,
            "Remediation": check.remediation,
            "TargetResourceName": check.target,
            "Timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        }
        for check in world.health_checks
    ]
    for kind in ("EnvironmentChecker", "CheckCloudHealth"):
        path = folder / f"HealthCheckResult.{kind}.{at:%Y%m%d%H%M%S}.json"
        path.write_text(json.dumps(results, indent=1), encoding="utf-8")
