"""A medium with a bundle of gigabytes at a site of its own; whoever makes one throws it away after use."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.stage import VERSION, Stage
from tests.system.conftest import make_site


def pack(folder: Path, *, size_mib: int) -> Stage:
    """Write a bundle of this size to a medium, and make a site that trusts it."""
    stage = Stage(folder)
    bundle = stage.publish(size_mib=size_mib)[0]
    stage.declare([bundle], "https://127.0.0.1:1/")
    stage.ferry("catalog", "add", f"vendor/{bundle.name}", "--catalog", "catalog")
    shutil.rmtree(stage / "vendor")
    stage.ferry("trust", "init", "--keys", "keys")
    home = ("--catalog", "catalog", "--keys", "keys", "--parity", "0")
    stage.ferry("media", "write", VERSION, *home, "--to", stage.stick("medium"))
    shutil.rmtree(stage / "catalog")
    make_site(stage)
    return stage
