"""Answers typed in by hand: what is not answered goes home as not known, what is wrong is named."""

import re

import pytest

from tests.made_requests import MADE_AT
from toolkit.errors import InputError
from toolkit.request import ANSWERS, EndpointReach, Origin, VolumeSpace, read_answers
from toolkit.sbe import Hardware

SITE = "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b"
FILLED = r"""
format: 1
cluster: plant7
solution_version: Solution12.2602.1002.501
update_state: UpdateAvailable
package_versions:
  Services: 10.2512.0.9
sbe: {publisher: Contoso, family: GenA, version: 4.2.2512.1616, state: Installed}
hardware: {manufacturer: Contoso, model: Contoso680, sku: 0A6B}
node_count: 4
updates:
  - {version: 12.2603.1002.15, state: AdditionalContentRequired, sbe_version: 4.2.2603.1,
     sbe_family: GenA, sbe_publisher: Contoso, min_version_required: 12.2510.1002.0}
  - {version: 4.2.2603.1, state: ready, type: sbe}
discovery:
  - {component: SBE, status: ConnectionFailure, manifest_source: "https://aka.ms/x"}
volumes:
  - {node: node1, volume: "C:", free: 61.5 GB, size: 446 GiB}
  - {volume: 'C:\ClusterStorage\Infrastructure_1', free: 0 B, size: 1.5TB}
language_modes: {node1: FullLanguage, node2: constrainedlanguage}
health: {state: Warning, failed_critical: [], failed_warning: [AzStackHci_X]}
endpoints:
  - {group: AKS, address: "mcr.microsoft.com:443", reachable: no}
disconnected_operations: yes
"""


def read(text: str, **options):
    return read_answers(text.encode(), site_id=SITE, file="answers.yaml", now=MADE_AT, **options)


def with_value(key: str, value: str) -> str:
    """Return the filled-in form with another answer to one question."""
    rest = re.sub(rf"^{key}:.*\n(?:[ ].*\n)*", "", FILLED, flags=re.MULTILINE)
    return f"{rest}{key}: {value}\n"


def test_a_cluster_whose_name_is_not_one_line_is_refused():
    with pytest.raises(InputError, match="one line"):
        read(with_value("cluster", r'"plant7\nharbour2"'))


def test_form_that_is_filled_in_leaves_nothing_unknown():
    request = read(FILLED)
    assert request.unknown == ()
    assert (request.origin, request.made_at, request.site_id) == (Origin.TYPED, MADE_AT, SITE)
    assert request.solution_version == "12.2602.1002.501"
    assert request.package_versions == (("Services", "10.2512.0.9"),)
    assert (request.sbe_publisher, request.sbe_state) == ("Contoso", "installed")
    assert request.hardware == Hardware(manufacturer="Contoso", model="Contoso680", sku="0A6B")
    assert [update.resource_id for update in request.updates] == [
        "Solution12.2603.1002.15",
        "SBE4.2.2603.1",
    ]
    assert [update.state for update in request.updates] == ["AdditionalContentRequired", "Ready"]
    assert request.volumes == (
        VolumeSpace(node="node1", volume="C:", free_bytes=123 << 29, size_bytes=446 << 30),
        VolumeSpace(
            node="",
            volume=r"C:\ClusterStorage\Infrastructure_1",
            free_bytes=0,
            size_bytes=3 << 39,
        ),
    )
    assert request.language_modes == (("node1", "FullLanguage"), ("node2", "ConstrainedLanguage"))
    assert request.health.failed_warning == ("AzStackHci_X",)
    assert request.endpoints == (
        EndpointReach(group="AKS", address="mcr.microsoft.com:443", is_reachable=False),
    )
    assert request.is_disconnected_operations is True


def test_form_with_a_cluster_alone_leaves_every_question_open():
    request = read(ANSWERS.replace("\ncluster:\n", "\ncluster: plant7\n"))
    assert [what for what, _ in request.unknown] == [
        "sbe_version",
        "solution_version",
        "package_versions",
        "sbe_publisher",
        "sbe_family",
        "sbe_state",
        "hardware.manufacturer",
        "hardware.model",
        "hardware.sku",
        "node_count",
        "update_state",
        "updates",
        "discovery",
        "volumes",
        "language_modes",
        "health.state",
        "health.failed_critical",
        "health.failed_warning",
        "endpoints",
        "is_disconnected_operations",
    ]
    assert set(dict(request.unknown).values()) == {"not answered"}


