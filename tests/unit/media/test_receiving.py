"""A medium comes home: known again, judged by its receipts, and what it brings taken in once."""

import errno
import json
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import pytest

from tests.made_requests import make_request
from tests.unit.media.making import NOW, days, proven
from tests.unit.media.receipts import HOME, SITE, STRANGER, sha256
from toolkit.errors import InputError, SignatureError, StorageError
from toolkit.media import (
    Register,
    Scribe,
    Taking,
    describe_medium,
    keep_set,
    open_medium,
    pin_root,
    put_returns,
    receive_medium,
)
from toolkit.media import _home as home_module
from toolkit.media._keys import fingerprint
from toolkit.model import Silent
from toolkit.request import to_bytes

SITE_ID = "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b"
KEYS = {HOME.fingerprint: "this catalog", SITE.fingerprint: "plant7"}
SEALED = b"age-encryption.org/v1\n-> X25519 abc\n" + b"\x00\xff" * 500


@dataclass
class Trip:
    """One medium, the home that wrote it, and the site that got it."""

    medium: Path
    home: Path
    trust: Path
    site_key: object = SITE
    beside: Path | None = None
    keys: dict = field(default_factory=lambda: dict(KEYS))

    @property
    def label(self):
        return describe_medium(self.medium)

    def register(self, scribe=None):
        scribe = scribe or Scribe(key=self.site_key, by="Ben", site_id=SITE_ID, floor=NOW)
        return Register(label=self.label, scribe=scribe, receipts=self.beside, now=lambda: NOW)

    def leave(self, *clusters):
        Register(label=self.label, scribe=Scribe(key=HOME, by="Ada"), now=lambda: NOW).write()
        return keep_set(self.home, proven(self.medium), clusters=clusters, own_key=HOME.fingerprint)

    def verify(self):
        medium = open_medium(self.medium, self.trust, now=NOW, accept_incomplete=True)
        return self.register().verify(medium.verify())

    def import_(self, cluster="plant7"):
        facts = {"version": "12.2603.1002.15", "state": "Ready", "targets": {"x.zip": "00" * 32}}
        return self.register().imported(cluster=cluster, **facts)

    def end(self, cluster="plant7"):
        facts = {"version": "12.2603.1002.15", "state": "Installed", "run_state": "Succeeded"}
        return self.register().result(cluster=cluster, has_failed=False, **facts)

    def send(self, *files):
        folder = self.beside or self.label.folder
        sent = put_returns(folder, files, progress=Silent())
        return self.register().going_home([item.as_fact() for item in sent])

    def whole(self, *files):
        """Everything a good trip leaves."""
        self.verify()
        self.import_()
        self.end()
        self.send(*files)

    def receive(self, **more):
        more = {"keys": self.keys, "receipts": self.beside, "now": NOW + days(20), **more}
        return receive_medium(self.medium, self.home, progress=Silent(), **more)


@pytest.fixture
def trip(medium, tmp_path, publisher):
    (tmp_path / "home").mkdir()
    pin_root(tmp_path / "trust", publisher.root, fingerprint(publisher.root))
    trip = Trip(medium=medium, home=tmp_path / "home", trust=tmp_path / "trust")
    trip.leave(("plant7", SITE_ID))
    return trip


@pytest.fixture
def request_file(tmp_path):
    def make(name="plant7.request.json", key=SITE, **changes):
        path = tmp_path / "site" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(to_bytes(make_request(**changes), key))
        return path

    return make


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "plant7-logs.zip.age"
    path.write_bytes(SEALED)
    return path


def takings(came):
    return {item.name: item.taking for item in came.taken}


