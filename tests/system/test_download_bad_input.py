"""Whatever a web server, a proxy or the network does wrong, as a user meets it.

Each fault gets its own sentence and exit code; what was there before stays, and once the fault is gone
the same command goes on from there. Every test begins with a download that was stopped halfway.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time

import pytest

from tests.stage import VERSION, Stage
from tests.system.conftest import SIZE_MIB
from tests.vendorsite.certificates import Authority
from tests.vendorsite.nginx import PROGRAM, Nginx, free_port
from tests.vendorsite.proxy import CompanyProxy
from tests.vendorsite.server import Faults, VendorServer

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a signal"),
]

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
HALF_BYTES = 2 << 20
SIZE_BYTES = SIZE_MIB << 20
SLACK_BYTES = 128 << 10
"""What was on its way when the download was stopped is fetched again."""
USER, PASSWORD = "bob", "Plant-7 pröxy"


class Desk:
    """A connected machine with a manifest of one bundle, half of which is there."""

    def __init__(self, folder, www, server):
        self.stage = Stage(folder)
        self.bundle, self.server = www / BUNDLE, server
        self.stage.declare([self.bundle], "https://127.0.0.1:1/")

    def words(self, *more, url=None, ca_file=None):
        where = ["--url", url or f"{self.server.url}/", "--ca", str(ca_file or self.server.ca_file)]
        return ["catalog", "download", VERSION, "--catalog", "catalog", *where, *more]

    def download(self, *more, expect=0, url=None, ca_file=None, **environment):
        words = self.words(*more, url=url, ca_file=ca_file)
        return self.stage.ferry(*words, expect=expect, **environment)

    def stop_halfway(self, has_half):
        """Begin to download and press Ctrl-C once half is there."""
        with self.stage.popen(*self.words()) as process:
            until = time.monotonic() + 60
            while not has_half():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err

    def holds_the_vendors_bytes(self):
        return any(
            path.read_bytes() == self.bundle.read_bytes()
            for path in (self.stage / "catalog").rglob(BUNDLE)
        )


@pytest.fixture(scope="module")
def server(published, tmp_path_factory):
    """The vendor's web server; its address stays the same for all tests, as a real one's does."""
    with VendorServer(
        published / "vendor", tls_dir=tmp_path_factory.mktemp("tls") / "server"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def halfway(published, server, tmp_path_factory):
    """A catalog whose download was stopped halfway."""
    desk = Desk(tmp_path_factory.mktemp("halfway") / "s", published / "vendor", server)
    server.faults = Faults(stall_after=HALF_BYTES)
    desk.stop_halfway(lambda: server.bytes_served >= HALF_BYTES)
    return desk.stage


@pytest.fixture
def desk(published, server, halfway, tmp_path):
    shutil.copytree(halfway.folder, tmp_path / "s")
    server.faults = Faults()
    server.show()
    server.hang_up()
    server.requests.clear()
    server.bytes_served = 0
    return Desk(tmp_path / "s", published / "vendor", server)


def goes_on(desk):
    """Run the same command without the fault: it fetches no more than what is missing."""
    desk.server.faults = Faults()
    desk.server.show()
    served = desk.server.bytes_served
    desk.download()
    assert desk.holds_the_vendors_bytes()
    assert desk.server.bytes_served - served <= SIZE_BYTES - HALF_BYTES + SLACK_BYTES


def one_line(text):
    return " ".join(text.split())


def test_a_stopped_download_goes_on_where_it_was(desk):
    goes_on(desk)
    assert desk.server.requests[0].range != "bytes=0-"
    assert desk.server.requests[0].status == 206


# --- what does not pass by itself: exit 4, one sentence, and the same command goes on later -----------


SERVER_FAULTS = {
    "compressed": (
        {"fields": {"Content-Encoding": "gzip"}},
        r"a body compressed as gzip, which nobody asked for",
    ),
    "wrong length": (
        {"fields": {"Content-Length": "many"}},
        r"a length that is none \(Content-Length: 'many'\)",
    ),
    "wrong range": (
        {"fields": {"Content-Range": "bytes 7-9/10"}},
        r"a range of 3 bytes with a length of \d+",
    ),
    "longer than announced": (
        {"surplus": 5},
        r"a body longer than announced \(expected: its end after \d+ bytes\)",
    ),
    "redirect to http": (
        {"redirect_to": "http://127.0.0.1:9/x"},
        r"a redirect to http://127\.0\.0\.1:9/x, without encryption",
    ),
    "redirects without end": ({"redirect_to": "/again"}, r"redirects without end"),
    "401": (
        {"status": 401, "fields": {"WWW-Authenticate": "NTLM"}},
        r"401 Unauthorized: the server wants a log-on \(it offers NTLM\)",
    ),
    "403": ({"status": 403}, r"403 Forbidden .*\n  next: .*ask who runs it"),
    "404": ({"status": 404}, r"404 Not Found .*\n  next: check the address in the manifest"),
    "407": (
        {"status": 407, "fields": {"Proxy-Authenticate": "NTLM, Basic"}},
        r"407 .*: a proxy on the way wants a log-on \(it offers NTLM, Basic\)",
    ),
    "501": ({"status": 501}, r"501 Not Implemented"),
}


@pytest.mark.parametrize(("faults", "sentence"), SERVER_FAULTS.values(), ids=SERVER_FAULTS.keys())
def test_a_fault_of_the_server_has_its_sentence_and_the_download_goes_on_later(
    desk, faults, sentence
):
    desk.server.faults = Faults(**faults)
    told = desk.download(expect=4)
    assert re.search(sentence, told.err), told.err
    assert "Traceback" not in told.err
    goes_on(desk)


@pytest.mark.parametrize(
    ("options", "is_known", "sentence"),
    [
        ({"days": (-30, -2)}, True, r"a certificate for 'localhost' from 'Contoso TLS Inspection' that "
         r"expired on \d{4}-\d\d-\d\d \(expected: one that is valid now"),
        ({"days": (2, 30)}, True, r"not yet valid, but from .*\n  next: set this machine's clock"),
        ({"hosts": ["login.example"]}, True, r"which is another host \(expected: a certificate for 127"),
        ({"is_self_signed": True}, False, r"that 'localhost' has signed for itself"),
        ({}, False, r"from 'Contoso TLS Inspection', an authority that nobody here trusts .*\n"
         r"  next: a proxy that inspects TLS signs like this: .* --ca FILE"),
    ],
    ids=["expired", "not yet valid", "another host", "self-signed", "interceptor"],
)  # fmt: skip
def test_a_refused_certificate_is_named_and_the_download_goes_on_later(
    desk, tmp_path, options, is_known, sentence
):
    authority = Authority("Contoso TLS Inspection")
    desk.server.show(*authority.issue(tmp_path, "shown", **options))
    known = authority.write(tmp_path / "contoso.pem") if is_known else None
    told = desk.download(expect=4, ca_file=known)
    assert re.search(sentence, told.err), told.err
    assert desk.server.requests == []
    goes_on(desk)


def test_a_host_that_dns_does_not_know_is_named_and_the_download_goes_on_later(desk):
    told = desk.download(expect=4, url="https://vendor.invalid/")
    assert re.search(r"no(s| name server know)?.* vendor\.invalid", told.err), told.err
    goes_on(desk)


def test_a_server_that_wants_a_client_certificate_gets_one(desk, tmp_path):
    authority = Authority("Contoso staff")
    mine, key = authority.issue(tmp_path, "mine", subject="ferry-7", passphrase=b"open sesame")
    desk.server.show(clients=authority.write(tmp_path / "staff.pem"))
    told = desk.download(expect=4)
    assert "wants a client certificate" in told.err
    words = ["--client-cert", str(mine), "--client-key", str(key)]
    desk.download(*words, FERRY_CLIENT_KEY_PASSPHRASE="open sesame")
    assert desk.holds_the_vendors_bytes()
    assert "ferry-7" in desk.server.client_names


# --- what passes: said, and done ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({"status": 429, "status_times": 1, "fields": {"Retry-After": "1"}},
         r"429 Too Many Requests: we ask too often, and asks us to wait 1 s"),
        ({"status": 500, "status_times": 1}, r"500 Internal Server Error: the server is out of order"),
        ({"status": 503, "status_times": 1}, r"503 Service Unavailable: the server is out of order"),
        ({"cut_after": 1 << 20, "cut_times": 1}, r"the line was cut \d+ bytes before the end that was"),
        ({"raw_answer": b"220 mail\r\n", "raw_times": 1}, r"an answer that is not HTTP"),
    ],
    ids=["429", "500", "503", "truncated", "no HTTP"],
)  # fmt: skip
def test_a_passing_fault_is_said_and_survived(desk, faults, sentence):
    desk.server.faults = Faults(**faults)
    told = desk.download()
    assert re.search(sentence, one_line(told.err)), told.err
    assert desk.holds_the_vendors_bytes()
    assert desk.server.bytes_served <= SIZE_BYTES - HALF_BYTES + SLACK_BYTES


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ({"no_ranges": True}, r"starting over"),
        ({"new_etag_each_time": True}, r"starting over"),
        ({"new_etag_each_time": True, "ignores_if_range": True}, r"starting over"),
        ({"no_ranges": True, "chunked": True}, r"sends in chunks, without saying how much will come"),
        ({"no_ranges": True, "no_length": True}, r"does not say how long the file is"),
    ],
    ids=["no ranges", "new ETag", "new ETag, If-Range ignored", "chunked", "no length"],
)  # fmt: skip
def test_an_awkward_server_is_said_and_the_file_is_proven(desk, faults, sentence):
    desk.server.faults = Faults(**faults)
    told = desk.download()
    assert re.search(sentence, one_line(told.err)), told.err
    assert desk.holds_the_vendors_bytes()


def test_a_redirect_to_another_host_is_followed_and_said(desk):
    desk.server.faults.redirect_to = f"https://localhost:{desk.server.port}/{BUNDLE}"
    desk.server.faults.redirect_times = 1
    told = desk.download()
    assert "127.0.0.1 sends us on to localhost, which vouches for what comes" in one_line(told.err)
    assert desk.holds_the_vendors_bytes()


# --- proxies --------------------------------------------------------------------------------------


@pytest.fixture
def proxy(tmp_path):
    with CompanyProxy(
        tmp_path / "proxy", methods=["Negotiate", "NTLM", "Basic"], users={USER: PASSWORD}
    ) as started:
        yield started


@pytest.mark.parametrize("methods", [["Negotiate", "NTLM"], ["NTLM", "Basic"], ["Basic"]])
def test_a_proxys_log_on_lets_the_download_go_on(desk, proxy, methods):
    proxy.methods = tuple(methods)
    words = ["--proxy", proxy.url, "--proxy-user", f"CORP\\{USER}"]
    desk.download(*words, FERRY_PROXY_PASSWORD=PASSWORD)
    assert desk.holds_the_vendors_bytes()
    assert proxy.record.logons[0] == (methods[0], True)
    assert desk.server.bytes_served <= SIZE_BYTES - HALF_BYTES + SLACK_BYTES


def test_a_refused_proxy_password_is_tried_once_and_appears_nowhere(desk, proxy):
    told = desk.download("--debug", expect=4, HTTPS_PROXY=f"http://{USER}:s3cret@{proxy.address}")
    assert (
        "407: the proxy refuses the user or password; it offers Negotiate, NTLM, Basic" in told.err
    )
    assert proxy.record.logons == [("Negotiate", False)]
    assert "s3cret" not in told.err + told.out
    goes_on(desk)


def test_a_proxy_that_wants_a_log_on_says_how_to_give_one(desk, proxy):
    told = desk.download("--proxy", proxy.url, expect=4)
    assert "the proxy wants a log-on; it offers Negotiate, NTLM, Basic" in told.err
    assert "--proxy-user" in told.err
    assert "FERRY_PROXY_PASSWORD" in told.err


def test_an_intercepting_proxy_is_named_until_its_authority_is_given(desk, published, tmp_path):
    authority = Authority("Contoso TLS Inspection")
    with VendorServer(published / "vendor", tls_dir=tmp_path / "inside") as inside:
        inside.show(*authority.issue(tmp_path, "inside"))
        with CompanyProxy(tmp_path / "p", leads_to=("127.0.0.1", inside.port)) as proxy:
            told = desk.download("--proxy", proxy.url, expect=4)
            assert "'Contoso TLS Inspection', an authority that nobody here trusts" in told.err
            known = authority.write(tmp_path / "contoso.pem")
            done = desk.download("--proxy", proxy.url, ca_file=known)
    assert "Contoso TLS Inspection" in done.err
    assert desk.holds_the_vendors_bytes()


# --- a real web server ----------------------------------------------------------------------------


@pytest.fixture
def nginx(published, tmp_path):
    """Return a factory of nginx servers that take each other's place, and a desk before them."""
    if PROGRAM is None:
        pytest.skip("nginx is not installed")
    port = free_port()

    def start(directives=""):
        return Nginx(
            published / "vendor", work=tmp_path / "nginx", directives=directives, port=port
        )

    desk = Desk(tmp_path / "s", published / "vendor", start())

    def has_half():
        parts = [path for path in (desk.stage / "catalog").rglob("*") if BUNDLE in path.name]
        return sum(path.stat().st_size for path in parts) >= HALF_BYTES

    with start("limit_rate_after 2m; limit_rate 100k;"):
        desk.stop_halfway(has_half)
    return desk, start


