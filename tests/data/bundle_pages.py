"""Pages with the table of published bundles, in every layout the published page has had.

Origin: the layouts are those of import-discover-updates-offline-23h2.md (MicrosoftDocs/azure-stack-docs and
copies of it), revisions of 2025-05-13 to 2026-03-23, told apart by their columns; the column of notes is
described by NeilBird/Azure-Local AzLocal.UpdateManagement (Update-AzLocalSideloadCatalog). The rows come from
the reviewed manifests. The prose around the tables is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
HOST = "https://azurestackreleases.download.prss.microsoft.com/dbazure/AzureLocal"
NAME = "import-discover-updates-offline-23h2"

PLACEHOLDER = "3A2E5D7F1B8C9F6A2D7E5B8C9F6A2D7E5B8C9F6A2D7E5B8C9F6A2D7E5B8C9F6"
"""63 digits; printed for 11.2504.1001.19 and 10.2503.0.13 in May 2025."""
TWO_TOO_MANY = "15771552A97785B7EE291587FE62EE678EDE850E2250A5407EE6738AFEF729B65B"
"""66 digits; printed for 12.2509.1001.22 on 2025-10-30."""
SHIFTED = "BAA0CEB0CF695CCCF36E39F70BF2E67E0B886B91CDE97F8C2860CE299E2A5126"
"""The hash of 10.2503.0.13; printed for 11.2504.1001.19 on 2025-05-27."""


@dataclass(frozen=True, kw_only=True)
class PageRow:
    """What one row says."""

    version: str
    os_build: str
    sha256: str
    available_on: str
    url: str
    note: str = ""

    def but(self, **facts: str) -> PageRow:
        return replace(self, **facts)


def new_row(version: str = "12.2604.1003.5", **facts: str) -> PageRow:
    """Return a row that nobody knows yet; its hash is made up."""
    row = PageRow(
        version=version,
        os_build="26100.32999",
        sha256="4F9C0A6E5B7D2183C6E1F0A9D8B74352E16A0C9F8D7B5E4A3C2D1F0E9B8A7C61",
        available_on="2026-04-21",
        url=f"{HOST}/CombinedSolutionBundle/{version}/CombinedSolutionBundle.{version}.zip",
    )
    return row.but(**facts)


def shipped_rows() -> list[PageRow]:
    """Return a row for each reviewed manifest, newest first, as the page of its source printed it."""
    rows = []
    for path in sorted(MANIFESTS.glob("1*.yaml"), reverse=True):
        facts = yaml.load(path.read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506 - texts only
        (payload,) = facts["payloads"]
        rows.append(
            PageRow(
                version=facts["version"],
                os_build=facts["os_build"],
                sha256=payload["sha256"].upper(),
                available_on=facts["available_on"],
                url=payload["url"],
                note=facts.get("applies_from", ""),
            )
        )
    return rows


# --- Markdown -----------------------------------------------------------------------------------


def _front(*body: str, day: str = "03/23/2026") -> bytes:
    head = ["---", "title: Bundles", f"ms.date: {day}", "---", "", "# Bundles", ""]
    return "\n".join([*head, *body, "", "## What to do", "", "1. Import it.", ""]).encode()


def _link(row: PageRow) -> str:
    date = f" <br><br> Availability date: <br><br> {row.available_on}" if row.available_on else ""
    return f"[{row.version}]({row.url}){date}"


def _pipes(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [headings, ["--"] * len(headings), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


_THREE = ("OS Build", "Download URI", "SHA256")


def one_table(rows: Sequence[PageRow]) -> bytes:
    return _front(*_pipes(_THREE, ([row.os_build, _link(row), row.sha256] for row in rows)))


def padded_cells(rows: Sequence[PageRow]) -> bytes:
    """Cells padded to columns, and a blank behind the address."""
    lines = [
        "| OS Build     | Download URI       | SHA256                          |",
        "|--------------|--------------------|---------------------------------|",
        *(
            f"| {row.os_build}   | {_link(row).replace('.zip)', '.zip )')}  | {row.sha256}   |  "
            for row in rows
        ),
    ]
    return _front(*lines)


def note_column(rows: Sequence[PageRow]) -> bytes:
    headings = ("OS Build", "Download URI", "Note", "SHA256")
    return _front(
        *_pipes(headings, ([r.os_build, _link(r), r.note, r.sha256] for r in rows)),
    )


def note_in_hash_cell(rows: Sequence[PageRow]) -> bytes:
    return _front(
        *_pipes(
            _THREE,
            (
                [r.os_build, _link(r), r.sha256 + (f"<br><br>{r.note}" if r.note else "")]
                for r in rows
            ),
        )
    )


def note_spilled_over_lines(rows: Sequence[PageRow]) -> bytes:
    lines = _pipes(_THREE, [])
    for row in rows:
        start = f"| {row.os_build} | {_link(row)} | {row.sha256}"
        lines += (
            [f"{start}<br><br>", "> [!NOTE]", ">", f"> - {row.note} |"]
            if row.note
            else [f"{start} |"]
        )
    return _front(*lines)


def tabs_by_os_build(rows: Sequence[PageRow]) -> bytes:
    lines: list[str] = []
    for train in ("26100", "25398"):
        some = [row for row in rows if row.os_build.startswith(train)]
        lines += [f"### [OS build {train}.xxxx](#tab/OS-build-{train}-xxxx)", ""]
        lines += _pipes(_THREE, ([row.os_build, _link(row), row.sha256] for row in some))
        lines.append("")
    return _front(*lines, "---")


def tabs_by_deployment(rows: Sequence[PageRow]) -> bytes:
    lines: list[str] = []
    for name, some in (("existing", rows[1:]), ("new", rows[:1])):
        lines += [f"### [{name.title()} deployments](#tab/{name}-deployments)", ""]
        lines += _pipes(_THREE, ([row.os_build, _link(row), row.sha256] for row in some))
        lines.append("")
    return _front(*lines, "---")


def no_os_column(rows: Sequence[PageRow]) -> bytes:
    return _front(*_pipes(("Download URI", "SHA256"), ([_link(r), r.sha256] for r in rows)))


# --- HTML ---------------------------------------------------------------------------------------


def _html(*body: str, day: str = "2026-03-23") -> bytes:
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
        f'<meta name="ms.date" content="{day}T00:00:00Z" />\n'
        f'<link rel="canonical" href="https://learn.microsoft.com/en-us/azure/azure-local/update/{NAME}" />\n'
        "<style>table { color: red }</style><script>var t = '<table><tr><td>no</td></tr>';</script>\n"
        "</head>\n<body>\n<main>\n"
    )
    return (head + "\n".join(body) + "\n</main>\n</body>\n</html>\n").encode()


def _html_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{heading}</th>\n" for heading in headings)
    body = "".join(
        "<tr>\n" + "".join(f"<td>{cell}</td>\n" for cell in row) + "</tr>\n" for row in rows
    )
    return f"<table>\n<thead>\n<tr>\n{top}</tr>\n</thead>\n<tbody>\n{body}</tbody>\n</table>"


def _anchor(row: PageRow) -> str:
    return f'<a href="{row.url}" data-linktype="external">{row.version}</a>'


def _html_link(row: PageRow) -> str:
    date = f"<br><br> Availability date: <br><br> {row.available_on}" if row.available_on else ""
    return f"{_anchor(row)} {date}"


def rendered_tabs(rows: Sequence[PageRow]) -> bytes:
    parts = []
    for train in ("26100", "25398"):
        some = [row for row in rows if row.os_build.startswith(train)]
        cells = ([row.os_build, _html_link(row), row.sha256] for row in some)
        parts.append(f'<section id="tab-{train}">{_html_table(_THREE, cells)}</section>')
    return _html(*parts)


def rendered_note_column(rows: Sequence[PageRow]) -> bytes:
    headings = ("OS Build", "Download URI", "Note", "SHA256")
    return _html(
        _html_table(headings, ([r.os_build, _html_link(r), r.note, r.sha256] for r in rows))
    )


def rendered_notes(rows: Sequence[PageRow]) -> bytes:
    """Hash and date together in a column of notes."""

    def notes(row: PageRow) -> str:
        date = f"<br>Availability date: {row.available_on}" if row.available_on else ""
        return f"SHA256: {row.sha256}{date}" + (f"<br>{row.note}" if row.note else "")

    headings = ("Version", "OS build", "Notes")
    return _html(_html_table(headings, ([_anchor(r), r.os_build, notes(r)] for r in rows)))


def rendered_carelessly(rows: Sequence[PageRow]) -> bytes:
    """Upper-case tags, nothing closed, headings as ordinary cells."""
    lines = ["<TABLE BORDER=1><TR><TD>OS Build<TD>Download URI<TD>SHA256"]
    lines += [
        f"<TR><TD>{r.os_build}<TD><A HREF='{r.url}'>{r.version}</A><BR>Availability date:<BR>"
        f"{r.available_on}<TD>{r.sha256}"
        for r in rows
    ]
    return _html(*lines)


Layout = Callable[[Sequence[PageRow]], bytes]
MARKDOWN: tuple[Layout, ...] = (
    one_table,
    padded_cells,
    note_column,
    note_in_hash_cell,
    note_spilled_over_lines,
    tabs_by_os_build,
    tabs_by_deployment,
    no_os_column,
)
HTML: tuple[Layout, ...] = (
    rendered_tabs,
    rendered_note_column,
    rendered_notes,
    rendered_carelessly,
)
LAYOUTS = (*MARKDOWN, *HTML)
WITH_NOTES = (
    note_column,
    note_in_hash_cell,
    note_spilled_over_lines,
    rendered_note_column,
    rendered_notes,
)
