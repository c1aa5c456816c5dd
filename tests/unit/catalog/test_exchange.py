from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from tests.unit.catalog.fakes import manifest_of, payload_of, zip_of
from tests.unit.catalog.holding import DATA, MANIFEST, PAYLOAD, SBE_SHELF, SHELF, Holding
from toolkit.catalog import Catalog
from toolkit.errors import DigestError, InputError, SignatureError, StorageError
from toolkit.model import FileVerdict, Stance, Statement, StatementKind
from toolkit.request import to_paper
from toolkit.signed import open_key, seal, unseal

OTHER = "12.2605.1003.2"
OTHER_DATA = zip_of(5000, seed=9)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "for-anna"


@pytest.fixture
def export(holding, folder):
    def export(*words, **more):
        return holding.catalog.export(folder, words, progress=holding.listener, **more)

    return export


@pytest.fixture
def anna(tmp_path):
    return Holding(tmp_path / "anna")


@pytest.fixture
def take(anna, folder):
    def take(manifests=(MANIFEST,)):
        return anna.catalog.import_from(folder, manifests=manifests, progress=anna.listener)

    return take


@pytest.fixture
def introduce(anna, folder):
    """Let Anna know the exporting catalog's key."""

    def introduce(done):
        listing = folder / "catalog.json"
        anna.catalog.know_key(
            listing,
            name="Ben",
            fingerprint=done.fingerprint,
            progress=anna.listener,
        )

    return introduce


@pytest.fixture
def without_links(monkeypatch):
    def refuse(*_args, **_more):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)


# --- export ----------------------------------------------------------------------------------------


def test_an_export_is_a_catalog_of_its_own(holding, export, folder):
    held = holding.download()
    done = export()
    (there,) = Catalog(folder).find(MANIFEST.version)
    assert there == replace(held, path=there.path)
    assert there.path.samefile(held.path)
    assert done.linked == 1
    assert done.payloads == (there,)


def test_an_export_to_another_disk_is_copied_and_hashed(holding, export, folder, without_links):
    held = holding.download()
    done = export()
    (there,) = Catalog(folder).find(MANIFEST.version)
    assert not there.path.samefile(held.path)
    assert there.path.read_bytes() == DATA
    assert done.linked == 0


def test_the_list_is_signed_and_names_every_object(holding, export, folder):
    holding.download()
    holding.download(OTHER_DATA, version=OTHER)
    done = export()
    sealed = unseal((folder / "catalog.json").read_bytes(), kind="ferry-catalog")
    assert sealed.fingerprint == done.fingerprint
    rows = {row["shelf"]: row for row in sealed.body["objects"]}
    assert rows.keys() == {SHELF, OTHER}
    assert rows[SHELF]["sha256"] == PAYLOAD.sha256
    assert rows[SHELF]["verdict"] == "proven"
    assert {said["kind"] for said in rows[SHELF]["statements"]} >= {"published-hash", "size"}


def test_the_signing_key_stays_at_home_readable_by_its_owner_alone(holding, export, folder):
    holding.download()
    export()
    key = holding.root / "catalog.key.pem"
    assert key.stat().st_mode & 0o077 == 0 or os.name == "nt"
    assert not list(folder.rglob("*.pem"))


def test_only_what_was_named_is_exported_and_a_second_export_adds(holding, export, folder):
    holding.download()
    holding.download(OTHER_DATA, version=OTHER)
    assert [held.shelf for held in export(SHELF).payloads] == [SHELF]
    assert [held.shelf for held in export("12.2605").payloads] == [SHELF, OTHER]


def test_nothing_is_signed_that_somebody_else_put_into_the_folder(holding, export, folder, file_of):
    holding.download()
    mine = holding.adopt(file_of(b"<x/>"), statements=())
    others = Holding(folder)
    others.download(OTHER_DATA, version=OTHER)
    others.adopt(file_of(b"<x/>"))  # the same file, which they think proven
    done = export(SHELF)
    body = unseal((folder / "catalog.json").read_bytes(), kind="ferry-catalog").body
    rows = {row["name"]: row["verdict"] for row in body["objects"]}
    assert rows == {PAYLOAD.name: "proven", mine.name: "unproven"}
    assert {held.name for held in done.payloads} == rows.keys()
    assert holding.said(f"{OTHER}/")


