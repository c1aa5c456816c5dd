"""Commands out, plain values back: PowerShell remoting (WinRM + PSRP) with one node.

What it hides: pypsrp, its exceptions, and when a connection may still be used. Theory of operation:

* A shell (one WSMan, one runspace pool) is opened by the first command and belongs to one thread: NTLM
  authenticates a TCP connection, so a second thread would break the first one's.
* Nothing is sent twice. Output that was on its way when a connection dropped is gone, and a second
  Receive would return the rest as if it were the whole; so after a drop the shell is given up and the
  command's outcome is called unknown. (A Receive that was never *answered* is the exception: pypsrp sends
  the same message again, and the node then answers the same.)
* A refused credential ends the shell for good; closing it would only try again.

Source: [MS-WSMV], [MS-PSRP]; pypsrp 0.9 for what it raises when.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import os
import socket
import ssl
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import requests
import spnego.exceptions
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import AuthenticationError as RefusedByWinRM
from pypsrp.exceptions import WinRMError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import Serializer
from pypsrp.wsman import WSMan

from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    InputError,
    SessionLostError,
    StorageError,
    ToolkitError,
    says_not_now,
)
from toolkit.filesystem import refuse_pipe
from toolkit.model import AuthMethod, Command, Credential, Node, Plain, T, Transport
from toolkit.remote._values import plain, wire

_CONNECT_S = 30
_OPERATION_S = 60
"""How long the node may think before it answers anything but a Receive."""
_POLL_S = 20
"""A Receive without output comes back after this; so long can a finished timeout go unnoticed."""
_READ_RETRIES = 2
"""How often an unanswered Receive is sent again before the node counts as gone."""
_STALE_S = 120
"""A shell not used for this long is replaced: what lies between may have forgotten its connection."""
_NODE_IDLE_S = 600
"""After this the node itself removes a shell we could not close: an open one can block an update.

Source: Azure Local troubleshooting guide "Update fails at VersionControl UpdatePowerShellModules".
"""

_ACCESS_DENIED = 5
_DISK_IS_FULL = "not enough space on the disk"
"""In the words of .NET's *IOException*; the error identifier is that of every failure to write."""
_SHELL_GONE = 2150858843
_FAULT_HINTS = {
    2150859174: "too many shells are open on the node for this account; close them or wait",
    2150859173: "too many shells are open on the node; close them or wait",
    _SHELL_GONE: "the node closed the session: it restarts, or its WinRM service did",
}


