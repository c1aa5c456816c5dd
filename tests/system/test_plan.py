"""A trip planned with the real command, from requests that sites signed; each way it can be refused once."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.stage import SBE_VERSION, VERSION, Stage
from tests.unit.catalog.requests import carried_sbes, request_of
from tests.vendorsite.bundle import make_sbe
from tests.vendorsite.signing import make_signer, sign_xml
from toolkit.catalog import HttpsFetcher
from toolkit.catalog._holding import Holding
from toolkit.catalog._plan import check_held_sbes, wanted_versions
from toolkit.catalog._trip_files import open_plan
from toolkit.errors import InputError
from toolkit.model import PayloadKind, Silent
from toolkit.request import KIND, ListedUpdate, to_bytes, to_paper
from toolkit.sbe import sbe_named
from toolkit.signed import KnownKeys, fingerprint_of, open_key, seal, unseal

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
OLDER = "4.2.2601.1"


def asks_for(sbe_version):
    return ListedUpdate(
        resource_id=f"redmond/Solution{VERSION}",
        version=VERSION,
        state="AdditionalContentRequired",
        package_type="Solution",
        sbe_version=sbe_version,
    )


@pytest.fixture
def home(published, tmp_path):
    """A connected machine with the demo's manifest and an empty catalog."""
    stage = Stage(tmp_path / "home")
    (stage / "manifests").mkdir()
    manifest = f"{VERSION}.yaml"
    (stage / "manifests" / manifest).write_bytes((published / "manifests" / manifest).read_bytes())
    (stage / "catalog").mkdir()
    return stage


@pytest.fixture
def ask(home):
    """Return a function that makes a signed request of a site known at home, and its file's name."""

    def make(cluster="plant7", *, is_known=True, **changes):
        changes.setdefault("made_at", datetime.now(UTC) - timedelta(days=1))
        changes.setdefault("solution_version", "12.2602.1002.501")
        key = open_key(home / f"{cluster}-key.pem")
        data = to_bytes(request_of(cluster=cluster, **changes), key)
        (home / f"{cluster}.json").write_bytes(data)
        if is_known:
            known = KnownKeys(home / "catalog" / "known-keys.json")
            known.add(f"key of {cluster}", unseal(data, kind=KIND), fingerprint_of(key.public_hex))
        return f"{cluster}.json"

    return make


@pytest.fixture
def manifest_of_vendor(home):
    """The vendor's discovery manifest: an older SBE and the current one."""
    folder = home / "vendor"
    folder.mkdir()
    for number in (OLDER, SBE_VERSION):
        discovery, *_ = make_sbe(
            folder,
            "Contoso",
            "GenA",
            number,
            supported_model="Contoso X9000",
            validated=("12.2602.*.*", "12.2603.*.*"),
        )
        discovery.rename(folder / f"{number}.xml")
    return [
        word
        for number in (OLDER, SBE_VERSION)
        for word in ("--sbe-manifest", f"vendor/{number}.xml")
    ]


def plan(stage, *words, expect=0):
    return stage.ferry("catalog", "plan", *words, "--catalog", "catalog", expect=expect)


def test_two_sites_share_the_bundle_and_the_sbe(home, ask, manifest_of_vendor):
    done = plan(
        home, ask("plant7"), ask("harbour2", sbe_version="4.2.2601.1"), *manifest_of_vendor,
        "--to", "12.2603.1002.901", "--page", "plan.html",
    )  # fmt: skip
    assert f"plant7  12.2602.1002.501 → {VERSION}" in done.out
    made = open_plan(home / "plan.json")
    assert [str(item) for item in wanted_versions(made)] == [VERSION]
    assert carried_sbes(made) == (f"SBE_Contoso_GenA_{SBE_VERSION}",)
    assert [cluster.signed_by for cluster in made.clusters] == ["key of plant7", "key of harbour2"]
    assert "signed by key of plant7" in done.out
    document = json.loads((home / "plan.json").read_bytes())
    assert {item["name"]: item["clusters"] for item in document["payloads"]} == {
        BUNDLE: ["plant7", "harbour2"],
        f"SBE_Contoso_GenA_{SBE_VERSION}.zip": ["plant7", "harbour2"],
        f"SBE_Contoso_GenA_{SBE_VERSION}.xml": ["plant7", "harbour2"],
        "SBE_Discovery_Contoso.xml": ["plant7", "harbour2"],
    }
    (bundle,) = (item for item in document["payloads"] if item["name"] == BUNDLE)
    assert bundle["shelf"] == VERSION
    assert len(bundle["sha256"]) == 64
    kept = home / "catalog" / "plans" / f"{made.plan_id}.json"
    assert kept.read_bytes() == (home / "plan.json").read_bytes()
    page = (home / "plan.html").read_text(encoding="utf-8")
    assert BUNDLE in page
    assert "http-equiv" in page
    assert "signed by key of harbour2" in page
    assert "<script" not in page


