from __future__ import annotations

import pytest

from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._sbe_sources import read_sbe_sources
from toolkit.errors import InputError

GOOD = b"""\
format: 1
sources: {guide: "a guide", lists: "some lists"}
any: "https://aka.example/{manufacturer}"
any_source: guide
manufacturers:
  - {name: Dell, aliases: [DellEMC], hosts: [Downloads.Dell.example], source: guide, hosts_source: lists}
  - {name: HPE, source: guide}
"""


def test_shipped_vendors_are_those_of_the_guide():
    sources = load_sbe_sources()
    assert [source.manufacturer for source in sources.known] == [
        "DataON",
        "Dell",
        "HitachiVantara",
        "HPE",
        "HPE-ProLiant-Standard",
        "Lenovo",
    ]
    assert sources.find("lenovo").address == "https://aka.ms/AzureStackSBEUpdate/Lenovo"
    assert all("Firewall-blocks" in item.source or "Dell" in item.source for item in sources.known)


@pytest.mark.parametrize("spelling", ["Dell", "dell", "DELLEMC", "Dell EMC"])
def test_manufacturer_is_found_under_every_spelling(spelling):
    found = read_sbe_sources(GOOD).find(spelling)
    assert (found.manufacturer, found.address) == ("Dell", "https://aka.example/Dell")
    assert found.hosts == ("downloads.dell.example",)
    assert found.source == "a guide; some lists"


def test_unknown_manufacturer_has_the_address_that_every_one_has():
    found = read_sbe_sources(GOOD).find("Contoso & Co")
    assert found.address == "https://aka.example/Contoso%20%26%20Co"
    assert (found.manufacturer, found.hosts, found.source) == ("Contoso & Co", (), "a guide")


@pytest.mark.parametrize("name", ["", "..", "x" * 61, "a\nb"])
def test_name_that_could_not_stand_in_an_address_is_refused(name):
    with pytest.raises(ValueError, match="no manufacturer's name"):
        read_sbe_sources(GOOD).find(name)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"https://aka", b"http://aka", "any, line 3"),
        (b"{manufacturer}", b"x", "any, line 3"),
        (b"name: HPE", b"name: dellemc", "dellemc again"),
        (b"name: HPE, source: guide", b"name: HPE, source: rumour", "rumour"),
        (b"name: HPE, source: guide", b"name: HPE", "no key 'source'"),
        (b"format: 1", b"format: 2", "format"),
    ],
)
def test_mistake_in_the_list_is_named_with_its_place(old, new, said):
    with pytest.raises(InputError, match=said):
        read_sbe_sources(GOOD.replace(old, new), file="sbe-sources.yaml")
