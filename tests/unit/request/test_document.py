"""What is written reads well and comes back; what was edited, or is of another kind, does not."""

import json

import pytest

from tests.made_requests import make_request
from toolkit.errors import InputError, SignatureError
from toolkit.request import FORMAT, KIND, from_paper, read_request, to_bytes, to_paper
from toolkit.signed import seal, unseal


def body_of(key, **changes) -> dict:
    body = dict(unseal(to_bytes(make_request(), key), kind=KIND).body)
    return {**body, **changes}


def test_request_is_read_back_as_it_was_made(key):
    request, sealed = read_request(to_bytes(make_request(), key), file="request.json")
    assert request == make_request()
    assert sealed.fingerprint == key.fingerprint


def test_document_is_in_the_order_in_which_a_person_reads(key):
    keys = list(json.loads(to_bytes(make_request(), key))["signed"])
    assert keys[:5] == ["kind", "format", "request_id", "site_id", "cluster"]
    assert keys.index("solution_version") < keys.index("updates") < keys.index("unknown")


def test_pairs_and_times_are_written_for_people(key):
    body = body_of(key)
    assert body["language_modes"][0] == {"node": "node1", "mode": "FullLanguage"}
    assert body["unknown"][0] == {
        "what": "discovery of Solution",
        "why": "the cluster does not tell it",
    }
    assert body["made_at"] == "2026-11-24T00:24:32Z"


def test_edited_value_is_refused(key):
    data = to_bytes(make_request(), key).replace(b"12.2602.1002.501", b"12.2601.1002.503")
    with pytest.raises(SignatureError, match=r"request\.json"):
        read_request(data, file="request.json")


def test_request_of_a_newer_format_names_the_ferry_that_reads_it(key):
    data = seal(KIND, {**body_of(key), "format": FORMAT + 1, "tool": "ferry 7.1.0"}, key)
    with pytest.raises(InputError, match=r"format 2, made by ferry 7\.1\.0") as refused:
        read_request(data)
    assert "ferry 7.1.0" in refused.value.hint


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": "1"}, "format"),
        ({"format": True}, "format"),
        ({"request_id": "plant7"}, "request_id"),
        ({"site_id": "9E0F1A2B-3C4D-4E5F-8A6B-7C8D9E0F1A2B"}, "site_id"),
        ({"cluster": 7}, "cluster"),
        ({"made_at": "2026-11-24T00:24:32+01:00"}, "made_at"),
        ({"made_at": "2026-13-24T00:24:32Z"}, "made_at"),
        ({"origin": "guessed"}, "origin"),
        ({"node_count": -1}, "node_count"),
        ({"node_count": True}, "node_count"),
        ({"hardware": []}, "hardware"),
        ({"hardware": {"colour": "red"}}, r"hardware\.colour"),
        ({"updates": {}}, "updates"),
        ({"updates": [{"version": "1", "state": "Ready"}]}, r"updates\[0\]\.resource_id"),
        ({"volumes": [{"node": "n", "volume": "C:", "free_bytes": "1"}]}, r"volumes\[0\]\.free"),
        ({"language_modes": [{"node": "n"}]}, r"language_modes\[0\]"),
        ({"language_modes": [{"node": "n", "mode": 1}]}, r"language_modes\[0\]\.mode"),
        ({"unknown": ["x"]}, r"unknown\[0\]"),
        ({"is_disconnected_operations": "no"}, "is_disconnected_operations"),
        ({"time_floor": 5}, "time_floor"),
        ({"trusted_metadata": [1]}, "trusted_metadata"),
        ({"trusted_metadata": {"root": "1"}}, r"trusted_metadata\.root"),
        ({"endpoints": None}, "endpoints"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_value_of_the_wrong_kind_is_refused_with_its_place(key, change, place):
    data = seal(KIND, body_of(key, **change), key)
    with pytest.raises(InputError, match=rf"\[request\.json, {place}") as caught:
        read_request(data, file="request.json")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "plant7\x1b[2K", "plant7\u202e"])
def test_a_cluster_whose_name_is_not_one_line_is_refused(key, name):
    with pytest.raises(InputError, match="one line") as caught:
        read_request(to_bytes(make_request(cluster=name), key), file="request.json")
    assert str(caught.value).isprintable()
    assert caught.value.hint


def test_missing_answer_that_may_be_missing_is_its_default(key):
    body = body_of(key)
    del body["sbe_state"], body["time_floor"]
    request, _ = read_request(seal(KIND, body, key))
    assert (request.sbe_state, request.time_floor) == ("", None)


def test_missing_cluster_is_refused(key):
    body = body_of(key)
    del body["cluster"]
    with pytest.raises(InputError, match="cluster"):
        read_request(seal(KIND, body, key))


def test_time_without_a_zone_cannot_be_signed(key):
    with pytest.raises(ValueError, match="time zone"):
        to_bytes(make_request(made_at=make_request().made_at.replace(tzinfo=None)), key)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_document_and_scan_saved_by_windows_programs_are_read(key, encoding):
    data = to_bytes(make_request(cluster="Werk-Süd"), key)
    for text in (data.decode(), "\r\n".join(to_paper(data))):
        assert read_request(text.encode(encoding))[0].cluster == "Werk-Süd"


def test_paper_of_an_edited_request_is_refused(key):
    edited = to_bytes(make_request(), key).replace(b"plant7", b"plant8")
    text = "\n".join(to_paper(edited)).encode()
    assert from_paper(text) == edited
    with pytest.raises(SignatureError):
        read_request(text)