def test_a_plan_is_exported_with_exactly_its_files(holding, export, file_of):
    holding.download()
    sbe = holding.adopt(file_of(b"<x/>"))
    plan = holding.plan({"shelf": SBE_SHELF, "name": sbe.name, "sha256": None})
    assert [held.name for held in export(plan=plan).payloads] == [sbe.name]


@pytest.mark.parametrize("sha256", [None, "ab" * 32])
def test_a_plan_that_needs_what_is_not_held_is_told_apart(holding, export, sha256):
    holding.download()
    name = "nothing.zip" if sha256 is None else PAYLOAD.name
    plan = holding.plan({"shelf": SHELF, "name": name, "sha256": sha256})
    with pytest.raises(StorageError, match=name):
        export(plan=plan)


def test_a_changed_file_is_not_exported(holding, export, folder, without_links):
    holding.spoil(holding.download())
    with pytest.raises(DigestError) as caught:
        export()
    assert "--quarantine" in caught.value.hint
    assert not list(folder.rglob("*.json"))


def test_a_file_known_to_be_bad_is_not_exported(holding, export, folder):
    holding.spoil(holding.download())
    holding.catalog.verify(progress=holding.listener)
    with pytest.raises(DigestError, match="changed"):
        export()
    assert not folder.exists()


def test_a_touched_file_is_measured_before_it_is_linked(holding, export):
    held = holding.download()
    holding.spoil(held)
    held.path.touch()
    with pytest.raises(DigestError):
        export()


def test_a_spoilt_copy_of_an_earlier_export_is_replaced(holding, export, folder, without_links):
    holding.download()
    (there,) = export().payloads
    Holding(folder).spoil(there)
    there.path.touch()
    export()
    assert there.path.read_bytes() == DATA


def test_what_is_missing_is_to_be_downloaded_and_told_before_anything_is_copied(
    holding, export, folder
):
    holding.download(OTHER_DATA, version=OTHER)
    holding.download().path.unlink()
    with pytest.raises(StorageError, match="no such file") as caught:
        export()
    assert f"ferry catalog download {SHELF}" in caught.value.hint
    assert not folder.exists()


def test_an_export_into_the_catalog_itself_is_refused(holding):
    holding.download()
    for place in (holding.root, holding.root / "objects" / "x", holding.root.parent):
        with pytest.raises(InputError, match="itself"):
            holding.catalog.export(place, progress=holding.listener)


def test_exporting_twice_moves_nothing_and_writes_the_same_list(holding, export, folder):
    holding.download()
    first = export()
    text = (folder / "catalog.json").read_bytes()
    steps = len(holding.listener.steps)
    assert export() == first
    assert len(holding.listener.steps) == steps
    assert (folder / "catalog.json").read_bytes() == text


# --- import ----------------------------------------------------------------------------------------


def test_a_known_colleagues_files_are_hashed_and_the_colleague_is_a_witness(
    holding, export, take, introduce, anna
):
    holding.download()
    introduce(export())
    (held,) = take()
    assert held.path.read_bytes() == DATA
    assert held.judgement.verdict is FileVerdict.PROVEN
    (said,) = (s for s in held.judgement.statements if s.kind is StatementKind.COLLEAGUE)
    assert "Ben" in said.text
    assert (f"check {PAYLOAD.sha256}", len(DATA)) in anna.listener.steps
    assert anna.catalog.held() == (held,)


def test_a_colleague_and_the_inside_of_a_zip_prove_what_no_manifest_names(
    holding, export, take, introduce
):
    holding.download()
    introduce(export())
    assert take(manifests=())[0].judgement.verdict is FileVerdict.PROVEN


def test_a_colleague_who_was_not_sure_proves_nothing(holding, export, take, introduce, file_of):
    held = holding.adopt(file_of(b"<x/>"), statements=())
    holding.catalog.accept(held.name, by="Ben", reason="I say so")
    introduce(export())
    (taken,) = take()
    assert taken.judgement.verdict is FileVerdict.UNPROVEN
    assert taken.acceptance is None


