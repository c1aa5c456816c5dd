from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import filelock
import pytest

from tests.unit.catalog.fakes import (
    FakeSite,
    Listener,
    digest_of,
    manifest_of,
    payload_of,
    witness_of,
    zip_of,
)
from toolkit.catalog import Catalog, _patience, _transfer
from toolkit.catalog._gate import require_fit_to_travel
from toolkit.catalog._part import Part, PartFile
from toolkit.errors import DigestError, DownloadError, InputError, StorageError
from toolkit.model import BundleStatus, FileVerdict, PayloadKind

DATA = zip_of(300_000)
PAYLOAD = payload_of(DATA)
MANIFEST = manifest_of(PAYLOAD)
URL = PAYLOAD.url


class Desk:
    """A catalog in a temporary folder, a fake site, and everything that was said and waited."""

    def __init__(self, root):
        self.root = root
        self.site = FakeSite({URL: DATA})
        self.listener = Listener()
        self.waits = []

    def catalog(self, **options):
        return Catalog(
            self.root,
            fetcher=self.site,
            sleep=self.waits.append,
            now=lambda: datetime(2026, 4, 21, 3, 0, tzinfo=UTC),
            **options,
        )

    def download(self, manifest=MANIFEST, **options):
        return self.catalog().download(manifest, progress=self.listener, **options)

    @property
    def path(self):
        return self.root / "12.2604.1003.9" / PAYLOAD.name

    @property
    def object(self):
        return self.root / "objects" / PAYLOAD.sha256[:2] / PAYLOAD.sha256

    @property
    def record(self):
        return self.path.with_name(PAYLOAD.name + ".held.json")

    @property
    def part(self):
        return self.path.with_name(PAYLOAD.name + ".part")

    def leave_part(self, data, *, url=URL, validator='"1"', total_bytes=300_000):
        """Put down what a killed process leaves."""
        self.part.parent.mkdir(parents=True)
        with contextlib.closing(Part(PartFile(self.path))) as part:
            part.belongs_to(total_bytes, url, validator)
            part.write(0, memoryview(data))

    def names(self):
        return sorted(path.name for path in self.path.parent.iterdir())

    def said(self, word):
        return any(word in line for line in self.listener.lines)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "catalog")


def test_a_download_is_held_with_what_was_measured(desk):
    (held,) = desk.download()
    assert held.path == desk.object
    assert held.path.read_bytes() == DATA
    assert (held.size_bytes, held.sha256, held.url) == (len(DATA), PAYLOAD.sha256, URL)
    assert (held.shelf, held.version) == ("12.2604.1003.9", MANIFEST.version)
    assert held.judgement.verdict is FileVerdict.PROVEN
    assert desk.catalog().held() == (held,)
    assert desk.catalog().find(MANIFEST.version) == (held,)


def test_nothing_but_the_file_its_record_and_its_lock_is_left(desk):
    desk.download()
    assert desk.names() == [PAYLOAD.name, PAYLOAD.name + ".held.json", PAYLOAD.name + ".lock"]
    assert [path.name for path in desk.object.parent.iterdir()] == [PAYLOAD.sha256]


def test_the_name_on_the_shelf_is_a_link_to_the_same_read_only_bytes(desk):
    desk.download()
    assert desk.path.samefile(desk.object)
    assert desk.object.stat().st_mode & 0o777 == 0o444


def test_every_answer_is_closed_and_every_progress_step_ended(desk):
    desk.site.cuts = [1000, 2000]
    desk.download()
    assert desk.site.opened == desk.site.closed == 3
    assert desk.listener.open_steps == 0


def test_a_held_payload_is_not_fetched_again(desk):
    first = desk.download()
    desk.site.files.clear()
    assert desk.download() == first
    assert desk.said("held already")


def test_a_held_payload_that_was_only_touched_is_proven_and_kept(desk):
    desk.download()
    desk.object.touch()
    desk.site.files.clear()
    assert desk.download()[0].path == desk.object
    assert ("check " + PAYLOAD.name, len(DATA)) in desk.listener.steps


def test_a_held_payload_that_was_changed_is_a_digest_error(desk):
    desk.download()
    desk.path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(DigestError, match="sha256") as caught:
        desk.download()
    assert "--quarantine" in caught.value.hint


def test_bytes_without_a_record_are_proven_and_recorded(desk):
    desk.download()
    desk.record.unlink()
    desk.site.files.clear()
    desk.download()
    assert desk.record.exists()


