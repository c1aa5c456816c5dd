"""Write requirements.lock anew: one resolution for Windows and Linux, hashes, no index lines.

Needs `uv` on the path (only for whoever changes dependencies):  python3 scripts/lock.py
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Hashed lock of the sets base, test and dev; each needs the ones above it.
# Made by scripts/lock.py; install everything: pip install --require-hashes --no-deps -r requirements.lock
"""


def resolve(wanted: list[str], pins: str = "") -> dict[str, str]:
    """Return package → its block of the lock, for one list of requirements."""
    command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--quiet"]
    command += [
        "--generate-hashes",
        "--only-binary",
        ":all:",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
    ]
    constraints = ROOT / ".lock-pins.txt"
    constraints.write_text(pins, encoding="utf-8")
    try:
        text = subprocess.run(
            [*command, "--constraint", str(constraints), "-"],
            input="\n".join(wanted),
            text=True,
            capture_output=True,
            check=True,
        ).stdout
    finally:
        constraints.unlink()
    blocks = re.split(r"\n(?=\S)", text.strip())
    return {re.split(r"[=\s;\[]", block)[0]: block for block in blocks}


def main() -> None:
    """Resolve the largest set first, so that the smaller ones agree with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    base = project["project"]["dependencies"]
    test = base + project["dependency-groups"]["test"]
    every = resolve(test + project["dependency-groups"]["dev"])
    pins = "\n".join(block.split(" \\")[0] for block in every.values())
    names = {"base": set(resolve(base, pins)), "test": set(resolve(test, pins)), "dev": set(every)}
    written: set[str] = set()
    lines = [HEADER]
    for section, members in names.items():
        lines.append(f"# --- {section} ---\n")
        lines += [every[name] + "\n" for name in sorted(members - written)]
        written |= members
    (ROOT / "requirements.lock").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
