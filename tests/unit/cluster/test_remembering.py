"""Taking a baseline node by node, and keeping it at the site."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from toolkit.cluster._baseline import Baseline, NodeSettings, Setting, read_baseline
from toolkit.cluster._checks._check import Told
from toolkit.cluster._checks._drift import ask_cluster, ask_node
from toolkit.cluster._remembering import (
    ask_settings,
    keep_baseline,
    kept_baseline,
    replaceable_baseline,
)
from toolkit.errors import AuthenticationError, CommandError, ConnectError, InputError, StorageError
from toolkit.filesystem import DRAFT
from toolkit.model import KnownCluster, Node, Silent
from toolkit.site import Site

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
NODES = (Node(name="n1", address="n1"), Node(name="n2", address="n2"))
CULTURE = {"Name": "en-US", "NumberFormat": {"NumberDecimalSeparator": "."}}
REPLIES = {
    "Get-TimeZone": [{"Id": "UTC"}],
    "Get-Culture": [CULTURE],
    "Get-UICulture": [{"Name": "en-US"}],
    "Get-WinSystemLocale": [{"Name": "en-US"}],
    "Get-WinHomeLocation": [{"GeoId": 244}],
    "Get-HotFix": [{"HotFixID": "KB1"}],
    "Get-ChildItem": [{"FullName": r"C:\Modules\Az.Accounts\4.0.2"}],
    "Get-ItemProperty": [{"CurrentBuildNumber": "26100", "UBR": 32370}],
    "wevtutil.exe": [],
    "Get-MpPreference": [{}],
    "Get-VMDvdDrive": [],
    "Get-Cluster": [{"Name": "plant7"}],
    "Get-CauReport": [],
    "Get-ClusterResource": [],
}


class Session:
    """A node that answers by the name of the first cmdlet; an error is raised."""

    def __init__(self, **replies) -> None:
        self.replies = REPLIES | {name.replace("_", "-"): told for name, told in replies.items()}
        self.sent = []

    def __enter__(self):
        return self

    def __exit__(self, *stop):
        return None

    def invoke(self, command):
        name = command.pipeline[0].name
        self.sent.append(name)
        told = self.replies[name]
        if isinstance(told, Exception):
            raise told
        return command.parse(tuple(told))


def refusal(cmdlet):
    return CommandError(f"run {cmdlet}", cmdlet=cmdlet, error_id="X", found="it is broken")


def take(**sessions):
    return list(ask_settings(NODES, lambda node: sessions[node.name], progress=Silent()))


def test_every_node_tells_every_setting():
    one, two = take(n1=Session(), n2=Session(Get_TimeZone=[{"Id": "Tokyo Standard Time"}]))
    assert (one.node, one.untold) == ("n1", {})
    assert one.values == {
        Setting.TIME_ZONE: ("UTC",),
        Setting.CULTURE: ("en-US",),
        Setting.UI_CULTURE: ("en-US",),
        Setting.SYSTEM_LOCALE: ("en-US",),
        Setting.HOME_LOCATION: ("244",),
        Setting.OS_BUILD: ("26100.32370",),
        Setting.HOTFIXES: ("KB1",),
        Setting.MODULES: ("Az.Accounts 4.0.2",),
    }
    assert two.values[Setting.TIME_ZONE] == ("Tokyo Standard Time",)


def test_what_a_node_refuses_to_tell_is_noted_and_the_rest_is_taken():
    one, _ = take(n1=Session(Get_HotFix=refusal("Get-HotFix")), n2=Session())
    assert list(one.untold) == [Setting.HOTFIXES]
    assert "it is broken" in one.untold[Setting.HOTFIXES]
    assert one.values[Setting.MODULES] == ("Az.Accounts 4.0.2",)


@pytest.mark.parametrize("error", [ConnectError("reach n1"), AuthenticationError("log on to n1")])
def test_node_that_is_not_reached_leaves_no_baseline_and_no_further_node_is_asked(error):
    second = Session()
    with pytest.raises(type(error)):
        take(n1=Session(Get_TimeZone=error), n2=second)
    assert second.sent == []


def answered(session):
    """Ask as a check does: an error becomes a reason."""

    def ask(command):
        try:
            return Told(value=session.invoke(command))
        except CommandError as error:
            return Told(why=str(error))

    return ask


def test_settings_of_a_cau_role_that_is_not_there_are_not_asked_for():
    session = Session()
    told = ask_cluster(answered(session))
    assert (told.cau_role.value, told.reports.value) == ({}, ())
    assert "Get-CauClusterRole" not in session.sent


def test_settings_of_a_cau_role_that_is_there_are_asked_for():
    role = [{"Name": "DaysOfWeek", "Value": 4}]
    session = Session(Get_ClusterResource=[{"Name": "CAU"}], Get_CauClusterRole=role)
    told = ask_cluster(answered(session))
    assert told.cau_role.value == {"DaysOfWeek": "4"}


@pytest.mark.parametrize("cmdlet", ["Get-ClusterResource", "Get-Cluster"])
def test_lost_first_answer_is_the_reason_why_the_second_is_missing(cmdlet):
    resources = {"Get-ClusterResource": [{"Name": "CAU"}]} | {cmdlet: refusal(cmdlet)}
    session = Session(**resources)
    told = ask_cluster(answered(session))
    assert cmdlet in told.cau_role.why


def test_node_is_asked_eleven_questions():
    session = Session()
    ask_node(answered(session))
    assert len(session.sent) == 11


KEPT = Baseline(
    cluster="plant7",
    taken_at=AT,
    by="Ben Okri",
    solution_version="12.2602.1002.501",
    nodes=(NodeSettings(node="n1", values={Setting.TIME_ZONE: ("UTC",)}),),
)


@pytest.fixture
def site(tmp_path):
    return Site.create(tmp_path / "site", pin=lambda folder: None)


def kept(site):
    """The baseline of plant7; nothing may be said about it."""
    return kept_baseline(site, "plant7", warn=pytest.fail)


def test_site_without_a_baseline_has_none(site):
    assert kept(site) is None


def test_baseline_that_is_kept_is_found_and_stands_in_the_journal(site):
    path = keep_baseline(site, KEPT)
    assert path == site.root / "baselines" / "plant7.json"
    assert kept(site) == KEPT
    entries = tuple(site.journal.entries(cluster="plant7"))
    assert [(entry.step, entry.outcome) for entry in entries] == [
        ("baseline", "intent"),
        ("baseline", "done"),
    ]
    for entry in entries:
        assert entry.facts == {"by": "Ben Okri", "solution_version": "12.2602.1002.501"}


def test_earlier_baseline_is_kept_beside_the_new_one(site):
    keep_baseline(site, KEPT)
    newer = replace(KEPT, taken_at=AT + timedelta(days=1))
    keep_baseline(site, newer)
    assert kept(site) == newer
    names = sorted(path.name for path in (site.root / "baselines").iterdir())
    assert names == ["plant7.json", "plant7.until-20261127T120000Z.json"]


def test_two_baselines_of_one_second_lose_none(site):
    taken = [replace(KEPT, by=name) for name in ("first", "second", "third")]
    for one in taken:
        keep_baseline(site, one)
    until = "plant7.until-20261126T120000Z"
    files = [site.root / "baselines" / f"{name}.json" for name in (until, f"{until}-2", "plant7")]
    assert [read_baseline(path.read_bytes(), file=str(path)) for path in files] == taken


def test_baseline_that_cannot_be_recorded_is_not_kept(site):
    keep_baseline(site, KEPT)
    (site.root / "journal.jsonl").unlink()
    (site.root / "journal.jsonl").mkdir()
    with pytest.raises(StorageError) as caught:
        keep_baseline(site, replace(KEPT, taken_at=AT + timedelta(days=1)))
    assert "a change that cannot be recorded is not made" in caught.value.hint
    (path,) = (site.root / "baselines").iterdir()
    assert read_baseline(path.read_bytes(), file=str(path)) == KEPT


def test_baseline_that_cannot_be_written_leaves_the_earlier_one(site):
    path = keep_baseline(site, KEPT)
    path.with_name(path.name + DRAFT).mkdir()
    with pytest.raises(StorageError):
        keep_baseline(site, replace(KEPT, taken_at=AT + timedelta(days=1)))
    assert kept(site) == KEPT


def test_damaged_baseline_names_its_file(site):
    path = keep_baseline(site, KEPT)
    path.write_bytes(b"{}")
    with pytest.raises(InputError, match=r"plant7\.json"):
        kept(site)


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"\0\xff", b"{}"])
def test_new_baseline_can_be_taken_where_the_file_cannot_be_understood(site, content):
    path = keep_baseline(site, KEPT)
    path.write_bytes(content)
    told = []
    assert replaceable_baseline(site, "plant7", warn=told.append) is None
    (words,) = told
    assert "plant7.json" in words
    keep_baseline(site, KEPT)
    assert kept(site) == KEPT
    assert path.with_name("plant7.until-20261126T120000Z.json").read_bytes() == content


def test_new_baseline_can_be_taken_where_the_file_is_larger_than_any(site):
    path = keep_baseline(site, KEPT)
    huge = bytes(9 << 20) + b"end"
    path.write_bytes(huge)
    told = []
    assert replaceable_baseline(site, "plant7", warn=told.append) is None
    assert "a large file" in told[0]
    keep_baseline(site, KEPT)
    assert kept(site) == KEPT
    assert path.with_name("plant7.until-20261126T120000Z.json").read_bytes() == huge
    assert [entry.outcome for entry in site.journal.entries(cluster="plant7")][2:] == [
        "intent",
        "done",
    ]


@pytest.mark.parametrize("content", [None, bytes(9 << 20)])
def test_baseline_that_is_killed_while_it_is_replaced_stays_under_its_name(
    site, monkeypatch, content
):
    """Before each of the two renames: that of the copy beside it, and that of the new one."""
    path = keep_baseline(site, KEPT)
    if content is not None:
        path.write_bytes(content)
    before = path.read_bytes()
    replace_file = Path.replace
    for renames in (0, 1):
        left = iter(range(renames))

        def killed(self, target, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return replace_file(self, target)

        monkeypatch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            keep_baseline(site, replace(KEPT, taken_at=AT + timedelta(days=1)))
        assert path.read_bytes() == before


def test_journal_that_cannot_be_understood_is_no_damaged_baseline(site):
    keep_baseline(site, KEPT)
    (site.root / "journal.jsonl").write_bytes(b"hello\n")
    with pytest.raises(InputError, match="journal"):
        replaceable_baseline(site, "plant7", warn=pytest.fail)


def test_baseline_of_a_cluster_that_was_removed_counts_no_more_and_that_is_told(site):
    keep_baseline(site, KEPT)
    with site.lock():
        site.add_cluster(KnownCluster(name="plant7", nodes=NODES), ca_file=None)
        site.remove_cluster("plant7")
    told = []
    assert kept_baseline(site, "plant7", warn=told.append) is None
    (words,) = told
    assert "Ben Okri took on 2026-11-26 is not compared: plant7 was removed" in words
    assert "ferry cluster baseline" in words
    newer = replace(KEPT, taken_at=datetime.now(UTC) + timedelta(minutes=1))
    keep_baseline(site, newer)
    assert kept(site) == newer
