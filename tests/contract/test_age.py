"""The program `age` opens what we wrap, and we take the identities that it makes."""

import json
import random
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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
        data = random.Random(3).randbytes(2_500_000)
        held = make_payload(tmp_path / "catalog", data=data)
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


def test_a_medium_is_decrypted_by_age_and_what_the_formats_page_says(write, tmp_path):
    """Nothing of ours takes part: what is written there is enough."""
    identity = tmp_path / "identity.age.key"
    folder = write(site_recipient(identity))
    plan = json.loads((folder / "data/plan/set.json").read_bytes())
    (targets,) = folder.glob("tuf/*.targets.json")
    (file,) = plan["files"]
    signed = json.loads(targets.read_bytes())["signed"]["targets"][file["target"]]
    plain = signed["custom"]["encrypted"]

    wrapped = plan["encryption"]["wrapped_key"].encode()
    set_key = run("age", "-d", "-i", str(identity), input=wrapped)
    lines = ("ferry payload key 1", plan["set_id"], file["target"])
    about = "\n".join((*lines, str(plain["size_bytes"]), plain["sha256"]))
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=about.encode()).derive(set_key)

    data = (folder / file["pieces"][0]["path"]).read_bytes()
    chunks = [data[at : at + 1_048_576] for at in range(0, len(data), 1_048_576)]
    out = b"".join(
        AESGCM(key).decrypt(
            number.to_bytes(11, "big") + (b"\1" if number == len(chunks) - 1 else b"\0"),
            chunk,
            None,
        )
        for number, chunk in enumerate(chunks)
    )
    assert len(chunks) == 3
    assert out == next((tmp_path / "catalog").iterdir()).read_bytes()
