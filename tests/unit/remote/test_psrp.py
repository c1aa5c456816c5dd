"""What pypsrp raises and reports, and what we make of it."""

import contextlib
import ssl
import sys
import warnings
from dataclasses import replace

import pytest
import requests
import urllib3
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import AuthenticationError as RefusedByWinRM
from pypsrp.exceptions import WinRMError, WinRMTransportError, WSManFaultError

from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    InputError,
    SessionLostError,
    StorageError,
)
from toolkit.model import AuthMethod, Cmdlet, Command, Credential, Node, Transport
from toolkit.remote import connect
from toolkit.remote._psrp import Shell, _lost_hint, _raise_errors, _translated, _trusted_roots

NODE = Node(name="n1", address="n1.plant.example")
READS = Command(
    pipeline=(Cmdlet("Get-SolutionUpdate"), Cmdlet("Select-Object")), parse=lambda reply: reply
)
CHANGES = Command(
    pipeline=(Cmdlet("Start-SolutionUpdate"),), parse=lambda reply: reply, changes_cluster=True
)


def fault(code, reason="words of the node"):
    return WSManFaultError(code, "n1", reason, None, None, None)


def send(cause):
    """Fail as requests and urllib3 do, for that cause."""
    try:
        try:
            raise cause
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(None, "x") from error
    except urllib3.exceptions.HTTPError:
        raise requests.ConnectionError("pool …")  # noqa: B904 - requests does not say from either


@pytest.mark.parametrize(
    ("raised", "opening", "within"),
    [
        (RefusedByWinRM("no"), AuthenticationError, AuthenticationError),
        (fault(5, "Access is denied."), AuthenticationError, AuthenticationError),
        (requests.ConnectionError("x"), ConnectError, SessionLostError),
        (requests.ReadTimeout("x"), ConnectError, SessionLostError),
        (requests.exceptions.ChunkedEncodingError("x"), ConnectError, SessionLostError),
        (fault(2150858843), ConnectError, SessionLostError),
        (WinRMTransportError("http", 503, "body"), ConnectError, SessionLostError),
        (WinRMError("related id"), ConnectError, SessionLostError),
        (ValueError("bad token"), ConnectError, SessionLostError),
    ],
)
def test_what_pypsrp_raises_becomes_one_of_our_errors(raised, opening, within):
    for is_opening, ours in ((True, opening), (False, within)):
        with pytest.raises(ours) as caught, _translated("run x", NODE, opening=is_opening):
            raise raised
        assert type(caught.value) is ours
        assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "…"), "the connection is refused"),
        (ConnectionResetError(104, "…"), "the connection was dropped"),
        (TimeoutError("timed out"), "no answer in time"),
        (__import__("socket").gaierror(-2, "…"), "its name cannot be resolved to an address"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_reason_is_said_in_words_of_the_operator(cause, words):
    with pytest.raises(ConnectError) as caught, _translated("reach n1", NODE, opening=True):
        send(cause)
    assert caught.value.found == words


def test_an_error_being_handled_outside_is_not_taken_for_the_cause():
    try:
        {}["something else entirely"]
    except LookupError:
        with pytest.raises(SessionLostError) as caught, _translated("run x", NODE):
            send(ConnectionResetError())
    assert caught.value.found == "the connection was dropped"


@pytest.mark.parametrize(
    ("code", "words"),
    [(10, "outside its time"), (62, "another name"), (64, "another name"), (20, "not trusted")],
)
def test_certificate_problem_is_named(code, words):
    refused = ssl.SSLCertVerificationError(1, "…")
    refused.verify_code, refused.verify_message = code, "OpenSSL's words"
    with (
        pytest.raises(ConnectError, match=words) as caught,
        _translated("reach", NODE, opening=True),
    ):
        send(refused)
    assert "OpenSSL's words" in caught.value.found
    assert caught.value.hint


def test_body_of_an_http_error_is_not_in_the_sentence():
    with pytest.raises(SessionLostError) as caught, _translated("run x", NODE):
        raise WinRMTransportError("http", 500, "a body with a parameter value")
    assert "parameter value" not in str(caught.value)


def test_lost_change_is_called_unknown():
    assert "unknown" in _lost_hint(CHANGES)
    assert "unknown" not in _lost_hint(READS)


def test_basic_over_http_is_refused_before_anything_is_sent():
    node = Node(name="n1", address="x", transport=Transport.HTTP, auth=AuthMethod.BASIC)
    with pytest.raises(InputError, match="shows the password"):
        connect(node, Credential(username="u", password="p"))


@pytest.mark.parametrize(
    ("auth", "library"), [(AuthMethod.KERBEROS, "gssapi"), (AuthMethod.CREDSSP, "requests_credssp")]
)
def test_missing_library_is_named_before_anything_is_sent(monkeypatch, auth, library):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(sys, "platform", "linux")  # Windows brings Kerberos itself
    with pytest.raises(InputError, match="library is not installed") as caught:
        connect(replace(NODE, auth=auth), Credential(username="u", password="p"))
    assert f"azlocal-ferry[{auth}]" in caught.value.hint


class Record:
    """An error record as pypsrp gives it."""

    def __init__(self, words, *, fq_error="Id,Cmdlet", activity=None, details_message=None):
        self.message, self.fq_error, self.activity = None, fq_error, activity
        self.details_message, self.command_name = details_message, None
        self._words = words

    def __str__(self):
        return self._words


class Streams:
    def __init__(self, error):
        self.error = error


class Pipeline:
    """A finished pipeline."""

    def __init__(self, *error, state=PSInvocationState.COMPLETED):
        self.streams, self.state = Streams(list(error)), state
        self.had_errors = state == PSInvocationState.FAILED


def test_pipeline_without_errors_is_fine():
    _raise_errors(Pipeline(), READS, "run")


def test_error_that_did_not_end_the_pipeline_is_a_failure():
    with pytest.raises(CommandError) as caught:
        _raise_errors(Pipeline(Record("disk is offline", activity="Get-Disk")), READS, "run x")
    assert (caught.value.cmdlet, caught.value.error_id) == ("Get-Disk", "Id,Cmdlet")
    assert str(caught.value) == "run x: disk is offline"


def test_error_that_ended_the_pipeline_is_the_one_reported():
    records = (Record("a warning sign"), Record("the end"))
    with pytest.raises(CommandError, match=r"the end \(and 1 more errors\)"):
        _raise_errors(Pipeline(*records, state=PSInvocationState.FAILED), READS, "run x")


def test_cmdlet_is_the_first_one_when_the_node_does_not_name_it():
    with pytest.raises(CommandError) as caught:
        _raise_errors(Pipeline(Record("x")), READS, "run x")
    assert caught.value.cmdlet == "Get-SolutionUpdate"


def test_details_of_the_error_are_preferred():
    with pytest.raises(CommandError, match="better words"):
        _raise_errors(Pipeline(Record("x", details_message="better words")), READS, "run x")


def test_denied_write_names_the_account_to_use():
    error_id = "NewItemUnauthorizedAccessError,Microsoft.PowerShell.Commands.NewItemCommand"
    with pytest.raises(CommandError) as caught:
        _raise_errors(Pipeline(Record("denied", fq_error=error_id)), READS, "run New-Item")
    assert "deployment (LCM) user" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("There is not enough space on the disk.", "ferry cluster clean"),
        ("WebException.Status: ConnectFailure on [https://node2]", "wait some minutes"),
        ("RestResponse of GatewayTimeout", "wait some minutes"),
    ],
)
def test_full_disk_and_silent_update_service_say_what_to_do(words, advice):
    with pytest.raises(CommandError) as caught:
        _raise_errors(Pipeline(Record(words)), READS, "run x")
    assert advice in caught.value.hint


