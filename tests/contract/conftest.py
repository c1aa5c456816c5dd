"""What the tests of fetching share: a server with one file, and clients of it."""

from __future__ import annotations

import contextlib

import pytest

from tests.contract.fetch_client import DATA, NAME, Client
from tests.vendorsite.server import VendorServer

_ENVIRONMENT = (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "curl_ca_bundle", "requests_ca_bundle",
    "ssl_cert_file",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Take away what would change the way to a server."""
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / NAME).write_bytes(DATA)
    with VendorServer(tmp_path / "www", tls_dir=tmp_path / "tls") as started:
        yield started


@pytest.fixture
def client(server):
    """Return a factory of clients of the server."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(Client(server, **options))
