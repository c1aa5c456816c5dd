"""The way out through a company's proxy: which one is taken, and how it lets us in."""

from __future__ import annotations

import contextlib
import socket
import threading
import traceback

import pytest
import spnego

from tests.contract.fetch_client import DATA, NAME, Client
from tests.unit.catalog.fakes import Listener
from tests.vendorsite.certificates import Authority
from tests.vendorsite.proxy import CompanyProxy
from tests.vendorsite.server import VendorServer
from toolkit.catalog import HttpsFetcher
from toolkit.catalog._download import download
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._part import PartFile
from toolkit.errors import AuthenticationError, DownloadError, InputError

pytestmark = pytest.mark.network

USER, PASSWORD = "bob", "pass: wörd@/#"
ALL = ("Negotiate", "NTLM", 'Digest realm="x", qop="auth"', "Basic")


@pytest.fixture
def proxy(tmp_path):
    """Return a factory of proxies that know one user."""
    with contextlib.ExitStack() as stack:

        def start(*methods, **options):
            made = CompanyProxy(
                tmp_path / "proxy", methods=methods, users={USER: PASSWORD}, **options
            )
            return stack.enter_context(made)

        yield start


@pytest.fixture
def client(server):
    """Return a factory of clients that know the proxy's password."""
    with contextlib.ExitStack() as stack:

        def make(company=None, *, password=PASSWORD, user=USER, **options):
            asked = []

            def ask(name):
                asked.append(name)
                return password

            if company is not None:
                options["proxy"] = company.url
            made = Client(server, proxy_user=user, ask_proxy_password=ask, **options)
            made.asked = asked
            return stack.enter_context(made)

        yield make


def schemes(company):
    return [asked.scheme for asked in company.record.asked]


# --- which proxy ----------------------------------------------------------------------------------


def test_an_open_proxy_is_asked_for_the_server_by_name(client, proxy, server):
    company = proxy()
    assert client(company).get(f"https://localhost:{server.port}/{NAME}") == DATA
    (asked,) = company.record.asked
    assert (asked.target, asked.scheme, asked.status) == (f"localhost:{server.port}", "", 200)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_the_environment_may_name_the_proxy(client, proxy, monkeypatch, name):
    company = proxy()
    monkeypatch.setenv(name, company.url)
    assert client().get() == DATA
    assert len(company.record.asked) == 1


def test_the_scheme_of_a_proxys_address_may_be_missing(client, proxy):
    company = proxy()
    assert client(proxy=company.address).get() == DATA
    assert len(company.record.asked) == 1


def test_the_proxy_named_by_hand_wins_over_the_environment(client, proxy, monkeypatch):
    company = proxy()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert client(company).get() == DATA


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "127.0.0.0/8", "*"])
def test_hosts_in_no_proxy_are_reached_directly(client, proxy, monkeypatch, no_proxy):
    company = proxy()
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert client(company).get() == DATA
    assert company.record.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "https://proxy:3128",
        "socks5://proxy:1080",
        "http://",
        "http://proxy:port",
        "http://bob:s3cret#1@proxy:3128",
        "http://bob:s3cret@[::1",
        "proxy:3128/path",
    ],
)
def test_what_is_no_proxys_address_is_refused_without_repeating_it(text):
    with pytest.raises(InputError, match="http://HOST:PORT") as caught:
        HttpsFetcher(proxy=text)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_password_on_the_command_line_is_refused(client, proxy):
    with pytest.raises(InputError, match="command line") as caught:
        HttpsFetcher(proxy="http://bob:s3cret@proxy:3128")
    assert "FERRY_PROXY_PASSWORD" in caught.value.hint
    assert "s3cret" not in str(caught.value)


# --- how it lets us in ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Basic", "NTLM", "Negotiate"])
@pytest.mark.parametrize("user", [USER, f"CORP\\{USER}", f"{USER}@CORP"])
def test_each_method_lets_us_in(client, proxy, method, user):
    company = proxy(method)
    assert client(company, user=user).get() == DATA
    assert company.record.logons == [(method, True)]


@pytest.mark.parametrize("method", ["NTLM", "Negotiate"])
def test_the_legs_of_a_log_on_share_a_connection(client, proxy, method):
    company = proxy(method)
    client(company).get()
    assert schemes(company) == ["", method, method]
    assert company.record.connections == 1


def test_the_strongest_method_is_taken(client, proxy):
    company = proxy(*ALL)
    assert client(company).get() == DATA
    assert company.record.logons == [("Negotiate", True)]


def test_a_proxy_that_knows_kerberos_only_is_shown_the_next_method(client, proxy):
    company = proxy("Negotiate", "Basic")
    company.faults.refuses_negotiate = True
    assert client(company).get() == DATA
    assert company.record.logons == [("Basic", True)]


