"""The files for people without our tool: start.txt, start.html and verify.ps1."""

from __future__ import annotations

import functools
import html
from importlib import resources
from string import Template

from toolkit.media._set import SetPlan


def leaflet(plan: SetPlan, *, fingerprint: str, number: int) -> dict[str, bytes]:
    """Return the files by name; equal plans give equal bytes."""
    half = len(fingerprint) // 2 + 1
    facts = {
        "label": f"{plan.set_name} {number}/{plan.media_count}",
        "set_name": plan.set_name,
        "set_id": plan.set_id,
        "number": str(number),
        "count": str(plan.media_count),
        "issued_at": f"{plan.issued_at:%Y-%m-%d %H:%M} UTC",
        "expires_at": f"{plan.expires_at:%Y-%m-%d %H:%M} UTC",
        "fingerprint_1": fingerprint[:half].strip(),
        "fingerprint_2": fingerprint[half:].strip(),
    }
    lines = [
        f"  {file.path}\n      {file.size_bytes} bytes\n      sha256 {file.sha256}"
        for file in plan.files
    ]
    rows = [
        f"<tr><td>{html.escape(file.path)}</td><td>{file.size_bytes}</td>"
        f"<td><code>{file.sha256}</code></td></tr>"
        for file in plan.files
    ]
    return {
        "start.txt": _fill("start.txt", {**facts, "content": "\n".join(lines)}),
        "start.html": _fill("start.html", {**facts, "content": "\n".join(rows)}),
        "verify.ps1": _template("verify.ps1").encode(),
    }


def _fill(name: str, facts: dict[str, str]) -> bytes:
    return Template(_template(name)).substitute(facts).encode()


@functools.cache
def _template(name: str) -> str:
    return resources.files("toolkit.media").joinpath(name).read_text(encoding="utf-8")