def lacking(came):
    (site,) = came.sites
    return site.lacking


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_medium_that_was_erased_and_written_again_comes_home_whole(trip):
    """With the same bytes, as of a set that home keeps, and a new first receipt; so does a spare copy."""
    (first,) = (trip.label.folder / "custody").iterdir()
    kept = first.read_bytes()
    first.unlink()
    Register(label=trip.label, scribe=Scribe(key=HOME, by="Ada"), now=lambda: NOW).write()
    keep_set(trip.home, proven(trip.medium), clusters=(), own_key=HOME.fingerprint)
    assert trip.receive().chain.is_whole
    (second,) = (trip.label.folder / "custody").iterdir()
    second.unlink()
    assert not trip.receive().chain.is_whole
    first.write_bytes(kept)
    assert trip.receive().chain.is_whole


def test_two_that_are_remembered_at_once_are_both_known(trip, tmp_path, monkeypatch):
    """Two sticks of one set, written by two ferries: between reading and writing the record stands nobody else."""
    other = shutil.copytree(trip.medium, tmp_path / "spare")
    labels = [describe_medium(root) for root in (trip.medium, other)]
    for label in labels:
        shutil.rmtree(label.folder / "custody")
        Register(label=label, scribe=Scribe(key=HOME, by="Ada"), now=lambda: NOW).write()
    for path in (trip.home / "sets").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    honest, others = home_module.write_durably, []

    def write_durably(path, data):
        if not others:
            others.append(threading.Thread(target=keep, args=(labels[1],)))
            others[0].start()
            others[0].join(0.5)
        honest(path, data)

    def keep(label):
        keep_set(trip.home, proven(label.folder), clusters=(), own_key=HOME.fingerprint)

    monkeypatch.setattr(home_module, "write_durably", write_durably)
    keep(labels[0])
    others[0].join()
    for root in (trip.medium, other):
        trip.medium = root
        assert trip.receive().chain.is_whole
    (record,) = (trip.home / "sets").glob("*.json")
    assert len(json.loads(record.read_bytes())["receipts"]) == 2


# --- sites --------------------------------------------------------------------------------------


def test_a_whole_trip_is_closed(trip, request_file, sealed):
    trip.whole(request_file(), sealed)
    came = trip.receive()
    assert came.is_closed
    (site,) = came.sites
    assert (site.signer, site.clusters, site.lacking) == ("plant7", ("plant7",), ())
    assert set(takings(came).values()) == {Taking.TAKEN}
    place = trip.home / "received" / "AZL-2603-TEST"
    assert (place / sealed.name).read_bytes() == SEALED
    assert len(list((place / "custody").iterdir())) == 5


def test_receiving_changes_nothing_on_the_medium(trip, request_file):
    trip.whole(request_file())
    before = files(trip.medium)
    trip.receive()
    assert files(trip.medium) == before


def test_a_site_that_told_nothing_is_open(trip):
    came = trip.receive()
    assert not came.is_closed
    assert lacking(came) == ("no receipt of this site came home",)


def test_what_is_missing_of_a_site_is_named(trip):
    trip.verify()
    assert lacking(trip.receive()) == ("not imported on plant7", "no result of plant7")
    trip.import_()
    assert lacking(trip.receive()) == ("no result of plant7",)
    trip.end()
    assert lacking(trip.receive()) == ()


def test_every_cluster_of_a_site_has_to_be_told_of(trip):
    trip.leave(("plant7", SITE_ID), ("plant8", SITE_ID))
    trip.whole()
    assert lacking(trip.receive()) == ("not imported on plant8", "no result of plant8")


def test_a_set_without_a_plan_is_judged_by_what_sites_say(trip):
    record = trip.home / "sets" / "AZL-2603-TEST.json"
    record.unlink()
    trip.leave()
    assert not trip.receive().is_closed, "nobody said anything"
    trip.verify()
    assert lacking(trip.receive()) == ("not imported",)
    trip.import_()
    trip.end()
    assert trip.receive().is_closed


def test_a_verification_that_found_damage_closes_nothing(trip):
    payload = next((trip.label.folder / "data" / "payload").iterdir())
    payload.write_bytes(b"x" * payload.stat().st_size)
    trip.whole()
    assert lacking(trip.receive()) == ("verified with faults",)


