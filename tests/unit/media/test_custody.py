"""The chain of receipts: what holds, and where exactly it does not."""

import json
from dataclasses import replace

import pytest

from tests.unit.media.receipts import HOME, KEYS, SET_ID, SITE, STRANGER, Scroll, sha256
from toolkit.errors import InputError, SignatureError
from toolkit.media._custody import (
    Flaw,
    ReceiptKind,
    read_chain,
    read_receipt,
    seal_receipt,
)
from toolkit.signed import seal


def look(files, **more):
    return read_chain(files.items(), **{"set_id": SET_ID, "keys": KEYS, **more})


def flaws(files, **more):
    return [(seen.flaw, seen.counter) for seen in look(files, **more).breaks]


@pytest.fixture
def files():
    return Scroll().usual().files


def names(files, number):
    (name,) = (name for name in files if name.startswith(f"{number:04}"))
    return name


def test_a_chain_is_told_in_order_with_whoever_signed(files):
    chain = look(dict(reversed(files.items())))
    assert chain.is_whole
    assert [entry.counter for entry in chain.authentic()] == [1, 2, 3, 4, 5, 6]
    assert [entry.signer for entry in chain.entries] == ["home"] * 2 + ["plant7"] * 4
    assert chain.last() == (6, sha256(files[names(files, 6)]))


def test_no_receipts_are_a_whole_chain_with_nothing_before_the_first():
    chain = look({})
    assert chain.is_whole
    assert chain.last() == (0, "")


def test_a_stray_file_with_a_high_number_ends_no_chain(files):
    other = Scroll(set_id=SET_ID.replace("5", "6"))
    other.add("verify", HOME, counter=900)
    assert look({**files, **other.files, "0999-x-00000000.json": b""}).last()[0] == 6


def test_a_spoilt_file_is_followed_and_not_counted_again(files):
    files[names(files, 6)] = b"spilt coffee"
    assert look(files).last() == (6, sha256(b"spilt coffee"))


def test_what_is_sealed_is_read_back(files):
    name = names(files, 3)
    receipt, public = read_receipt(files[name], file=name)
    assert public == SITE.public_hex
    assert (receipt.kind, receipt.file_name) == (ReceiptKind.VERIFY, name)
    assert seal_receipt(receipt, SITE) == files[name]


def test_a_missing_receipt_is_a_gap_and_nothing_else(files):
    del files[names(files, 3)]
    assert flaws(files) == [(Flaw.MISSING, 3)]
    assert look(files).breaks[0].text == "receipt 3 is missing: not copied, or removed"


def test_several_missing_ones_are_one_gap(files):
    for number in (1, 2):
        del files[names(files, number)]
    assert look(files).breaks[0].text.startswith("receipts 1 to 2 are missing")


def test_the_newest_ones_are_missed_by_who_knows_of_them(files):
    name = names(files, 6)
    digest = sha256(files.pop(name))
    assert flaws(files) == []
    assert flaws(files, expected={digest: name}) == [(Flaw.MISSING, 6)]


def test_a_changed_word_is_named_once_where_it_stands(files):
    name = names(files, 3)
    files[name] = files[name].replace(b'"Ada"', b'"Eve"')
    assert flaws(files) == [(Flaw.CHANGED, 3)]
    assert name in look(files).breaks[0].text


@pytest.mark.parametrize(
    "respell",
    [
        lambda data: data + b"\n",
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b'{\n "signed"', b'{\n "x": 1,\n "signed"'),
        lambda data: data.replace(b"\xc3\xbc", b"\\u00fc"),
    ],
    ids=["blank", "reflowed", "mark", "key", "escape"],
)
def test_the_same_statement_spelt_otherwise_is_changed(files, respell):
    name = names(files, 6)
    files[name] = respell(files[name])
    assert flaws(files) == [(Flaw.CHANGED, 6)]


def test_an_upper_case_signature_is_changed(files):
    name = names(files, 6)
    document = json.loads(files[name])
    signature = document["signatures"][0]["sig"]
    files[name] = files[name].replace(signature.encode(), signature.upper().encode())
    assert flaws(files) == [(Flaw.CHANGED, 6)]


