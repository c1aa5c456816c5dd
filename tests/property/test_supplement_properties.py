"""Whatever is bad on a medium and its supplement: the signed bytes, or a refusal. Any document, or `InputError`."""

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.test_medium_bitflip import JSON
from tests.unit.media.making import NOW, Publisher, SiteTrust, flip, make_payload
from tests.unit.media.receipts import SITE
from tests.unit.media.test_supplement import SITE_ID, Crossing
from toolkit.errors import InputError, StorageError, TrustError
from toolkit.media import SupplementRequest, Verdict
from toolkit.media._receipts import metadata_digest
from toolkit.media._supplement import AskedPiece
from toolkit.media._supplement_request import read_supplement_request
from toolkit.signed import SUPPLEMENT_REQUEST, seal

COUNT = 4
KEYS = [
    "format", "tool", "request_id", "made_at", "site_id", "set_id", "set_name", "metadata", "pieces"
]  # fmt: skip


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    """A medium with four payloads, whose supplement has the first two."""
    base = tmp_path_factory.mktemp("supplement")
    publisher = Publisher(base / "keys")
    payloads = tuple(
        make_payload(base / "held", name=f"SBE_{number}.zip", data=bytes([number]) * 100)
        for number in range(COUNT)
    )
    trust = SiteTrust(base / "site").pin(publisher.root)
    crossing = Crossing(base, publisher, trust, payloads).write("A")
    medium = crossing.open("A")
    asked = tuple(
        AskedPiece(
            path=piece.path,
            size_bytes=piece.size_bytes,
            sha256=piece.sha256,
            found=Verdict.DAMAGED,
        )
        for _, piece in medium.pieces[:2]
    )
    request = SupplementRequest(
        request_id=SITE_ID,
        made_at=NOW,
        site_id=SITE_ID,
        set_id=medium.set_id,
        set_name=medium.set_name,
        metadata=metadata_digest(medium.folder),
        pieces=asked,
    )
    path = base / "ask.json"
    path.write_bytes(request.to_bytes(SITE))
    crossing.answer(path)
    return crossing


def judge(crossing: Crossing) -> None:
    """Raise what a site raises about the supplement."""
    if problem := crossing.open("S").verify().problem():
        raise problem


def files(folder: Path) -> list[Path]:
    parts = {"data", "tuf"}
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if path.relative_to(folder).parts[0] in parts)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_supplement_with_any_one_bit_flipped_is_refused(crossing, data):
    path = data.draw(st.sampled_from(files(crossing.stick("S") / "AZL-2603-TEST")))
    bit = data.draw(st.integers(0, 8 * path.stat().st_size - 1))
    flip(path, bit)
    try:
        with pytest.raises(TrustError):
            judge(crossing)
    finally:
        flip(path, bit)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    bad=st.sets(st.integers(0, COUNT - 1)),
    gone=st.sets(st.integers(0, COUNT - 1)),
    worse=st.sets(st.integers(0, 1)),
    is_first=st.booleans(),
)
def test_what_is_taken_from_both_is_what_was_signed(crossing, bad, gone, worse, is_first):
    order = ("A", "S") if is_first else ("S", "A")
    on = {
        stick: [crossing.file(stick, f"data/payload/SBE_{number}.zip") for number in range(COUNT)]
        for stick in order
    }
    before = {path: path.read_bytes() for paths in on.values() for path in paths if path.exists()}
    try:
        for number in bad:
            flip(on["A"][number], 7)
        for number in gone:
            on["A"][number].unlink()
        for number in worse:
            flip(on["S"][number], 9)
        good = {0, 1} - worse | set(range(COUNT)) - bad - gone
        found = set()
        with contextlib.suppress(StorageError):  # nothing can be copied of an incomplete set
            medium = crossing.open(*order)
            for number in range(COUNT):
                sink = io.BytesIO()
                with contextlib.suppress(TrustError):
                    medium.copy_target(f"payload/SBE_{number}.zip", sink)
                    assert sink.getvalue() == bytes([number]) * 100
                    found.add(number)
        assert found == (set() if gone & {2, 3} else good)
    finally:
        for path, data in before.items():
            path.write_bytes(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_request_and_nothing_else(data):
    with pytest.raises(InputError):
        read_supplement_request(data)


@given(changes=st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1), piece=JSON)
def test_whatever_a_known_site_signs_is_a_request_or_an_input_error(changes, piece):
    body = {
        "format": 1,
        "tool": "ferry",
        "request_id": SITE_ID,
        "made_at": "2026-11-01T12:00:00Z",
        "site_id": SITE_ID,
        "set_id": SITE_ID,
        "set_name": "AZL-1",
        "metadata": "00" * 32,
        "pieces": [{"path": "data/x", "size_bytes": 1, "sha256": "00" * 32, "found": "damaged"}],
    }
    for changed in ({**body, **changes}, {**body, "pieces": [piece]}):
        try:
            data = seal(SUPPLEMENT_REQUEST, changed, SITE)
        except ValueError:  # a number that no reader has to know cannot be signed
            continue
        with contextlib.suppress(InputError):
            read_supplement_request(data)
