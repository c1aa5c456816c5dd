"""How a WinRM listener lets a client in: Negotiate (NTLM), Basic over TLS, client certificates.

Negotiate authenticates the TCP connection: once it is complete the connection is the credential. Over
plain HTTP the same context then seals every message.

Source: [MS-WSMV] 2.2.9.1 (encrypted messages); RFC 4559; RFC 5929 (channel bindings).
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from tests.simcluster.ntlm import Accounts

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""What a client sends in `Authorization` when its certificate is its credential."""

_BOUNDARY = b"--Encrypted Boundary"
_SEALED_TYPE = (
    'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";'
    'boundary="Encrypted Boundary"'
)
_AUTHENTICATE = b"NTLMSSP\x00\x03\x00\x00\x00"


class MalformedError(Exception):
    """A sealed message that cannot be opened: HTTP 400."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one HTTP request."""

    status: int
    """200: answer it; 401: ask for (more of) a credential."""
    challenges: tuple[str, ...] = ()
    """Values for `WWW-Authenticate`."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a listener accepts."""

    accounts: Accounts
    is_tls: bool
    certificate_der: bytes | None = None
    needs_channel_binding: bool = False
    """CbtHardeningLevel=Strict."""
    allows_basic: bool = False
    certificate_users: tuple[str, ...] = ()
    """Subjects of client certificates that are mapped to an account."""
    record: Callable[[str, bool], None] = lambda user, accepted: None
    """Told the outcome of every attempt."""
    refuses: Callable[[], bool] = lambda: False
    """Whether every password is refused just now."""


class ConnectionAuth:
    """The authentication state of one TCP connection."""

    def __init__(self, policy: Policy, client_certificate: str | None) -> None:
        self.user: str | None = None
        self._policy = policy
        self._client_certificate = client_certificate
        self._context: Any = None
        self._sealing: Any = None

    @property
    def must_seal(self) -> bool:
        """Whether messages must come sealed: always on a connection without TLS."""
        return not self._policy.is_tls

    def decide(self, authorization: str) -> Decision:
        """Take one request's `Authorization` header."""
        scheme, _, credential = authorization.partition(" ")
        match scheme.lower():
            case "negotiate" | "ntlm":
                return self._negotiate(scheme, credential)
            case "basic" if self._policy.allows_basic and self._policy.is_tls:
                return self._basic(credential)
            case _ if authorization == MUTUAL:
                return self._certificate()
            case _ if self.user is not None:
                return Decision(200)
            case _:
                return self._refusal()

    def _refusal(self) -> Decision:
        offers = ["Negotiate"]
        if self._policy.allows_basic and self._policy.is_tls:
            offers.append('Basic realm="WSMAN"')
        return Decision(401, tuple(offers))

    def _basic(self, credential: str) -> Decision:
        try:
            raw = base64.b64decode(credential, validate=True)
        except binascii.Error:
            return self._refusal()
        user, _, password = _decode(raw).partition(":")
        accepted = not self._policy.refuses() and self._policy.accounts.check_basic(user, password)
        if self.user != user or not accepted:
            self._policy.record(user, accepted)
        if not accepted:
            return self._refusal()
        self.user = user
        return Decision(200)

    def _certificate(self) -> Decision:
        subject = self._client_certificate or ""
        accepted = subject in self._policy.certificate_users
        if self.user is None:
            self._policy.record(subject or "(no certificate)", accepted)
        if not accepted:
            return Decision(401)
        self.user = subject
        return Decision(200)

    def _negotiate(self, scheme: str, credential: str) -> Decision:
        try:
            token = base64.b64decode(credential, validate=True)
        except binascii.Error:
            return self._refusal()
        claimed = claimed_user(token)
        if self._context is None or claimed is None:
            self._context = self._policy.accounts.acceptor(self._bindings())
        answer = self._step(token) if claimed is None or not self._policy.refuses() else None
        if answer is None:
            self._context = None
            if claimed is not None:
                self._policy.record(claimed, False)
            return self._refusal()
        challenge = f"{scheme} {base64.b64encode(answer).decode()}".strip()
        if not self._context.complete:
            return Decision(401, (challenge,))
        self.user = str(self._context.client_principal)
        self._policy.record(claimed or self.user, True)
        self._sealing, self._context = self._context, None
        return Decision(200, (challenge,) if answer else ())

    def _step(self, token: bytes) -> bytes | None:
        """Return the acceptor's next token, maybe empty; None: it refuses."""
        try:
            return bytes(self._context.step(token) or b"")
        except SpnegoError:
            return None

    def _bindings(self) -> Any:
        certificate = self._policy.certificate_der
        if certificate is None or not self._policy.needs_channel_binding:
            return None
        return GssChannelBindings(application_data=channel_binding(certificate))

    # --- message encryption --------------------------------------------------------------------

    def open_sealed(self, body: bytes) -> bytes:
        """Decrypt a `multipart/encrypted` body.

        Raises:
            MalformedError: It was not sealed for this connection.
        """
        if self._sealing is None:
            raise MalformedError("no key was agreed on this connection")
        head, _, rest = body.partition(b"application/octet-stream\r\n")
        found = re.search(rb"Length=(\d+)", head)
        if found is None or len(rest) < 4:
            raise MalformedError("not a sealed message")
        (signature_bytes,) = struct.unpack_from("<I", rest)
        end = 4 + signature_bytes + int(found[1])
        if not rest[end:].startswith(_BOUNDARY):
            raise MalformedError("the sealed message has another length than it says")
        try:
            data = self._sealing.unwrap_winrm(
                rest[4 : 4 + signature_bytes], rest[4 + signature_bytes : end]
            )
        except SpnegoError as exc:
            raise MalformedError(str(exc)) from exc
        return bytes(data)

    def seal(self, message: bytes) -> tuple[str, bytes]:
        """Encrypt an answer; return its content type and body."""
        signature, data, padding_bytes = self._sealing.wrap_winrm(message)
        length = len(message) + padding_bytes
        head = (
            b"--Encrypted Boundary\r\n"
            b"\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
            b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"
            b"--Encrypted Boundary\r\n"
            b"\tContent-Type: application/octet-stream\r\n" % length
        )
        body = head + struct.pack("<I", len(signature)) + signature + data
        return _SEALED_TYPE, body + b"--Encrypted Boundary--\r\n"


def channel_binding(certificate_der: bytes) -> bytes:
    """Return the `tls-server-end-point` binding of a server certificate (RFC 5929, 4.1)."""
    algorithm = x509.load_der_x509_certificate(certificate_der).signature_hash_algorithm
    if algorithm is None or algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate_der)
    return b"tls-server-end-point:" + digest.finalize()


def claimed_user(token: bytes) -> str | None:
    """Return the user an NTLM AUTHENTICATE message names; None if the token carries none.

    Source: [MS-NLMP] 2.2.1.3 (UserNameFields at offset 36, NegotiateFlags at 60).
    """
    start = token.find(_AUTHENTICATE)
    if start < 0 or len(token) < start + 64:
        return None
    length, _, offset = struct.unpack_from("<HHI", token, start + 36)
    raw = token[start + offset : start + offset + length]
    return raw.decode("utf-16-le", errors="replace")


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