def test_unknown_cmdlet_asks_whether_this_is_the_right_machine():
    with pytest.raises(CommandError) as caught:
        _raise_errors(Pipeline(Record("x", fq_error="CommandNotFoundException")), READS, "run x")
    assert "Azure Local" in caught.value.hint


def test_pipeline_stopped_on_the_node_is_a_failure():
    with pytest.raises(CommandError, match="stopped on the node"):
        _raise_errors(Pipeline(state=PSInvocationState.STOPPED), READS, "run x")


def roots(ca_file=None, transport=Transport.HTTPS):
    node = Node(name="n1", address="x", ca_file=ca_file, transport=transport)
    with contextlib.ExitStack() as held:
        return _trusted_roots(node, held)


def test_http_needs_no_roots():
    assert roots(transport=Transport.HTTP) is None


def with_ca(path, **more):
    """Prepare a session; nothing is contacted."""
    node = Node(name="n1", address="x", ca_file=str(path), **more)
    return connect(node, Credential(username="u", password="p"))


def test_missing_ca_file_is_a_storage_error_before_any_question(tmp_path):
    with pytest.raises(StorageError, match=r"gone\.pem"):
        with_ca(tmp_path / "gone.pem")


@pytest.mark.parametrize(
    "content",
    ["", "not PEM", "-----BEGIN CERTIFICATE-----\nMIIC\n", "-----BEGIN CERTIFICATE-----\nMII"],
)
def test_ca_file_without_a_certificate_is_an_input_error_before_any_question(tmp_path, content):
    empty = tmp_path / "empty.pem"
    empty.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"empty\.pem"):
        with_ca(empty)
    with_ca(empty, transport=Transport.HTTP)  # which shows no certificate


def test_without_ca_file_the_systems_store_is_named(tmp_path, monkeypatch):
    store = tmp_path / "store.pem"
    store.write_text("", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    assert roots() == str(store)


def test_windows_store_is_written_out_for_the_time_of_the_session(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    node = Node(name="n1", address="x")
    with contextlib.ExitStack() as held:
        file = _trusted_roots(node, held)
        assert file is not None
        with open(file, encoding="ascii") as written:  # noqa: PTH123 - a path as requests takes it
            assert written.read() == ""
    with pytest.raises(FileNotFoundError), open(file, encoding="ascii"):  # noqa: PTH123
        pass


def test_a_library_s_guess_at_the_clock_is_not_printed():
    """The nodes' times are compared with it, and a warning of our own tells what was found."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Shell(NODE, Credential(username="u", password="p"))._wsman(None).close()
        text = "System time is way off (before 2025-01-01). This will probably lead to errors"
        warnings.warn(text, urllib3.exceptions.SystemTimeWarning, stacklevel=1)
        with pytest.raises(UserWarning):
            warnings.warn("another", UserWarning, stacklevel=1)
