"""The in-box cmdlets that look outside: names and ports, as the world says they are.

Source: Microsoft Learn, *Resolve-DnsName* (DnsClient), *Test-NetConnection* (NetTCPIP); error identifiers
as printed in public transcripts.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simcluster.cmdlet_names import enumeration
from tests.simcluster.pipeline import Call, Library, Parameter, number, switch, text
from tests.simcluster.values import OBJECT, NetObject, Value

LIBRARY = Library()
_ADDRESS = "203.0.113.7"
"""Every host outside has this one (TEST-NET-3)."""


def _resolves(call: Call, host: str) -> bool:
    world = call.world
    known = {address.partition(":")[0].lower() for address in (*world.reachable, *world.resolvable)}
    return world.name_service_answers and host.lower() in known


@LIBRARY.cmdlet(
    "Resolve-DnsName",
    Parameter("Name", text, position=0, is_mandatory=True),
    Parameter("Type", text, position=1),
    Parameter("Server"),
    Parameter("DnsOnly", switch),
    Parameter("NoHostsFile", switch),
    Parameter("QuickTimeout", switch),
    owner="Microsoft.DnsClient.Commands.ResolveDnsName",
)
def resolve_dns_name(call: Call) -> Iterator[Value]:
    """Resolve a host outside to the one address there is."""
    host = call["Name"]
    if not call.world.name_service_answers:
        call.error(
            call.failure(
                f"{host} : This operation returned because the timeout period expired",
                "ERROR_TIMEOUT",
                "OperationTimeout",
                exception="System.ComponentModel.Win32Exception",
                target=host,
            )
        )
    elif not _resolves(call, host):
        call.error(
            call.failure(
                f"{host} : DNS name does not exist",
                "DNS_ERROR_RCODE_NAME_ERROR",
                "ResourceUnavailable",
                exception="System.ComponentModel.Win32Exception",
                target=host,
            )
        )
    else:
        yield NetObject(
            ("Microsoft.DnsClient.Commands.DnsRecord_A", OBJECT),
            {
                "Name": host,
                "Type": enumeration("RecordType", "A"),
                "TTL": 300,
                "Section": "Answer",
                "IPAddress": _ADDRESS,
            },
        )


@LIBRARY.cmdlet(
    "Test-NetConnection",
    Parameter("ComputerName", text, position=0),
    Parameter("Port", number),
    Parameter("InformationLevel"),
    owner="Test-NetConnection",
)
def test_net_connection(call: Call) -> Iterator[Value]:
    """Say whether a port outside answers; a blocked one is said at once here."""
    host, port = call["ComputerName"] or "internetbeacon.msedge.net", call["Port"]
    is_known = _resolves(call, host)
    succeeded = is_known and f"{host}:{port}".lower() in call.world.reachable
    if not is_known:
        call.streams.warning(f"Name resolution of {host} failed")
    elif not succeeded:
        call.streams.warning(f"TCP connect to ({_ADDRESS} : {port}) failed")
    if (call["InformationLevel"] or "").lower() == "quiet":
        yield succeeded
        return
    yield NetObject(
        ("TestNetConnectionResult", OBJECT),
        {
            "ComputerName": host,
            "RemoteAddress": _ADDRESS if is_known else None,
            "RemotePort": port,
            "TcpTestSucceeded": succeeded,
        },
    )
