"""The solution discovery manifest, in every form that its half-known schema allows."""

from __future__ import annotations

import pytest

from tests.vendorsite.bundle import solution_update_xml
from toolkit.catalog._discovery import LIMIT_BYTES, read_discovery
from toolkit.errors import InputError
from toolkit.model import SolutionVersion

HASH = "77063963B992A2B5736C871961972AF617F43C3A4C795B6F4F3DDB05AECFB1FC"
URL = "https://vendor.example/CombinedSolutionBundle.12.2604.1003.5.zip"
AS_ATTRIBUTES = (
    '<ApplicableUpdate Version="12.2604.1003.5"><UpdateInfo UpdateName="2026.04 Feature Update" '
    'Version="12.2604.1003.5" PackageSizeInMb="1278" MinVersionRequired="12.2603.0.0" '
    'MinSbeVersionRequired="2.0.0.0"/></ApplicableUpdate>'
)
AS_CHILDREN = (
    "<ApplicableUpdate><Version>12.2604.1003.5</Version><UpdateInfo>"
    "<UpdateName>2026.04 Feature Update</UpdateName><Version>12.2604.1003.5</Version>"
    "<PackageSizeInMb>1278</PackageSizeInMb><MinVersionRequired>12.2603.0.0</MinVersionRequired>"
    "<MinSbeVersionRequired>2.0.0.0</MinSbeVersionRequired></UpdateInfo></ApplicableUpdate>"
)


def read(body, root="ASZSolutionBundleUpdates"):
    return read_discovery(f"<{root}>{body}</{root.split()[0]}>".encode())


@pytest.mark.parametrize("body", [AS_ATTRIBUTES, AS_CHILDREN], ids=["attributes", "children"])
@pytest.mark.parametrize(
    "root", ["ASZSolutionBundleUpdates", 'ASZSolutionBundleUpdates xmlns="urn:vendor:1"']
)
def test_an_update_is_read_from_attributes_and_children_in_any_namespace(body, root):
    (update,) = read(body, root).applicable
    assert update.version == SolutionVersion.parse("12.2604.1003.5")


@pytest.mark.parametrize("body", [AS_ATTRIBUTES, AS_CHILDREN], ids=["attributes", "children"])
def test_what_is_known_of_the_schema_is_not_called_unknown(body):
    assert read(body).unknown == ()


def test_the_manifest_inside_a_bundle_is_read_and_its_bill_and_services_are_known():
    found = read_discovery(solution_update_xml("12.2603.1002.901", 5 << 20))
    (update,) = found.applicable
    assert str(update.version) == "12.2603.1002.901"
    assert (found.unknown, found.remarks) == ((), ())


def test_recalled_updates_stand_apart():
    recall = '<RecalledUpdate Version="12.2510.1002.88"/>'
    found = read(AS_ATTRIBUTES + recall)
    assert [str(update.version) for update in found.recalled] == ["12.2510.1002.88"]
    assert len(found.applicable) == 1


def test_updates_are_found_inside_sections_nobody_knows():
    found = read(f"<Services>{AS_CHILDREN}</Services>")
    assert len(found.applicable) == 1
    assert found.unknown == (("ASZSolutionBundleUpdates/Services", 1),)


def test_a_version_with_its_prefix_is_understood():
    (update,) = read('<ApplicableUpdate Version="Solution12.2604.1003.5"/>').applicable
    assert str(update.version) == "12.2604.1003.5"


def test_an_update_that_names_two_versions_has_none_and_a_remark():
    body = AS_ATTRIBUTES.replace(
        'Update Version="12.2604.1003.5"', 'Update Version="12.2604.1003.6"'
    )
    found = read(body)
    assert found.applicable[0].version is None
    assert "12.2604.1003.6" in found.remarks[0]


def test_a_version_of_another_family_is_kept_and_remarked():
    found = read('<ApplicableUpdate Version="4.2.2506.1600"/>')
    assert (found.applicable[0].version, found.applicable[0].version_raw) == (None, "4.2.2506.1600")
    assert found.remarks


def test_unknown_nodes_and_attributes_are_kept_by_path_and_counted():
    extra = '<Ring Name="a"/><Ring Name="b"/>'
    body = AS_ATTRIBUTES.replace("</ApplicableUpdate>", f"{extra}</ApplicableUpdate>")
    entry = "ASZSolutionBundleUpdates/ApplicableUpdate"
    assert dict(read(body).unknown) == {f"{entry}/Ring": 2, f"{entry}/Ring/@Name": 2}


def test_endless_kinds_of_unknown_nodes_are_counted_together():
    body = AS_ATTRIBUTES + "".join(f"<N{number}/>" for number in range(1000))
    unknown = dict(read(body).unknown)
    assert len(unknown) <= 201
    assert sum(unknown.values()) == 1000


def test_addresses_and_hashes_of_bundles_are_reported_wherever_they_stand():
    files = f'<Files><File Uri="{URL}" Sha256="{HASH}"/><Note>see {URL} now</Note></Files>'
    body = AS_ATTRIBUTES.replace("</ApplicableUpdate>", f"{files}</ApplicableUpdate>")
    found = read(body).files
    assert [(file.url, file.sha256) for file in found] == [(URL, ""), ("", HASH.lower()), (URL, "")]
    assert {str(file.version) for file in found} == {"12.2604.1003.5"}
    assert found[0].place.endswith("/File/@Uri")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"<ASZSolutionBundleUpdates/>",
        b"<Updates><ApplicableUpdate Version='12.2604.1003.5'/></Updates>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><ASZSolutionBundleUpdates>&b;</ASZSolutionBundleUpdates>",
        b"<a>" * 100 + b"</a>" * 100,
        b"<ASZSolutionBundleUpdates>" + b"<a/>" * 200_000,
        b" " * (LIMIT_BYTES + 1),
    ],
    ids=["nothing", "html", "no-update", "root", "entity", "deep", "many", "large"],
)
def test_what_is_no_discovery_manifest_is_refused(data):
    with pytest.raises(InputError, match="discovery manifest"):
        read_discovery(data, file="updates.xml")
