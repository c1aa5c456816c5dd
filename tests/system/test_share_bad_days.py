"""Imports onto a volume that has a bad day: full, read-only or slow."""

from tests.system.conftest import content, import_
from tests.system.test_roads import BUNDLE, digest, payload


def arrived(cluster):
    return cluster.share_folder / "import" / BUNDLE


def test_full_share_stops_and_goes_on(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    armed = cluster.faults.arm("share-full")
    assert "not enough space" in import_(carried, expect=5).err
    cluster.faults.disarm(armed)
    assert "is listed as Ready" in import_(carried).out
    assert cluster.world.journal.add_calls == 1


def test_share_that_fills_up_while_copying_keeps_what_arrived(carried, simulate):
    cluster = simulate(carried, run_seconds=1)

    def fills_up(command, state):
        if command == "WRITE" and state.bytes_written >= 5 << 20:
            cluster.world.share_days.is_full = True

    for machine in cluster.machines:
        machine.share.hook = fills_up
    assert "its disk is full" in import_(carried, expect=6).err
    (left,) = arrived(cluster).parent.glob("*.part")
    assert left.stat().st_size >= 5 << 20
    for machine in cluster.machines:
        machine.share.hook = None
    cluster.world.share_days.is_full = False
    assert "is listed as Ready" in import_(carried).out
    assert digest(arrived(cluster)) == digest(payload(carried))


def test_share_that_may_not_be_written_is_left_as_it_is(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    before = content(cluster.share_folder)
    cluster.faults.arm("read-only-share")
    refused = import_(carried, expect=5).err
    assert "is denied" in refused
    assert "use the account of the deployment (LCM) user" in refused
    assert content(cluster.share_folder) == before
    assert cluster.world.journal.add_calls == 0


def test_slow_disk_only_takes_longer(carried, simulate):
    cluster = simulate(carried, run_seconds=1)
    cluster.faults.arm("slow-disk", seconds=0.3)
    assert "is listed as Ready" in import_(carried).out
    assert cluster.world.journal.smb_drops == 0
