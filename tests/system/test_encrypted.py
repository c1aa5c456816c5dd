"""A medium that only the site can read: made for its recipient, carried, proven by anybody, imported."""

import pytest

from tests.stage import VERSION
from tests.system.conftest import import_, last_line

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
HOME = ("--catalog", "catalog", "--keys", "keys", "--to", "secret")


@pytest.fixture
def site(carried):
    """A site with an identity and an encrypted medium, and the catalog it was written from."""
    recipient = last_line(carried.ferry("site", "identity", "--site", "site").out)
    carried.words = ("media", "write", VERSION, "--encrypt-to", recipient, *HOME)
    carried.recipient = recipient
    carried.stick("secret")
    return carried


def payload(stage):
    return next((stage / "catalog").glob(f"{VERSION}/{BUNDLE}"))


def test_an_encrypted_medium_reaches_the_cluster(site, simulate):
    site.ferry(*site.words)
    stored = {path.name for path in (site / "secret").glob("*/data/payload/*")}
    assert f"{BUNDLE}.enc" in stored
    assert all(name.endswith(".enc") for name in stored)
    site.ferry("media", "verify", "secret", "--strict")
    assert site.recipient in site.ferry("media", "show", "secret").out
    cluster = simulate(site)
    words = ("cluster", "import", "secret", "--poll-seconds", "0.2", "--wait-minutes", "1")
    kept = (site / "site" / "identity.age.key").rename(site / "elsewhere.key")
    refused = site.ferry(*words, expect=7)
    assert "1 recipient: age1" in refused.err
    assert "--identity FILE" in refused.err
    assert cluster.world.journal.add_calls == 0
    site.ferry(*words, "--identity", "elsewhere.key")
    kept.rename(site / "site" / "identity.age.key")
    assert cluster.world.journal.add_calls == 1
    share = "\\".join(
        ["ClusterStorage", "Infrastructure_1", "Shares", "SU1_Infrastructure_1", "import", BUNDLE]
    )
    arrived = cluster.world.nodes[0].drive.resolve(share)
    assert arrived.read_bytes() == payload(site).read_bytes()
    site.ferry("media", "extract", "secret", "--to", "out", "--site", "site")
    assert (site / "out" / BUNDLE).read_bytes() == payload(site).read_bytes()


def test_an_import_without_encryption_needs_no_identity(carried, simulate):
    simulate(carried)
    import_(carried)
    assert not (carried / "site" / "identity.age.key").exists()
