"""The fetcher against real servers on loopback: what each of them does wrong, and how we say it."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import threading

import pytest

from tests.contract.fetch_client import DATA, NAME, read
from tests.vendorsite.server import VendorServer
from toolkit.catalog._fetch import InterruptedDownload
from toolkit.catalog._together import size_of
from toolkit.errors import AuthenticationError, DownloadError

pytestmark = pytest.mark.network


@pytest.fixture
def other(tmp_path):
    """Return another server with the same file and an authority of its own."""
    with VendorServer(tmp_path / "www", tls_dir=tmp_path / "other-tls") as started:
        yield started


# --- bytes and ranges -----------------------------------------------------------------------------


def test_the_whole_file_comes_with_its_length_and_state(client):
    with contextlib.closing(client().open()) as answer:
        assert (answer.start, answer.total_bytes) == (0, len(DATA))
        assert answer.validator.startswith('"')
        assert read(answer) == DATA


@pytest.mark.parametrize("size", [1, 100, 16 << 10, 64 << 10, 1 << 20])
def test_any_buffer_gets_the_same_bytes(client, size):
    with contextlib.closing(client().open(offset=len(DATA) - 3000)) as answer:
        assert read(answer, size) == DATA[-3000:]


def test_a_range_ends_before_its_stop(client, server):
    assert client().get(offset=1000, stop=5000) == DATA[1000:5000]
    assert server.requests[-1].range == "bytes=1000-4999"


def test_nothing_is_left_beyond_the_end(client):
    with contextlib.closing(client().open(offset=len(DATA))) as answer:
        assert (answer.start, answer.total_bytes) == (len(DATA), len(DATA))
        assert read(answer) == b""


def test_an_empty_file_is_a_file(client, server):
    (server.folder / NAME).write_bytes(b"")
    assert client().get() == b""


def test_a_file_that_has_become_shorter_is_given_from_its_start(client):
    with contextlib.closing(client().open(offset=len(DATA) + 5)) as answer:
        assert answer.start == 0
        assert read(answer) == DATA


def test_a_server_without_ranges_gives_the_file_from_its_start(client, server):
    server.faults.no_ranges = True
    with contextlib.closing(client().open(offset=1000)) as answer:
        assert answer.start == 0
        assert read(answer) == DATA


def test_a_changed_file_is_given_from_its_start(client):
    with contextlib.closing(client().open(offset=1000, validator='"older"')) as answer:
        assert answer.start == 0
        assert read(answer) == DATA


def test_a_changed_file_is_noticed_although_the_server_ignores_if_range(client, server):
    server.faults.ignores_if_range = True
    with contextlib.closing(client().open(offset=1000, validator='"older"')) as answer:
        assert answer.start == 0
        assert read(answer) == DATA
    assert [request.status for request in server.requests] == [206, 200]


def test_an_etag_that_changes_between_two_ranges_is_noticed(client, server):
    server.faults.new_etag_each_time = server.faults.ignores_if_range = True
    asking = client()
    with contextlib.closing(asking.open(stop=1000)) as first:
        read(first)
    with contextlib.closing(asking.open(offset=1000, validator=first.validator)) as second:
        assert second.start == 0
        assert second.validator != first.validator


def test_chunks_are_put_together_and_said(client, server):
    server.faults.chunked = True
    asking = client()
    with contextlib.closing(asking.open()) as answer:
        assert answer.total_bytes is None
        assert read(answer) == DATA
    assert asking.said[-1].endswith("sends in chunks, without saying how much will come")


def test_a_range_may_come_in_chunks(client, server):
    server.faults.chunked = True
    with contextlib.closing(client().open(offset=1000, stop=90_000)) as answer:
        assert (answer.start, answer.total_bytes) == (1000, len(DATA))
        assert read(answer) == DATA[1000:90_000]


def test_a_missing_length_is_said_and_the_file_comes(client, server):
    server.faults.no_length = True
    asking = client()
    with contextlib.closing(asking.open()) as answer:
        assert answer.total_bytes is None
        assert read(answer) == DATA
    assert asking.said[-1].endswith("does not say how long the file is")


# --- broken bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_polite", [False, True])
def test_a_cut_body_gives_what_came_and_then_the_missing_bytes_by_number(client, server, is_polite):
    server.faults.cut_after, server.faults.cut_politely = 100_000, is_polite
    with contextlib.closing(client().open()) as answer:
        buffer = memoryview(bytearray(64 << 10))
        assert answer.readinto(buffer) + answer.readinto(buffer) == 100_000
        with pytest.raises(InterruptedDownload, match=f"cut {len(DATA) - 100_000} bytes before"):
            answer.readinto(buffer)


def test_chunks_without_their_end_are_a_cut_line(client, server):
    server.faults.chunked, server.faults.cut_after = True, 100_000
    assert "cut" in client().refused(InterruptedDownload).found


def test_an_unclear_end_without_a_length_is_not_taken_for_the_end(client, server):
    server.faults.no_length = server.faults.ends_dirty = True
    error = client().refused(InterruptedDownload)
    assert "ended without saying that this was the end" in error.found


def test_a_body_longer_than_announced_is_refused(client, server):
    server.faults.surplus = 5
    error = client().refused()
    assert not isinstance(error, InterruptedDownload)
    assert "longer than announced" in error.found
    assert str(len(DATA)) in error.expected


def test_a_body_longer_than_announced_is_noticed_when_it_is_tiny(client, server):
    (server.folder / NAME).write_bytes(b"tiny")
    server.faults.surplus = 1
    assert "longer than announced" in client().refused().found


def test_a_stalled_line_is_given_up(client, server):
    server.faults.stall_after = 100_000
    asking = client(read_timeout_s=0.2)
    with contextlib.closing(asking.open()) as answer:
        buffer = memoryview(bytearray(len(DATA)))
        assert answer.readinto(buffer) == 128 << 10  # the server sends 64 KiB at a time
        with pytest.raises(InterruptedDownload, match=r"nothing came from 127\.0\.0\.1 for 0\.2 s"):
            answer.readinto(buffer)


@pytest.mark.parametrize("length", ["-5", "many", "12 34", "0x10", "9" * 30])
def test_a_length_that_is_no_number_is_refused(client, server, length):
    server.faults.fields = {"Content-Length": length}
    assert "a length that is none" in client().refused().found


def test_a_compressed_body_is_refused(client, server):
    server.faults.fields = {"Content-Encoding": "gzip"}
    error = client().refused()
    assert "compressed as gzip" in error.found
    assert not isinstance(error, InterruptedDownload)


def test_an_unknown_transfer_coding_is_refused(client, server):
    server.faults.fields = {"Transfer-Encoding": "gzip, chunked"}
    assert "gzip, chunked" in client().refused().found


@pytest.mark.parametrize(
    ("span", "word"),
    [
        ("bytes 1000-1999/262144", "a length of"),
        ("bytes 1000-999/262144", "cannot be"),
        ("bytes 1000-262144/262144", "cannot be"),
        ("lines 1-2/3", "without its place"),
    ],
)
def test_a_range_that_contradicts_itself_is_refused(client, server, span, word):
    server.faults.fields = {"Content-Range": span}
    assert word in client().refused(offset=1000).found


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, DownloadError, "--client-cert"),
        (401, AuthenticationError, "--client-cert"),
        (403, DownloadError, "ask who runs it"),
        (404, DownloadError, "--url"),
        (407, AuthenticationError, "--proxy"),
        (410, DownloadError, "--url"),
        (418, DownloadError, "refuses"),
        (429, InterruptedDownload, "later"),
        (500, InterruptedDownload, "later"),
        (501, DownloadError, "refuses"),
        (502, InterruptedDownload, "later"),
        (503, InterruptedDownload, "later"),
        (504, InterruptedDownload, "later"),
        (511, DownloadError, "browser"),
    ],
)
def test_a_refusal_has_its_class_and_its_advice(client, server, status, kind, hint):
    server.faults.status = status
    error = client().refused(kind)
    assert str(status) in error.found
    assert hint in error.hint
    assert isinstance(error, InterruptedDownload) == (kind is InterruptedDownload)


def test_a_server_that_wants_a_log_on_is_named_with_its_methods(client, server):
    server.faults.status = 401
    server.faults.fields = {"WWW-Authenticate": 'Basic realm="a, b", Negotiate'}
    assert "it offers Basic, Negotiate" in client().refused(AuthenticationError).found


def test_a_wait_in_seconds_is_handed_on(client, server):
    server.faults.status, server.faults.fields = 429, {"Retry-After": "17"}
    error = client().refused(InterruptedDownload)
    assert error.retry_after_s == 17
    assert "17 s" in error.found


def test_a_wait_until_a_date_is_measured_by_the_servers_own_clock(client, server):
    server.faults.status = 503
    server.faults.fields = {
        "Date": email.utils.formatdate(1_000_000_000, usegmt=True),
        "Retry-After": email.utils.formatdate(1_000_000_030, usegmt=True),
    }
    assert client().refused(InterruptedDownload).retry_after_s == 30


# --- redirects ------------------------------------------------------------------------------------


def test_a_redirect_on_the_same_server_is_followed_silently(client, server):
    (server.folder / "new.bin").write_bytes(b"new")
    asking = client()
    server.faults.redirect_to, server.faults.redirect_times = "/new.bin", 1
    asking.said.clear()
    assert asking.get() == b"new"
    assert not any("sends us on" in line for line in asking.said)


def test_a_redirect_to_another_server_is_followed_and_said(client, server, other, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(server.ca_file.read_bytes() + other.ca_file.read_bytes())
    asking = client(ca_file=both)
    target = f"https://localhost:{other.port}/{NAME}"
    server.faults.redirect_to = target
    with contextlib.closing(asking.open(offset=1000)) as answer:
        assert read(answer) == DATA[1000:]
        assert answer.url == target
    assert any("127.0.0.1 sends us on to localhost" in line for line in asking.said)


def test_a_signed_query_of_a_redirect_is_not_repeated_in_an_error(client, server, other, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(server.ca_file.read_bytes() + other.ca_file.read_bytes())
    server.faults.redirect_to = f"{other.url}/nowhere?sig=s3cret"
    error = client(ca_file=both).refused()
    assert f"redirected to {other.url}/nowhere?…" in str(error)
    assert "s3cret" not in f"{error} {error.hint}"


def test_a_redirect_to_http_is_refused_as_unencrypted(client, server):
    server.faults.redirect_to = "http://127.0.0.1:9/x"
    assert "a redirect to http://127.0.0.1:9/x, without encryption" in client().refused().found
    assert len(server.requests) == 1


def test_a_redirect_without_an_address_is_refused(client, server):
    server.faults.redirect_to = ""
    assert "does not say where to" in client().refused().found


@pytest.mark.parametrize("address", ["https://[bad/", "//[bad"])
def test_a_redirect_to_an_unreadable_address_is_refused(client, server, address):
    server.faults.redirect_to = address
    assert "a redirect to an unreadable address" in client().refused().found


def test_a_redirect_that_cannot_be_followed_is_named_as_the_one_that_is_wrong(client, server):
    server.faults.redirect_to = "https://127.0.0.1:99999/x"
    assert "redirected to https://127.0.0.1:99999/x" in str(client().refused())


def test_redirects_without_end_are_refused(client, server):
    server.faults.redirect_to = "/again"
    assert "without end" in client().refused().found
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "https:///x",
        "https://user:s3cret@127.0.0.1/x",
        "https://127.0.0.1:99999/x",
        "https://[::1/x",
        f"https://{'a' * 64}.example/x",
        "https://.example/x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_a_password(client, url):
    error = client().refused(url=url)
    assert "cannot be used" in error.found
    assert "s3cret" not in str(error)


def test_blanks_and_letters_of_other_scripts_are_escaped_in_the_request(client, server):
    (server.folder / "ä b.bin").write_bytes(b"odd")
    asking = client()
    assert asking.get(f"{server.url}/ä b.bin") == b"odd"
    assert asking.get(f"{server.url}/%C3%A4%20b.bin?x=1 2") == b"odd"
    assert server.requests[-1].path == "/%C3%A4%20b.bin?x=1%202"


# --- connections ----------------------------------------------------------------------------------


def test_ranges_of_one_server_share_a_connection(client, server):
    asking = client()
    for start in range(0, 10_000, 1000):
        assert asking.get(offset=start, stop=start + 1000) == DATA[start : start + 1000]
    assert server.connections == 1


def test_refusals_and_redirects_do_not_cost_a_connection(client, server):
    asking = client()
    server.faults.status, server.faults.status_times = 503, 2
    for _ in range(2):
        asking.refused(InterruptedDownload)
    assert asking.get(offset=len(DATA)) == b""
    assert asking.get() == DATA
    assert server.connections == 1


def test_asking_for_the_size_of_a_file_does_not_cost_a_connection(client, server):
    asking = client()
    assert size_of([asking.url], asking.fetcher) == len(DATA)
    assert asking.get() == DATA
    assert server.connections == 1


def test_chunks_read_to_their_end_do_not_cost_a_connection(client, server):
    server.faults.chunked = True
    asking = client()
    assert asking.get() == asking.get() == DATA
    assert server.connections == 1


def test_an_answer_given_up_halfway_costs_its_connection(client, server):
    asking = client()
    with contextlib.closing(asking.open()) as answer:
        answer.readinto(memoryview(bytearray(1000)))
    assert asking.get() == DATA
    assert server.connections == 2


def test_a_connection_that_was_closed_while_idle_is_replaced_silently(client, server):
    asking = client()
    server.faults.fields = {"Connection": "keep-alive"}
    asking.get(stop=1000)
    server.hang_up()
    assert asking.get() == DATA
    assert server.connections == 2


def test_answers_at_the_same_time_have_connections_of_their_own(client, server):
    asking = client()
    with (
        contextlib.closing(asking.open(stop=1000)) as one,
        contextlib.closing(asking.open(offset=1000, stop=2000)) as two,
    ):
        assert read(two) + read(one) == DATA[1000:2000] + DATA[:1000]
    assert asking.get() == DATA
    assert server.connections == 2


def test_threads_share_one_fetcher(client, server):
    asking = client()
    found = {}

    def fetch(start):
        found[start] = asking.get(offset=start, stop=start + 1000)

    threads = [threading.Thread(target=fetch, args=(start,)) for start in range(0, 8000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert b"".join(found[start] for start in sorted(found)) == DATA[:8000]


def test_a_closed_fetcher_leaves_no_connection_open(client, server):
    asking = client()
    asking.get()
    asking.fetcher.close()
    assert asking.get() == DATA  # a late question still works, and leaves nothing behind


# --- nobody there ---------------------------------------------------------------------------------


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_refused_connection_may_pass_and_names_the_host(client):
    error = client().refused(InterruptedDownload, url=f"https://127.0.0.1:{closed_port()}/x")
    assert "127.0.0.1 refused the connection" in error.found


def test_a_name_that_does_not_exist_is_final_and_named(client, monkeypatch):
    resolver(monkeypatch, socket.EAI_NONAME)
    error = client().refused(url="https://vendor.example/x")
    assert not isinstance(error, InterruptedDownload)
    assert "vendor.example" in error.found
    assert "--proxy" in error.hint


def test_a_silent_name_server_may_come_back(client, monkeypatch):
    resolver(monkeypatch, socket.EAI_AGAIN)
    error = client().refused(InterruptedDownload, url="https://vendor.example/x")
    assert "vendor.example" in error.found


def test_a_name_that_was_known_a_moment_ago_may_come_back(client, server, monkeypatch):
    asking = client()
    url = f"https://localhost:{server.port}/{NAME}"
    asking.get(url)
    server.hang_up()
    resolver(monkeypatch, socket.EAI_NONAME)
    assert "localhost" in asking.refused(InterruptedDownload, url=url).found


def test_no_way_to_the_server_may_pass(client, monkeypatch):
    import errno

    def unreachable(*_words, **_options):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    error = client().refused(InterruptedDownload)
    assert "there is no way to 127.0.0.1 (Network is unreachable)" in error.found


def test_a_server_that_accepts_and_says_nothing_is_given_up(client):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/x"
        error = client(connect_timeout_s=0.2).refused(InterruptedDownload, url=url)
    assert "nothing came from 127.0.0.1 for 0.2 s" in error.found


def test_a_port_without_tls_is_final(client):
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = client().refused(url=f"https://127.0.0.1:{port}/x")
    assert "does not speak TLS" in error.found
    assert not isinstance(error, InterruptedDownload)


def test_an_answer_that_is_not_http_may_pass(client, server):
    server.faults.raw_answer = b"HELLO\r\n\r\n"
    assert "not HTTP" in client().refused(InterruptedDownload).found


def test_a_server_that_hangs_up_without_an_answer_may_pass(client, server):
    server.faults.raw_answer = b""
    assert "127.0.0.1" in client().refused(InterruptedDownload).found


def resolver(monkeypatch, code):
    def resolve(*_words, **_options):
        raise socket.gaierror(code, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@contextlib.contextmanager
def answering(data):
    """Listen without TLS and answer anything with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(data)
                    connection.recv(1000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=5)
