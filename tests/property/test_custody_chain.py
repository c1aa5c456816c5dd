"""Whatever single thing is done to a chain of receipts is noticed, and no bytes do more than that."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.media.receipts import KEYS, SET_ID, Scroll, sha256
from toolkit.errors import InputError, SignatureError
from toolkit.media._custody import read_chain, read_receipt

OURS = Scroll().usual().files
OTHERS = Scroll(set_id=SET_ID.replace("5", "6"), set_name="AZL-OTHER").usual().files
KNOWN = {sha256(data): name for name, data in OURS.items()}
NUMBER = st.integers(0, len(OURS) - 1)


def look(files, expected=None):
    return read_chain(files.items(), set_id=SET_ID, keys=KEYS, expected=expected)


def name(number, files=OURS):
    return list(files)[number]


@settings(max_examples=300)
@given(NUMBER, st.data())
def test_any_one_flipped_bit_is_noticed(number, data):
    changed = bytearray(OURS[name(number)])
    bit = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert not look({**OURS, name(number): bytes(changed)}).is_whole


@given(NUMBER, st.data())
def test_any_cut_or_longer_one_is_noticed(number, data):
    whole = OURS[name(number)]
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    longer = whole + data.draw(st.binary(min_size=1, max_size=3))
    for changed in (cut, longer):
        assert not look({**OURS, name(number): changed}).is_whole


@given(st.sets(NUMBER, min_size=1))
def test_any_removal_is_noticed(numbers):
    left = {seen: OURS[seen] for number, seen in enumerate(OURS) if number not in numbers}
    assert not look(left, KNOWN).is_whole
    newest = set(range(len(left), len(OURS)))
    assert look(left).is_whole == (numbers == newest), "only the newest can go unnoticed"


@given(st.permutations(list(OURS)))
def test_any_other_order_is_noticed(order):
    changed = dict(zip(order, OURS.values(), strict=True))
    assert look(changed).is_whole == (order == list(OURS))


@given(st.sets(NUMBER, min_size=1))
def test_any_swap_between_sets_is_noticed(numbers):
    changed = {
        seen if number not in numbers else name(number, OTHERS): OURS[seen]
        if number not in numbers
        else OTHERS[name(number, OTHERS)]
        for number, seen in enumerate(OURS)
    }
    assert not look(changed).is_whole


@given(st.dictionaries(st.text(max_size=30), st.binary(max_size=60), min_size=1, max_size=4))
def test_any_bytes_are_a_broken_chain_and_no_error(files):
    assert not look(files).is_whole


@given(st.binary(max_size=200))
def test_any_bytes_are_no_receipt(data):
    try:
        read_receipt(data, file="x")
    except (InputError, SignatureError):
        return
    raise AssertionError
