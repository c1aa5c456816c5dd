import itertools
import threading

import pytest

from tests.unit.cluster.fakes import VERSION, Session, World
from toolkit.cluster._cmdlets import make_folder
from toolkit.cluster._cmdlets.share import new_file
from toolkit.cluster._fencing import Claim
from toolkit.cluster._share_records import (
    LAST_TOKEN,
    RECORDS_FOLDER,
    ImportStep,
    Outcome,
    ShareRecord,
    Token,
    newest_token,
    token_file,
)
from toolkit.errors import CommandError, InputError, SessionLostError, StateError
from toolkit.model import Silent

PATH = RECORDS_FOLDER.parent / "b.zip"


def claim(*, site_id="site-1", machine="laptop-a", sleep=lambda seconds: None, act="import"):
    made = Claim(
        version=VERSION, site_id=site_id, progress=Silent(), sleep=sleep, stall_s=120, act=act
    )
    made._machine = machine
    return made


@pytest.fixture
def session():
    return Session(World())


def test_first_run_takes_the_first_token_and_keeps_it(session):
    ours = claim()
    ours.hold(session)
    ours.hold(session)
    assert ours.number == 1


def test_who_was_overtaken_writes_nothing_more(session):
    ours, theirs = claim(), claim()
    ours.hold(session)
    theirs.hold(session)
    assert theirs.number == 2
    with pytest.raises(StateError, match="laptop-a took over"):
        ours.check(session)
    with pytest.raises(StateError):
        ours.hold(session)


def test_token_that_a_lost_reply_hid_is_found_again(session):
    ours = claim()
    real = session.invoke
    lost = iter([True])

    def invoke(command):
        reply = real(command)
        if command.changes_cluster and "New-Item" in command.name and claim_made():
            raise SessionLostError("new")
        return reply

    def claim_made():
        return str(token_file(1)) in session.world.files and next(lost, False)

    session.invoke = invoke
    with pytest.raises(SessionLostError):
        ours.hold(session)
    ours.hold(session)
    assert ours.number == 1


def test_another_laptop_that_still_writes_is_left_alone(session):
    claim(site_id="site-2", machine="laptop-b").hold(session)

    def meanwhile(seconds):
        session.world.files[str(PATH)] = bytes(5 << 20)

    with pytest.raises(StateError, match=r"laptop-b is importing: 5\.0 MiB more"):
        claim(sleep=meanwhile).hold(session)
    session.world.files.pop(str(PATH))
    cleaning = claim(sleep=meanwhile, act="clean the import folder of")
    with pytest.raises(
        StateError, match=f"^clean the import folder of {VERSION}: ferry on laptop-b"
    ):
        cleaning.hold(session)


def test_another_laptop_that_ends_while_it_is_watched_is_followed(session):
    theirs = claim(site_id="site-2", machine="laptop-b")
    theirs.hold(session)
    ours = claim(sleep=lambda seconds: theirs.leave(session))
    ours.hold(session)
    assert ours.number == 2


@pytest.mark.parametrize(
    ("site_id", "machine", "waits"),
    [("site-1", "laptop-a", 0), ("site-2", "laptop-a", 1), ("site-1", "copy-of-it", 1)],
)
def test_only_what_cannot_be_known_dead_is_waited_for(session, site_id, machine, waits):
    claim(site_id=site_id, machine=machine).hold(session)
    slept = []
    ours = claim(sleep=slept.append)
    ours.hold(session)
    assert slept == [120] * waits
    assert ours.number == 2


def test_run_that_ended_is_not_waited_for(session):
    theirs = claim(site_id="site-2")
    theirs.hold(session)
    theirs.leave(session)
    slept = []
    claim(sleep=slept.append).hold(session)
    assert slept == []


def test_share_that_cannot_be_written_is_told_and_not_tried_for_ever(session):
    def refused(command):
        if "New-Item" in command.name and not command.parse(()):
            raise CommandError("run New-Item", cmdlet="New-Item", error_id="NewItemIOError,x")
        return Session.invoke(session, command)

    session.invoke(make_folder(RECORDS_FOLDER))
    session.invoke = refused
    with pytest.raises(CommandError):
        claim().hold(session)


