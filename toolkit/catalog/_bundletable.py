"""bytes → the rows of the published bundle table. Pure.

The page is edited by hand. Layouts seen: `OS Build | Download URI | SHA256` with the version as the text of
the link and `Availability date:` below it; a `Note` column before the hash, or the note below the hash in
its cell, or spilled over several lines; one table, or one for each OS build or kind of deployment, under
tabs; no OS column; hash and date together in a column of notes. So columns are told by their heading and
values by their form: a value is found wherever it stands in its row, and what is left is the note.

Source: import-discover-updates-offline-23h2.md, revisions of 2025-05-13 to 2026-03-23; for the column of
notes, NeilBird/Azure-Local AzLocal.UpdateManagement, Update-AzLocalSideloadCatalog (third party).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from toolkit.catalog._pagetables import VERSION, Cell, Row, Table, read_page
from toolkit.errors import InputError
from toolkit.model import SolutionVersion

_ATTEMPTED = "read published bundle table"
_BUNDLE = "combinedsolutionbundle"
_HASH_HEADING = re.compile(r"sha\W?256|hash", re.IGNORECASE)
_TABLE_HEADING = re.compile(r"sha\W?256|download\W?ur[il]", re.IGNORECASE)

_IN_HASH_COLUMN = re.compile(r"[0-9A-Za-z]{8,200}\Z")
_ANYWHERE = re.compile(r"(?<![0-9A-Za-z])[0-9A-Za-z]{40,200}(?![0-9A-Za-z])")
"""Longer than a version or a word, shorter than any hash that was published cut off."""
_OS_BUILD = re.compile(
    r"(?:OS build:?\s*)?(?:10\.0\.)?(\d{5}\.\d{1,6})\Z", re.IGNORECASE | re.ASCII
)
_DAY = r"(\d{4}-\d{2}-\d{2})(?![\d-])"
_DATE = re.compile(_DAY + r"\Z", re.ASCII)
_LABELLED_DATE = re.compile(r"availab\w+\s*(?:date|on)?\s*:?\s*" + _DAY, re.IGNORECASE | re.ASCII)
_LABELS = re.compile(
    r"(?:(?:sha\W?256(?: hash)?|availab\w+(?: date| on)?|date|note)\s*:?\s*)+\Z", re.IGNORECASE
)
_LONGEST_EXCERPT, _LONGEST_NOTE = 160, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """What one row says of one solution bundle."""

    version: SolutionVersion
    os_build: str
    """`26100.32522`; empty: the row does not say it."""
    url: str
    """As published; perhaps nothing we would fetch from."""
    sha256: str
    """As published, of any length, lower-cased; empty: the row has none."""
    available_on: date | None
    note: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """A row that cannot be understood, and where it stands."""

    place: str
    found: str
    expected: str
    text: str
    """The row, shortened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundlePage:
    """What the page of published bundles says."""

    rows: tuple[PublishedRow, ...]
    problems: tuple[RowProblem, ...]
    commented_rows: int
    """Rows that are commented out: not published, so not read."""
    revised_on: date | None
    """The day of this revision, if the page says it."""
    address: str
    """Where the page says it stands; empty: it does not say."""


def read_bundle_page(data: bytes, *, file: str | None = None) -> BundlePage:
    """Return the rows of every bundle table on a page.

    Args:
        data: The page's Markdown source, or the page as rendered (HTML).
        file: Its name or address, for error messages.

    Raises:
        InputError: Not a page, or one without a bundle table.
    """
    page = read_page(data, attempted=_ATTEMPTED, file=file)
    tables = [table for table in page.tables if _is_bundle_table(table)]
    read = [_read_row(row, _hash_column(table)) for table in tables for row in _body(table)]
    if not read:
        raise InputError(
            _ATTEMPTED,
            file=file,
            found=f"{len(page.tables)} table(s), none of them with bundles;"
            f" {page.commented_rows} row(s) commented out",
            expected="a table with the columns OS Build, Download URI and SHA256",
            hint="give the page that lists the CombinedSolutionBundle versions, as Markdown or HTML",
        )
    return BundlePage(
        rows=tuple(row for row in read if isinstance(row, PublishedRow)),
        problems=tuple(row for row in read if isinstance(row, RowProblem)),
        commented_rows=page.commented_rows,
        revised_on=page.revised_on,
        address=page.address,
    )


def _is_bundle_table(table: Table) -> bool:
    if table.heading and any(_TABLE_HEADING.search(cell.text) for cell in table.heading.cells):
        return True
    return any(_BUNDLE in address.casefold() for row in table.rows for _, address in _links(row))


