"""The program `age` opens what we wrap, and we take the identities that it makes."""

import json
import shutil
import subprocess

import pytest

from tests.unit.media.making import Publisher, SiteTrust, make_payload
from toolkit.media import extract_payloads, site_recipient

pytestmark = pytest.mark.skipif(
    shutil.which("age") is None or shutil.which("age-keygen") is None,
    reason="the programs age and age-keygen are not installed",
)


def run(*command, **more):
    return subprocess.run(command, capture_output=True, check=True, timeout=60, **more).stdout


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path / "keys")


@pytest.fixture
def write(publisher, tmp_path):
    def write(*recipients):
        held = make_payload(tmp_path / "catalog")
        more = {"book": tmp_path / "book", "recipients": recipients}
        return publisher.write(tmp_path / "stick", held, **more).folder

    return write


def test_the_key_of_a_set_is_opened_by_age_with_the_sites_identity(write, tmp_path):
    identity, other = tmp_path / "identity.age.key", tmp_path / "other.key"
    folder = write(site_recipient(other), site_recipient(identity))
    plan = json.loads((folder / "data/plan/set.json").read_bytes())
    wrapped = tmp_path / "wrapped.age"
    wrapped.write_text(plan["encryption"]["wrapped_key"])
    (kept,) = (tmp_path / "book").glob("*.key.json")
    secret = bytes.fromhex(json.loads(kept.read_bytes())["secret"])
    for path in (identity, other):
        assert run("age", "-d", "-i", str(path), str(wrapped)) == secret


def test_the_sites_recipient_is_what_age_says_of_its_identity(tmp_path):
    identity = tmp_path / "identity.age.key"
    recipient = site_recipient(identity)
    assert run("age-keygen", "-y", str(identity), text=True).strip() == recipient


def test_an_identity_that_age_made_decrypts_a_medium(write, publisher, tmp_path):
    identity = tmp_path / "made-by-age.txt"
    run("age-keygen", "-o", str(identity))
    recipient = run("age-keygen", "-y", str(identity), text=True).strip()
    medium = SiteTrust(tmp_path / "trust").pin(publisher.root).open(write(recipient))
    medium.unlock(identity)
    (path,) = extract_payloads(medium, tmp_path / "out")
    assert path.read_bytes() == (tmp_path / "catalog" / path.name).read_bytes()
