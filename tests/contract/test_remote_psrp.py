"""Our commands over real sockets, unmodified pypsrp, and the simulator's WinRM."""

import contextlib
import socket
import threading
import traceback

import pytest

from tests.contract.impostor import impostor
from tests.contract.winrm_peer import PASSWORD, USER, Authority, Peer
from toolkit.errors import (
    AuthenticationError,
    CommandError,
    ConnectError,
    InputError,
    SessionLostError,
)
from toolkit.model import AuthMethod, Cmdlet, Command, Credential, Node, Transport
from toolkit.remote import connect
from toolkit.remote._psrp import Shell

pytestmark = pytest.mark.network


def command(name, *arguments, timeout_s=60.0, changes=False, then=()):
    first = Cmdlet(name, tuple((None, value) for value in arguments))
    return Command(
        pipeline=(first, *then),
        parse=lambda reply: reply,
        timeout_s=timeout_s,
        changes_cluster=changes,
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def start(tmp_path, authority):
    """Return a factory of listeners; each is stopped at the end."""
    peers = []

    def started(*, is_tls=True, **kwargs):
        tls = kwargs.pop("tls", None) or (authority.tls() if is_tls else None)
        peers.append(Peer(tmp_path / f"peer{len(peers)}", tls=tls, **kwargs))
        return peers[-1]

    yield started
    for peer in peers:
        peer.stop()


@pytest.fixture(params=["https", "http"])
def peer(request, start):
    return start(is_tls=request.param == "https")


@pytest.fixture
def node_of(authority):
    def node(peer, **changes):
        is_tls = peer._listener.tls is not None
        settings = {
            "name": "n1",
            "address": "127.0.0.1",
            "transport": Transport.HTTPS if is_tls else Transport.HTTP,
            "winrm_port": peer.port,
            "ca_file": str(authority.pem) if is_tls else None,
        }
        return Node(**{**settings, **changes})

    return node


@pytest.fixture
def open_session(node_of):
    def opened(peer, *, password=PASSWORD, user=USER, **changes):
        return connect(node_of(peer, **changes), Credential(username=user, password=password))

    return opened


@contextlib.contextmanager
def tapped(port, wire):
    """Forward a port and keep what passes, both ways."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                wire.extend(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_reply_comes_typed_and_enumerations_by_name(peer, open_session):
    select = Cmdlet("Select-Object", (("Property", ["Version", "State", "Size", "Checks"]),))
    with open_session(peer) as session:
        (row,) = session.invoke(command("Get-Update", then=(select,)))
    assert row["Version"] == "12.2604.1003.9"
    assert row["State"] == "Installed"
    assert row["Size"] == 14_000_000_000
    assert row["Checks"] == [{"Severity": "Critical"}]


def test_enumeration_that_arrives_as_text_gives_the_same(peer, open_session):
    with open_session(peer) as session:
        (row,) = session.invoke(command("Get-Update"))
    assert row["State"] == "Installed"


@pytest.mark.parametrize(
    "value",
    [
        'it\'s "quoted" $(Stop-Computer) `n; _x000A_ \N{GRINNING FACE}\r\n\t',
        "",
        True,
        -1,
        14_000_000_000,
        1.5,
        bytes(range(256)),
        {"LogName": "System", "Level": 2},
    ],
)
def test_value_travels_as_a_parameter_and_comes_back_unchanged(peer, open_session, value):
    with open_session(peer) as session:
        assert session.invoke(command("Write-Output", value)) == (value,)


def test_switches_names_and_positions_arrive_as_given(peer, open_session):
    stage = Cmdlet("New-Item", (("ItemType", "Directory"), ("Force", None), (None, "C:\\x")))
    with open_session(peer) as session:
        session.invoke(Command(pipeline=(stage,), parse=lambda reply: reply))
    [[(name, arguments)]] = peer.sent
    assert name == "New-Item"
    assert arguments == (("ItemType", "Directory"), ("Force", None), (None, "C:\\x"))


def test_many_commands_share_one_shell_that_is_removed_at_the_end(peer, open_session):
    with open_session(peer) as session:
        for index in range(5):
            assert session.invoke(command("Write-Output", index)) == (index,)
        assert peer.open_shells == 1
    assert peer.open_shells == 0
    assert peer.verbs.count("Create") == 1
    assert peer.attempts == [("lcm", True)]


def test_nothing_is_contacted_before_the_first_command(peer, open_session):
    with open_session(peer):
        pass
    assert peer.attempts == []


def test_reply_of_many_megabytes_arrives_whole_and_in_order(peer, open_session):
    with open_session(peer) as session:
        reply = session.invoke(command("Get-Much", 3000))
    assert [line[:6] for line in reply] == [f"{index:06d}" for index in range(3000)]


def test_warnings_and_progress_are_no_failure(peer, open_session):
    with open_session(peer) as session:
        assert session.invoke(command("Write-Warning")) == ("done",)


def test_terminating_error_is_the_cmdlets_own_words(peer, open_session):
    with open_session(peer) as session:
        with pytest.raises(CommandError, match="Cannot find path") as caught:
            session.invoke(command("Get-Thing"))
        assert session.invoke(command("Write-Output", 1)) == (1,)  # the session lives on
    assert caught.value.error_id == "PathNotFound,Get-Thing"


def test_reply_that_cannot_be_read_says_what_to_do(peer, open_session):
    def read(reply):
        raise InputError("read the reply of Write-Output", found="7")

    stage = Cmdlet("Write-Output", (("InputObject", 7),))
    with open_session(peer) as session, pytest.raises(InputError, match="Write-Output: 7") as odd:
        session.invoke(Command(pipeline=(stage,), parse=read))
    assert "node n1 answered what this ferry does not know" in odd.value.hint


def test_error_in_passing_fails_the_command_too(peer, open_session):
    with open_session(peer) as session, pytest.raises(CommandError, match="is denied") as caught:
        session.invoke(command("Get-SomeThings"))
    assert caught.value.error_id == "Denied,Get-SomeThings"


def test_wrong_password_is_offered_exactly_once(peer, open_session):
    with open_session(peer, password="wrong") as session:
        for _ in range(3):
            with pytest.raises(AuthenticationError, match="refuses the credential"):
                session.invoke(command("Write-Output", 1))
    assert peer.attempts == [("lcm", False)]


def test_unknown_user_is_an_authentication_error(peer, open_session):
    with (
        open_session(peer, user="PLANT\\nobody") as session,
        pytest.raises(AuthenticationError),
    ):
        session.invoke(command("Write-Output", 1))


def test_password_is_in_no_traceback(peer, open_session):
    secret = "very-secret-7"
    with open_session(peer, password=secret) as session:
        try:
            session.invoke(command("Write-Output", 1))
        except AuthenticationError:
            told = traceback.format_exc()
    assert "AuthenticationError" in told
    assert secret not in told


@pytest.mark.parametrize("user", ["lcm", "PLANT\\lcm", "lcm@PLANT"])
def test_every_spelling_of_a_user_is_passed_on(start, open_session, user):
    peer = start()
    with open_session(peer, user=user) as session:
        assert session.invoke(command("Write-Output", 1)) == (1,)


def test_ntlm_alone_can_be_asked_for(peer, open_session):
    with open_session(peer, auth=AuthMethod.NTLM) as session:
        assert session.invoke(command("Write-Output", 1)) == (1,)


def test_basic_works_over_https(start, open_session):
    peer = start(allows_basic=True)
    with open_session(peer, auth=AuthMethod.BASIC) as session:
        assert session.invoke(command("Write-Output", 1)) == (1,)


def test_messages_over_http_are_encrypted(start, node_of):
    peer, wire = start(is_tls=False), bytearray()
    with tapped(peer.port, wire) as port:
        node = node_of(peer, winrm_port=port)
        with connect(node, Credential(username=USER, password=PASSWORD)) as session:
            assert session.invoke(command("Write-Output", "a secret")) == ("a secret",)
    assert wire.count(b"application/HTTP-SPNEGO-session-encrypted") > 4
    assert b"Envelope" not in wire


def test_shell_that_was_idle_for_long_is_replaced_before_it_is_used(peer, node_of):
    now = [0.0]
    shell = Shell(node_of(peer), Credential(username=USER, password=PASSWORD), clock=lambda: now[0])
    for at in (0, 100, 190, 400):
        now[0] = at
        assert shell.run(command("Write-Output", at)) == (at,)
    assert peer.verbs.count("Create") == 2
    assert peer.open_shells == 1
    shell.close()
    assert peer.open_shells == 0


# --- certificates and reaching ------------------------------------------------------------------


def test_unknown_ca_is_named(start, open_session, tmp_path):
    peer = start()
    other = Authority(tmp_path / "other", "Another CA")
    with (
        open_session(peer, ca_file=str(other.pem)) as session,
        pytest.raises(ConnectError, match="CA that is not trusted here") as caught,
    ):
        session.invoke(command("Write-Output", 1))
    assert "root certificate" in caught.value.hint
    assert peer.attempts == []


def test_certificate_of_another_name_is_named(start, authority, open_session):
    peer = start(tls=authority.tls(name="n2.plant.example"))
    with open_session(peer) as session, pytest.raises(ConnectError, match="for another name"):
        session.invoke(command("Write-Output", 1))


def test_expired_certificate_is_named(start, authority, open_session):
    peer = start(tls=authority.tls(age_days=3))
    with open_session(peer) as session, pytest.raises(ConnectError, match="outside its time"):
        session.invoke(command("Write-Output", 1))


def test_without_ca_file_the_systems_store_decides(start, authority, open_session, monkeypatch):
    peer = start()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    with open_session(peer, ca_file=None) as session:
        assert session.invoke(command("Write-Output", 1)) == (1,)


def test_proxy_and_bundle_of_the_environment_are_not_used(start, open_session, monkeypatch):
    peer = start()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with open_session(peer) as session:
        assert session.invoke(command("Write-Output", 1)) == (1,)


@pytest.mark.parametrize("transport", list(Transport))
def test_refused_connection_is_a_connect_error(transport, authority):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening
        node = Node(
            name="n1",
            address="127.0.0.1",
            transport=transport,
            winrm_port=taken.getsockname()[1],
            ca_file=str(authority.pem),
        )
        with (
            connect(node, Credential(username=USER, password=PASSWORD)) as session,
            pytest.raises(ConnectError, match="connection is refused"),
        ):
            session.invoke(command("Write-Output", 1))


@pytest.mark.parametrize("greeting", [b"", b"220 mail.plant.example ESMTP\r\n"])
@pytest.mark.parametrize("transport", list(Transport))
def test_something_else_on_the_port_is_a_connect_error(transport, greeting, authority):
    with impostor(greeting) as port:
        node = Node(
            name="n1",
            address="127.0.0.1",
            transport=transport,
            winrm_port=port,
            ca_file=str(authority.pem),
        )
        with (
            connect(node, Credential(username=USER, password=PASSWORD)) as session,
            pytest.raises(ConnectError),
        ):
            session.invoke(command("Write-Output", 1))


# --- what goes away -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["Command", "Receive"])
def test_drop_in_the_middle_is_a_lost_session_whose_outcome_is_unknown(peer, open_session, verb):
    with open_session(peer) as session:
        session.invoke(command("Write-Output", 1))
        seen = peer.verbs.count(verb)
        peer.drop = lambda now, count: now == verb and count == seen + 1
        with pytest.raises(SessionLostError, match="dropped") as caught:
            session.invoke(command("Get-Much", 3000, changes=True))
        assert "unknown" in caught.value.hint
    assert sum(names[0][0] == "Get-Much" for names in peer.sent) == 1  # not sent twice


def test_session_works_again_after_a_drop(peer, open_session):
    with open_session(peer) as session:
        peer.drop = lambda verb, count: verb == "Receive" and count == 3
        with pytest.raises(SessionLostError):
            session.invoke(command("Get-Much", 3000))
        assert session.invoke(command("Write-Output", 2)) == (2,)


def test_drop_of_the_farewell_does_not_fail_a_finished_command(peer, open_session):
    with open_session(peer) as session:
        peer.drop = lambda verb, count: verb == "Signal"
        assert session.invoke(command("Write-Output", 1)) == (1,)
        assert session.invoke(command("Write-Output", 2)) == (2,)


def test_shell_that_the_node_lost_is_a_lost_session(peer, open_session):
    with open_session(peer) as session:
        session.invoke(command("Write-Output", 1))
        peer.lose_shells()
        with pytest.raises(SessionLostError) as caught:
            session.invoke(command("Write-Output", 2))
        assert "restarts" in caught.value.hint
        assert session.invoke(command("Write-Output", 3)) == (3,)


def test_idle_connection_cut_by_the_network_costs_at_most_one_command(peer, open_session):
    with open_session(peer) as session:
        session.invoke(command("Write-Output", 1))
        peer.cut_connections()
        with contextlib.suppress(SessionLostError):
            session.invoke(command("Write-Output", 2))
        assert session.invoke(command("Write-Output", 3)) == (3,)


def test_command_longer_than_its_time_is_stopped_and_called_unknown(peer, open_session):
    with open_session(peer) as session:
        with pytest.raises(SessionLostError, match=r"not ended after 1 s and was told") as caught:
            session.invoke(command("Start-Sleep", 30, timeout_s=1, changes=True))
        assert "unknown" in caught.value.hint
        assert peer.open_shells == 0
        assert session.invoke(command("Write-Output", 2)) == (2,)


def test_long_command_within_its_time_is_waited_for(peer, open_session):
    with open_session(peer) as session:
        assert session.invoke(command("Start-Sleep", 2, timeout_s=30)) == ("slept",)


def test_node_that_is_gone_does_not_hold_up_the_end_of_the_session(start, open_session):
    peer = start()
    with open_session(peer) as session:
        session.invoke(command("Write-Output", 1))
        peer.stop()