def test_receipts_of_a_key_that_is_not_known_close_nothing(trip):
    trip.site_key = STRANGER
    trip.whole()
    came = trip.receive()
    assert lacking(came) == ("no receipt of this site came home",)
    assert STRANGER.fingerprint in str(came.chain.breaks)
    trip.keys[STRANGER.fingerprint] = "plant7"
    assert trip.receive().is_closed, "once somebody has compared the fingerprint"


def test_two_keys_cannot_close_one_site_together(trip):
    trip.keys[STRANGER.fingerprint] = "plant8"
    trip.verify()
    trip.site_key = STRANGER
    trip.import_()
    trip.end()
    came = trip.receive()
    assert [(site.signer, site.is_closed) for site in came.sites] == [
        ("plant7", False),
        ("plant8", False),
    ]


def test_receipts_beside_a_read_only_medium_come_home_too(trip, tmp_path, request_file, sealed):
    trip.beside = tmp_path / "beside"
    trip.whole(request_file(), sealed)
    assert not (trip.label.folder / "return").exists()
    assert trip.receive().is_closed


def test_a_second_copy_of_the_set_adds_to_what_came_before(trip, tmp_path):
    trip.verify()
    copy = tmp_path / "copy"
    shutil.copytree(trip.medium, copy)
    trip.import_()
    trip.receive()
    trip.medium = copy
    trip.end()
    came = trip.receive()
    assert came.chain.is_whole
    assert lacking(came) == ()
    assert len(came.notes) == 1
    assert "0003-import-" in came.notes[0]
    assert "another copy" in came.notes[0]


# --- the set ------------------------------------------------------------------------------------


def test_other_metadata_than_those_that_left_are_a_difference(trip):
    trip.whole()
    (trip.label.folder / "tuf" / "timestamp.json").write_bytes(b"{}")
    came = trip.receive()
    assert came.differences == ("its metadata are not those that left",)
    assert not came.is_closed


def test_lost_metadata_are_a_difference(trip):
    trip.whole()
    shutil.rmtree(trip.label.folder / "tuf")
    assert "cannot be read" in trip.receive().differences[0]


def test_a_set_that_does_not_say_who_it_is_is_known_by_its_name(trip):
    trip.whole()
    (trip.label.folder / "complete.json").unlink()
    came = trip.receive()
    assert came.differences == ("it does not say any more which set it is",)
    assert came.chain.is_whole


def test_a_set_with_anothers_identity_is_a_difference(trip):
    path = trip.label.folder / "complete.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "set_id": "x"}), encoding="utf-8")
    assert "it says it is the set x" in trip.receive().differences[0]


