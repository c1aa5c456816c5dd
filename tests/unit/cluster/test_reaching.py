"""Which addresses a node reaches: several at a time, directly or through its proxy, and never for ever."""

import threading

import pytest

from toolkit.cluster._checks._endpoints import Endpoint
from toolkit.cluster._reaching import AT_ONCE, WITHIN_S, ask_reach
from toolkit.errors import AuthenticationError, CommandError, InputError, SessionLostError

MCR, CRL = Endpoint(host="mcr.microsoft.com"), Endpoint(host="crl3.digicert.com", port=80)


class Node:
    """Answers each cmdlet by what a test says of it."""

    def __init__(self, **answers):
        self.answers = {"resolve": True, "test": True, "web": None, **answers}
        self.sent, self.opened, self.threads = [], 0, set()

    def __enter__(self):
        self.opened += 1
        return self

    def __exit__(self, *stop):
        return None

    def invoke(self, command):
        first = command.pipeline[0]
        self.sent.append((first.name, dict(first.parameters)))
        self.threads.add(threading.get_ident())
        key = {"Resolve-DnsName": "resolve", "Test-NetConnection": "test"}.get(first.name, "web")
        answer = self.answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer


def failed(error_id, words="words"):
    return CommandError("run it", cmdlet="x", error_id=error_id, found=words)


def ask(node, *endpoints, proxy="", clock=lambda: 0.0):
    return dict(ask_reach(endpoints or (MCR,), open=lambda: node, proxy=proxy, clock=clock))


def test_address_is_resolved_and_connected_to():
    node = Node()
    assert ask(node, MCR, CRL)[CRL].value is True
    assert ("Test-NetConnection", {"ComputerName": CRL.host, "Port": 80, "InformationLevel": "Quiet"}) in node.sent  # fmt: skip


def test_name_without_an_address_is_not_reached_and_nothing_is_waited_for():
    node = Node(resolve=failed("DNS_ERROR_RCODE_NAME_ERROR,Microsoft.DnsClient.Commands"))
    assert ask(node)[MCR].value is False
    assert [name for name, _ in node.sent] == ["Resolve-DnsName"]


def test_closed_port_is_not_reached():
    assert ask(Node(test=False))[MCR].value is False


@pytest.mark.parametrize(
    "error",
    [failed("ERROR_TIMEOUT,Microsoft"), InputError("read", found="x"), SessionLostError("invoke")],
)
def test_what_was_not_answered_is_not_known(error):
    told = ask(Node(resolve=error))[MCR]
    assert told.value is None
    assert told.why


THROUGH = [
    (None, True),
    (failed("MaximumRedirectExceeded,Microsoft"), True),
    (failed("WebCmdletWebResponseException,Microsoft", "an error: (404) Not Found."), True),
    (failed("WebCmdletWebResponseException,Microsoft", "Unable to connect"), False),
    (failed("WebCmdletWebResponseException,Microsoft", "error: (407) Proxy Auth"), None),
    (failed("WebCmdletWebResponseException,Microsoft", "error: (403) Forbidden"), None),
    (failed("WebCmdletWebResponseException,Microsoft", "error: (503) Unavailable"), None),
    (failed("CommandNotFoundException", "no such cmdlet"), None),
]


@pytest.mark.parametrize(("answer", "value"), THROUGH)
def test_behind_a_proxy_any_answer_of_the_host_counts(answer, value):
    node = Node(web=answer)
    told = ask(node, CRL, proxy="proxy.lan:8080")[CRL]
    assert told.value is value
    assert (value is None) == bool(told.why)
    ((name, parameters),) = node.sent
    assert name == "Invoke-WebRequest"
    assert parameters["Uri"] == "http://crl3.digicert.com:80/"
    assert parameters["Proxy"] == "http://proxy.lan:8080"


def test_several_sessions_share_the_addresses_and_each_is_asked_once():
    node = Node()
    many = [Endpoint(host=f"h{number}") for number in range(40)]
    told = ask(node, *many)
    assert [endpoint.host for endpoint in told] == [f"h{number}" for number in range(40)]
    assert node.opened == AT_ONCE
    resolved = [parameters["Name"] for name, parameters in node.sent if name == "Resolve-DnsName"]
    assert sorted(resolved) == sorted(f"h{number}" for number in range(40))


def test_after_its_time_no_further_address_is_asked():
    ticks = iter([0.0] + [0.0] * 3 + [WITHIN_S] * 99)
    lock = threading.Lock()

    def clock():
        with lock:
            return next(ticks)

    told = ask(Node(), *(Endpoint(host=f"h{number}") for number in range(20)), clock=clock)
    assert sum(answer.value is True for answer in told.values()) == 3
    assert {answer.why for answer in told.values() if answer.why} == {
        "it was not asked, that would have taken too long"
    }


def test_session_that_is_lost_ends_alone():
    class Odd(Node):
        def invoke(self, command):
            if dict(command.pipeline[0].parameters).get("Name") == "h3":
                raise SessionLostError("ask", found="the session was lost")
            return super().invoke(command)

    told = ask(Odd(), *(Endpoint(host=f"h{number}") for number in range(20)))
    assert [endpoint.host for endpoint, answer in told.items() if answer.why] == ["h3"]


def test_sessions_that_cannot_be_opened_leave_everything_unknown():
    class Shut(Node):
        def __enter__(self):
            raise AuthenticationError("log on", found="access denied")

    told = ask(Shut(), MCR, CRL)
    assert all(answer.why for answer in told.values())
