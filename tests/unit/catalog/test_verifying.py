from __future__ import annotations

import errno
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.catalog.fakes import Listener, digest_of, manifest_of, payload_of, zip_of
from tests.unit.catalog.holding import MANIFEST, PAYLOAD, PROOF, SBE_NAMES, SHELF, says
from toolkit.catalog._gate import require_fit_to_travel
from toolkit.catalog._verifying import Condition, Verification
from toolkit.errors import DigestError, DownloadError, InputError, StorageError
from toolkit.model import FileVerdict, StatementKind

XML = b"<SBE/>" * 400
OTHER = "12.2605.1003.2"


def problem_of(*payloads):
    return Verification(payloads=payloads).problem


@pytest.fixture
def verify(holding):
    def verify(*words, manifests=(MANIFEST,), **more):
        return holding.catalog.verify(
            words, manifests=manifests, progress=holding.listener, **more
        ).payloads

    return verify


def test_sound_files_stay_proven_and_say_that_they_were_measured_again(holding, verify):
    holding.download()
    (found,) = verify()
    assert found.condition is Condition.SOUND
    assert found.held.judgement.verdict is FileVerdict.PROVEN
    assert StatementKind.MEASUREMENT in {said.kind for said in found.held.judgement.statements}
    assert problem_of(found) is None
    assert holding.catalog.held() == (found.held,)


def test_verifying_twice_says_the_same(holding, verify):
    holding.download()
    assert verify() == verify()


def test_a_changed_file_is_named_recorded_as_bad_and_stays_where_it_is(holding, verify):
    held = holding.download()
    holding.spoil(held)
    (found,) = verify()
    assert found.condition is Condition.CHANGED
    assert "sha256" in found.detail
    error = problem_of(found)
    assert isinstance(error, DigestError)
    assert f"{SHELF}/{held.name}" in str(error)
    assert "--quarantine" in error.hint
    assert held.path.exists()
    with pytest.raises(DigestError):
        require_fit_to_travel(holding.catalog.held()[0])


def test_after_verifying_a_download_does_not_believe_a_changed_file(holding, verify):
    holding.spoil(holding.download())
    verify()
    with pytest.raises(DigestError):
        holding.download()


def test_a_bad_file_is_moved_to_quarantine_only_when_asked_and_then_fetched_anew(holding, verify):
    held = holding.download()
    holding.spoil(held)
    (found,) = verify(quarantine=True)
    assert found.quarantined.read_text(encoding="utf-8").count("verdict: file bad") == 1
    assert "download" in problem_of(found).hint
    assert not held.path.exists()
    assert not (holding.root / SHELF / held.name).exists()
    assert holding.catalog.held() == ()
    again = holding.download()
    assert len(holding.site.asked) == 2
    assert digest_of(again.path.read_bytes()) == PAYLOAD.sha256


def test_bytes_of_several_shelves_are_read_once_and_set_aside_for_all(holding, verify):
    held = holding.download()
    holding.download(payload=PAYLOAD, version=OTHER)
    holding.spoil(held)
    found = verify(quarantine=True)
    assert [step for step, _ in holding.listener.steps].count(f"verify {held.name}") == 1
    assert [item.condition for item in found] == [Condition.CHANGED] * 2
    assert len({item.quarantined for item in found}) == 1
    assert holding.catalog.held() == ()


def test_what_only_one_manifest_condemns_stays_for_the_others(holding, verify):
    holding.download()
    good = holding.download(payload=PAYLOAD, version=OTHER)
    strange = manifest_of(replace(PAYLOAD, sha256=digest_of(b"other"), witnesses=()))
    first, second = verify(manifests=[strange], quarantine=True)
    assert (first.is_bad, second.is_bad) == (True, False)
    assert holding.catalog.held() == (second.held,)
    assert digest_of(good.path.read_bytes()) == good.sha256
    assert f"stay for {OTHER}/{PAYLOAD.name}" in first.quarantined.read_text(encoding="utf-8")
    assert second.quarantined is None
    assert "download" in problem_of(first).hint


def test_what_every_manifest_condemns_is_moved(holding, verify):
    holding.download()
    holding.download(payload=PAYLOAD, version=OTHER)
    odd = replace(PAYLOAD, sha256=digest_of(b"other"), witnesses=())
    found = verify(manifests=[manifest_of(odd), manifest_of(odd, version=OTHER)], quarantine=True)
    assert all(item.quarantined for item in found)
    assert holding.catalog.held() == ()
    assert not found[0].held.path.exists()


def test_the_same_damage_is_set_aside_twice_where_a_read_only_file_cannot_be_replaced(
    holding, verify, monkeypatch
):
    replace_file = Path.replace

    def as_on_windows(path, target):
        if Path(target).exists() and not Path(target).stat().st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", as_on_windows)
    for times in (1, 2):
        holding.spoil(holding.download())
        (found,) = verify(quarantine=True)
        assert found.quarantined.read_text(encoding="utf-8").count("set aside") == times


def test_a_file_that_is_sound_again_is_proven_again(holding, verify):
    held = holding.download()
    holding.spoil(held)
    verify()
    holding.spoil(held)  # the same bit once more: a cable was loose, not the disk
    assert verify()[0].held.judgement.verdict is FileVerdict.PROVEN