def test_a_set_that_was_not_written_here_is_refused(trip, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    trip.home = tmp_path / "elsewhere"
    with pytest.raises(StorageError, match="knows no such set"):
        trip.receive()


def test_a_first_receipt_that_was_taken_away_is_missed(trip):
    next((trip.label.folder / "custody").glob("0001-*")).unlink()
    came = trip.receive()
    assert "0001-write-" in str(came.chain.breaks)
    assert not came.chain.is_whole


def test_two_sets_of_one_name_are_kept_apart(trip, tmp_path, publisher, payload):
    (tmp_path / "second").mkdir()
    publisher.write(tmp_path / "second", payload, set_name="AZL-2603-TEST", now=NOW)
    other = Trip(medium=tmp_path / "second", home=trip.home, trust=trip.trust)
    other.leave(("plant9", "x"))
    assert trip.receive().set_id == trip.label.set_id
    assert other.receive().set_id == other.label.set_id != trip.label.set_id


def test_a_set_that_is_remembered_twice_keeps_whom_it_is_for(trip):
    first = trip.leave()
    assert [item.cluster for item in first.clusters] == ["plant7"]
    assert trip.leave(("plant7", SITE_ID)) == first
    assert [item.cluster for item in trip.leave(("plant8", SITE_ID)).clusters] == [
        "plant7",
        "plant8",
    ]


def test_a_first_receipt_made_anew_elsewhere_is_not_the_one_that_left(trip):
    shutil.rmtree(trip.label.folder / "custody")
    before = trip.home / "sets" / "AZL-2603-TEST.json"
    remembered = before.read_bytes()
    Register(label=trip.label, scribe=Scribe(key=STRANGER, by="Ada"), now=lambda: NOW).write()
    keep_set(trip.home, proven(trip.medium), clusters=(), own_key=HOME.fingerprint)
    assert before.read_bytes() == remembered
    assert not trip.receive().chain.is_whole


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_a_spoilt_record_or_ledger_is_an_input_error(trip, data):
    trip.receive()
    for path in (trip.home / "sets" / "AZL-2603-TEST.json", trip.home / "received/ledger.json"):
        before = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(InputError, match="read the") as caught:
            trip.receive()
        assert "backup" in caught.value.hint
        path.write_bytes(before)


# --- what it brings -----------------------------------------------------------------------------


def test_receiving_twice_takes_nothing_twice(trip, request_file, sealed):
    trip.whole(request_file(), sealed)
    trip.receive()
    before = files(trip.home)
    came = trip.receive()
    assert came.is_closed
    assert set(takings(came).values()) == {Taking.ALREADY}
    assert files(trip.home) == before


def test_a_killed_taking_in_is_finished_by_the_same_call(trip, request_file, sealed, monkeypatch):
    trip.whole(request_file(), sealed)

    def killed(*_):
        raise OSError(errno.EIO, "pulled out")

    with monkeypatch.context() as patched:
        patched.setattr("toolkit.media._home.write_durably", killed)
        with pytest.raises(StorageError):
            trip.receive()
    assert trip.receive().is_closed


def test_two_processes_do_not_take_in_at_once(trip):
    trip.receive()
    with (
        filelock.FileLock(trip.home / "received" / "lock"),
        pytest.raises(StorageError, match="another ferry is taking something in"),
    ):
        trip.receive()


def test_a_file_that_is_gone_at_home_is_taken_in_again(trip, request_file):
    trip.whole(request_file())
    trip.receive()
    (gone,) = (trip.home / "received").rglob("*.request.json")
    gone.unlink()
    assert takings(trip.receive()) == {gone.name: Taking.TAKEN}
    assert gone.is_file()


def test_a_request_of_an_unknown_key_is_refused_with_its_fingerprint(trip, request_file):
    trip.whole(request_file(key=STRANGER))
    came = trip.receive()
    assert takings(came) == {"plant7.request.json": Taking.REFUSED}
    assert STRANGER.fingerprint in came.taken[0].text
    assert not list((trip.home / "received").rglob("*.request.json"))


def test_an_edited_request_is_refused(trip, request_file):
    trip.whole(request_file())
    path = trip.label.folder / "return" / "plant7.request.json"
    path.write_bytes(path.read_bytes().replace(b"plant7", b"plant8"))
    assert takings(trip.receive()) == {path.name: Taking.REFUSED}


def test_an_old_request_is_not_taken_for_new_with_another_set(
    trip, request_file, tmp_path, publisher, payload
):
    trip.whole(request_file())
    trip.receive()
    (tmp_path / "next").mkdir()
    publisher.write(tmp_path / "next", payload, set_name="AZL-NEXT", now=NOW + days(1))
    later = Trip(medium=tmp_path / "next", home=trip.home, trust=trip.trust)
    later.leave(("plant7", SITE_ID))
    later.whole(trip.label.folder / "return" / "plant7.request.json")
    came = later.receive()
    assert takings(came) == {"plant7.request.json": Taking.REFUSED}
    assert "it came home before, with the set AZL-2603-TEST" in came.taken[0].text


def test_another_request_with_a_known_id_is_refused(trip, request_file, tmp_path):
    trip.send(request_file())
    trip.receive()
    path = trip.label.folder / "return" / "plant7.request.json"
    path.write_bytes(to_bytes(make_request(cluster="plant9"), SITE))
    assert takings(trip.receive()) == {path.name: Taking.REFUSED}


def test_a_new_request_under_an_old_name_stands_beside_the_old_one(trip, request_file, tmp_path):
    trip.send(request_file())
    trip.receive()
    shutil.rmtree(trip.label.folder / "return")
    trip.send(request_file(request_id="00000000-58a6-4a37-b4f0-0b6f6a1c2d3e"))
    assert takings(trip.receive()) == {"plant7.request.json": Taking.TAKEN}
    assert len(list((trip.home / "received").rglob("*.request.json"))) == 2


def test_a_sealed_file_that_no_receipt_names_is_refused(trip, sealed):
    trip.whole(sealed)
    path = trip.label.folder / "return" / sealed.name
    path.write_bytes(SEALED + b"x")
    (path.parent / "stranger.age").write_bytes(SEALED)
    came = trip.receive()
    assert takings(came) == {sealed.name: Taking.REFUSED, "stranger.age": Taking.REFUSED}
    assert "no receipt of a known site" in came.taken[0].text


def test_a_file_that_was_sent_and_did_not_arrive_keeps_the_site_open(trip, sealed):
    trip.whole(sealed)
    (trip.label.folder / "return" / sealed.name).unlink()
    assert lacking(trip.receive()) == (f"{sealed.name} was sent home and is not here",)


# --- sending ------------------------------------------------------------------------------------


def test_a_request_gets_a_name_that_home_looks_for(trip, request_file):
    written = trip.send(request_file("plant7.json"))
    (fact,) = written.receipt.facts["files"]
    path = trip.label.folder / "return" / "plant7.request.json"
    assert (fact["name"], fact["sha256"]) == (path.name, sha256(path.read_bytes()))


def test_sending_again_sends_nothing_twice_and_overwrites_nothing(trip, request_file, sealed):
    trip.send(sealed)
    trip.send(sealed, request_file())
    assert len(list((trip.label.folder / "return").iterdir())) == 2
    sealed.write_bytes(SEALED + b"x")
    with pytest.raises(StorageError, match="another file with the name"):
        trip.send(sealed)


def test_a_log_bundle_in_the_clear_is_not_sent(trip, tmp_path, request_file):
    path = tmp_path / "plant7.zip"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="neither a sealed file nor a request") as caught:
        trip.send(request_file(), path)
    assert "encrypt them" in caught.value.hint
    assert not (trip.label.folder / "return").exists(), "nothing is copied before all are looked at"