def test_many_at_once_get_different_tokens(session):
    claims = [claim() for _ in range(8)]
    threads = [threading.Thread(target=one.hold, args=(session,)) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.number for one in claims) == list(range(1, 9))


# --- two holders, interleaved at every point ----------------------------------------------------


def old_holder(ours, session, log):
    """What a submission does, cut between its commands."""
    ours.check(session)
    yield
    record(ours, session, Outcome.INTENT)
    yield
    ours.check(session)
    yield
    log.append("old")


def new_holder(theirs, session, log):
    theirs.hold(session)
    yield
    knows = any("submit-intent" in path for path in session.world.files)
    yield
    if knows:
        return
    record(theirs, session, Outcome.INTENT)
    yield
    theirs.check(session)
    log.append("new")


def record(of, session, outcome):
    of.record(session, ImportStep.SUBMIT, outcome, delivery="v", path=PATH, node="n1")


@pytest.mark.parametrize(
    "order",
    [
        "".join("o" if i in chosen else "n" for i in range(9))
        for chosen in itertools.combinations(range(9), 4)
    ],
)
def test_of_two_holders_at_most_one_adds(order):
    session, log = Session(World()), []
    ours, theirs = claim(), claim()
    ours.hold(session)
    runs = {"o": old_holder(ours, session, log), "n": new_holder(theirs, session, log)}
    for who in order:
        try:
            next(runs[who], None)
        except StateError:
            runs[who] = iter(())
    assert len(log) <= 1


# --- what stands in the files -------------------------------------------------------------------


def test_record_is_read_as_it_was_written(session):
    ours = claim()
    ours.hold(session)
    written = ours.record(
        session,
        ImportStep.EXPAND,
        Outcome.DONE,
        delivery="v",
        path=PATH,
        node="n1",
        sha256="ab",
        size_bytes=3,
        facts={"content": "cd"},
    )
    assert ShareRecord.read(written.text()) == written


ENDLESS = [
    f'{{"kind": "ferry-{kind}", "format": 1, "token": 1e999, "number": 1e999, "step": "copy",'
    ' "outcome": "done", "holder": "", "site_id": "", "machine": "", "delivery": "", "path": ""}'
    for kind in ("token", "share-record")
]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"kind": "ferry-token", "format": 9}', *ENDLESS]
)
def test_file_that_is_no_record_is_an_input_error(text):
    with pytest.raises(InputError):
        ShareRecord.read(text)
    with pytest.raises(InputError):
        Token.read(text)


@pytest.mark.parametrize("text", ["{", " " * (64 << 10) + "{"])
def test_torn_token_of_somebody_is_waited_for(session, text):
    session.invoke(make_folder(RECORDS_FOLDER))
    session.invoke(new_file(token_file(4), text))
    slept = []
    ours = claim(sleep=slept.append)
    ours.hold(session)
    assert (ours.number, slept) == (5, [120])
    assert ("Get-Content" in session.world.sent) is (len(text) < 64 << 10)


def test_token_above_which_there_is_none_is_told_with_what_to_do(session):
    session.invoke(make_folder(RECORDS_FOLDER))
    session.invoke(new_file(token_file(LAST_TOKEN), ""))
    with pytest.raises(StateError, match=r"token-9999999\.json, and there is no higher") as told:
        claim().hold(session)
    assert "Remove-Item" in told.value.hint
    del session.world.files[str(token_file(LAST_TOKEN))]
    ours = claim()
    ours.hold(session)
    assert ours.number == 1


def test_newest_token_ignores_what_is_none():
    names = ["token-0000002.json", "token-0000010.json", "token-x.json", "token-0000010.left"]
    assert newest_token(names) == (10, True)
    assert newest_token(names[:2]) == (10, False)
    assert newest_token([]) == (0, False)
