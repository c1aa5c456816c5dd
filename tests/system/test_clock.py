"""A laptop with a wrong clock, at a site whose nodes know the time."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.system.conftest import clock_ahead, import_


def in_year(year, *, jumps_after=0):
    now = datetime.now(UTC)
    return clock_ahead(now.replace(year=year, day=1) - now, jumps_after=jumps_after)


def steps(stage):
    lines = (stage / "site" / "journal.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("year", [2015, 2040])
def test_medium_that_is_valid_by_the_nodes_time_is_imported_in(carried, simulate, year):
    cluster = simulate(carried, transport="http")
    carried.environment.update(in_year(year))
    told = import_(carried, "--receipt", "--by", "Ben").err
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert f"warning: this machine's clock says {year}-" in told
    assert f"node1 {today}" in told
    assert f"node4 {today}" in told
    assert "The nodes agree: expiry is judged by the nodes' time" in told
    assert cluster.world.journal.add_calls == 1
    (noted,) = [step for step in steps(carried) if step["step"] == "time"]
    assert noted["facts"]["source"] == "nodes"
    assert noted["facts"]["clock"].startswith(str(year))
    assert noted["facts"]["reference"].startswith(today)
    (receipt,) = (carried / "medium").glob("*/custody/*-import-*.json")
    assert json.loads(receipt.read_bytes())["signed"]["facts"]["time"] == noted["facts"]


def test_medium_that_has_expired_by_the_nodes_time_is_refused_whatever_the_laptop_says(
    carried, simulate
):
    ahead = {f"node{number}": timedelta(days=400) for number in range(1, 5)}
    cluster = simulate(carried, clock_offsets=ahead)
    refused = import_(carried, expect=3)
    assert "The nodes agree" in refused.err
    assert "is expired" in refused.err
    assert cluster.world.journal.add_calls == 0
    assert not (carried / "site" / "journal.jsonl").exists()


def test_nodes_that_disagree_do_not_save_a_laptop_in_2040(carried, simulate):
    simulate(carried, transport="http", nodes=2, clock_offsets={"node2": timedelta(hours=3)})
    carried.environment.update(in_year(2040))
    refused = import_(carried, expect=3)
    assert "The nodes do not agree: expiry is judged by this machine's clock, 2040-" in refused.err
    assert "is the clock right? It says 2040-" in refused.err


def test_node_that_is_down_leaves_it_to_the_others(carried, simulate):
    cluster = simulate(carried, transport="http", nodes=3)
    cluster.faults.arm("down", node="node1")
    carried.environment.update(in_year(2040))
    told = import_(carried).err
    assert "node1 nothing" in told
    assert cluster.world.journal.add_calls == 1


def test_clocks_that_agree_are_no_news(carried, simulate):
    simulate(carried)
    assert "clock" not in import_(carried).err


def test_dry_run_tells_of_the_clock_and_writes_nothing_down(carried, simulate):
    simulate(carried, transport="http")
    carried.environment.update(in_year(2040))
    told = import_(carried, "--dry-run", "--json")
    assert "this machine's clock says 2040-" in told.err
    assert json.loads(told.out)["data"]["dry_run"] is True
    assert not (carried / "site" / "journal.jsonl").exists()


def test_clock_that_jumps_while_a_medium_is_verified_is_read_once(carried):
    """A jump before that reading makes the medium expire, and one after it changes nothing."""
    state = carried / "site" / "trust" / "state.json"
    words = ("media", "verify", "medium", "--site", "site")
    codes = []
    for readings in (0, 1, 2, 4, 8):
        jumping = in_year(2040, jumps_after=readings)
        verified = carried.ferry(*words, expect=None, **jumping)
        codes.append(verified.code)
        if verified.code == 3:
            assert "is the clock right? It says 2040-" in verified.err
            assert not state.exists()
        else:
            assert "clock" not in verified.err
    assert (codes[0], codes[-1]) == (3, 0)
    assert codes == sorted(codes, reverse=True)
