import json
from pathlib import Path
from uuid import UUID

import pytest

from toolkit.errors import InputError, StorageError, TrustError
from toolkit.filesystem import DRAFT
from toolkit.model import KnownCluster, Node
from toolkit.site import Journal, Site

PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def pinned(trust_dir: Path) -> None:
    (trust_dir / "root.json").write_bytes(b"{}")


@pytest.fixture
def site(tmp_path):
    return Site.create(tmp_path / "site", pin=pinned)


def two_nodes() -> KnownCluster:
    return KnownCluster(
        name="plant7",
        nodes=(Node(name="n1", address="10.0.0.1"), Node(name="n2", address="10.0.0.2")),
    )


def test_site_exists_only_after_the_root_is_pinned(tmp_path):
    def refuse(trust_dir: Path) -> None:
        raise TrustError("pin root")

    with pytest.raises(TrustError):
        Site.create(tmp_path / "site", pin=refuse)
    with pytest.raises(InputError, match="no such file"):
        Site(tmp_path / "site")


def test_site_is_not_made_twice(site):
    with pytest.raises(StorageError, match="one already"):
        Site.create(site.root, pin=pinned)


def test_site_of_a_newer_format_is_refused(site):
    (site.root / "site.json").write_text('{"kind": "ferry-site", "format": 2}', encoding="utf-8")
    with pytest.raises(InputError, match="format 2"):
        Site(site.root)


@pytest.mark.parametrize("content", ["[1]", "{", "", "[" * 100_000])
def test_site_file_that_is_no_json_object_is_refused(site, content):
    site.add_cluster(two_nodes(), ca_file=None)
    path = site.root / "site.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Site(site.root)
    assert "Expecting" not in str(caught.value)
    assert "ferry site init" in caught.value.hint
    path.rename(path.with_name("moved-away"))
    assert Site.create(site.root, pin=pinned).cluster("plant7") == two_nodes()


@pytest.mark.parametrize("content", ["[1]", "{"])
def test_clusters_that_cannot_be_read_are_added_again(site, content):
    (site.root / "clusters.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        site.clusters()
    assert "ferry site add-cluster" in caught.value.hint


def test_cluster_is_remembered_with_its_nodes(site):
    site.add_cluster(two_nodes(), ca_file=None)
    assert Site(site.root).cluster("PLANT7") == two_nodes()


def test_cluster_is_not_added_twice(site):
    site.add_cluster(two_nodes(), ca_file=None)
    with pytest.raises(StorageError, match="a cluster of that name"):
        site.add_cluster(two_nodes(), ca_file=None)


def test_removed_cluster_is_forgotten(site):
    site.add_cluster(two_nodes(), ca_file=None)
    site.remove_cluster("plant7")
    with pytest.raises(InputError, match="no cluster at all"):
        site.cluster("plant7")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"plant7": {}}'])
def test_clusters_file_that_cannot_be_understood_says_what_to_do(site, content):
    (site.root / "clusters.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"clusters\.json") as caught:
        site.clusters()
    assert "add the clusters again" in caught.value.hint
    assert "Expecting" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 64, ".hidden"])
def test_cluster_name_that_is_no_name_is_refused(site, name):
    with pytest.raises(InputError, match="the name of the cluster"):
        site.add_cluster(KnownCluster(name=name, nodes=two_nodes().nodes), ca_file=None)


@pytest.mark.parametrize("name", ["", "a/b", "a b"])
def test_node_name_that_is_no_name_is_refused_with_its_place(site, name):
    nodes = (Node(name="n1", address="n1"), Node(name=name, address="n2"))
    with pytest.raises(InputError, match="the name of node 2") as caught:
        site.add_cluster(KnownCluster(name="c", nodes=nodes), ca_file=None)
    assert "HOST=ADDRESS" in caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "b=c",
        "10.0.0.1 10.0.0.2",
        "https://n1",
        "\\\\n1",
        "n1:5986",
        "[fe80::1]",
        "10.0.0.1;x",
        "10.0.0.256",
        "-v",
        "fe80::1%a b",
        "fe80::1%",
    ],
)
def test_address_that_is_none_is_refused(site, address):
    node = Node(name="n1", address=address)
    with pytest.raises(InputError, match="the address of node n1"):
        site.add_cluster(KnownCluster(name="c", nodes=(node,)), ca_file=None)


def test_address_may_be_of_ip_version_6(site):
    node = Node(name="n1", address="fe80::1%eth0")
    assert site.add_cluster(KnownCluster(name="c", nodes=(node,)), ca_file=None).nodes == (node,)


def test_node_named_twice_is_refused(site):
    node = Node(name="n1", address="a")
    with pytest.raises(InputError, match="each of its nodes once"):
        site.add_cluster(KnownCluster(name="c", nodes=(node, node)), ca_file=None)