def test_a_link_that_somebody_deleted_is_hung_up_again(desk):
    desk.download()
    desk.path.unlink()
    desk.download()
    assert desk.path.samefile(desk.object)


@pytest.mark.parametrize("has_record", [True, False])
def test_a_file_of_an_earlier_ferry_is_taken_over_without_fetching_it(desk, has_record):
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(DATA)
    if has_record:
        desk.record.write_text(json.dumps({"format": 1, "name": PAYLOAD.name}), encoding="utf-8")
    with pytest.raises(StorageError, match="earlier ferry" if has_record else "nothing"):
        desk.catalog().find(MANIFEST.version)
    (held,) = desk.download()
    assert desk.site.asked == []
    assert held.path == desk.object
    assert desk.path.samefile(desk.object)
    assert desk.catalog().find(MANIFEST.version) == (held,)


def test_an_earlier_ferrys_file_that_was_changed_is_a_digest_error_and_stays(desk):
    desk.path.parent.mkdir(parents=True)
    desk.path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(DigestError, match="sha256"):
        desk.download()
    assert desk.path.exists()
    assert not desk.object.exists()


def test_what_a_process_killed_after_the_rename_left_is_tidied_and_recorded(desk):
    desk.object.parent.mkdir(parents=True)
    desk.object.write_bytes(DATA)
    desk.leave_part(b"")
    desk.download()
    assert desk.site.asked == []
    assert desk.names() == [PAYLOAD.name, PAYLOAD.name + ".held.json", PAYLOAD.name + ".lock"]


def test_the_same_bytes_on_two_shelves_are_kept_once(desk):
    desk.download()
    twin = manifest_of(PAYLOAD, version="12.2605.1003.2")
    desk.download(twin)
    assert len(desk.site.asked) == 1
    assert [held.shelf for held in desk.catalog().held()] == ["12.2604.1003.9", "12.2605.1003.2"]
    assert len({held.path for held in desk.catalog().held()}) == 1


def test_a_reviewed_pin_replaces_what_was_held_under_the_name(desk):
    desk.download()
    other = zip_of(200_000, seed=5)
    desk.site.files[URL] = other
    (held,) = desk.download(manifest_of(payload_of(other)))
    assert held.path.read_bytes() == other == desk.path.read_bytes()
    assert desk.object.exists()  # `prune` removes what nothing refers to


def test_a_cut_line_is_resumed_within_one_command(desk):
    desk.site.cuts = [100_000, 100_000]
    desk.download()
    assert [offset for _, offset, _ in desk.site.asked] == [0, 100_000, 200_000]
    assert desk.site.bytes_served == len(DATA)
    assert desk.waits == [pytest.approx(1.0, rel=0.25), pytest.approx(2.0, rel=0.25)]
    assert desk.said("resuming at 100000 bytes")


def test_a_line_that_ends_early_without_an_error_is_resumed_too(desk):
    desk.site.announces = len(DATA)
    desk.site.files[URL] = DATA[:5000]
    desk.site.on_read = lambda: desk.site.files.update({URL: DATA})
    desk.download()
    assert [offset for _, offset, _ in desk.site.asked] == [0, 5000]


def test_retries_are_bounded_and_the_hint_says_that_the_same_command_goes_on(desk):
    desk.site.cuts = [10] * 50
    with pytest.raises(DownloadError) as caught:
        desk.download()
    assert len(desk.site.asked) == 6
    assert desk.waits == [pytest.approx(delay, rel=0.25) for delay in (1, 2, 4, 8, 16)]
    assert "same command" in caught.value.hint
    assert not desk.path.exists()


def test_progress_refills_the_retries_and_a_server_that_never_resumes_does_not(desk, monkeypatch):
    monkeypatch.setattr(_patience, "PROGRESS_BYTES", 20_000)
    desk.site.cuts = [30_000] * 9
    desk.download()
    assert len(desk.site.asked) == 10
    desk.path.unlink()
    desk.object.unlink()
    desk.site.resumes, desk.site.cuts, desk.site.asked = False, [30_000] * 50, []
    with pytest.raises(DownloadError):
        desk.download()
    assert len(desk.site.asked) <= 12