class TicketHolder:
    """A log-on by Kerberos as pyspnego gives it: one leg, for whoever is logged on here."""

    def __init__(self, user, password, *, hostname, service, protocol):
        assert (user, password, protocol) == (None, None, "negotiate")
        self.target = f"{service}/{hostname}"

    def step(self, challenge):
        assert challenge is None
        return f"ticket for {self.target}".encode()


def test_the_ticket_of_whoever_is_logged_on_lets_us_in_without_a_user(client, proxy, monkeypatch):
    company = proxy("Negotiate", "Basic")
    company.faults.ticket = b"ticket for HTTP/127.0.0.1"
    monkeypatch.setattr(spnego, "client", TicketHolder)
    asking = client(company, user=None)
    assert asking.get() == DATA
    assert schemes(company) == ["", "Negotiate"]
    assert asking.asked == []


def test_an_unencrypted_password_is_said_once(client, proxy, server):
    company = proxy("Basic")
    asking = client(company)
    asking.get()
    server.hang_up()
    asking.get()
    assert sum("unencrypted" in line for line in asking.said) == 1


def test_the_method_that_worked_is_used_at_once_on_the_next_connection(client, proxy, server):
    company = proxy("NTLM")
    asking = client(company)
    asking.get()
    server.hang_up()
    asking.get()
    assert schemes(company) == ["", "NTLM", "NTLM", "NTLM", "NTLM"]
    assert asking.asked == [USER]


def test_a_proxy_that_hangs_up_after_its_first_refusal_is_asked_again(client, proxy):
    company = proxy("Basic")
    company.faults.closes_after_407 = True
    assert client(company).get() == DATA


def test_a_refusal_with_a_long_page_does_not_end_the_log_on(client, proxy):
    company = proxy("NTLM")
    company.faults.page = b"x" * 1_000_000
    error = client(company).refused(AuthenticationError)
    assert "in the middle of the NTLM log-on" in error.found
    assert company.record.logons == []


def test_a_user_and_password_in_the_environments_address_are_used(client, proxy, monkeypatch):
    company = proxy("NTLM")
    monkeypatch.setenv("HTTPS_PROXY", f"http://bob:pass%3A%20w%C3%B6rd%40%2F%23@{company.address}")
    asking = client(user=None)
    assert asking.get() == DATA
    assert asking.asked == []


def test_a_user_named_by_hand_wins_over_the_environments(client, proxy, monkeypatch):
    company = proxy("NTLM")
    monkeypatch.setenv("HTTPS_PROXY", f"http://alice:other@{company.address}")
    assert client().get() == DATA


def test_the_password_is_not_asked_for_unless_the_proxy_wants_it(client, proxy):
    asking = client(proxy())
    asking.get()
    assert asking.asked == []


def test_a_download_asks_for_the_password_in_the_thread_that_a_person_can_stop(
    proxy, server, tmp_path
):
    company, asked_in = proxy("NTLM"), []

    def ask(_name):
        asked_in.append(threading.current_thread())
        return PASSWORD

    with Client(server, proxy=company.url, proxy_user=USER, ask_proxy_password=ask) as asking:
        for name in ("a", "b"):
            part = PartFile(tmp_path / name)
            download((asking.url,), part, fetcher=asking.fetcher, progress=Listener())
            assert part.path.read_bytes() == DATA
    assert asked_in == [threading.current_thread()]
    assert server.connections == 1


# --- how it does not ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["Basic", "NTLM", "Negotiate"])
def test_a_refused_password_is_shown_once_and_never_again(client, proxy, method):
    company = proxy(method)
    asking = client(company, password="wrong")
    for _ in range(3):
        error = asking.refused(AuthenticationError)
        assert f"it offers {method}" in error.found
        assert "--proxy-user" in error.hint
    assert company.record.logons == [(method, False)]


def test_a_refused_password_is_not_tried_by_weaker_methods(client, proxy):
    company = proxy(*ALL)
    error = client(company, password="wrong").refused(AuthenticationError)
    assert company.record.logons == [("Negotiate", False)]
    assert "it offers Negotiate, NTLM, Digest, Basic" in error.found


def test_without_a_way_to_ask_no_empty_password_is_shown(proxy, server, tmp_path):
    company = proxy("Basic")
    with Client(server, proxy=company.url, proxy_user=USER) as asking:
        asking.refused(InputError)
        with pytest.raises(InputError) as caught:
            download(
                (asking.url,),
                PartFile(tmp_path / "a"),
                fetcher=asking.fetcher,
                progress=Listener(),
            )
    assert "FERRY_PROXY_PASSWORD" in caught.value.hint
    assert company.record.logons == []