def test_ca_file_is_copied_into_the_site(site, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(PEM)
    site.add_cluster(two_nodes(), ca_file=ca)
    ca.unlink()
    node = site.reachable(site.cluster("plant7")).nodes[0]
    assert Path(node.ca_file).read_bytes() == PEM


def test_ca_file_without_certificate_is_refused(site, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"hello")
    with pytest.raises(InputError, match="PEM") as refused:
        site.add_cluster(two_nodes(), ca_file=ca)
    assert "certutil -encode" in refused.value.hint


def test_broken_clusters_file_names_the_file(site):
    (site.root / "clusters.json").write_text('{"c": {"nodes": {"n": {}}}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"clusters\.json"):
        site.clusters()


def test_second_process_cannot_take_the_lock(site):
    with site.lock(), pytest.raises(StorageError, match="another ferry"), Site(site.root).lock():
        pass


def test_lock_is_free_after_use(site):
    with site.lock():
        pass
    with site.lock():
        pass


def test_site_keeps_its_id(site):
    assert site.site_id() == Site(site.root).site_id()
    assert str(UUID(site.site_id())) == site.site_id()


def test_site_made_before_there_were_ids_gets_one_and_keeps_it(site):
    path = site.root / "site.json"
    old = json.loads(path.read_text("utf-8"))
    del old["site_id"]
    path.write_text(json.dumps(old), "utf-8")
    assert site.site_id() == Site(site.root).site_id()
    assert json.loads(path.read_text("utf-8"))["created_at"] == old["created_at"]


@pytest.mark.parametrize("value", ["plant7", 7, None, []])
def test_site_id_that_is_none_is_refused(site, value):
    path = site.root / "site.json"
    document = json.loads(path.read_text("utf-8")) | {"site_id": value}
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(InputError, match="site_id"):
        site.site_id()


def add(journal: Journal, step: str, outcome: str = "done") -> None:
    journal.append(cluster="c", subject="s", step=step, outcome=outcome, node="n1")


def test_journal_gives_back_what_was_written(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    add(journal, "two", "intent")
    assert [(entry.step, entry.outcome) for entry in journal.entries(cluster="c")] == [
        ("one", "done"),
        ("two", "intent"),
    ]


def test_journal_filters_by_cluster_and_subject(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    assert list(journal.entries(cluster="other")) == []
    assert list(journal.entries(cluster="c", subject="other")) == []


def test_journal_line_torn_by_a_power_cut_is_cut_away(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"at": "2026-')
    assert [entry.step for entry in journal.entries(cluster="c")] == ["one"]
    add(journal, "two")
    assert [entry.step for entry in journal.entries(cluster="c")] == ["one", "two"]
    assert all(json.loads(line) for line in (tmp_path / "j").read_text("utf-8").splitlines())


def test_entry_too_long_to_be_read_back_is_shortened_and_cut_away_where_it_is_torn(tmp_path):
    journal = Journal(tmp_path / "j")
    long = "ä" * (1 << 20)
    journal.append(cluster="c", subject=long, step=long, outcome="done")
    (entry,) = journal.entries(cluster="c")
    assert (entry.subject, entry.step) == (long[:1000], long[:1000])
    journal.append(cluster="d", subject="s", step="one", outcome="done", words=long, short="kept")
    (entry,) = journal.entries(cluster="d")
    assert entry.facts == {"words": "ä" * 1000, "short": "kept"}
    with (tmp_path / "j").open("ab") as file:
        file.write(b'{"at": "' + b"x" * 900_000)
    add(journal, "two")
    assert [entry.step for entry in journal.entries(cluster="c")] == [long[:1000], "two"]


def test_words_that_were_no_utf_8_are_written_all_the_same(tmp_path):
    """An argument in another encoding reaches Python with lone surrogates."""
    journal = Journal(tmp_path / "j")
    journal.append(cluster="c", subject="s", step="hide", outcome="done", reason="sch\udcf6n")
    (entry,) = journal.entries(cluster="c")
    assert entry.facts == {"reason": "sch?n"}


def test_journal_line_that_is_not_ours_is_named(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(b"hello\n")
    with pytest.raises(InputError, match="line 2"):
        list(journal.entries(cluster="c"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"cluster": 7},
        {"cluster": None},
        {"subject": []},
        {"step": 1},
        {"outcome": {}},
        {"facts": "x"},
    ],
)
def test_journal_line_with_a_value_of_another_kind_is_named(tmp_path, wrong):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    row = json.loads((tmp_path / "j").read_bytes()) | wrong
    with (tmp_path / "j").open("ab") as file:
        file.write(json.dumps(row).encode() + b"\n")
    with pytest.raises(InputError, match=r"line 2.*a value of another kind") as caught:
        list(journal.entries(cluster="c"))
    assert "edited" in caught.value.hint


@pytest.mark.parametrize("line", [b"\0" * 4096 + b"\n", b"\0" * 4096 + b'{"at": "x"}\n'])
def test_zeros_that_a_power_cut_left_in_the_journal_are_called_so(tmp_path, line):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(line)
    add(journal, "two")
    with pytest.raises(InputError, match=r"line 2.*4096 bytes that are zero") as caught:
        list(journal.entries(cluster="c"))
    assert "power cut" in caught.value.hint


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, b'{"at": "2026-' + b"\0" * 4096, b"\0" * 4096 + b"{"]
)
def test_zeros_of_an_entry_that_a_power_cut_tore_are_cut_away_and_told(tmp_path, tail, monkeypatch):
    told = []
    monkeypatch.setattr("toolkit.site._log.warning", lambda words, *rest: told.append(words % rest))
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(tail)
    assert [entry.step for entry in journal.entries(cluster="c")] == ["one"]
    assert told == []
    add(journal, "two")
    assert [entry.step for entry in journal.entries(cluster="c")] == ["one", "two"]
    (words,) = told
    assert "zeros, as a power cut leaves them" in words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'+00:00"', b'"'),
        (b'"facts": {"node": "n1"}', b'"facts": {"node": ["n1"]}'),
        (b'"facts": {"node": "n1"}', b'"facts": []'),
    ],
    ids=["no zone", "no text", "no facts"],
)
def test_entry_with_a_value_of_another_kind_is_named(tmp_path, old, new):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    written = (tmp_path / "j").read_bytes()
    assert old in written
    (tmp_path / "j").write_bytes(written.replace(old, new))
    with pytest.raises(InputError, match="line 1"):
        list(journal.entries(cluster="c"))