@pytest.mark.parametrize("option", ["-o", "--page"])
def test_a_plan_never_takes_the_place_of_the_request_it_is_made_from(home, ask, option):
    request = ask()
    before = (home / request).read_bytes()
    refused = plan(home, request, option, request, expect=6)
    assert "never overwritten" in refused.err
    assert (home / request).read_bytes() == before
    assert not (home / "plan.json").exists()


@pytest.mark.parametrize("page", ["p.json", "./p.json", "P.JSON"])
def test_a_page_never_takes_the_place_of_its_plan(home, ask, page):
    refused = plan(home, ask(), "-o", "p.json", "--page", page, expect=2)
    assert "--output and --page name one file" in refused.err
    assert not (home / "p.json").exists()
    assert not (home / "catalog" / "plans").exists()


def test_a_plan_is_a_file_in_a_folder_that_is_there(home, ask):
    request = ask()
    assert "'-' is no file to write" in plan(home, request, "-o", "-", expect=2).err
    assert "'missing' does not exist" in plan(home, request, "-o", "missing/p.json", expect=2).err


def test_an_earlier_plan_and_its_page_are_replaced(home, ask):
    request = ask()
    for _ in range(2):
        plan(home, request, "--page", "plan.html")
    assert open_plan(home / "plan.json").clusters


def test_the_document_on_stdout_is_the_plan(home, ask):
    document = json.loads(plan(home, ask(), "--json").out)
    assert (document["format"], document["kind"]) == (1, "plan")
    written = json.loads((home / "plan.json").read_bytes())
    assert document["data"] == {
        key: value for key, value in written.items() if key not in ("format", "kind")
    }


def test_a_request_on_paper_is_a_request(home, ask):
    data = (home / ask()).read_bytes()
    (home / "scanned.txt").write_text("\n".join(to_paper(data)), encoding="ascii")
    assert f"→ {VERSION}" in plan(home, "scanned.txt").out


def test_a_version_without_a_path_has_its_own_sentence(home, ask):
    refused = plan(
        home, ask(solution_version="12.2509.1001.22"), "--to", "12.2510.1002.531", expect=7
    )
    assert "find a path for plant7 from 12.2509.1001.22 to 12.2510.1002.531" in refused.err
    assert "can be installed only from 11.2510.1002.*" in refused.err
    assert "next: plan again with --to 12.2510.1002.94" in refused.err
    assert not (home / "plan.json").exists()


def test_a_cluster_that_is_there_already_is_told_so(home, ask):
    done = plan(home, ask(solution_version=VERSION))
    assert f"nothing newer than {VERSION} is known" in done.out
    assert "next:" not in done.out


def test_a_request_signed_by_an_unknown_key_is_refused_with_its_fingerprint(home, ask):
    refused = plan(home, ask(is_known=False), expect=3)
    key = open_key(home / "plant7-key.pem")
    assert fingerprint_of(key.public_hex) in refused.err
    assert "ferry catalog know-key" in refused.err
    assert not (home / "plan.json").exists()


def test_the_plan_is_made_once_the_key_is_known(home, ask):
    name = ask(is_known=False)
    fingerprint = fingerprint_of(open_key(home / "plant7-key.pem").public_hex)
    words = ["--name", "plant7", "--fingerprint", fingerprint, "--catalog", "catalog"]
    home.ferry("catalog", "know-key", name, *words)
    assert f"→ {VERSION}" in plan(home, name).out


def test_no_site_speaks_for_a_cluster_whose_own_key_is_known(home, ask):
    known = KnownKeys(home / "catalog" / "known-keys.json")
    for name in ("plant7", "zz"):
        data = (home / ask(name, is_known=False)).read_bytes()
        sealed = unseal(data, kind=KIND)
        known.add(name, sealed, sealed.fingerprint)
    forged = to_bytes(request_of(cluster="plant7"), open_key(home / "zz-key.pem"))
    (home / "forged.json").write_bytes(forged)
    refused = plan(home, "forged.json", expect=3)
    assert "signed by the key known as zz (expected: the key known as plant7)" in refused.err
    assert not (home / "plan.json").exists()


def test_an_edited_request_is_refused(home, ask):
    name = ask()
    text = (home / name).read_text(encoding="utf-8")
    (home / name).write_text(text.replace('"4.2.2510.1"', '"4.2.2510.2"'), encoding="utf-8")
    assert "the signature does not hold" in plan(home, name, expect=3).err