def test_the_next_command_resumes_with_the_validator_of_the_first(desk):
    desk.leave_part(DATA[:123_456])
    desk.download()
    assert desk.site.asked == [(URL, 123_456, '"1"')]
    assert desk.site.bytes_served == len(DATA) - 123_456
    assert desk.said("resuming")


def test_bytes_of_another_address_are_used_without_its_validator(desk):
    desk.leave_part(DATA[:1000], url="https://mirror.example/old")
    desk.download()
    assert desk.site.asked == [(URL, 1000, "")]


def test_a_part_without_journal_is_started_over_and_that_is_said(desk):
    desk.part.parent.mkdir(parents=True)
    desk.part.write_bytes(DATA[:1000])
    desk.download()
    assert desk.site.asked == [(URL, 0, "")]
    assert desk.said("nothing is known of the bytes there; starting over")


def test_a_file_that_was_complete_when_the_process_died_is_not_fetched(desk):
    desk.leave_part(DATA)
    desk.download()
    assert desk.site.asked == []
    assert desk.path.read_bytes() == DATA


def test_a_changed_file_is_started_over_and_that_is_said(desk):
    desk.leave_part(b"old" * 1000, validator='"0"')
    desk.download()
    assert desk.path.read_bytes() == DATA
    assert desk.said("starting over")


def test_a_server_without_ranges_is_started_over_and_that_is_said(desk):
    desk.leave_part(DATA[:1000])
    desk.site.resumes = False
    desk.download()
    assert desk.path.read_bytes() == DATA
    assert desk.said("starting over")


def test_another_length_at_another_address_is_started_over(desk):
    desk.leave_part(DATA[:1000], url="https://mirror.example/old", total_bytes=999_999)
    desk.download()
    assert desk.path.read_bytes() == DATA
    assert desk.said("has 300000 bytes now")


def test_a_resumed_file_that_is_wrong_is_fetched_anew_once(desk):
    desk.leave_part(b"\0" * 1000)
    desk.download()
    assert desk.path.read_bytes() == DATA
    assert desk.said("fetching it anew")


def test_a_wrong_file_goes_to_quarantine_and_never_gets_the_final_name(desk):
    wrong = DATA[:1000] + b"?" + DATA[1001:]
    desk.site.files[URL] = wrong
    with pytest.raises(DigestError) as caught:
        desk.download()
    quarantined = desk.root / "quarantine" / f"{PAYLOAD.name}.{digest_of(wrong)[:12]}"
    assert quarantined.read_bytes() == wrong
    text = quarantined.with_name(quarantined.name + ".txt").read_text(encoding="utf-8")
    assert PAYLOAD.sha256 in text
    assert digest_of(wrong) in text
    assert "verdict: file bad" in text  # a damaged member
    assert desk.names() == [PAYLOAD.name + ".lock"]
    assert caught.value.exit_code == 3
    assert str(quarantined) in caught.value.hint


def test_once_its_hash_is_reviewed_a_file_comes_back_from_quarantine_without_fetching(desk):
    other = zip_of(200_000, seed=5)
    desk.site.files[URL] = other
    with pytest.raises(DigestError):
        desk.download()
    (held,) = desk.download(manifest_of(payload_of(other)))
    assert len(desk.site.asked) == 1
    assert held.path.read_bytes() == other
    assert [path.suffix for path in (desk.root / "quarantine").iterdir()] == [".txt"]


def test_downloads_that_agree_are_counted(desk):
    desk.site.files[URL] = b"the same wrong file"
    for _ in range(3):
        with pytest.raises(DigestError):
            desk.download()
    (text,) = (desk.root / "quarantine").glob("*.txt")
    last = text.read_text(encoding="utf-8").rpartition("downloaded ")[2]
    assert "An earlier measurement gave the same SHA-256" in last


def test_another_releases_file_is_recognised(desk):
    other = payload_of(b"other release", "CombinedSolutionBundle.12.2603.1002.15.zip")
    desk.site.files[URL] = b"other release"
    with pytest.raises(DigestError):
        desk.download(known=[manifest_of(other, version="12.2603.1002.15"), MANIFEST])
    (text,) = (desk.root / "quarantine").glob("*.txt")
    explained = text.read_text("utf-8")
    assert "The file is CombinedSolutionBundle.12.2603.1002.15.zip" in explained


def test_a_full_disk_is_seen_before_the_download(desk, monkeypatch):
    monkeypatch.setattr(_transfer, "free_bytes", lambda _: 1000)
    with pytest.raises(StorageError, match="1000 bytes free"):
        desk.download()
    assert desk.site.bytes_served == 0