def test_a_huge_one_is_not_a_receipt(files):
    files[names(files, 6)] += b" " * (64 << 10)
    assert flaws(files) == [(Flaw.NOT_A_RECEIPT, 6)]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", b"null", b'{"signed": 1}'])
def test_bytes_that_are_none_are_not_a_receipt(files, data):
    files[names(files, 2)] = data
    assert flaws(files) == [(Flaw.NOT_A_RECEIPT, 2)]


def test_a_receipt_under_another_name_is_renamed(files):
    files["0009-verify-00000003.json"] = files.pop(names(files, 3))
    assert flaws(files) == [(Flaw.RENAMED, 3)]


def test_a_second_copy_of_one_is_named(files):
    files["copy.json"] = files[names(files, 3)]
    found = flaws(files)
    assert (Flaw.RENAMED, 3) in found
    assert found.count((Flaw.SAME_NUMBER, 3)) == 2


def test_two_of_one_number_come_of_two_copies_of_the_set(files):
    other = Scroll(files={name: files[name] for name in list(files)[:2]})
    name = other.add(ReceiptKind.VERIFY, SITE, receipt_id="deadbeef-0000-4000-8000-000000000000")
    found = flaws({**files, name: other.files[name]})
    assert found == [(Flaw.SAME_NUMBER, 3)] * 2


def test_a_receipt_of_another_set_is_named(files):
    other = Scroll(set_id=SET_ID.replace("5", "6"), set_name="AZL-OTHER").usual().files
    files[names(files, 3)] = other[names(other, 3)]
    assert (Flaw.OTHER_SET, 3) in flaws(files)
    assert "AZL-OTHER" in str(look(files).breaks)


def test_one_that_follows_another_chain_is_named():
    scroll = Scroll().usual()
    name = scroll.add(ReceiptKind.VERIFY, SITE, previous="0" * 64)
    assert flaws(scroll.files) == [(Flaw.OTHER_BEFORE, 7)]
    assert name in look(scroll.files).breaks[0].text


def test_a_first_one_that_follows_another_is_named():
    scroll = Scroll()
    scroll.add(ReceiptKind.WRITE, HOME, previous="0" * 64)
    assert flaws(scroll.files) == [(Flaw.OTHER_BEFORE, 1)]


def test_an_unknown_key_is_told_with_its_fingerprint():
    scroll = Scroll()
    scroll.add(ReceiptKind.WRITE, STRANGER)
    chain = look(scroll.files)
    assert chain.breaks[0].flaw is Flaw.UNKNOWN_KEY
    assert STRANGER.fingerprint in chain.breaks[0].text
    assert chain.authentic() == ()


def test_nothing_is_ever_called_tampered(files):
    files[names(files, 1)] = b"x"
    del files[names(files, 3)]
    assert "tamper" not in str(look(files)).lower()


def test_a_kind_of_a_newer_ferry_is_kept_as_it_is():
    scroll = Scroll()
    scroll.add("scanned-twice", HOME)
    assert look(scroll.files).is_whole


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"counter": 0},
        {"counter": 1000},
        {"counter": True},
        {"counter": "1"},
        {"previous": "0"},
        {"receipt": "../x"},
        {"receipt_id": 7},
        {"at": "yesterday"},
        {"at": 1},
        {"facts": []},
        {"by": None},
        {"is_clock_behind": 1},
    ],
    ids=str,
)
def test_a_signed_document_with_wrong_values_is_an_input_error(files, changes):
    body = json.loads(files[names(files, 1)])["signed"]
    with pytest.raises(InputError):
        read_receipt(seal("ferry-receipt", {**body, **changes}, HOME), file="x")


def test_a_floating_point_number_is_no_fact(files):
    receipt, _ = read_receipt(files[names(files, 1)], file="x")
    with pytest.raises(ValueError, match="cannot be signed"):
        seal_receipt(replace(receipt, facts={"share": 0.5}), HOME)


def test_an_unsigned_one_is_a_signature_error(files):
    data = json.dumps({**json.loads(files[names(files, 1)]), "signatures": []}).encode()
    with pytest.raises(SignatureError):
        read_receipt(data, file="x")
