"""The writing process dies at once, without cleaning up; the same command finishes the set."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.media.making import NOW, Publisher, SiteTrust, make_payload
from tests.unit.media.test_write import content
from toolkit.media import site_recipient

REPOSITORY = Path(__file__).parents[2]
DYING = """
import os, sys
from pathlib import Path
from tests.unit.media.making import NOW, PASSPHRASE, make_payload, days
from toolkit.media import open_keys, write_medium
from toolkit.model import Silent

base, left = Path(sys.argv[1]), int(sys.argv[2])

class Dying(Silent):
    def advance(self, count_bytes):
        global left
        left -= 1
        if left == 0:
            os._exit(9)  # as kill -9: no finally, no flush, no lock released

data = bytes(range(256)) * (48 << 10)
(base / "medium").mkdir()
write_medium(
    base / "medium", [make_payload(base / "catalog", data=data)],
    keys=open_keys(base / "keys", PASSPHRASE), expires_at=NOW + days(180), now=NOW, progress=Dying(),
    book=base / "book", recipients=sys.argv[3:],
)
"""


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 4, 6])
def test_a_killed_writing_is_finished_by_the_same_command(tmp_path, chunk, is_encrypted):
    """12 MiB are three chunks of 4 MiB to write (1 to 3) and three to read back (4 to 6).

    Encrypted they are a few bytes longer, which only moves where it dies.
    """
    identity = tmp_path / "identity.age.key"
    recipients = [site_recipient(identity)] if is_encrypted else []
    publisher = Publisher(tmp_path / "keys")
    payload = make_payload(tmp_path / "catalog", data=bytes(range(256)) * (48 << 10))
    killed = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path), str(chunk), *recipients],
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )
    assert killed.returncode == 9
    (unfinished,) = (tmp_path / "medium").iterdir()
    assert not (unfinished / "complete.json").exists()
    shutil.copytree(unfinished, tmp_path / "copy" / unfinished.name)
    more = {"book": tmp_path / "book", "recipients": recipients}
    again = publisher.write(tmp_path / "copy", payload, **more)
    written = publisher.write(tmp_path / "medium", payload, **more)
    assert content(written.folder) == content(again.folder)
    assert written.folder == unfinished
    site = SiteTrust(tmp_path / "site").pin(publisher.root)
    opened = site.open(tmp_path / "medium", now=NOW)
    report = opened.verify()
    assert report.problem() is None
    assert report.is_tidy(strict=True)
    opened.unlock(identity)
    sink = io.BytesIO()
    opened.copy_target(opened.targets()[0].name, sink)
    assert sink.getvalue() == payload.path.read_bytes()
