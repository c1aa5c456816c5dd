"""kill -9 at any moment of `ferry media write`: no reader takes the half, and the same command finishes it.

Once at random moments, on one medium and over two; once before every single thing that the command does
with the medium, of which the signing, the manifests and the renames at the end are most.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from pathlib import Path

import pytest

from tests.stage import VERSION, Stage
from tests.system.conftest import content, dying, last_line
from toolkit.cli import execute
from toolkit.media._device import BLOCK_BYTES
from toolkit.media._set import Intent

BUNDLE = f"CombinedSolutionBundle.{VERSION}.zip"
KILLS = 50
EARLY = 5
"""So many times a medium is killed before it could be finished; then each run gets longer, until it is."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is of POSIX")


@pytest.fixture
def home(tmp_path):
    """Return a factory of homes that hold a bundle of a size."""

    def home(mib: int) -> Home:
        stage = Stage(tmp_path / "s")
        bundle = stage.publish(size_mib=mib)[0]
        stage.declare([bundle], "https://127.0.0.1:1/")
        stage.ferry("catalog", "add", f"vendor/{BUNDLE}", "--catalog", "catalog")
        stage.ferry("trust", "init", "--keys", "keys")
        return Home(stage, bundle)

    return home


class Home:
    """A catalog with a bundle, keys, and a reader who believes them."""

    def __init__(self, stage: Stage, bundle: Path) -> None:
        self.stage = stage
        self.data = bundle.read_bytes()
        self.fingerprint = last_line(stage.ferry("trust", "fingerprint", "--keys", "keys").out)

    def words(self, stick: str, name: str, *more: str) -> list[str]:
        words = ["media", "write", VERSION, "--catalog", "catalog", "--keys", "keys"]
        return [*words, "--parity", "0", "--to", self.stage.stick(stick), "--name", name, *more]

    def judged(self, stick: str) -> int:
        """Return the exit code of `ferry media verify`, after looking at every piece that has its name."""
        for path in (self.stage / stick).glob("*/data/payload/*.zip"):
            assert path.read_bytes() == self.data
        for path in (self.stage / stick).glob("*/data/seg/*/*.seg"):
            start = int(path.stem) * BLOCK_BYTES
            assert path.read_bytes() == self.data[start : start + BLOCK_BYTES]
        root = self.stage / "keys/1.root.json"
        words = ["media", "verify", str(self.stage / stick), "--root", str(root)]
        return execute([*words, "--fingerprint", self.fingerprint])

    def is_half(self, stick: str) -> bool:
        """Let a reader look at what a killed writing left; it is no medium unless it was at its end."""
        is_half = not list((self.stage / stick).glob("*/complete.json"))
        assert self.judged(stick) == (6 if is_half else 0)
        return is_half

    def intend(self, stick: str, peace: str, name: str) -> None:
        """Begin on another medium the set that stands on a finished one, and write nothing of it."""
        complete = (self.stage / stick / name / "complete.json").read_bytes()
        (self.stage / peace / name).mkdir(parents=True)
        writing = Intent.from_bytes(complete, file="complete.json").to_bytes()
        (self.stage / peace / name / "writing.json").write_bytes(writing)


def lasting(stick: Path) -> dict[str, object]:
    """Return what a medium holds, but for when and how fast it was completed, and its one receipt.

    A killed writing may leave a draft of a receipt, which has another name each time; nobody reads it.
    """
    found = content(stick)
    assert sum("/custody/" in name and name.endswith(".json") for name in found) == 1
    files: dict[str, object] = {name: found[name] for name in found if "/custody/" not in name}
    (complete,) = (name for name in files if name.endswith("/complete.json"))
    read_back = json.loads(found[complete])["read_back"]
    intent = Intent.from_bytes(found[complete], file=complete)
    return files | {complete: (intent, read_back["files"], read_back["bytes"])}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mib", "media"),
    [(48, [()]), (80, [("--size", "75MB", "--size", "75MB", "--medium", n) for n in "12"])],
    ids=["one medium", "spread over two"],
)
def test_killed_at_any_moment_no_half_is_taken_and_the_same_command_finishes_it(home, mib, media):
    here = home(mib)
    stage = here.stage
    shortest = stage.ferry("media", "write", "--help").seconds
    (stage / "first").mkdir()
    longest = stage.ferry(*here.words("first", "FIRST", *media[0])).seconds
    kills = 0
    for number in itertools.count():
        name = f"AZL-{number}"
        for index, more in enumerate(media):
            stick = f"{name}-{index}"
            (stage / stick).mkdir()
            for again in itertools.count():
                most = longest * (0.8 if again < EARLY else 1.1**again)
                moment = random.uniform(shortest, most)
                if not stage.kill_after(moment, *here.words(stick, name, *more)):
                    break
                kills += here.is_half(stick)
            assert here.judged(stick) == 0
        for index, more in enumerate(media):
            stick, peace = f"{name}-{index}", f"{name}-{index}-peace"
            if len(media) == 1:
                here.intend(stick, peace, name)
            stage.ferry(*here.words(peace, name, *more))
            assert lasting(stage / stick) == lasting(stage / peace)
        if kills >= KILLS // 2:
            break
    print(f"{kills} halves, {number + 1} sets; in peace one takes {longest:.2f} s")


@pytest.mark.timeout(600)
def test_killed_before_every_touch_of_the_medium_the_same_command_finishes_it(home):
    here = home(6)
    stage, stick = here.stage, here.stage / "stick"
    stick.mkdir()
    words = here.words(str(stick), "AZL-1")
    with dying(stage, stick, *words) as killed_before:
        halves, complete = 0, stick / "AZL-1/complete.json"
        for touch in itertools.takewhile(lambda _: not complete.exists(), itertools.count()):
            assert killed_before(touch)
            halves += here.is_half("stick")
        # the receipt comes after that; until it has its name, the same command writes it again
        touches = next(touch for touch in itertools.count() if not killed_before(touch))
    assert here.judged("stick") == 0
    here.intend("stick", "peace", "AZL-1")
    stage.ferry(*here.words("peace", "AZL-1"))
    assert lasting(stick) == lasting(stage / "peace")
    print(f"{halves} halves, then {touches} touches of a complete one")
    assert halves >= KILLS
