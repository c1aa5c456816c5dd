"""One page of paper that carries a request: what a person must see, and codes with the whole document. Pure.

The page is HTML that refers to nothing outside and prints on one sheet of A4 or Letter. Lists are cut to
what fits and say so; the codes hold everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import segno

from toolkit.htmltext import page_template
from toolkit.request._nouns import SiteRequest, VolumeSpace
from toolkit.request._paper import to_paper

PAGE_MARK = '<meta name="generator" content="ferry request">'
"""Stands near the beginning of every page; by it an earlier page is recognised."""

_LAYOUTS = {1: "one", 2: "two", 3: "three"}
"""By the number of codes; `many` codes take the place of the lists."""
_MOST = {"one": (4, 12, 6), "two": (2, 5, 3), "three": (2, 5, 3), "many": (0, 0, 3)}
"""Layout → how many updates, volumes and unknown things fit."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The part of a list that fits on the page."""

    rows: Sequence[Any]
    left_out: int


def render_page(request: SiteRequest, data: bytes, fingerprint: str) -> str:
    """Return the page.

    Args:
        request: What is shown.
        data: The signed document, whole, which the codes carry.
        fingerprint: That of the key it is signed with, in groups of four.

    Raises:
        InputError: The document is too large for the codes of one page.
    """
    codes = to_paper(data)
    layout = _LAYOUTS.get(len(codes), "many")
    most_updates, most_volumes, most_unknown = _MOST[layout]
    template = page_template("toolkit.request", "_page.html.j2", time=_time, size=_size)
    return template.render(
        request=request,
        fingerprint=fingerprint.split(),
        codes=[_code(text) for text in codes],
        layout=layout,
        reach=_reach(request),
        updates=_cut(request.updates, most_updates),
        volumes=_cut(sorted(request.volumes, key=_scarcest), most_volumes),
        unknown=_cut(request.unknown, most_unknown),
    )


def _code(text: str) -> str:
    """Return one QR code as inline SVG; error correction M is what printed paper asks for."""
    code = segno.make_qr(text, error="m", boost_error=False)
    svg: str = code.svg_inline(border=4, omitsize=True)
    return svg


def _reach(request: SiteRequest) -> str:
    """Say which groups of addresses outside were reached."""
    groups: dict[str, list[bool]] = {}
    for endpoint in request.endpoints:
        groups.setdefault(endpoint.group, []).append(endpoint.is_reachable)
    reached = [group for group, answers in groups.items() if all(answers)]
    in_part = [group for group, answers in groups.items() if any(answers) and not all(answers)]
    if not groups:
        return "not known"
    if len(reached) == len(groups):
        return f"yes, all {len(groups)} groups asked"
    if not reached and not in_part:
        return f"no, none of {len(groups)} groups asked"
    return f"yes: {', '.join(reached) or 'none'}; in part: {', '.join(in_part) or 'none'}; else no"


def _scarcest(volume: VolumeSpace) -> tuple[bool, int]:
    """Cluster volumes first, then those of the nodes, each with the least space first."""
    return bool(volume.node), volume.free_bytes


def _cut(rows: Sequence[Any], most: int) -> _Cut:
    return _Cut(rows[:most], max(0, len(rows) - most))


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else "not known"


def _size(count_bytes: int) -> str:
    """Return a size in GB as Windows shows it: 1 GB is 1024 MB."""
    return f"{count_bytes / (1 << 30):,.1f}"