def test_an_edited_request_is_not_sent(trip, request_file):
    path = request_file()
    path.write_bytes(path.read_bytes().replace(b"plant7", b"plant8"))
    with pytest.raises(SignatureError):
        trip.send(path)


@pytest.mark.parametrize("name", ["ü.age", "x" * 70 + ".age", "a b.age"])
def test_a_name_that_cannot_travel_is_refused(trip, tmp_path, name):
    (tmp_path / name).write_bytes(SEALED)
    with pytest.raises(InputError, match="letters, digits") as caught:
        trip.send(tmp_path / name)
    assert "give it such a name" in caught.value.hint


def test_a_name_that_is_a_device_on_windows_does_not_travel(trip, tmp_path):
    (tmp_path / "con.age").write_bytes(SEALED)
    with pytest.raises(InputError, match="a device on Windows"):
        trip.send(tmp_path / "con.age")


def test_two_files_that_would_get_one_name_are_refused(trip, request_file):
    first, second = request_file("plant7.json"), request_file("plant7.request.json")
    with pytest.raises(InputError, match="would both be") as caught:
        trip.send(first, second)
    assert "another name" in caught.value.hint


def test_far_too_many_files_are_not_named(trip, sealed):
    trip.send(sealed)
    for number in range(300):
        (trip.label.folder / "return" / f"{number}.age").touch()
    with pytest.raises(InputError, match="301 files") as caught:
        trip.send()
    assert "move away" in caught.value.hint