def test_a_recalled_update_is_not_downloaded(desk):
    recalled = manifest_of(PAYLOAD, status=BundleStatus.RECALLED, superseded_by="12.2604.1003.10")
    with pytest.raises(InputError) as caught:
        desk.download(recalled)
    assert "12.2604.1003.10" in caught.value.hint
    assert desk.site.asked == []


def unpinned(*witnesses, data=DATA):
    return manifest_of(replace(payload_of(data, witnesses=witnesses), sha256=None))


def test_a_payload_without_a_pin_is_held_unproven_and_does_not_travel(desk):
    (held,) = desk.download(unpinned())
    assert held.judgement.verdict is FileVerdict.UNPROVEN
    with pytest.raises(InputError, match="unproven"):
        require_fit_to_travel(held)


def test_an_impossible_published_hash_is_told_from_a_bad_file(desk):
    (held,) = desk.download(unpinned(witness_of("3a2e5d7f" * 7 + "1234567")))
    assert held.judgement.verdict is FileVerdict.HASH_IMPOSSIBLE
    with pytest.raises(InputError, match="impossible") as caught:
        require_fit_to_travel(held)
    assert "manifest" in caught.value.hint


def test_once_the_hash_is_reviewed_the_held_bytes_are_proven_without_fetching(desk):
    desk.download(unpinned(witness_of("3a2e")))
    (held,) = desk.download(MANIFEST)
    assert held.judgement.verdict is FileVerdict.PROVEN
    assert len(desk.site.asked) == 1


def test_a_damaged_file_without_a_pin_goes_to_quarantine(desk):
    desk.site.files[URL] = DATA[:1000] + b"?" + DATA[1001:]
    with pytest.raises(DigestError, match="file bad"):
        desk.download(unpinned())
    assert len(list((desk.root / "quarantine").glob("*.txt"))) == 1


def test_a_file_with_the_pinned_hash_that_is_no_zip_is_bad_all_the_same(desk):
    desk.site.files[URL] = b"no zip"
    with pytest.raises(DigestError, match="file bad"):
        desk.download(manifest_of(payload_of(b"no zip")))
    assert desk.catalog().held() == ()


def test_a_second_process_is_told_at_once(desk):
    desk.download()
    with (
        filelock.FileLock(str(desk.path) + ".lock"),
        pytest.raises(StorageError, match="another ferry"),
    ):
        desk.download()


# --- where from ------------------------------------------------------------------------------------

SBE = payload_of(b"sbe", "SBE_Discovery_Contoso.xml", kind=PayloadKind.SBE)


@pytest.mark.parametrize(
    ("urls", "asked"),
    [
        ([], [URL, SBE.url]),
        (["https://m.example/a"], [f"https://m.example/a/{PAYLOAD.name}", f"https://m.example/a/{SBE.name}"]),
        (["https://m.example/a/"], [f"https://m.example/a/{PAYLOAD.name}", f"https://m.example/a/{SBE.name}"]),
        ([f"https://m.example/{PAYLOAD.name}?key=1"], [f"https://m.example/{PAYLOAD.name}?key=1", SBE.url]),
        ([f"https://m.example/{SBE.name}"], [URL, f"https://m.example/{SBE.name}"]),
    ],
)  # fmt: skip
def test_another_address_is_a_folder_or_one_file(desk, urls, asked):
    for address, data in zip(asked, (DATA, b"sbe"), strict=True):
        desk.site.files[address] = data
    desk.download(manifest_of(PAYLOAD, SBE), urls=urls)
    assert list(dict.fromkeys(address for address, _, _ in desk.site.asked)) == asked


def test_several_addresses_of_one_file_are_mirrors(desk):
    desk.site.cuts = [1000]
    mirrors = [f"https://m{number}.example/{PAYLOAD.name}" for number in (1, 2)]
    desk.site.files.update(dict.fromkeys(mirrors, DATA))
    desk.download(urls=mirrors)
    assert [(url, offset) for url, offset, _ in desk.site.asked] == [
        (mirrors[0], 0),
        (mirrors[1], 1000),
    ]
    assert desk.waits == []