def test_end_that_is_longer_than_any_entry_is_not_cut_away(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(b"x" * (3 << 19))
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(InputError, match="last line"):
        add(journal, "two")
    assert (tmp_path / "j").read_bytes() == before


def test_more_zeros_at_the_end_of_the_journal_than_a_line_is_long_are_not_cut_away(tmp_path):
    journal = Journal(tmp_path / "j")
    add(journal, "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(bytes(3 << 20))
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(InputError, match="bytes that are zero"):
        add(journal, "two")
    assert (tmp_path / "j").read_bytes() == before


@pytest.mark.parametrize("outcome", ["intent", "done"])
def test_journal_that_cannot_be_written_is_a_storage_error(tmp_path, outcome):
    (tmp_path / "j").mkdir()
    with pytest.raises(StorageError, match="a folder where a file belongs") as caught:
        Journal(tmp_path / "j").append(cluster="c", subject="s", step="one", outcome=outcome)
    assert ("is not made" in caught.value.hint) == (outcome == "intent")
    assert "free space" not in caught.value.hint


def test_journal_that_is_a_folder_says_what_to_do(tmp_path):
    (tmp_path / "j").mkdir()
    with pytest.raises(StorageError, match="a folder where a file belongs") as caught:
        list(Journal(tmp_path / "j").entries(cluster="c"))
    assert caught.value.hint


def test_cluster_whose_removal_cannot_be_recorded_is_not_forgotten(site):
    site.add_cluster(two_nodes(), ca_file=None)
    (site.root / "journal.jsonl").mkdir()
    with pytest.raises(StorageError):
        site.remove_cluster("plant7")
    assert site.cluster("plant7") == two_nodes()


def test_removal_that_was_cut_off_is_recorded_before_the_name_is_used_again(site):
    site.add_cluster(two_nodes(), ca_file=None)
    append = site.journal.append

    def cut_off(**entry):
        if entry["outcome"] == "done":
            raise KeyboardInterrupt
        return append(**entry)

    site.journal.append = cut_off
    with pytest.raises(KeyboardInterrupt):
        site.remove_cluster("plant7")
    again = Site(site.root)
    again.add_cluster(two_nodes(), ca_file=None)
    assert [entry.forgets_cluster for entry in again.journal.entries(cluster="plant7")] == [
        False,
        True,
    ]


def test_removal_that_did_not_get_beyond_its_intent_forgets_nothing(site):
    site.add_cluster(two_nodes(), ca_file=None)
    draft = site.root / f"clusters.json{DRAFT}"
    draft.mkdir()
    with pytest.raises(StorageError):
        site.remove_cluster("plant7")
    assert site.cluster("plant7") == two_nodes()
    (entry,) = site.journal.entries(cluster="plant7")
    assert not entry.forgets_cluster