def _body(table: Table) -> Iterator[Row]:
    """Return the rows that say something: neither blank nor a heading in ordinary cells."""
    for row in table.rows:
        has_heading = any(_TABLE_HEADING.search(cell.text) for cell in row.cells)
        is_heading = has_heading and not _links(row) and not VERSION.search(row.text)
        if (row.text.strip(" |") or _links(row)) and not is_heading:
            yield row


def _hash_column(table: Table) -> int | None:
    """Return the index of the column whose heading is the hash's."""
    rows = [table.heading] if table.heading else table.rows[:1]
    columns = (
        index
        for row in rows
        for index, cell in enumerate(row.cells)
        if _HASH_HEADING.search(cell.text)
    )
    return next(columns, None)


def _read_row(row: Row, hash_column: int | None) -> PublishedRow | RowProblem:
    def problem(found: str, expected: str) -> RowProblem:
        return RowProblem(
            place=f"line {row.line}",
            found=found,
            expected=expected,
            text=row.text[:_LONGEST_EXCERPT],
        )

    links = [link for link in _links(row) if _BUNDLE in link[1].casefold()]
    links = links or [link for link in _links(row) if VERSION.search(f"{link[0]} {link[1]}")]
    if not links:
        return problem("no link to a solution bundle", "a version that links to its zip")
    named = {version for text, address in links for version in _versions(text, address)}
    if not named:
        named = set(_versions(*(cell.text for cell in row.cells if not _is_prose(cell))))
    if len(named) != 1:
        found = " and ".join(map(str, sorted(named))) or "no solution version"
        return problem(found, "one version, the same as text and in the address of the link")
    addresses = dict.fromkeys(address for _, address in links)
    if len(addresses) > 1:
        return problem(" and ".join(addresses), "one address")
    hashes = list(_hashes(row, hash_column))
    if len(set(hashes)) > 1:
        return problem(" and ".join(hashes), "one SHA-256")
    value = hashes[0] if hashes else ""
    return PublishedRow(
        version=named.pop(),
        os_build=_first(_OS_BUILD, row),
        url=next(iter(addresses)),
        sha256=value.lower(),
        available_on=_available_on(row),
        note=_note(row, value),
        place=f"line {row.line}",
    )


def _links(row: Row) -> list[tuple[str, str]]:
    return [link for cell in row.cells for link in cell.links]


def _versions(*texts: str) -> Iterator[SolutionVersion]:
    for text in texts:
        for found in VERSION.finditer(text):
            try:
                yield SolutionVersion.parse(found[0])
            except ValueError:  # 12.2613.1002.15 names no month
                continue


def _is_prose(cell: Cell) -> bool:
    return len(cell.text.split()) > 8


def _lines(row: Row) -> Iterator[tuple[int, str]]:
    """Return (column, text) of every line of every cell."""
    for column, cell in enumerate(row.cells):
        for line in cell.text.split("\n"):
            yield column, " ".join(line.split())


def _hashes(row: Row, hash_column: int | None) -> Iterator[str]:
    """Return what can be meant as the hash: in its own column also a short or misspelt one."""
    if hash_column is not None:
        own = [line for column, line in _lines(row) if column == hash_column]
        found = [line for line in own if _IN_HASH_COLUMN.match(line) and re.search(r"\d", line)]
        if found:
            yield from found
            return
    for _, line in _lines(row):
        yield from _ANYWHERE.findall(line)


def _first(pattern: re.Pattern[str], row: Row) -> str:
    """Return what the first line that is nothing else holds."""
    return next((found[1] for _, line in _lines(row) if (found := pattern.match(line))), "")


def _available_on(row: Row) -> date | None:
    labelled = _LABELLED_DATE.search(" ".join(row.text.split()))
    try:
        return date.fromisoformat(labelled[1] if labelled else _first(_DATE, row))
    except ValueError:
        return None


def _note(row: Row, value: str) -> str:
    """Return what the row says besides its values."""
    values = {value, *(" ".join(text.split()) for text, _ in _links(row))} - {""}
    parts = (_rest(line, values) for _, line in _lines(row))
    return " ".join(filter(None, parts))[:_LONGEST_NOTE]


def _rest(line: str, values: Iterable[str]) -> str:
    if _OS_BUILD.match(line) or _DATE.match(line):
        return ""
    line = _LABELLED_DATE.sub("", line)
    for value in values:
        line = line.replace(value, "")
    line = re.sub(r"^[>\s*-]*(?:\[!\w+\])?\s*", "", line).strip(" ,;|")
    return "" if _LABELS.match(line) else line