def test_examples_in_the_form_are_good_answers():
    examples = re.sub(r": unknown\n((?:#  .*\n)+)", r":\n\1", ANSWERS)
    filled = re.sub(r"^#  ", "  ", examples, flags=re.MULTILINE)
    request = read(filled.replace("\ncluster:\n", "\ncluster: plant7\n"))
    assert request.updates[0].sbe_version == "4.2.2603.1"
    assert len(request.volumes) == 2
    assert request.endpoints[0].is_reachable is False


@pytest.mark.parametrize(
    ("version", "state"),
    [("2.1.0.0", "none"), ("4.0.0.0", "not installed"), ("4.2.2512.1616", "installed")],
)
def test_state_of_the_sbe_follows_from_its_version_where_none_is_typed(version, state):
    assert read(f"format: 1\ncluster: p\nsbe:\n  version: {version}\n").sbe_state == state


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("format", "2", "format"),
        ("cluster", "", "cluster"),
        ("solution_version", "2602", "solution_version"),
        ("update_state", "[x]", "update_state"),
        ("package_versions", "{Services: new}", r"package_versions\.Services"),
        ("sbe", "Contoso", "sbe"),
        ("sbe", "{version: 4.2}", r"sbe\.version"),
        ("sbe", "{state: perhaps}", r"sbe\.state"),
        ("sbe", "{colour: red}", r"sbe\.colour"),
        ("hardware", "{model: [x]}", r"hardware\.model"),
        ("node_count", "four", "node_count"),
        ("updates", "{}", "updates"),
        ("updates", "[{version: 12.2603.1002.15}]", r"updates\[0\]"),
        ("updates", "[{version: x, state: Ready}]", r"updates\[0\]\.version"),
        ("updates", "[{version: 1.2.3.4, state: Redy}]", r"updates\[0\]\.state"),
        ("discovery", "[{component: Firmware, status: Ok}]", r"discovery\[0\]\.component"),
        ("volumes", "[{volume: 'C:', free: 1, size: 2 GB}]", r"volumes\[0\]\.free"),
        ("volumes", "[{volume: 'C:', free: 3 GB, size: 2 GB}]", r"volumes\[0\]\.free"),
        ("volumes", "[{volume: 'C:', free: '1,5 GB', size: 2 GB}]", r"volumes\[0\]\.free"),
        ("language_modes", "{node1: Full}", r"language_modes\.node1"),
        ("language_modes", "{node1: FullLanguage, node1: FullLanguage}", r"language_modes\.node1"),
        ("health", "{failed_critical: x}", r"health\.failed_critical"),
        ("endpoints", "[{address: mcr.microsoft.com, reachable: no}]", r"endpoints\[0\]\.address"),
        ("endpoints", "[{address: 'a:1', reachable: maybe}]", r"endpoints\[0\]\.reachable"),
        ("disconnected_operations", "perhaps", "disconnected_operations"),
        ("colour", "red", "colour"),
    ],
)
def test_wrong_answer_is_refused_with_its_key_and_line(key, value, place):
    with pytest.raises(InputError, match=rf"read answers \[answers\.yaml, {place}, line \d+\]"):
        read(with_value(key, value))


def test_answers_without_a_cluster_are_refused():
    with pytest.raises(InputError, match="cluster"):
        read("format: 1\n")


def test_answers_saved_by_windows_powershell_are_read():
    assert read_answers(FILLED.encode("utf-16"), site_id=SITE).cluster == "plant7"


def test_answers_in_another_encoding_are_refused_in_plain_words():
    with pytest.raises(InputError, match="no text in UTF-8 at byte 21") as caught:
        read_answers("format: 1\ncluster: pl\xe4nt".encode("latin-1"), site_id=SITE)
    assert "codec" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"- 1", b"a: [", b"\x00"])
def test_file_that_is_no_form_is_refused(data):
    with pytest.raises(InputError, match=r"read answers \[answers\.yaml"):
        read_answers(data, site_id=SITE, file="answers.yaml")
