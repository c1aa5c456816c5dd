"""The files for people without our tool: start.txt, start.html, verify.ps1 and verify.sh."""

from __future__ import annotations

import functools
import html
from importlib import resources
from string import Template

from toolkit.media._set import SetPlan

LEAFLETS = frozenset({"start.txt", "start.html", "verify.ps1", "verify.sh"})
"""Their names, in a set folder."""
_DECRYPTING = """\
  They can be checked without a key. An import with ferry decrypts them by itself:
    ferry cluster import <this folder> --cluster <name> --site <site directory>
  The vendor's files, for any other way, segments put together:
    ferry media extract <this folder> --to <folder> --site <site directory>
  Another identity than the site's own is named with --identity <file>.
"""


def leaflet(plan: SetPlan, *, fingerprint: str, number: int) -> dict[str, bytes]:
    """Return the files of one medium by name; equal plans give equal bytes."""
    half = len(fingerprint) // 2 + 1
    facts = {
        "label": plan.label(number),
        "set_name": plan.set_name,
        "set_id": plan.set_id,
        "number": str(number),
        "count": str(plan.media_count),
        "issued_at": f"{plan.issued_at:%Y-%m-%d %H:%M} UTC",
        "expires_at": f"{plan.expires_at:%Y-%m-%d %H:%M} UTC",
        "fingerprint_1": fingerprint[:half].strip(),
        "fingerprint_2": fingerprint[half:].strip(),
    }
    pieces = [piece for _, piece in plan.on_medium(number)]
    lines = [
        f"  {piece.path}\n      {piece.size_bytes} bytes\n      sha256 {piece.sha256}"
        for piece in pieces
    ]
    rows = [
        f"<tr><td>{html.escape(piece.path)}</td><td>{piece.size_bytes}</td>"
        f"<td><code>{piece.sha256}</code></td></tr>"
        for piece in pieces
    ]
    special = _special(plan)
    return {
        "start.txt": _fill(
            "start.txt",
            {
                **facts,
                "content": "\n".join(lines),
                "special": "".join(f"\n{title.upper()}\n{text}" for title, text in special),
                "naming": _naming(plan),
            },
        ),
        "start.html": _fill(
            "start.html",
            {
                **facts,
                "content": "\n".join(rows),
                "special": "\n".join(
                    f"<h2>{title}</h2>\n<pre>{html.escape(text)}</pre>" for title, text in special
                ),
                "naming": _naming(plan).replace("data/payload", "<code>data/payload</code>"),
            },
        ),
        **{name: _template(name).encode() for name in ("verify.ps1", "verify.sh")},
    }


def _special(plan: SetPlan) -> list[tuple[str, str]]:
    """Return title and text of what is to be known of some sets only."""
    if plan.encryption is not None:
        return [("The payloads are encrypted", _DECRYPTING)]
    joining = _joining(plan)
    return [("Put together what was cut", joining)] if joining else []


def _naming(plan: SetPlan) -> str:
    if plan.encryption is not None:
        return "The vendor's files are what `ferry media extract` wrote."
    return "The files under data/payload are the vendor's, under the vendor's names."


def _joining(plan: SetPlan) -> str:
    """Tell how to make the vendor's files from their segments by hand."""
    texts = []
    for file in plan.files:
        if len(file.pieces) == 1:
            continue
        folder = file.pieces[0].path.rpartition("/")[0]
        name = file.target.rpartition("/")[2]
        media = sorted({piece.medium for piece in file.pieces})
        parts = "+".join(piece.path.rpartition("/")[2] for piece in file.pieces)
        texts.append(
            f"  {name}: {len(file.pieces)} segments, on medium {' and '.join(map(str, media))} of "
            f"{plan.media_count}. Copy {folder} of\n  each into one folder, then there:\n"
            f"    Windows   cmd /c copy /b {parts} {name}\n"
            f"    Linux     cat *.seg > {name}\n"
            f"    it must have {file.size_bytes} bytes and sha256\n    {file.sha256}\n"
        )
    return "\n".join(texts)


def _fill(name: str, facts: dict[str, str]) -> bytes:
    return Template(_template(name)).substitute(facts).encode()


@functools.cache
def _template(name: str) -> str:
    return resources.files("toolkit.media").joinpath(name).read_text(encoding="utf-8")