def test_measuring_a_colleagues_file_again_is_no_second_witness(
    holding, export, take, introduce, anna, file_of
):
    origin = Statement(kind=StatementKind.PACKAGE_HASH, stance=Stance.FOR, text="so it says")
    size = Statement(kind=StatementKind.SIZE, stance=Stance.FOR, text="as long as it says")
    holding.adopt(file_of(b"<x/>"), statements=(origin, size))
    introduce(export())
    (taken,) = take(manifests=())
    assert taken.judgement.verdict is FileVerdict.UNPROVEN
    (verified,) = anna.catalog.verify(progress=anna.listener).payloads
    assert verified.held.judgement.verdict is FileVerdict.UNPROVEN


def test_a_key_that_cannot_be_used_is_told_before_anything_is_copied(holding, export, folder):
    holding.download()
    (holding.root / "catalog.key.pem").write_bytes(b"no key")
    with pytest.raises(InputError, match="signing key"):
        export()
    assert not folder.exists()


def test_an_unknown_key_is_refused_with_its_fingerprint_before_anything_is_taken(
    holding, export, take, anna
):
    holding.download()
    done = export()
    with pytest.raises(SignatureError, match=done.fingerprint) as caught:
        take()
    assert "know-key" in caught.value.hint
    assert f'--catalog "{anna.root}"' in caught.value.hint
    assert anna.files() == set()


def test_an_edited_list_is_refused(holding, export, take, introduce, folder):
    holding.download()
    introduce(export())
    listing = folder / "catalog.json"
    listing.write_bytes(listing.read_bytes().replace(b'"proven"', b'"unproven"'))
    with pytest.raises(SignatureError, match="signature"):
        take()


def test_a_file_that_contradicts_a_pin_is_refused_before_anything_is_taken(
    holding, export, take, introduce, anna
):
    holding.download()
    holding.download(OTHER_DATA, version=OTHER)
    introduce(export())
    known = anna.files()
    pin = replace(payload_of(OTHER_DATA, f"CombinedSolutionBundle.{OTHER}.zip"), sha256="ab" * 32)
    with pytest.raises(DigestError, match="pinned") as caught:
        take(manifests=(MANIFEST, manifest_of(pin, version=OTHER)))
    assert "nothing was imported" in caught.value.hint
    assert anna.files() == known


def test_a_file_that_is_not_what_the_list_says_is_refused(
    holding, export, take, introduce, folder, without_links
):
    holding.download()
    done = export()
    introduce(done)
    Holding(folder).spoil(done.payloads[0])
    with pytest.raises(DigestError):
        take()


def test_a_missing_file_is_a_storage_error(holding, export, take, introduce):
    holding.download()
    done = export()
    introduce(done)
    done.payloads[0].path.unlink()
    with pytest.raises(StorageError):
        take()


def test_what_is_held_already_is_not_read_but_gains_a_witness(
    holding, export, take, introduce, anna
):
    holding.download()
    done = export()
    introduce(done)
    anna.download()
    done.payloads[0].path.unlink()
    (held,) = take()
    assert StatementKind.COLLEAGUE in {said.kind for said in held.judgement.statements}


def test_another_file_held_under_that_name_stays(holding, export, take, introduce, anna, file_of):
    holding.adopt(file_of(b"<newer/>"))
    introduce(export())
    mine = anna.adopt(file_of(b"<older/>", "mine"))
    assert take() == ()
    assert anna.catalog.held() == (mine,)
    assert anna.said("theirs is left")


def test_without_a_list_it_is_no_export(take, folder):
    folder.mkdir()
    with pytest.raises(StorageError, match=r"catalog\.json"):
        take()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"made_at": 5},
        {"objects": [{}]},
        {"objects": 3},
        {"objects": [{"shelf": "../../etc", "name": "passwd"}]},
    ],
)
def test_a_list_that_makes_no_sense_is_an_input_error(
    holding, export, take, introduce, folder, change
):
    holding.download()
    introduce(export())
    listing = folder / "catalog.json"
    body = json.loads(listing.read_bytes())["signed"] | change
    listing.write_bytes(seal("ferry-catalog", body, open_key(holding.root / "catalog.key.pem")))
    with pytest.raises(InputError):
        take()


