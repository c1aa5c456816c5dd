"""Whom we believe over TLS, what we show of ourselves, and what is wrong with a certificate.

The operating system's trust store counts (`truststore`), or the bundle that REQUESTS_CA_BUNDLE,
CURL_CA_BUNDLE or SSL_CERT_FILE names in its place; `--ca` adds authorities to either. When a certificate
is refused, a second connection without verification reads it, sends nothing, and the error names it: that
is how an intercepting proxy is told from an expired certificate.

Source: RFC 5280 (validity), RFC 6125 section 6.4 (names); verification codes: OpenSSL x509_vfy.h
(X509_V_ERR_*), Windows winerror.h (CERT_E_*).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import truststore
from cryptography import x509
from cryptography.x509.oid import NameOID

from toolkit.errors import DownloadError, InputError, system_says
from toolkit.filesystem import refuse_pipe

BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The first one set names the authorities to trust instead of the operating system's."""

_OUT_OF_TIME = frozenset({9, 10, 0x800B0101})
_OTHER_NAME = frozenset({62, 64, 0x800B010F})
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 0x800B0109, 0x800B010A})


class Trust:
    """Makes the TLS contexts of one fetcher; every file was read once before."""

    def __init__(
        self,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
        client_key: Path | None = None,
        *,
        ask_passphrase: Callable[[], str] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Check that the files hold what they should.

        Args:
            ca_file: Authorities (PEM) to trust besides the others.
            client_cert: What proves us to servers that want a certificate (PEM).
            client_key: Its private key; None: in the same file.
            ask_passphrase: Called once, if the key is encrypted.
            environ: The environment.

        Raises:
            InputError: A file cannot be read or used, or the passphrase is wrong.
        """
        named = next((name for name in BUNDLE_VARIABLES if environ.get(name)), None)
        self._bundle = None if named is None else Path(environ[named])
        self._ca_file, self._client_cert, self._client_key = ca_file, client_cert, client_key
        self._ask_passphrase = ask_passphrase
        self._passphrase: str | None = None
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._making = threading.Lock()
        if self._bundle is not None:
            _load(_plain_context(), self._bundle, hint=f"the environment variable {named} names it")
        self.added: frozenset[x509.Name] = frozenset()
        """Subjects of the authorities that `--ca` adds."""
        if ca_file is not None:
            context = _plain_context()
            _load(context, ca_file)
            self.added = frozenset(
                certificate.subject
                for data in context.get_ca_certs(binary_form=True)
                if (certificate := read_certificate(data))
            )
        if client_cert is not None:
            self._show(_plain_context(), client_cert)

    def context(self, *, with_certificate: bool) -> ssl.SSLContext:
        """Return a context for connections; `with_certificate` shows ours if the server asks.

        One with files is made once: reading all authorities takes as long as several handshakes.
        truststore's is for one connection alone: it is changed while a handshake lasts. Shared, it either
        makes all others wait (0.10.5) or may forget to verify (before).
        """
        with self._making:
            if (found := self._contexts.get(with_certificate)) is not None:
                return found
            made = self._make(with_certificate=with_certificate)
            if not isinstance(made, truststore.SSLContext):
                self._contexts[with_certificate] = made
            return made

    def _make(self, *, with_certificate: bool) -> ssl.SSLContext:
        if self._bundle is None:
            context = _system_context()
        else:
            context = _plain_context()
            _load(context, self._bundle)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self._ca_file is not None:
            _load(context, self._ca_file)
        if with_certificate and self._client_cert is not None:
            self._show(context, self._client_cert)
            context.post_handshake_auth = True  # some servers ask only for certain folders
        return context

    def _show(self, context: ssl.SSLContext, client_cert: Path) -> None:
        attempted = "use the client certificate"
        try:
            context.load_cert_chain(client_cert, self._client_key, self._ask)
        except ssl.SSLError as error:
            raise InputError(
                attempted,
                file=str(client_cert),
                found="a wrong passphrase, or a certificate and key that do not belong together"
                if self._passphrase
                else f"no certificate with its key ({error.reason or 'not PEM'})",
                expected="PEM: a certificate and its private key",
                hint="name the key's file with --client-key; a .pfx becomes PEM with "
                "`openssl pkcs12 -in FILE.pfx -out FILE.pem`",
            ) from error
        except OSError as error:
            raise InputError(
                attempted,
                file=str(client_cert),
                found=system_says(error),
                hint="check --client-cert and --client-key",
            ) from error

    def _ask(self) -> str:
        if self._passphrase is None:
            self._passphrase = self._ask_passphrase() if self._ask_passphrase else ""
        return self._passphrase


def unverified() -> ssl.SSLContext:
    """Return a context that believes anything: for reading a certificate, never for sending a byte."""
    context = _plain_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def read_certificate(data: bytes | None) -> x509.Certificate | None:
    """Return a certificate (DER); None if there is none, or it is too odd to be read."""
    with contextlib.suppress(ValueError):
        return x509.load_der_x509_certificate(data) if data else None
    return None


def _system_context() -> ssl.SSLContext:
    """Return a context that believes whom the operating system believes.

    Where that is files, OpenSSL reads them once. Elsewhere the system is asked at every handshake.
    """
    found = ssl.get_default_verify_paths()
    has_files = found.cafile or (found.capath and any(Path(found.capath).glob("*.0")))
    if sys.platform in ("win32", "darwin") or not has_files:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = _plain_context()
    context.load_default_certs()
    return context


def _plain_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load(context: ssl.SSLContext, path: Path, *, hint: str | None = None) -> None:
    """Add the authorities of a file, or of a folder as `openssl rehash` makes it."""
    try:
        refuse_pipe(path)
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:
        is_empty = isinstance(error, ssl.SSLError)
        raise InputError(
            "read certificate authorities",
            file=str(path),
            found="no certificate" if is_empty else system_says(error),
            expected="one or more PEM certificates",
            hint=hint,
        ) from error


# --- what is wrong with a certificate -------------------------------------------------------------


def refused(
    attempted: str,
    certificate: bytes | None,
    error: ssl.SSLCertVerificationError,
    *,
    host: str,
    now: datetime,
) -> DownloadError:
    """Return the error for a certificate that was refused, by its reason.

    Args:
        attempted: What we tried.
        certificate: The refused certificate (DER), if it could be read.
        error: Why it was refused.
        host: Whom we wanted to reach.
        now: The time by this machine's clock, aware UTC.
    """
    words = getattr(error, "verify_message", "") or str(error)
    leaf = read_certificate(certificate)
    if leaf is None:
        return DownloadError(
            attempted,
            found=f"a certificate that is refused ({words})",
            expected=f"one that a trusted authority has signed for {host}",
            hint=_INSPECTION,
        )
    code = getattr(error, "verify_code", 0)
    found, expected, hint = _fault(leaf, code, words, host, now)
    return DownloadError(attempted, found=found, expected=expected, hint=hint)


_INSPECTION = (
    "a proxy that inspects TLS signs like this: get its authority's certificate from whoever runs it, and "
    "give it with --ca FILE"
)


def _fault(
    leaf: x509.Certificate, code: int, words: str, host: str, now: datetime
) -> tuple[str, str, str]:
    subject, issuer = f"'{name_of(leaf.subject)}'", f"'{name_of(leaf.issuer)}'"
    what = f"a certificate for {subject} from {issuer}"
    clock = f"one that is valid now, {now:%Y-%m-%d %H:%M} UTC by this machine's clock"
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > ends:
        return (
            f"{what} that expired on {ends:%Y-%m-%d}",
            clock,
            "if the clock is right, whoever runs the server, or a proxy that inspects TLS, must renew it",
        )
    if now < begins:
        return (
            f"{what} that is not yet valid, but from {begins:%Y-%m-%d} on",
            clock,
            "set this machine's clock; if it is right, ask who runs the server",
        )
    if code in _OTHER_NAME or (code not in _UNKNOWN_AUTHORITY and not is_for(leaf, host)):
        return (
            f"{what}, which is another host",
            f"a certificate for {host}",
            "a log-on page or a proxy answers in its place, or the address is wrong",
        )
    if code in _OUT_OF_TIME:
        return (
            f"{what}, whose own certificate is outside its time ({words})",
            clock,
            "if the clock is right, ask who runs the server",
        )
    if leaf.issuer == leaf.subject:
        return (
            f"a certificate that {subject} has signed for itself",
            f"one that a trusted authority has signed for {host}",
            "if it is a server of your own, compare the certificate with its administrator and give it "
            "with --ca FILE",
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            f"{what}, an authority that nobody here trusts",
            f"one that a trusted authority has signed for {host}",
            _INSPECTION,
        )
    return (
        f"{what}, which is refused ({words})",
        f"one that a trusted authority has signed for {host}",
        _INSPECTION,
    )


def name_of(name: x509.Name) -> str:
    """Return a certificate's name as a person knows it: common name, and organisation if there is one."""
    found = [
        str(item.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for item in name.get_attributes_for_oid(oid)[:1]
    ]
    return ", ".join(dict.fromkeys(found)) or name.rfc4514_string() or "nobody"


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate names a host: for messages only, OpenSSL decides."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    wanted = host.lower().rstrip(".")
    wildcard = f"*.{wanted.partition('.')[2]}"
    return any(
        name.lower() in (wanted, wildcard) for name in names.get_values_for_type(x509.DNSName)
    )
