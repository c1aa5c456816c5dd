"""WS-Management envelopes: read a request, print an answer or a fault.

Source: [MS-WSMV]; DMTF DSP0226; element and attribute sets compared with recorded Server 2016 traffic
in pypsrp's tests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WSMV = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
POWERSHELL = "http://schemas.microsoft.com/powershell"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

NS = {
    "s": SOAP,
    "a": ADDRESSING,
    "w": WSMAN,
    "p": WSMV,
    "rsp": SHELL,
    "x": TRANSFER,
    "ps": POWERSHELL,
}

MAX_ENVELOPE_BYTES = 512_000
"""`WSMan:\\localhost\\MaxEnvelopeSizekb` = 500."""


class WSManFaultError(Exception):
    """A fault the client gets to see."""

    def __init__(self, code: int, subcode: str, reason: str, *, is_sender: bool = True) -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.is_sender = is_sender


def operation_timed_out() -> WSManFaultError:
    """Nothing happened within the request's OperationTimeout; clients ask again."""
    return WSManFaultError(
        2150858793,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in "
        "OperationTimeout.",
        is_sender=False,
    )


def shell_not_found(shell_id: str) -> WSManFaultError:
    """The shell is gone: deleted, or its node restarted."""
    return WSManFaultError(
        2150858843,
        "w:InvalidSelectors",
        f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the shell "
        "was not found on the server. Possible causes are: the specified ShellId is incorrect or the "
        "shell no longer exists on the server. Provide the correct ShellId or create a new shell and "
        "retry the operation.",
    )


def command_not_found(command_id: str) -> WSManFaultError:
    """The command is gone: finished and read to its end, or never there."""
    return WSManFaultError(
        2150858843,
        "w:InvalidSelectors",
        "The Windows Remote Shell received a request to perform an operation on a command identifier "
        f"that does not exist: {command_id}.",
    )


def too_many_shells(limit: int) -> WSManFaultError:
    """The quota of shells is used up."""
    return WSManFaultError(
        2150859174,
        "w:QuotaLimit",
        f"The WS-Management service cannot process the request. The maximum number of shells ({limit}) "
        "has been exceeded.",
    )


def unknown_configuration(uri: str) -> WSManFaultError:
    """No session configuration answers to this resource."""
    return WSManFaultError(
        2150858811,
        "a:DestinationUnreachable",
        f"The WS-Management service cannot process the request. Cannot find the {uri} session "
        "configuration.",
    )


def access_denied() -> WSManFaultError:
    """The account may log on, and is no administrator."""
    return WSManFaultError(5, "w:AccessDenied", "Access is denied.")


def not_supported(action: str) -> WSManFaultError:
    """The simulator does not know the action."""
    return WSManFaultError(
        2150858752, "a:ActionNotSupported", f"The simulator does not support the action {action}."
    )


def internal_error(reason: str) -> WSManFaultError:
    """The simulator itself is broken."""
    return WSManFaultError(2150858880, "w:InternalError", reason, is_sender=False)


def bad_request(reason: str) -> WSManFaultError:
    """The envelope cannot be understood."""
    return WSManFaultError(2150858817, "w:SchemaValidationError", reason)


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request the service looks at."""

    action: str
    message_id: str
    resource_uri: str
    selectors: dict[str, str]
    timeout_s: float
    max_envelope_bytes: int
    body: Element

    @property
    def verb(self) -> str:
        """Last segment of the action: `Create`, `Receive` …."""
        return self.action.rpartition("/")[2]

    @property
    def shell_id(self) -> str:
        """The shell the request is for."""
        return self.selectors.get("ShellId", "")


def read_request(data: bytes) -> Request:
    """Parse an envelope.

    Raises:
        WSManFaultError: It is not one.
    """
    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException) as exc:
        raise bad_request(f"The request is not well-formed XML: {exc}.") from exc
    body = root.find("s:Body", NS)
    action = root.findtext("s:Header/a:Action", "", NS)
    if body is None or not action:
        raise bad_request("The request has no body or no action.")
    selectors = {
        item.get("Name", ""): item.text or ""
        for item in root.findall("s:Header/w:SelectorSet/w:Selector", NS)
    }
    limit = int(root.findtext("s:Header/w:MaxEnvelopeSize", str(MAX_ENVELOPE_BYTES), NS))
    return Request(
        action=action,
        message_id=root.findtext("s:Header/a:MessageID", "", NS),
        resource_uri=root.findtext("s:Header/w:ResourceURI", "", NS),
        selectors=selectors,
        timeout_s=_seconds(root.findtext("s:Header/w:OperationTimeout", "PT60S", NS)),
        max_envelope_bytes=min(limit, MAX_ENVELOPE_BYTES),
        body=body,
    )


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"PT(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", duration)
    if found is None:
        raise bad_request(f"OperationTimeout {duration!r} is not understood.")
    return 60 * float(found[1] or 0) + float(found[2] or 0)


_ENVELOPE = (
    '<s:Envelope xml:lang="en-US" '
    f'xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:x="{TRANSFER}" xmlns:w="{WSMAN}" '
    f'xmlns:rsp="{SHELL}" xmlns:p="{WSMV}"><s:Header><a:Action>{{action}}</a:Action>'
    "<a:MessageID>uuid:{own_id}</a:MessageID>"
    f"<a:To>{ADDRESSING}/role/anonymous</a:To>"
    "<a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
)


def answer(request: Request, body: str = "") -> bytes:
    """Print the answer to a request."""
    return _print(f"{request.action}Response", request.message_id, body)


def fault(error: WSManFaultError, relates_to: str, machine: str) -> bytes:
    """Print a fault."""
    reason = escape(error.reason)
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if error.is_sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason>'
        f'<s:Detail><f:WSManFault xmlns:f="{FAULT}" Code="{error.code}" '
        f"Machine={quoteattr(machine)}><f:Message>{reason}</f:Message></f:WSManFault></s:Detail>"
        "</s:Fault>"
    )
    return _print(f"{WSMAN.removesuffix('/wsman.xsd')}/wsman/fault", relates_to, body)


def _print(action: str, relates_to: str, body: str) -> bytes:
    text = _ENVELOPE.format(
        action=action, own_id=str(uuid4()).upper(), relates_to=escape(relates_to), body=body
    )
    return text.encode()
