import struct
from pathlib import Path
from typing import Any

import pytest
import spnego
import spnego._ntlm
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from tests.simcluster.ntlm import Accounts

PASSWORD = "pa:ss wörd"


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path, {"Administrator": PASSWORD}, ["NODE1", "contoso.example"])


def log_on(
    accounts: Accounts, user: str, password: str, *, protocol: str = "negotiate", **bindings: Any
) -> tuple[Any, Any]:
    """Join a client and an acceptor in memory and exchange tokens until both are done."""
    client = spnego.client(
        user,
        password,
        protocol=protocol,
        options=spnego.NegotiateOptions.use_ntlm
        if protocol == "ntlm"
        else spnego.NegotiateOptions.use_negotiate,
        channel_bindings=bindings.get("client"),
    )
    server = accounts.acceptor(channel_bindings=bindings.get("server"))
    token = client.step()
    while token and not (client.complete and server.complete):
        answer = server.step(token)
        token = client.step(answer) if answer and not client.complete else None
    return client, server


@pytest.mark.parametrize(
    "user",
    [
        "Administrator",
        "administrator",
        r"NODE1\Administrator",
        r"node1\ADMINISTRATOR",
        "Administrator@contoso.example",
    ],
)
def test_each_spelling_of_a_user_logs_on(accounts: Accounts, user: str) -> None:
    client, server = log_on(accounts, user, PASSWORD)
    assert server.complete
    assert server.session_key == client.session_key
    assert server.client_principal == user


def test_bare_ntlm_tokens_are_taken_too(accounts: Accounts) -> None:
    _, server = log_on(accounts, "Administrator", PASSWORD, protocol="ntlm")
    assert server.complete


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("Administrator", "wrong"),
        ("Administrator", ""),
        ("nobody", PASSWORD),
        (r"NODE9\Administrator", PASSWORD),
    ],
)
def test_a_wrong_credential_is_refused(accounts: Accounts, user: str, password: str) -> None:
    with pytest.raises(SpnegoError):
        log_on(accounts, user, password)


def test_a_token_of_garbage_is_refused(accounts: Accounts) -> None:
    with pytest.raises(SpnegoError):
        accounts.acceptor().step(b"NTLMSSP\0\x01\0\0\0")


def test_two_clusters_in_one_process_keep_their_own_passwords(tmp_path: Path) -> None:
    first = Accounts(tmp_path / "first", {"admin": "one"})
    second = Accounts(tmp_path / "second", {"admin": "two"})
    assert log_on(first, "admin", "one")[1].complete
    assert log_on(second, "admin", "two")[1].complete
    with pytest.raises(SpnegoError):
        log_on(first, "admin", "two")


def test_a_channel_binding_is_proven(accounts: Accounts) -> None:
    bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + b"\x01" * 32)
    _, server = log_on(accounts, "Administrator", PASSWORD, client=bindings, server=bindings)
    assert server.complete


def test_a_missing_channel_binding_is_refused(accounts: Accounts) -> None:
    bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + b"\x01" * 32)
    with pytest.raises(SpnegoError):
        log_on(accounts, "Administrator", PASSWORD, server=bindings)


def answer_with_blob(accounts: Accounts, spoil: bool) -> Any:
    """Log on with a blob that packs differently from how it was sent, as Samba's client does."""
    raw = spnego._ntlm_raw
    server = accounts.acceptor()
    flags = (
        spnego._ntlm.NegotiateFlags.unicode
        | spnego._ntlm.NegotiateFlags.extended_session_security
        | spnego._ntlm.NegotiateFlags.key_128
        | spnego._ntlm.NegotiateFlags.sign
    )
    challenge = raw.messages.Challenge.unpack(server.step(raw.messages.Negotiate(flags).pack()))
    pairs = challenge.target_info.pack()
    # reserved bytes that are not zero, and nothing after the end of the pairs
    blob = struct.pack("<BB6xQ8sI", 1, 1, 133_000_000_000_000_000, b"8 bytes!", 7) + pairs
    key = raw.crypto.ntowfv2("Administrator", raw.crypto.ntowfv1(PASSWORD), "NODE1")
    proof = raw.crypto.hmac_md5(key, challenge.server_challenge + blob)
    if spoil:
        blob = blob[:-5] + bytes([blob[-5] ^ 1]) + blob[-4:]
    auth = raw.messages.Authenticate(
        flags, b"\0" * 24, proof + blob, domain_name="NODE1", username="Administrator"
    )
    server.step(auth.pack())
    return server


def test_the_response_is_proven_over_the_bytes_sent(accounts: Accounts) -> None:
    assert answer_with_blob(accounts, spoil=False).complete


def test_a_changed_blob_is_refused(accounts: Accounts) -> None:
    with pytest.raises(SpnegoError):
        answer_with_blob(accounts, spoil=True)


@pytest.mark.parametrize("user", ["Administrator", r"node1\administrator"])
def test_basic_knows_the_password(accounts: Accounts, user: str) -> None:
    assert accounts.check_basic(user, PASSWORD)


@pytest.mark.parametrize(
    ("user", "password"), [("Administrator", "wrong"), ("nobody", PASSWORD), ("", "")]
)
def test_basic_refuses_the_rest(accounts: Accounts, user: str, password: str) -> None:
    assert not accounts.check_basic(user, password)
