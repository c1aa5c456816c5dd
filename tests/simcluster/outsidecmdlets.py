"""The cmdlets that tell how the cluster stands with Azure, and ask the web through a proxy.

Source: Microsoft Learn, *Get-AzureStackHCI* (AzureStackHCI), *Invoke-WebRequest* (5.1). Error identifiers of
Windows PowerShell 5.1: `WebCmdletWebResponseException`, `MaximumRedirectExceeded`.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.simcluster.pipeline import Call, Library, Parameter, number, switch, text
from tests.simcluster.values import OBJECT, NetEnum, NetObject, PsError, Value

LIBRARY = Library()
_REASONS = {
    403: "Forbidden",
    404: "Not Found",
    407: "Proxy Authentication Required",
    502: "Bad Gateway",
    503: "Server Unavailable",
    504: "Gateway Timeout",
}


@LIBRARY.cmdlet(
    "Get-AzureStackHCI",
    Parameter("ComputerName", text, position=0),
    owner="Microsoft.AzureStack.HCI.GetAzureStackHCI",
)
def get_azure_stack_hci(call: Call) -> Iterator[Value]:
    """Describe how the cluster stands with Azure."""
    outside = call.world.outside
    yield NetObject(
        ("Microsoft.AzureStack.HCI.ArcStatus", OBJECT),
        {
            "ClusterStatus": _word("ClusterStatus", "Clustered"),
            "RegistrationStatus": _word("RegistrationStatus", outside.registration_status),
            "ConnectionStatus": _word("ConnectionStatus", outside.connection_status),
            "AzureResourceName": call.world.name,
        },
    )


def _word(kind: str, name: str) -> NetEnum:
    return NetEnum(f"Microsoft.AzureStack.HCI.{kind}", name, 1)


@LIBRARY.cmdlet(
    "Invoke-WebRequest",
    Parameter("Uri", text, position=0, is_mandatory=True),
    Parameter("Method"),
    Parameter("Proxy", text),
    Parameter("UseBasicParsing", switch),
    Parameter("TimeoutSec", number),
    Parameter("MaximumRedirection", number),
    owner="Microsoft.PowerShell.Commands.InvokeWebRequestCommand",
)
def invoke_web_request(call: Call) -> Iterator[Value]:
    """Ask a host for its first page, through the proxy that every node has."""
    address = urlsplit(call["Uri"])
    proxies = {
        node.variables.get("HTTPS_PROXY", "").rpartition("@")[2] for node in call.world.nodes
    }
    is_right_proxy = urlsplit(call["Proxy"] or "").netloc in {
        proxy.rpartition("/")[2] for proxy in proxies if proxy
    }
    status = call.world.outside.proxy_answers.get(f"{address.hostname}:{address.port}")
    if not is_right_proxy or status is None:
        raise _refused(call, "Unable to connect to the remote server")
    if status in (301, 302):
        call.error(
            call.failure(
                "The maximum redirection count has been exceeded. To increase the number of redirections "
                "allowed, supply a higher value to the -MaximumRedirection parameter.",
                "MaximumRedirectExceeded",
                "InvalidOperation",
                exception="System.InvalidOperationException",
                target=call["Uri"],
            )
        )
    elif status >= 400:
        raise _refused(
            call,
            f"The remote server returned an error: ({status}) {_REASONS.get(status, 'Error')}.",
        )
    yield NetObject(
        ("Microsoft.PowerShell.Commands.BasicHtmlWebResponseObject", OBJECT),
        {"StatusCode": status, "StatusDescription": "OK"},
    )


def _refused(call: Call, words: str) -> PsError:
    return call.failure(
        words,
        "WebCmdletWebResponseException",
        "InvalidOperation",
        exception="System.Net.WebException",
        target=call["Uri"],
    )
