"""Make or reuse the project's virtual environment from the hashed lock file, then run in it.

Standard library only: this runs on a machine with nothing but Python. The lock file has the sections
`base`, `test` and `dev`; each set contains the ones before it. A stamp in the environment records what
was installed, so the second run needs no network.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
SETS = ("base", "test", "dev")


def locked(upto: str) -> str:
    """Return the lock file's text from the top to the end of the section `upto`."""
    wanted = SETS[: SETS.index(upto) + 1]
    kept, keep = [], True
    for line in LOCK.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("# --- "):
            keep = line.split()[2] in wanted
        if keep:
            kept.append(line)
    return "".join(kept)


def python_in(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(upto: str) -> Path:
    """Return the Python of an environment that has the set `upto`, installing it if needed."""
    if sys.version_info < (3, 11):
        sys.exit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}")
    folder = ROOT / ".venv"
    python, stamp = python_in(folder), folder / "ferry-lock.txt"
    # the interpreter's path is part of the stamp: a copied or moved environment is made anew; so is the command's entry
    digests = {
        name: hashlib.sha256(
            f"{folder} {sys.version} {_POINTER} {locked(name)}".encode()
        ).hexdigest()
        for name in SETS
    }
    done = stamp.read_text(encoding="utf-8").strip() if stamp.exists() and python.exists() else ""
    if done in [digests[name] for name in SETS[SETS.index(upto) :]]:
        return python
    print(f"setting up {folder} ({upto} packages, checked against {LOCK.name})", file=sys.stderr)
    stamp.unlink(missing_ok=True)
    if done not in digests.values():
        venv.create(folder, with_pip=True, clear=True)
    wanted = folder / f"{upto}.txt"
    wanted.write_text(locked(upto), encoding="utf-8")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", wanted], check=True
    )
    subprocess.run([python, "-c", _POINTER, ROOT], check=True)
    stamp.write_text(digests[upto], encoding="utf-8")
    return python


# The checkout itself is put on the environment's path and gets the command `ferry`: an editable install
# that needs no build step and therefore no network.
_POINTER = """
import pathlib, sys, sysconfig
root, scripts = sys.argv[1], pathlib.Path(sysconfig.get_path("scripts"))
(pathlib.Path(sysconfig.get_path("purelib")) / "ferry-checkout.pth").write_text(root + chr(10), encoding="utf-8")
try:
    from pip._vendor.distlib.scripts import ScriptMaker
    maker = ScriptMaker(None, str(scripts))
    maker.clobber = True
    maker.variants = {""}
    maker.make("ferry = toolkit.__main__:main")
except ImportError as missing:
    sys.exit(f"cannot make the command ferry: {missing}")
"""


def run(upto: str, arguments: list[str]) -> int:
    """Run Python with these arguments in the environment that has the set `upto`."""
    python = ensure(upto)
    try:
        return subprocess.run([python, *arguments], cwd=ROOT, check=False).returncode
    except KeyboardInterrupt:
        return 130