@pytest.mark.parametrize("key", ["shelf", "name", "sha256"])
@pytest.mark.parametrize("value", ["../x", "", "C:\\x", "a/b"])
def test_no_signed_name_leads_out_of_the_catalog(
    holding, export, take, introduce, folder, anna, key, value
):
    holding.download()
    introduce(export())
    known = anna.files()
    listing = folder / "catalog.json"
    body = json.loads(listing.read_bytes())["signed"]
    body["objects"][0][key] = value
    listing.write_bytes(seal("ferry-catalog", body, open_key(holding.root / "catalog.key.pem")))
    with pytest.raises(InputError):
        take()
    assert anna.files() == known


# --- keys ------------------------------------------------------------------------------------------


def test_a_key_with_another_fingerprint_is_not_believed(holding, export, anna, folder):
    holding.download()
    export()
    with pytest.raises(SignatureError, match="fingerprint"):
        anna.catalog.know_key(
            folder / "catalog.json",
            name="Ben",
            fingerprint="0000 " * 16,
            progress=anna.listener,
        )
    assert anna.files() == set()


def test_the_key_of_a_request_is_learnt_too(anna, tmp_path):
    key = open_key(tmp_path / "site.key.pem")
    request = tmp_path / "request.json"
    request.write_bytes(seal("ferry-request", {"cluster": "plant7"}, key))
    known = anna.catalog.know_key(
        request,
        name="plant7",
        fingerprint=key.fingerprint,
        progress=anna.listener,
    )
    assert known.public_hex == key.public_hex


def test_the_key_of_a_site_signs_no_catalog(holding, export, take, anna, folder, tmp_path):
    holding.download()
    export()
    key = open_key(holding.root / "catalog.key.pem")
    request = tmp_path / "request.json"
    request.write_bytes(seal("ferry-request", {"cluster": "plant7"}, key))
    anna.catalog.know_key(
        request, name="plant7", fingerprint=key.fingerprint, progress=anna.listener
    )
    with pytest.raises(SignatureError, match="only for a ferry-request"):
        take()


@pytest.mark.parametrize("form", ["paper", "UTF-16, as a shell's > writes it"])
def test_the_key_of_a_request_is_learnt_in_whatever_form_it_came(anna, tmp_path, form):
    key = open_key(tmp_path / "site.key.pem")
    data = seal("ferry-request", {"cluster": "plant7"}, key)
    request = tmp_path / "request.txt"
    if form == "paper":
        request.write_text("\n".join(to_paper(data)))
    else:
        request.write_bytes(data.decode().encode("utf-16"))
    known = anna.catalog.know_key(
        request,
        name="plant7",
        fingerprint=key.fingerprint,
        progress=anna.listener,
    )
    assert known.public_hex == key.public_hex


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_what_was_signed_by_nobody_teaches_no_key(anna, tmp_path, data):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        anna.catalog.know_key(path, name="x", fingerprint="00", progress=anna.listener)


def test_another_kind_of_document_teaches_no_key(anna, tmp_path):
    key = open_key(tmp_path / "k.pem")
    path = tmp_path / "x.json"
    path.write_bytes(seal("ferry-other", {}, key))
    with pytest.raises(InputError, match="ferry-other"):
        anna.catalog.know_key(path, name="x", fingerprint=key.fingerprint, progress=anna.listener)


def test_the_key_of_a_receipt_is_learnt_and_believed(anna, tmp_path):
    key = open_key(tmp_path / "site.key.pem")
    path = tmp_path / "0003-verify-00000003.json"
    path.write_bytes(seal("ferry-receipt", {"receipt": "verify"}, key))
    assert anna.catalog.believed_keys() == {}
    anna.catalog.know_key(path, name="plant7", fingerprint=key.fingerprint)
    own = anna.catalog.signing_key()
    assert anna.catalog.believed_keys() == {
        key.fingerprint: "plant7",
        own.fingerprint: "this catalog",
    }


def test_the_key_of_a_colleagues_export_vouches_for_nothing_else(anna, tmp_path):
    key = open_key(tmp_path / "ben.key.pem")
    path = tmp_path / "catalog.json"
    path.write_bytes(seal("ferry-catalog", {}, key))
    anna.catalog.know_key(path, name="ben", fingerprint=key.fingerprint)
    assert key.fingerprint not in anna.catalog.believed_keys()