def test_threads_at_the_same_time_show_a_wrong_password_once(client, proxy):
    company = proxy("NTLM")
    asking = client(company, password="wrong")
    errors = []

    def fetch():
        try:
            asking.get()
        except AuthenticationError as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(errors) == 6
    assert company.record.logons == [("NTLM", False)]


def test_no_password_stands_in_the_error_or_its_traceback(client, proxy, monkeypatch):
    company = proxy("Basic")
    monkeypatch.setenv("HTTPS_PROXY", f"http://bob:s3cret@{company.address}")
    error = client(user=None).refused(AuthenticationError)
    text = "".join(traceback.format_exception(error)) + str(error.hint)
    assert "s3cret" not in text
    assert "bob" not in text
    assert company.address in text


def test_a_proxy_that_wants_a_user_says_how_to_name_one(client, proxy):
    company = proxy("NTLM", "Basic")
    error = client(company, user=None).refused(AuthenticationError)
    assert "it offers NTLM, Basic" in error.found
    assert "--proxy-user" in error.hint
    assert company.record.logons == []


def test_a_proxy_with_unknown_methods_only_names_them(client, proxy):
    company = proxy('Digest realm="x"')
    error = client(company).refused(AuthenticationError)
    assert "offers Digest" in error.found
    assert "Negotiate, NTLM, Basic" in error.expected
    assert company.record.logons == []


def test_a_user_name_with_a_colon_is_not_shown_by_basic(client, proxy):
    company = proxy("Basic")
    client(company, user="bob:x").refused(AuthenticationError)
    assert company.record.logons == []


@pytest.mark.parametrize("method", ["NTLM", "Negotiate"])
def test_a_challenge_that_makes_no_sense_is_named(client, proxy, method):
    company = proxy(method)
    company.faults.challenge = b"NTLMSSP\x00\x02\x00\x00\x00nonsense"
    error = client(company).refused(AuthenticationError)
    assert f"the proxy's {method} challenge cannot be answered" in error.found
    assert company.record.logons == []


def test_a_proxy_that_hangs_up_in_the_middle_of_a_log_on_is_named(client, proxy):
    company = proxy("NTLM")
    company.faults.closes_after_407 = True
    error = client(company).refused(AuthenticationError)
    assert "in the middle of the NTLM log-on" in error.found


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_the_proxy_does_not_reach_may_come_back(client, proxy, status):
    company = proxy("Basic")
    company.faults.status, company.faults.status_times = status, 1
    asking = client(company)
    error = asking.refused(InterruptedDownload)
    assert f"the proxy cannot reach it: {status}" in error.found
    assert asking.get() == DATA


def test_a_server_that_the_proxy_forbids_is_final(client, proxy):
    company = proxy()
    company.faults.status = 403
    error = client(company).refused()
    assert "the proxy refuses: 403" in error.found
    assert not isinstance(error, InterruptedDownload)


def test_a_proxy_that_is_not_there_is_named_as_the_proxy(client):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    error = client(proxy=address).refused(InterruptedDownload)
    assert f"reach the proxy {address}" in str(error)


def test_a_proxy_whose_name_is_unknown_is_named(client, monkeypatch):
    error = client(proxy="http://proxy.invalid:3128").refused(DownloadError)
    assert "reach the proxy proxy.invalid:3128" in str(error)


def test_a_proxy_that_does_not_speak_http_is_named(client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        error = client(proxy=f"127.0.0.1:{port}").refused(InterruptedDownload)
        thread.join(timeout=5)
    assert f"reach the proxy 127.0.0.1:{port}" in str(error)
    assert "not HTTP" in error.found


# --- interception ---------------------------------------------------------------------------------


@pytest.fixture
def interceptor(tmp_path, server, proxy):
    """Return a proxy with a log-on that answers in the server's place, and its authority's file."""
    authority = Authority("Contoso TLS Inspection")
    with VendorServer(server.folder, tls_dir=tmp_path / "inspection") as inside:
        inside.show(*authority.issue(tmp_path, "inspection"))
        company = proxy("NTLM", leads_to=("127.0.0.1", inside.port))
        yield company, authority.write(tmp_path / "inspection.pem")


def test_an_intercepting_proxy_is_recognised_by_its_authority(client, interceptor):
    company, _ = interceptor
    error = client(company).refused()
    assert "'Contoso TLS Inspection', an authority that nobody here trusts" in error.found
    assert "--ca FILE" in error.hint


def test_an_intercepting_proxy_is_accepted_and_said_once_its_authority_is_given(
    client, interceptor
):
    company, authority = interceptor
    asking = client(company, ca_file=authority)
    assert asking.get() == DATA
    assert any("Contoso TLS Inspection" in line for line in asking.said)
