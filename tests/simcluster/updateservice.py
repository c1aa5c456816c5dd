"""Whether the update service answers: it may be starved by questions, or just be moved to another node.

Source: Get-SolutionUpdate-GatewayTimeout.md (words, cause, the move), Firewall-blocks-update-discovery.md (words of a
service that does not listen). What is invented: docs/simulator.md.
"""

from __future__ import annotations

import time

from tests.simcluster.pipeline import Call
from tests.simcluster.values import PsError

GROUP = "Azure Stack HCI Update Service Cluster Group"


def ask(call: Call) -> None:
    """Take part in asking the update service.

    Raises:
        PsError: It does not answer.
    """
    days, now = call.world.bad_days, time.monotonic()
    with call.world.lock:
        if now < days.service_silent_until:
            words = f"WebException.Status: ConnectFailure on [{_uri(call)}] - Unable to connect to the remote server"
            raise _failure(call, words, "ConnectionFailureException")
        if days.starved is None:
            return
        days.calls.append(now)
        while days.calls[0] < now - days.starved.within_s:
            days.calls.popleft()
        if len(days.calls) > days.starved.calls:
            words = f"A RestResponse of GatewayTimeout was received calling Get on {_uri(call)}"
            raise _failure(call, words, "TransientException")


def _uri(call: Call) -> str:
    owner = call.world.ready.group(GROUP).owner or call.node.name
    return (
        f"https://{owner}.{call.world.domain}:4900/providers/Microsoft.Update.Admin/updateLocations"
        "?api-version=2022-08-01"
    )


def _failure(call: Call, words: str, kind: str) -> PsError:
    return call.failure(
        words,
        kind,
        exception=f"Microsoft.AzureStack.Common.Infrastructure.HttpServiceClient.{kind}",
    )
