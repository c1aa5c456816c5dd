"""For all bytes: a record, a plan or a shelf is understood or refused; what was written is read back."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from toolkit.catalog._plans import read_plan
from toolkit.catalog._records import Record, object_path, read_record, record_path, write_record
from toolkit.catalog._shelf import Shelf
from toolkit.errors import InputError
from toolkit.model import (
    Acceptance,
    FileVerdict,
    HeldPayload,
    Judgement,
    PayloadKind,
    Sha256,
    Stance,
    Statement,
    StatementKind,
    Witness,
)

plain_part = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,10}[A-Za-z0-9]", fullmatch=True)
numbers = st.integers(0, 9999)
shelves = st.one_of(
    st.builds(
        lambda train, month, build: f"12.25{month:02}.{train}.{build}",
        st.integers(0, 1003),
        st.integers(1, 12),
        st.integers(0, 999),
    ),
    st.builds(
        lambda publisher, family, more, version: (
            f"sbe/Pub{publisher}_Fam{family}_{more}_{'.'.join(map(str, version))}"
        ),
        plain_part,
        plain_part,
        plain_part,
        st.tuples(numbers, numbers, numbers, numbers),
    ),
)
digests = st.binary(min_size=32, max_size=32).map(lambda data: Sha256(data.hex()))
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
)
statements = st.builds(
    Statement,
    kind=st.sampled_from(StatementKind),
    stance=st.sampled_from(Stance),
    text=texts,
    source=texts,
    seen_on=st.none() | st.dates(),
)
witnesses = st.builds(Witness, value=texts, source=texts, seen_on=st.dates(), comment=texts)


@st.composite
def records(draw):
    shelf, digest = Shelf.parse(draw(shelves)), draw(digests)
    judgement = Judgement(
        verdict=draw(st.sampled_from(FileVerdict)),
        reasons=tuple(draw(st.lists(texts, max_size=3))),
        statements=tuple(draw(st.lists(statements, max_size=3))),
    )
    accepted = st.builds(Acceptance, by=texts, reason=texts, at=moments)
    held = HeldPayload(
        version=shelf.version,
        shelf=str(shelf),
        name="a.zip",
        kind=draw(st.sampled_from(PayloadKind)),
        url=draw(texts),
        path=object_path(Path("objects"), digest),
        size_bytes=draw(st.integers(0, 1 << 60)),
        sha256=digest,
        witnesses=tuple(draw(st.lists(witnesses, max_size=3))),
        judgement=judgement,
        acceptance=draw(st.none() | accepted),
    )
    return Record(
        held=held,
        modified_ns=draw(st.integers(0, 1 << 62)),
        verified_at=draw(moments),
        siblings=tuple(draw(st.lists(texts, max_size=3))),
    )


@given(record=records())
def test_a_record_that_was_written_is_read_back_as_it_was(record):
    with tempfile.TemporaryDirectory() as folder:
        path = record_path(Path(folder, *record.held.shelf.split("/")), record.held.name)
        path.parent.mkdir(parents=True)
        write_record(path, record)
        assert read_record(path, Path("objects")) == record


@given(record=records(), data=st.data())
def test_a_damaged_record_is_refused_or_still_a_record_of_its_place(record, data):
    with tempfile.TemporaryDirectory() as folder:
        path = record_path(Path(folder, *record.held.shelf.split("/")), record.held.name)
        path.parent.mkdir(parents=True)
        write_record(path, record)
        text = path.read_bytes()
        at = data.draw(st.integers(0, len(text) - 1))
        piece = data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"null", b"-1"]))
        path.write_bytes(text[:at] + piece + text[at + data.draw(st.integers(0, 9)) :])
        try:
            found = read_record(path, Path("objects"))
        except InputError:
            return
        if found is not None:
            assert found.held.shelf.casefold() == record.held.shelf.casefold()
            assert found.held.name.casefold() == "a.zip"
            assert found.held.path == object_path(Path("objects"), found.held.sha256)


@given(data=st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["payloads", "name", "shelf", "sha256"]), inner, max_size=4),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_plan_is_understood_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.json"
        path.write_bytes(data)
        try:
            items = read_plan(path)
        except InputError:
            return
        assert all(item.sha256 is None or len(item.sha256) == 64 for item in items)


@given(text=st.text(max_size=30) | shelves)
def test_a_shelf_that_is_taken_stays_below_the_catalog(text):
    try:
        shelf = str(Shelf.parse(text))
    except ValueError:
        return
    assert shelf == text
    parts = shelf.split("/")
    assert parts[:-1] in ([], ["sbe"])
    assert ".." not in parts
    assert "\\" not in shelf
    assert ":" not in shelf