def test_a_missing_file_is_told_and_the_others_are_verified(holding, verify):
    held = holding.download()
    holding.download(zip_of(5000, seed=9), version=OTHER)
    held.path.unlink()
    first, second = verify()
    assert (first.condition, second.condition) == (Condition.MISSING, Condition.SOUND)
    assert isinstance(problem_of(first, second), StorageError)


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_verified(holding, verify):
    held = holding.download()
    holding.download(zip_of(5000, seed=9), version=OTHER)
    held.path.unlink()
    held.path.mkdir()
    first, second = verify()
    assert (first.condition, second.condition) == (Condition.UNREADABLE, Condition.SOUND)


@pytest.mark.parametrize(
    ("words", "shelves"),
    [
        ((), [SHELF, OTHER]),
        ((SHELF,), [SHELF]),
        (("12.2605",), [OTHER]),
        ((f"CombinedSolutionBundle.{OTHER}.ZIP",), [OTHER]),
        ((f"{OTHER}\\CombinedSolutionBundle.{OTHER}.zip", OTHER), [OTHER]),
    ],
)
def test_what_to_verify_is_said_by_version_shelf_or_name(holding, verify, words, shelves):
    holding.download()
    holding.download(zip_of(5000, seed=9), version=OTHER)
    assert [item.held.shelf for item in verify(*words)] == shelves


def test_a_word_that_names_nothing_held_is_an_input_error(holding, verify):
    holding.download()
    with pytest.raises(InputError, match=SHELF):
        verify("12.2606")


def damaged_inside():
    """A zip with a whole directory and a member whose checksum is wrong."""
    data = bytearray(zip_of(50_000))
    data[20_000] ^= 1
    return bytes(data)


def test_only_a_deep_verification_finds_a_wrong_checksum_inside_a_zip(holding, verify):
    data = damaged_inside()
    payload = payload_of(data)
    holding.download(data, payload=payload)
    manifest = manifest_of(payload)
    assert verify(manifests=[manifest])[0].held.judgement.verdict is FileVerdict.PROVEN
    (found,) = verify(manifests=[manifest], is_deep=True)
    assert found.held.judgement.verdict is FileVerdict.BAD
    assert "SolutionUpdate.zip" in found.held.judgement.reasons[0]


def test_what_a_vendors_list_of_files_says_outlives_our_own_look_inside(holding, file_of, verify):
    listed = says(StatementKind.STRUCTURE)
    held = holding.adopt(file_of(zip_of(5000)), name=SBE_NAMES[2], statements=(*PROOF, listed))
    (found,) = verify(is_deep=True)
    kinds = [said.kind for said in found.held.judgement.statements]
    assert listed in found.held.judgement.statements
    assert kinds.count(StatementKind.STRUCTURE) == 2
    assert found.held.judgement.verdict is held.judgement.verdict is FileVerdict.PROVEN


def test_damage_found_deep_inside_is_not_forgotten(holding, verify):
    payload = payload_of(damaged_inside())
    manifest = manifest_of(payload)
    holding.download(damaged_inside(), payload=payload)
    verify(manifests=[manifest], is_deep=True)
    assert verify(manifests=[manifest])[0].is_bad
    with pytest.raises(DigestError, match=r"SolutionUpdate\.zip"):
        holding.download(damaged_inside(), payload=payload)


def test_a_damaged_zip_with_the_pinned_hash_does_not_come_back_from_quarantine(holding, verify):
    payload = payload_of(damaged_inside())
    holding.download(damaged_inside(), payload=payload)
    verify(manifests=[manifest_of(payload)], is_deep=True, quarantine=True)
    holding.site.files.clear()
    with pytest.raises(DownloadError):
        holding.catalog.download(manifest_of(payload))


def test_without_a_manifest_the_recorded_witnesses_count(holding, verify):
    holding.download()
    assert verify(manifests=())[0].held.judgement.verdict is FileVerdict.PROVEN


def test_a_manifest_that_pins_another_hash_today_is_heard(holding, verify):
    holding.download()
    pinned = manifest_of(replace(PAYLOAD, sha256=digest_of(b"other"), witnesses=()))
    found = verify(manifests=[pinned])[0].held.judgement
    assert found.verdict is not FileVerdict.PROVEN


@pytest.mark.parametrize(
    ("by", "reason", "lacks"), [("Ada", "  ", "no reason"), (" ", "x", "nobody's name")]
)
def test_an_acceptance_needs_a_name_and_a_reason(holding, file_of, by, reason, lacks):
    held = holding.adopt(file_of(XML), statements=())
    with pytest.raises(InputError, match=lacks):
        holding.catalog.accept(held.name, by=by, reason=reason)


def test_an_accepted_file_stays_accepted(holding, verify, file_of):
    held = holding.adopt(file_of(XML), statements=())
    holding.catalog.accept(held.name, by="Ada", reason="x")
    manifests = ()
    (found,) = verify(manifests=manifests)
    assert found.held.judgement.verdict is FileVerdict.UNPROVEN
    assert found.held.acceptance.by == "Ada"


def test_a_record_that_changed_meanwhile_is_left_alone(holding, verify):
    held = holding.download()
    record = holding.root / SHELF / (held.name + ".held.json")

    class Interrupting(Listener):
        def end(self):
            super().end()
            values = json.loads(record.read_text(encoding="utf-8"))
            record.write_text(json.dumps(values | {"sha256": "ab" * 32}), encoding="utf-8")

    (found,) = holding.catalog.verify(progress=Interrupting()).payloads
    assert not found.is_recorded
    assert json.loads(record.read_text(encoding="utf-8"))["sha256"] == "ab" * 32
