"""What sites will make of a medium, told at home: a set from the future, and keys that were replaced."""

import pytest

from tests.unit.media.making import NOW, PASSPHRASE, Publisher, SiteTrust, days, flip, make_payload
from tests.unit.media.receipts import HOME, SITE
from toolkit.errors import ExpiredError, SignatureError
from toolkit.media import (
    Ceremony,
    RootChange,
    find_lacking,
    foresee,
    keep_set,
    open_keys,
    prepare_supplement,
    write_supplement,
)

AHEAD = NOW + days(450)
SITE_ID = "9e0f1a2b-3c4d-4e5f-8a6b-7c8d9e0f1a2b"


class Home:
    """A publisher with keys that may be replaced, and the catalog that remembers its sets."""

    def __init__(self, base):
        self.base, self.catalog = base, base / "catalog"
        self.publisher = Publisher(base / "keys")
        self.site = SiteTrust(base / "site/trust").pin(self.publisher.root)

    def write(self, name, *, data=b"vendor bytes", now=NOW, **more):
        held = make_payload(self.base / f"held-{name}", data=data)
        medium = self.publisher.write(self.base / name, held, set_name=name, now=now, **more)
        keep_set(self.catalog, medium, clusters=(), own_key=HOME.fingerprint)
        return medium.folder

    def draft(self, change, *more):
        for revision in (change, *more):
            ceremony = Ceremony(self.publisher.folder, now=NOW + days(1))
            ceremony.revise(revision, PASSPHRASE)
        ceremony.sign(self.publisher.folder / "root.pem", PASSPHRASE)
        assert ceremony.finish() is not None
        self.publisher.keys = open_keys(self.publisher.folder, PASSPHRASE)

    def replace(self, *roles):
        self.draft(*(RootChange(role=role, adds_key=True, removes="") for role in roles))

    def prepare(self, folder, *, now=NOW):
        """Prepare a supplement of a medium whose payload is damaged."""
        flip(next((folder / "data/payload").iterdir()), 9)
        lacking = find_lacking([folder], self.site.folder)
        request = self.base / "request.json"
        request.write_bytes(lacking.request(site_id=SITE_ID, now=now).to_bytes(SITE))
        return prepare_supplement(self.catalog, request, keys={SITE.fingerprint: "x"}, now=now)


@pytest.fixture
def home(tmp_path, monkeypatch):
    from toolkit.media import _several as several

    honest = several.open_medium
    monkeypatch.setattr(
        several, "open_medium", lambda root, trust, **more: honest(root, trust, now=NOW, **more)
    )
    return Home(tmp_path)


def test_a_set_issued_later_than_now_is_named_with_the_remedy(home):
    home.write("AZL-NOW")
    home.write("AZL-AHEAD", now=AHEAD)
    (warning,) = foresee(home.catalog, now=NOW + days(2))
    assert "AZL-AHEAD left with the time of issue 2028-01-25 12:00 UTC" in warning
    assert "ferry trust rotate-key timestamp, then snapshot" in warning
    assert foresee(home.catalog, now=AHEAD) == ()


def test_a_catalog_that_never_wrote_a_set_has_nothing_to_warn_of(home):
    assert foresee(home.catalog, now=NOW) == ()


def test_a_kept_set_that_cannot_be_read_is_named(home):
    home.write("AZL-NOW")
    (kept,) = home.catalog.glob("sets/*/data/plan/set.json")
    kept.write_text("{")
    (warning,) = foresee(home.catalog, now=NOW)
    assert str(kept) in warning
    assert "backup" in warning


def test_the_site_names_what_was_issued_too_late_and_the_remedy_holds(home):
    home.site.open(home.write("AZL-AHEAD", now=AHEAD))
    with pytest.raises(ExpiredError) as caught:
        home.site.open(home.write("AZL-NEXT", data=b"new", now=NOW + days(2)), now=NOW + days(2))
    assert "this medium valid" in caught.value.hint
    assert "with CombinedSolutionBundle.12.2603.1002.15.zip" in caught.value.hint
    assert "issued on 2028-01-25 12:00 UTC" in caught.value.hint
    assert "ferry trust rotate-key timestamp, then snapshot" in caught.value.hint
    home.replace("timestamp", "snapshot")
    more = {"now": NOW + days(3), "expires_at": AHEAD + days(9)}
    assert home.site.open(home.write("AZL-GOOD", data=b"new", **more), now=NOW + days(3))


def test_one_that_has_expired_by_the_clock_as_well_is_told_to_be_replaced(home):
    short = home.write("AZL-SHORT", expires_at=NOW + days(1))
    home.site.open(home.write("AZL-AHEAD", now=AHEAD))
    with pytest.raises(ExpiredError) as caught:
        home.site.open(short, now=NOW + days(2))
    assert "new medium" in caught.value.hint
    assert "rotate-key" not in caught.value.hint


def test_a_supplement_of_a_set_whose_keys_were_replaced_is_warned_of(home):
    first = home.write("AZL-1")
    home.replace("timestamp")
    second = home.write("AZL-2", now=NOW + days(2))
    prepared = home.prepare(first, now=NOW + days(2))
    (warning,) = prepared.warnings
    assert "AZL-1 is signed under root 1, and since AZL-2 left under root 2" in warning
    assert "ferry media write" in warning
    home.site.open(second, now=NOW + days(2))
    (home.base / "S").mkdir()
    held = make_payload(home.base / "held-AZL-1", data=b"vendor bytes")
    supplement = write_supplement(home.base / "S", prepared, [held], now=NOW)
    with pytest.raises(SignatureError, match=r"timestamp"):
        home.site.open(supplement.folder, now=NOW + days(2))


def test_a_root_that_keeps_the_keys_is_nothing_to_warn_of(home):
    first = home.write("AZL-1")
    home.draft(RootChange(expires_at=NOW + days(900)))
    home.write("AZL-2", now=NOW + days(2))
    assert home.prepare(first, now=NOW + days(2)).warnings == ()


def test_another_set_from_the_future_is_told_for_a_supplement_and_its_own_is_not(home):
    home.write("AZL-AHEAD", now=AHEAD)
    (warning,) = home.prepare(home.write("AZL-1")).warnings
    assert "AZL-AHEAD left" in warning
    assert home.prepare(home.base / "AZL-AHEAD/AZL-AHEAD").warnings == ()