class Shell:
    """One runspace on one node, opened when the first command is sent."""

    def __init__(
        self,
        node: Node,
        credential: Credential,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember where to go; nothing is contacted yet.

        Raises:
            InputError: The node's settings would show the password, or need a library not installed; or its CA file
                holds no certificate.
            StorageError: Its CA file cannot be read.
        """
        _check_settings(node)
        self._node = node
        self._credential = credential
        self._clock = clock
        self._pool: Any = None
        self._held = contextlib.ExitStack()
        self._used_at = 0.0

    def run(self, command: Command[T]) -> tuple[Plain, ...]:
        """Send one pipeline of cmdlets and return what it printed.

        Raises:
            ConnectError: The node cannot be reached, or not securely.
            AuthenticationError: The node refused the credential, or the account may not use WinRM.
            SessionLostError: No answer in time, or the connection dropped; the outcome is unknown.
            CommandError: A cmdlet failed, be it without ending the pipeline.
            InputError: A parameter or a reply that cannot be (de)serialised.
        """
        until = self._clock() + command.timeout_s
        pool = self._open()
        pipeline = PowerShell(pool)
        for stage in command.pipeline:
            pipeline.add_cmdlet(stage.name)
            for name, value in stage.parameters:
                if name is None:
                    pipeline.add_argument(wire(value))
                else:
                    pipeline.add_parameter(name, wire(value))
        attempted = f"run {command.name} on node {self._node.name}"
        try:
            with _translated(attempted, self._node, lost_hint=_lost_hint(command)):
                pipeline.begin_invoke()
                while pipeline.state == PSInvocationState.RUNNING:
                    left = until - self._clock()
                    if left <= 0:
                        raise self._out_of_time(pipeline, command, attempted)
                    pipeline.poll_invoke(timeout=max(1, min(_POLL_S, math.ceil(left))))
        except InputError:  # the node is well, its reply is not: do not leave the pipeline running
            self.close()
            raise
        except ToolkitError:
            self.abandon()
            raise
        self._used_at = self._clock()
        self._dismiss(pipeline)
        _raise_errors(pipeline, command, attempted)
        return tuple(pipeline.output)

    def close(self) -> None:
        """Remove the shell from the node, if that still can be done, and hang up."""
        pool = self._pool
        if pool is not None:
            with contextlib.suppress(ToolkitError), _translated("close", self._node):
                pool.close()
        self.abandon()

    def abandon(self) -> None:
        """Hang up without a word; the node removes the shell after a while."""
        self._pool = None
        self._held.close()

    def _open(self) -> Any:
        if self._pool is not None and self._clock() - self._used_at > _STALE_S:
            self.close()
        if self._pool is None:
            with contextlib.ExitStack() as held:
                wsman = self._wsman(_trusted_roots(self._node, held))
                held.callback(wsman.close)
                with _translated(f"connect to node {self._node.name}", self._node, opening=True):
                    pool = RunspacePool(wsman, idle_timeout=_NODE_IDLE_S)
                    # the one reach behind pypsrp's face: its reader loses collections, see _values
                    pool._fragmenter.serializer = _Replies()  # noqa: SLF001
                    pool.open()
                self._pool = pool
                self._held = held.pop_all()
        self._used_at = self._clock()
        return self._pool

    def _dismiss(self, pipeline: Any) -> None:
        """Let the node forget a finished pipeline; its outcome is known, whatever happens now."""
        try:
            with _translated("dismiss a pipeline", self._node):
                pipeline.close()
        except ToolkitError:
            self.abandon()

    def _wsman(self, roots: str | None) -> Any:
        # urllib3's guess at this machine's clock, on stderr: the nodes' times are compared with it, and told
        warnings.filterwarnings("ignore", message="System time is way off")
        is_tls = self._node.transport is Transport.HTTPS
        username: str | bytes = self._credential.username
        password: str | bytes = self._credential.password
        if self._node.auth is AuthMethod.BASIC:  # else requests takes Latin-1, or fails to
            username = self._credential.username.encode()
            password = self._credential.password.encode()
        return _PatientWSMan(
            self._node.address,
            port=self._node.winrm_port,
            username=username,
            password=password,
            ssl=is_tls,
            auth=self._node.auth.value,
            cert_validation=roots or True,
            encryption="auto" if is_tls else "always",
            connection_timeout=_CONNECT_S,
            operation_timeout=_OPERATION_S,
            read_timeout=_OPERATION_S + 10,
            no_proxy=True,
        )

    def _out_of_time(self, pipeline: Any, command: Command[T], attempted: str) -> SessionLostError:
        stopped = "and does not answer the request to stop"
        with contextlib.suppress(ToolkitError), _translated("stop", self._node):
            pipeline.stop()
            pipeline.close()
            stopped = "and was told to stop"
            self._pool.close()
        return SessionLostError(
            attempted,
            found=f"it had not ended after {command.timeout_s:.0f} s {stopped}",
            hint=_lost_hint(command),
        )


class _PatientWSMan(WSMan):  # type: ignore[misc]  # pypsrp is not typed for us
    """A WSMan that gives a silent node up after minutes, not after a quarter of an hour."""

    def invoke(self, *args: Any, retries_on_read_timeout: int = 0, **kwargs: Any) -> Any:
        """Send one request; an unanswered Receive is repeated `_READ_RETRIES` times."""
        retries = min(retries_on_read_timeout, _READ_RETRIES)
        return super().invoke(*args, retries_on_read_timeout=retries, **kwargs)


class _Replies(Serializer):  # type: ignore[misc]  # pypsrp is not typed for us
    """Reads pipeline output as plain values, everything else as pypsrp does."""

    def deserialize(
        self,
        element: str | Element,
        metadata: Any = None,
        clear: bool = True,  # noqa: FBT001, FBT002 - pypsrp's signature
    ) -> Any:
        """Read one message: only output arrives as text and without a declared structure."""
        if metadata is None and isinstance(element, str):
            return plain(element)
        return super().deserialize(element, metadata, clear)


# --- settings -----------------------------------------------------------------------------------

_LIBRARIES = {AuthMethod.KERBEROS: "gssapi", AuthMethod.CREDSSP: "requests_credssp"}


def _check_settings(node: Node) -> None:
    attempted = f"connect to node {node.name}"
    if node.auth is AuthMethod.BASIC and node.transport is Transport.HTTP:
        raise InputError(
            attempted,
            found="basic authentication over HTTP, which shows the password to the network",
            expected="HTTPS, or negotiate over HTTP (its messages are encrypted)",
            hint="set the node's transport to https or its auth to negotiate",
        )
    library = _LIBRARIES.get(node.auth)
    if library == "gssapi" and sys.platform == "win32":  # Windows brings Kerberos itself
        library = None
    if library and importlib.util.find_spec(library) is None:
        raise InputError(
            attempted,
            found=f"authentication {node.auth}, whose library is not installed here",
            hint=f"install azlocal-ferry[{node.auth}], or set the node's auth to negotiate",
        )
    if node.ca_file is not None and node.transport is Transport.HTTPS:
        _check_roots(node.ca_file)


# --- certificates -------------------------------------------------------------------------------


def _trusted_roots(node: Node, files: contextlib.ExitStack) -> str | None:
    """Return the PEM file or folder the node's certificate must chain to (None: there is no TLS).

    `requests` knows only files, and without one it takes the roots it ships with; so the store of the
    operating system is named to it, or, on Windows, written out for the time of the connection.
    """
    if node.transport is Transport.HTTP:
        return None
    if node.ca_file is not None:
        return node.ca_file
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return str(paths.cafile or paths.capath)
    folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="ferry-roots-")))
    roots = ssl.create_default_context().get_ca_certs(binary_form=True)
    written = folder / "roots.pem"
    written.write_text("".join(map(ssl.DER_cert_to_PEM_cert, roots)), encoding="ascii")
    return os.fspath(written)


def _check_roots(ca_file: str) -> None:
    attempted = f"read the CA file {ca_file}"
    try:
        refuse_pipe(Path(ca_file))
        ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise InputError(
            attempted,
            found=f"no certificate in it ({error.reason or error})",
            expected="PEM: -----BEGIN CERTIFICATE-----",
            hint="put the root certificate of the nodes' WinRM certificates there, as PEM (Base-64)",
        ) from error
    except OSError as error:
        raise StorageError(
            attempted,
            found=error.strerror or str(error),
            hint="put the file there, or give its path to the site again",
        ) from error


def _certificate_problem(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """Say what is wrong with a certificate, by OpenSSL's verification code (X509_V_ERR_*)."""
    match error.verify_code:
        case 9 | 10:
            return (
                f"its certificate is outside its time ({error.verify_message})",
                "compare the clocks of this machine and the node; renew the certificate if it is over",
            )
        case 62 | 64:
            return (
                f"its certificate is for another name ({error.verify_message})",
                "reach the node by the name in its certificate, or issue one for this name",
            )
        case 18 | 19 | 20 | 21:
            return (
                f"its certificate comes from a CA that is not trusted here ({error.verify_message})",
                "give the CA's root certificate (PEM): `ferry site remove-cluster`, then `ferry site add-cluster` with "
                "--ca FILE",
            )
        case _:
            return (
                f"its certificate is refused ({error.verify_message})",
                "see the node's WinRM listener",
            )


# --- errors -------------------------------------------------------------------------------------

_UNREADABLE = (ParseError, ValueError, KeyError, AttributeError, TypeError, struct.error)
"""What pypsrp lets through when an answer is not what the protocol says."""


def _lost_hint(command: Command[T]) -> str:
    if command.changes_cluster:
        return (
            "what it did is unknown: look at the cluster before it is sent again "
            "(the same ferry command looks first)"
        )
    return "it only reads: once the node answers again, run the same command again"


@contextlib.contextmanager
def _translated(
    attempted: str, node: Node, *, opening: bool = False, lost_hint: str | None = None
) -> Iterator[None]:
    """Turn what pypsrp and what lies under it raise into our errors, most specific first."""
    lost = ConnectError if opening else SessionLostError
    try:
        yield
    except (RefusedByWinRM, spnego.exceptions.SpnegoError) as error:
        raise _refused(attempted, node, error) from error
    except requests.RequestException as error:
        cause = _root_cause(error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            found, advice = _certificate_problem(cause)
            raise ConnectError(attempted, found=found, hint=advice) from error
        raise lost(
            attempted, found=_words(cause), hint=_reach_hint(node) if opening else lost_hint
        ) from error
    except WSManFaultError as error:
        reason = f"{error.reason or 'a fault without a reason'} (WSMan {error.code})"
        if error.code == _ACCESS_DENIED:
            raise AuthenticationError(
                attempted,
                found=reason,
                hint="the credential is right, the account may not use remote management there; "
                "use the account of the deployment (LCM) user",
            ) from error
        hint = _FAULT_HINTS.get(error.code) or (_reach_hint(node) if opening else lost_hint)
        raise lost(attempted, found=reason, hint=hint) from error
    except WinRMTransportError as error:
        raise lost(
            attempted,
            found=f"HTTP status {error.code} instead of a WinRM answer",
            hint=_reach_hint(node) if opening else lost_hint,
        ) from error
    except (WinRMError, *_UNREADABLE) as error:
        raise lost(
            attempted,
            found=f"an answer that is not understood ({type(error).__name__})",
            hint=_reach_hint(node) if opening else lost_hint,
        ) from error


def _refused(attempted: str, node: Node, error: Exception) -> AuthenticationError:
    if isinstance(error, RefusedByWinRM):
        return AuthenticationError(
            attempted,
            found=f"the node refuses the credential ({node.auth})",
            hint="it was tried once and is not tried again, because accounts lock; check user name "
            "(DOMAIN\\name or name@domain) and password: it may be wrong, expired or locked. The password of "
            "the deployment (LCM) user is changed with Set-AzureStackLCMUserPassword, nowhere else",
        )
    return AuthenticationError(
        attempted,
        found=f"{node.auth} authentication failed: {str(error).splitlines()[0]}",
        hint="Kerberos and CredSSP need an optional package, a ticket or the node's name instead of its "
        "address; negotiate falls back to NTLM",
    )


def _root_cause(error: BaseException) -> BaseException:
    """Follow the HTTP libraries' wrappers down to what really happened."""
    while type(error).__module__.partition(".")[0] in ("requests", "urllib3"):
        below = error.__cause__ or error.__context__
        if below is None:
            break
        error = below
    return error


def _words(cause: BaseException) -> str:
    match cause:
        case socket.gaierror():
            return "its name cannot be resolved to an address"
        case ConnectionRefusedError():
            return "the connection is refused"
        case TimeoutError():
            return "no answer in time"
        case ConnectionError():
            return "the connection was dropped"
        case OSError() if cause.strerror:
            return cause.strerror
        case _:
            return f"{cause}" or type(cause).__name__


def _reach_hint(node: Node) -> str:
    port = node.winrm_port or (5986 if node.transport is Transport.HTTPS else 5985)
    return (
        f"is {node.address} right (`ferry site show`), node {node.name} up, and its WinRM {node.transport} "
        f"listener reachable on port {port}? Other nodes of the cluster answer the same questions"
    )


def _raise_errors(pipeline: Any, command: Command[T], attempted: str) -> None:
    """Fail if the node reported any error, also one that did not end the pipeline."""
    records = pipeline.streams.error
    if not records and pipeline.state == PSInvocationState.COMPLETED:
        return
    if not records:
        raise CommandError(
            attempted,
            cmdlet=command.pipeline[0].name,
            found="the pipeline was stopped on the node",
            hint="somebody or something on the node stopped it; run the same command again",
        )
    record = records[-1] if pipeline.had_errors else records[0]
    words = record.details_message or str(record)  # its `message` is only the error category
    if len(records) > 1:
        words += f" (and {len(records) - 1} more errors)"
    error_id = record.fq_error or None
    raise CommandError(
        attempted,
        cmdlet=record.activity or record.command_name or command.pipeline[0].name,
        error_id=error_id,
        found=words,
        hint=_command_hint(error_id or "", words),
    )


def _command_hint(error_id: str, words: str) -> str | None:
    if error_id.startswith("CommandNotFoundException"):
        return "is this a node of an Azure Local cluster, with its update service?"
    if "UnauthorizedAccess" in error_id:  # as every cmdlet of the file system calls it
        return (
            "the account may not do this there: use the account of the deployment (LCM) user, which is an "
            "administrator of every node; if it is that one, see whether the volume is read-only"
        )
    if _DISK_IS_FULL in words:
        return "free space there, then run the same command again; `ferry cluster clean` removes what ferry imported"
    if says_not_now(words):
        return (
            "the update service is asked too often, or just moves to another node: wait some minutes, then run the "
            "same command again; if it stays so, have its cluster group moved to another node"
        )
    return None
