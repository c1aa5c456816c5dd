"""How the cluster stands with Azure, and what it reaches through a proxy."""

import pytest

from tests.simcluster.outside import ALL_ENDPOINTS
from tests.simcluster.selftests.test_cmdlets import Site
from tests.simcluster.values import PsError

PROXY = "http://proxy.lan:8080"
HOST = "mcr.microsoft.com"


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    for node in site.world.nodes:
        node.variables["HTTPS_PROXY"] = "http://ada:secret@proxy.lan:8080"
    return site


def refusal(site, proxy=PROXY):
    try:
        (error,) = ask(site, proxy).errors
    except PsError as raised:
        return str(raised)
    return str(error)


def ask(site, proxy=PROXY):
    words = {"Uri": f"https://{HOST}:443/", "Method": "Head", "Proxy": proxy}
    return site.run(("Invoke-WebRequest", words | {"MaximumRedirection": 0}))


def test_registration_is_told_as_it_is(site):
    site.world.outside.connection_status = "OutOfPolicy"
    (told,) = site.values("Get-AzureStackHCI")
    assert told.properties["ConnectionStatus"].name == "OutOfPolicy"


def test_host_answers_through_the_proxy(site):
    site.world.outside.proxy_answers[f"{HOST}:443"] = 200
    assert [row.properties["StatusCode"] for row in ask(site).values] == [200]


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "(404) Not Found"), (407, "(407)"), (301, "redirection count"), (None, "Unable to")],
)
def test_anything_else_is_an_error_in_the_words_of_windows_powershell(site, status, words):
    if status is not None:
        site.world.outside.proxy_answers[f"{HOST}:443"] = status
    assert words in refusal(site)


def test_without_the_proxy_nothing_is_reached(site):
    site.world.outside.proxy_answers[f"{HOST}:443"] = 200
    assert "Unable to connect" in refusal(site, proxy="http://other.lan:1")


def test_manifests_are_looked_for_where_the_world_says(site):
    site.world.outside.sbe_uri = "https://edgeartifacts.blob.plant7.lan/x.xml"
    (told,) = site.values("Get-SolutionDiscoveryDiagnosticInfo")
    uris = told.properties["Configuration"].properties["ComponentUris"]
    assert uris["SBE"] == "https://edgeartifacts.blob.plant7.lan/x.xml"


def test_every_address_has_a_port():
    assert {address.rpartition(":")[2] for address in ALL_ENDPOINTS} == {"443", "80"}