def test_a_request_of_a_newer_format_is_refused(home, ask):
    name = ask()
    body = dict(unseal((home / name).read_bytes(), kind=KIND).body) | {"format": 2}
    (home / name).write_bytes(seal(KIND, body, open_key(home / "plant7-key.pem")))
    assert "format 2" in plan(home, name, expect=7).err


@pytest.mark.parametrize("data", [b"", b"{}", b"not json"])
def test_what_is_no_request_is_refused(home, data):
    (home / "x.json").write_bytes(data)
    refused = plan(home, "x.json", expect=7)
    assert "x.json" in refused.err
    assert "Traceback" not in refused.err


def test_a_catalog_that_cannot_be_written_is_a_storage_error(home, ask):
    name = ask()
    (home / "catalog" / "plans").write_text("a file stands where the folder should be")
    refused = plan(home, name, expect=6)
    assert "Traceback" not in refused.err


def test_a_vendors_manifest_that_was_changed_after_it_was_signed_is_refused(
    home, ask, manifest_of_vendor
):
    path = home / manifest_of_vendor[1]
    path.write_bytes(sign_xml(path.read_bytes(), make_signer("Contoso")))
    plan(home, ask(), *manifest_of_vendor)
    path.write_bytes(path.read_bytes().replace(b"12.2603.*.*", b"12.2605.*.*"))
    refused = plan(home, "plant7.json", *manifest_of_vendor, "-o", "second.json", expect=3)
    assert "not what was signed" in refused.err
    assert path.name in refused.err
    assert not (home / "second.json").exists()


# --- the wrong SBE (Update-missing-after-importing-SBE.md) ------------------------------------------


def test_a_wrong_sbe_that_a_person_names_is_caught_when_the_trip_is_planned(
    home, ask, manifest_of_vendor
):
    name = ask(updates=(asks_for(SBE_VERSION),))
    refused = plan(home, name, *manifest_of_vendor, "--sbe", OLDER, expect=7)
    assert f"SBE_Contoso_GenA_{OLDER} is older than {SBE_VERSION}" in refused.err
    assert "would hide the cluster's solution updates" in refused.err
    assert f"SBE_Contoso_GenA_{SBE_VERSION}" in refused.err
    assert not (home / "plan.json").exists()


def test_a_foreign_sbe_is_caught_when_the_trip_is_planned(home, ask, manifest_of_vendor):
    name = ask(updates=(asks_for(SBE_VERSION),))
    foreign = "SBE_Contoso_GenB_4.2.2603.1"
    refused = plan(home, name, *manifest_of_vendor, "--sbe", foreign, expect=7)
    assert "family GenB; the clusters have GenA" in refused.err


def test_a_wrong_sbe_that_a_manifest_declares_is_caught_where_the_right_one_is_nowhere(home, ask):
    newer = "4.2.2603.7"
    refused = plan(home, ask(updates=(asks_for(newer),)), expect=7)
    assert f"SBE_Contoso_GenA_{SBE_VERSION} is older than {newer}" in refused.err
    assert "ferry catalog add" in refused.err


def test_a_wrong_sbe_in_the_catalog_is_caught_where_the_right_one_is_nowhere(
    home, ask, manifest_of_vendor
):
    name = f"SBE_Contoso_GenA_{OLDER}.zip"
    Holding(home / "catalog", fetcher=HttpsFetcher()).adopt(
        home / "vendor" / name,
        shelf=f"sbe/Contoso_GenA_{OLDER}",
        name=name,
        kind=PayloadKind.SBE,
        url="",
        expected_sha256=None,
        siblings=[name],
        progress=Silent(),
    )
    asking = ask(updates=(asks_for("4.2.2602.9"),))
    refused = plan(home, asking, expect=7)
    assert f"take SBE_Contoso_GenA_{OLDER} to plant7" in refused.err
    assert "would hide the cluster's solution updates" in refused.err
    assert "4.2.2602.9" in refused.err


def test_the_plan_of_the_right_sbe_lets_no_other_onto_a_medium(home, ask, manifest_of_vendor):
    plan(home, ask(updates=(asks_for(SBE_VERSION),)), *manifest_of_vendor)
    made = open_plan(home / "plan.json")
    check_held_sbes(made, [sbe_named(f"SBE_Contoso_GenA_{SBE_VERSION}.zip")])
    with pytest.raises(InputError, match="hide"):
        check_held_sbes(made, [sbe_named(f"SBE_Contoso_GenA_{OLDER}.zip")])