@pytest.mark.parametrize(
    ("directives", "code", "sentence"),
    [
        ("return 403;", 4, r"403 Forbidden"),
        ("return 404;", 4, r"404 Not Found"),
        ("return 302 http://127.0.0.1:9/x;", 4, r"a redirect to http://127.0.0.1:9/x, without encryption"),
        ("return 302 $uri;", 4, r"redirects without end"),
        ("add_header Content-Encoding br;", 4, r"a body compressed as br"),
        ("max_ranges 0;", 0, r"starting over"),
        ("etag off; add_header ETag '\"other\"';", 0, r"starting over"),
        ("sub_filter_types *; sub_filter_once off; sub_filter never_there x;", 0, r"sends in chunks"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_nginx_does_has_its_sentence_and_the_download_goes_on(
    nginx, directives, code, sentence
):
    desk, start = nginx
    with start(directives):
        told = desk.download(expect=code)
    assert re.search(sentence, told.err), told.err
    with start() as web:
        before = len(web.answers())
        desk.download()
        assert desk.holds_the_vendors_bytes()
        last = web.answers()[before:]
    if code:
        assert last[0].status == 206, last
        assert re.fullmatch(r"bytes=\d{7}-\d*", last[0].range), last


def test_nginx_gets_the_client_certificate_it_wants(nginx, tmp_path):
    desk, start = nginx
    authority = Authority("Contoso staff")
    staff = authority.write(tmp_path / "staff.pem")
    mine, key = authority.issue(tmp_path, "mine")
    with start(f"ssl_client_certificate {staff}; ssl_verify_client on;"):
        told = desk.download(expect=4)
        assert "--client-cert" in told.err
        desk.download("--client-cert", str(mine), "--client-key", str(key))
    assert desk.holds_the_vendors_bytes()
