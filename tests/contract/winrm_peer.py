"""A node's WinRM service for contract tests: the simulator's protocol with a handful of commands.

The commands here exist to drive the protocol into its corners (long, failing, endless, cut off); what
Azure Local's cmdlets answer is the simulated cluster's business.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.simcluster import soap
from tests.simcluster.auth import Policy
from tests.simcluster.httpd import DropConnectionError, Listener, Reply, Service
from tests.simcluster.ntlm import Accounts
from tests.simcluster.shells import Shells
from tests.simcluster.values import OBJECT, NetEnum, NetObject, PsError, custom

USER, PASSWORD = "PLANT\\lcm", "pa55:w0rd ✓"

_STATE = NetEnum("Microsoft.AzureStack.Update.UpdateState", "Installed", 7)
_UPDATE = NetObject(
    ("Microsoft.AzureStack.Update", OBJECT),
    {
        "Version": "12.2604.1003.9",
        "State": _STATE,
        "Size": 14_000_000_000,
        "Checks": [NetObject(("Microsoft.HealthCheckResult", OBJECT), {"Severity": "Critical"})],
    },
)


def _failure(words="Cannot find path 'C:\\gone'.", error_id="PathNotFound,Get-Thing"):
    return PsError(words, error_id, "ObjectNotFound")


class Peer:
    """One WinRM listener on a loopback port, its commands, and what it saw."""

    def __init__(self, folder: Path, *, tls: ssl.SSLContext | None, allows_basic: bool = False):
        self.attempts: list[tuple[str, bool]] = []
        self.sent: list[list[tuple[str, tuple]]] = []
        self.verbs: list[str] = []
        self.drop = lambda verb, count: False
        """Whether to cut the line instead of answering this request."""
        self.delay_s = 0.0
        self._shells = Shells(self._run)
        accounts = Accounts(folder, {"lcm": PASSWORD}, ["PLANT"])
        policy = Policy(
            accounts=accounts,
            is_tls=tls is not None,
            allows_basic=allows_basic,
            record=lambda user, accepted: self.attempts.append((user, accepted)),
        )
        service = Service(policy, self._answer, b"")
        self._listener = Listener("127.0.0.1", 0, service, tls)
        self._listener.start()
        self.port = self._listener.port

    @property
    def open_shells(self) -> int:
        return self._shells.open_count

    def lose_shells(self) -> None:
        self._shells.close_all()

    def cut_connections(self) -> None:
        self._listener.cut_all()

    def stop(self) -> None:
        self._shells.close_all()
        self._listener.stop()

    def _answer(self, exchange):
        request = soap.read_request(exchange.body)
        self.verbs.append(request.verb)
        try:
            body, status = self._shells.answer(request, exchange.user, "127.0.0.1"), 200
        except soap.WSManFaultError as fault:
            body, status = soap.fault(fault, request.message_id, "node"), 500
        if self.drop(request.verb, self.verbs.count(request.verb)):
            raise DropConnectionError
        return Reply(status, body)

    def _run(self, stages, received, streams):
        self.sent.append([(stage.name, stage.arguments) for stage in stages])
        name, arguments = stages[0].name, [value for _, value in stages[0].arguments]
        match name:
            case "Write-Output":
                for value in arguments:
                    streams.output(value)
            case "Get-Update" if len(stages) > 1:
                streams.output(custom(dict(_UPDATE.properties), _UPDATE.type_names[0]))
            case "Get-Update":
                streams.output(_UPDATE)
            case "Get-Thing":
                raise _failure()
            case "Get-SomeThings":
                streams.output("one")
                streams.error(_failure("Access to one of them is denied.", "Denied,Get-SomeThings"))
                streams.output("two")
            case "Write-Warning":
                streams.warning("beware")
                streams.progress("working", "still", 50)
                streams.output("done")
            case "Start-Sleep":
                streams.pause(float(arguments[0]))
                streams.output("slept")
            case "Get-Much":
                for index in range(int(arguments[0])):
                    streams.output(f"{index:06d} " + "x" * 1000)


# --- certificates -------------------------------------------------------------------------------


_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A CA of its own that issues certificates for a listener."""

    def __init__(self, folder: Path, name: str = "Plant Root CA"):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, is_ca=True)
        self.pem = folder / "ca.pem"
        self.pem.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def tls(self, *, name: str = "127.0.0.1", age_days: int = 0) -> ssl.SSLContext:
        """Return a listener's context with a certificate for `name` that ended `age_days` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, host=name, age_days=age_days)
        file = self._folder / f"{name}-{age_days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, subject, key, *, host=None, is_ca=False, age_days=0):
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1 - age_days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=30))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if is_ca:
            builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        if host is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host)]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)