def test_a_file_put_together_from_mirrors_that_differ_is_fetched_anew_from_one(desk):
    desk.site.cuts = [1000]
    mirrors = [f"https://m{number}.example/{PAYLOAD.name}" for number in (1, 2)]
    desk.site.files.update({mirrors[0]: DATA, mirrors[1]: DATA[:-1] + b"?"})
    desk.download(urls=mirrors)
    assert desk.said("fetching it anew")
    assert [url for url, _, _ in desk.site.asked] == [*mirrors, mirrors[0]]


def test_a_missing_file_is_told_before_the_first_is_fetched(desk):
    with pytest.raises(DownloadError, match=SBE.name):
        desk.download(manifest_of(PAYLOAD, SBE))
    assert desk.site.bytes_served == 0


def test_several_files_are_drawn_as_one(desk):
    desk.site.files[SBE.url] = b"sbe"
    desk.download(manifest_of(PAYLOAD, SBE))
    assert [total for _, total in desk.listener.steps] == [len(DATA) + 3, 3]
    assert "1 of 2" in desk.listener.steps[0][0]


def test_the_size_of_what_is_held_is_not_asked_for_with_a_pin_or_without(desk):
    loose = replace(PAYLOAD, sha256=None)
    third = payload_of(b"more", "SBE_Contoso_more.xml", kind=PayloadKind.SBE, size_bytes=4)
    desk.download(manifest_of(loose))
    desk.site.files = {SBE.url: b"sbe", third.url: b"more"}
    desk.listener.steps.clear()
    desk.download(manifest_of(SBE, loose, third))
    assert [url for url, _, _ in desk.site.asked] == [URL, SBE.url, SBE.url, third.url]
    assert [total for _, total in desk.listener.steps] == [7, 4]
    assert "3 of 3" in desk.listener.steps[1][0]


def test_a_password_in_an_address_is_refused_and_not_repeated(desk):
    with pytest.raises(InputError, match="password") as caught:
        desk.download(urls=["https://ann:s3cret@vendor.example/"])
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("url", ["http://m.example/a", "ftp://m.example", "D:\\files", "m.example"])
def test_only_https_addresses_are_taken(desk, url):
    with pytest.raises(InputError, match="https"):
        desk.download(urls=[url])


# --- what is held ----------------------------------------------------------------------------------


def test_an_update_of_which_nothing_is_held_is_a_storage_error(desk):
    with pytest.raises(StorageError, match="nothing"):
        desk.catalog().find(MANIFEST.version)
    assert desk.catalog().held() == ()


def test_an_update_of_which_only_a_part_is_held_is_a_storage_error(desk):
    sbe = payload_of(b"sbe", SBE.name, kind=PayloadKind.SBE, size_bytes=3)
    with pytest.raises(DownloadError):
        desk.download(manifest_of(PAYLOAD, sbe))
    with pytest.raises(StorageError, match=SBE.name):
        desk.catalog().find(MANIFEST.version)


def test_a_held_file_that_vanished_is_a_storage_error(desk):
    desk.download()
    desk.object.unlink()
    with pytest.raises(StorageError, match="no such file"):
        desk.catalog().find(MANIFEST.version)
    with pytest.raises(StorageError, match="no such file"):
        desk.catalog().held()


def test_a_held_file_of_another_length_is_a_storage_error(desk):
    desk.download()
    desk.path.write_bytes(b"short")
    with pytest.raises(StorageError, match="5 bytes"):
        desk.catalog().find(MANIFEST.version)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sha256", "short"), ("name", "../x"), ("shelf", "2604"), ("size_bytes", None), ("kind", 1),
        ("format", 3), ("judgement", {"verdict": "fine", "reasons": [], "statements": []}),
        ("shelf", "12.2605.1003.2"), ("name", "other.zip"), ("acceptance", {"by": "me"}),
    ],
)  # fmt: skip
def test_a_record_that_makes_no_sense_is_an_input_error(desk, key, value):
    desk.download()
    record = desk.record
    values = json.loads(record.read_text(encoding="utf-8")) | {key: value}
    record.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(InputError, match="record"):
        desk.catalog().held()


def test_witnesses_survive_in_the_record(desk):
    witnesses = (witness_of(PAYLOAD.sha256), witness_of("3a2e", "Seite äöü"))
    payload = payload_of(DATA, witnesses=witnesses)
    (held,) = desk.download(manifest_of(payload))
    assert desk.catalog().held()[0].witnesses == witnesses == held.witnesses
