"""What a site states about imports and results: what the node hashed, in the cluster's words."""

from datetime import UTC, datetime

import pytest

from tests.unit.cluster.fakes import VERSION
from tests.unit.media.receipts import SET_ID, SITE
from toolkit.cluster import ImportResult, Sight, state_import, state_result
from toolkit.errors import StateError
from toolkit.media import MediumLabel, Register, Scribe
from toolkit.model import ResourceId, RunState, Update, UpdateRun, UpdateState
from toolkit.site import REMOVED_STEP, Journal

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def register(tmp_path):
    folder = tmp_path / "AZL-1"
    (folder / "tuf").mkdir(parents=True)
    (folder / "tuf" / "timestamp.json").write_bytes(b"{}")
    label = MediumLabel(
        is_verified=True,
        folder=folder,
        set_name="AZL-1",
        set_id=SET_ID,
        issued_at=NOW,
        expires_at=NOW,
        is_complete=True,
        read_back="O_DIRECT",
        payloads=(),
        medium=1,
        media_count=1,
    )
    scribe = Scribe(key=SITE, by="Ben", site_id="9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b")
    return Register(label=label, scribe=scribe, now=lambda: NOW)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def update(state):
    return Update(
        resource_id=ResourceId("redmond/x"),
        version=str(VERSION),
        display_name="x",
        state=UpdateState(state),
        state_raw=state,
    )


def imported(listed):
    return ImportResult(version=VERSION, node="n1", update=listed, copied_bytes=0)


def run(state):
    return UpdateRun(
        resource_id=ResourceId("r"),
        state=RunState(state),
        state_raw=state,
        started_at=None,
        updated_at=None,
        progress=None,
    )


def note(journal, step, outcome="done", subject=f"import {VERSION}", **facts):
    journal.append(cluster="plant7", subject=subject, step=step, outcome=outcome, **facts)


def test_an_import_names_what_the_node_hashed_also_in_earlier_tries(register, journal):
    note(journal, "copy bundle.zip", sha256="aa")
    note(journal, "copy sbe.zip", outcome="intent", path="x")
    note(journal, "copy sbe.xml", outcome="failed", sha256="bb")
    note(journal, "copy old.zip", subject="import 12.2602.1002.5", sha256="cc")
    note(journal, "submit")
    written = state_import(register, imported(update("Ready")), cluster="plant7", journal=journal)
    assert written.receipt.kind == "import"
    facts = dict(written.receipt.facts)
    del facts["metadata"]
    assert facts == {
        "cluster": "plant7",
        "version": str(VERSION),
        "state": "Ready",
        "targets": {"bundle.zip": "aa"},
    }


def test_what_another_cluster_of_that_name_got_is_not_stated(register, journal):
    note(journal, "copy bundle.zip", sha256="aa")
    note(journal, REMOVED_STEP, subject="site")
    written = state_import(register, imported(update("Ready")), cluster="plant7", journal=journal)
    assert written.receipt.facts["targets"] == {}


def test_the_time_by_which_the_medium_was_accepted_last_is_stated(register, journal):
    note(journal, "time", reference="2026-11-01T00:00:00Z", source="clock")
    note(journal, "time", reference="2026-11-02T00:00:00Z", source="nodes")
    note(journal, "time", subject="import 12.2602.1002.5", source="floor")
    written = state_import(register, imported(update("Ready")), cluster="plant7", journal=journal)
    assert written.receipt.facts["time"] == {
        "reference": "2026-11-02T00:00:00Z",
        "source": "nodes",
    }


def test_an_update_that_is_not_listed_is_not_stated_as_imported(register, journal):
    with pytest.raises(StateError, match="not listed"):
        state_import(register, imported(None), cluster="plant7", journal=journal)
    assert not (register.label.folder / "custody").exists()


@pytest.mark.parametrize(
    ("state", "run_state", "has_failed"),
    [
        ("Installed", "Succeeded", False),
        ("InstallationFailed", "Failed", True),
        ("HealthCheckFailed", None, True),
    ],
)
def test_a_result_is_told_in_the_words_of_the_cluster(register, state, run_state, has_failed):
    sight = Sight(update=update(state), run=run(run_state) if run_state else None)
    facts = state_result(register, sight, cluster="plant7").receipt.facts
    assert (facts["state"], facts["has_failed"]) == (state, has_failed)
    assert facts["run_state"] == (run_state or "none")


@pytest.mark.parametrize("state", ["Ready", "Installing", "ReadyToInstall"])
def test_what_has_not_ended_has_no_result(register, state):
    with pytest.raises(StateError, match=state):
        state_result(register, Sight(update=update(state), run=None), cluster="plant7")


def test_a_run_that_goes_on_has_no_result_whatever_the_update_says(register):
    sight = Sight(update=update("InstallationFailed"), run=run("InProgress"))
    with pytest.raises(StateError, match="InstallationFailed"):
        state_result(register, sight, cluster="plant7")
