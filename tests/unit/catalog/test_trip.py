"""What a plan carries is fetched, whatever an earlier call left."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.unit.catalog.requests import NOW, request_of, sbe_of
from tests.vendorsite.bundle import make_sbe
from toolkit.catalog import load_manifests
from toolkit.catalog._holding import Holding
from toolkit.catalog._limits import Hours, Limits
from toolkit.catalog._loading import load_sbe_sources
from toolkit.catalog._planning import plan_trip
from toolkit.catalog._trip import choose_by_hash, choose_for_medium, fetch_trip
from toolkit.errors import InputError, ReachError, StorageError
from toolkit.model import PayloadKind, SolutionVersion

MANIFESTS = load_manifests()
SHELF = "sbe/Contoso_GenA_4.2.2603.5"
VERSION = SolutionVersion.parse("12.2603.1002.15")
TITLE = "SBE_Contoso_GenA_4.2.2603.5"
BASE = "https://vendor.example/files"
DISCOVERY = "https://aka.ms/AzureStackSBEUpdate/Contoso"


class Waiting(Exception):  # noqa: N818
    """Instead of waiting for the hours."""


@pytest.fixture
def whole_plan():
    return plan_trip(
        [request_of()],
        signed_by=["plant7"],
        goal=None,
        manifests=MANIFESTS,
        sbes=[sbe_of()],
        sbe_sources=load_sbe_sources(),
        held=(),
        now=NOW,
        tool="ferry test",
    )


@pytest.fixture
def plan(whole_plan):
    """A plan of which nothing but its SBE is to be fetched."""
    sbe = tuple(item for item in whole_plan.payloads if item.kind is PayloadKind.SBE)
    return replace(whole_plan, clusters=(), payloads=sbe)


@pytest.fixture
def publish(holding, tmp_path):
    """The vendor publishes the SBE, with or without the addresses of its files."""

    def publish(*, has_addresses=True):
        facts = {ending: f"{BASE}/{TITLE}.{ending}" for ending in ("xml", "zip")}
        discovery, metadata, package = make_sbe(
            tmp_path, "Contoso", "GenA", "4.2.2603.5",
            supported_model="Contoso X9000", facts=facts if has_addresses else None,
        )  # fmt: skip
        holding.site.files[DISCOVERY] = discovery.read_bytes()
        for path in (metadata, package):
            holding.site.files[f"{BASE}/{path.name}"] = path.read_bytes()

    return publish


@pytest.fixture
def fetch(holding, plan):
    def fetch(**options):
        return fetch_trip(holding.payloads, plan, MANIFESTS, progress=holding.listener, **options)

    return fetch


def test_an_sbe_that_is_held_whole_is_not_asked_for_again(holding, publish, fetch):
    publish()
    first = fetch()
    holding.site.asked.clear()
    assert set(fetch()) == set(first)
    assert holding.site.asked == []


@pytest.mark.parametrize("ending", [".zip", ".xml"])
@pytest.mark.parametrize("lost", ["record", "bytes"])
def test_an_sbe_of_which_an_earlier_call_took_a_part_is_finished(
    holding, publish, fetch, ending, lost
):
    publish()
    first = fetch()
    (gone,) = (item for item in first if item.name == f"{TITLE}{ending}")
    if lost == "record":
        (holding.root / SHELF / f"{gone.name}.held.json").unlink()
    else:
        gone.path.unlink()
    assert {item.name for item in fetch()} == {item.name for item in first}
    assert holding.said(f"{TITLE}: ")


def test_an_sbe_is_fetched_within_the_hours_that_a_person_set(holding, publish, plan):
    publish()

    def wait(_):
        raise Waiting

    later = datetime.now().astimezone() + timedelta(hours=2)
    hours = Hours(start=later.time(), end=(later + timedelta(hours=1)).time())
    payloads = Holding(holding.root, fetcher=holding.site, sleep=wait)
    with pytest.raises(Waiting):
        fetch_trip(payloads, plan, MANIFESTS, limits=Limits(hours=hours), progress=holding.listener)
    assert [url for url, *_ in holding.site.asked] == [DISCOVERY]


def test_an_sbe_without_addresses_has_to_be_brought_in_by_hand(publish, fetch):
    publish(has_addresses=False)
    with pytest.raises(InputError, match="no address of its files") as caught:
        fetch()
    assert "ferry catalog add" in caught.value.hint


def test_where_the_vendor_is_not_reached_its_zip_may_be_brought_in(fetch):
    with pytest.raises(ReachError) as caught:
        fetch()
    assert caught.value.hint.endswith(
        f"or bring the vendor's zip of {TITLE} in: ferry catalog add FILE --catalog DIR"
    )


def test_a_plan_with_a_shelf_that_cannot_be_one_is_refused_and_not_a_crash(holding, plan):
    odd = replace(
        plan, payloads=tuple(replace(item, shelf="sbe/_GenA_4.2.2603.5") for item in plan.payloads)
    )
    with pytest.raises(InputError, match="sbe/_GenA") as caught:
        fetch_trip(holding.payloads, odd, MANIFESTS, progress=holding.listener)
    assert "plan the trip again" in caught.value.hint


@pytest.mark.parametrize("edit", [{"family": "Other"}, {"version": "9"}])
def test_a_plan_with_an_sbe_that_goes_with_none_of_its_updates_is_refused_and_not_a_crash(
    holding, whole_plan, edit
):
    cluster, *others = whole_plan.clusters
    hops = tuple(
        replace(hop, sbes=tuple(replace(need, **edit) for need in hop.sbes)) for hop in cluster.hops
    )
    odd = replace(whole_plan, clusters=(replace(cluster, hops=hops), *others))
    with pytest.raises(InputError, match=f"{TITLE}, which no update of the plan names") as caught:
        choose_for_medium(holding.payloads, MANIFESTS, plan=odd, progress=holding.listener)
    assert "plan the trip again" in caught.value.hint


def test_files_of_an_sbe_are_found_again_by_their_hashes(holding, publish, fetch):
    publish()
    wanted = {held.sha256: VERSION for held in fetch() if held.name.endswith(".zip")}
    found = choose_by_hash(holding.payloads, MANIFESTS, wanted, progress=holding.listener)
    assert {held.sha256 for held in found} == wanted.keys()


@pytest.mark.parametrize("order", [1, -1])
def test_bytes_that_one_shelf_has_lost_are_taken_from_another(
    holding, publish, fetch, monkeypatch, order
):
    """In whichever order they are looked at."""
    publish()
    (held,) = (item for item in fetch() if item.name.endswith(".zip"))
    store = holding.payloads.store
    (whole,) = (item for item in store.records() if item.held.sha256 == held.sha256)
    gone = replace(whole, held=replace(held, shelf="12.2603", path=held.path.with_name("gone")))
    monkeypatch.setattr(type(store), "records", lambda *_: (gone, whole)[::order])
    monkeypatch.setattr("toolkit.catalog._trip.held_on", lambda *_: ())
    wanted = {held.sha256: VERSION}
    (found,) = choose_by_hash(holding.payloads, MANIFESTS, wanted, progress=holding.listener)
    assert found.path == held.path
    monkeypatch.setattr(type(store), "records", lambda *_: (gone,))
    with pytest.raises(StorageError, match="no such file as"):
        choose_by_hash(holding.payloads, MANIFESTS, wanted, progress=holding.listener)


def test_an_sbe_that_was_recalled_since_is_not_written_again(holding, publish, fetch):
    publish()
    held = fetch()
    wanted = {item.sha256: VERSION for item in held if item.name.endswith(".zip")}
    (discovery,) = (item.path for item in held if item.name.startswith("SBE_Discovery"))
    discovery.chmod(0o600)
    recalled = re.sub(rb"<(/?)ApplicableUpdate\b", rb"<\1RecalledUpdate  ", discovery.read_bytes())
    discovery.write_bytes(recalled)  # of the same length, as a held file has to be
    with pytest.raises(InputError, match="was recalled by Contoso"):
        choose_by_hash(holding.payloads, MANIFESTS, wanted, progress=holding.listener)


def test_a_hash_that_nothing_here_has_is_told_with_its_update(holding):
    with pytest.raises(StorageError, match=f"a payload of {VERSION}"):
        choose_by_hash(holding.payloads, MANIFESTS, {"00" * 32: VERSION}, progress=holding.listener)


def test_a_disk_that_fails_is_not_taken_for_files_that_are_not_held(
    plan, publish, holding, monkeypatch
):
    def fails(store, shelf):
        raise StorageError(f"read {shelf}", found="Input/output error") from OSError(5, "EIO")

    publish()
    monkeypatch.setattr("toolkit.catalog._trip.held_on", fails)
    with pytest.raises(StorageError, match="Input/output error"):
        fetch_trip(holding.payloads, plan, MANIFESTS, progress=holding.listener)
