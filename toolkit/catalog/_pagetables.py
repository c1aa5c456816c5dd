"""bytes → the tables of a documentation page, as Markdown source or as rendered HTML. Pure.

A page is text that people edited by hand, or what a web server made of it: nothing in it is believed to be
closed, quoted or nested rightly, and every step is linear in its length. (The standard library's
`html.parser` of Python 3.11 is not: 60 kB of unclosed tags keep it busy for 43 s.) Tables inside comments
and fences are no tables; rows in comments are counted.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from datetime import date

from toolkit.errors import InputError

LIMIT_BYTES = 4 << 20
"""The published page has 13 kB as Markdown; rendered pages of that site have some hundred."""
MOST_PARTS, MOST_LINES = 50_000, 100_000
"""Cells, links and pieces of text in tables, and lines: so that a page fits in memory whatever comes."""

VERSION = re.compile(
    r"(?<!\d)(?<!\d\.)(?:10|11|12)\.\d{4}\.\d{1,4}\.\d{1,4}(?!\d)(?!\.\d)", re.ASCII
)
"""A solution version inside other text."""

_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)
_HTML = re.compile(r"<(?:!doctype html|html|body|table)\b", re.IGNORECASE)
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_MOST_NOTE_LINES = 10
_MD_LINK = re.compile(r"""\[([^\[\]]*)\]\(\s*<?([^()\s<>]+)>?(?:\s+"[^"]*")?\s*\)""")
_BARE_LINK = re.compile(r"https?://[^\s<>|()\[\]\"']+", re.IGNORECASE)
_TOKEN = re.compile(r"<[^<>]*>|[^<]+|<")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ATTRIBUTE = re.compile(r"""(?<![-\w:.])([a-zA-Z][-\w:.]*)\s*=\s*("[^"]*"|'[^']*'|[^\s"'<>]+)""")
_BREAKS = frozenset({"br", "p", "li", "div"})
_RAW = frozenset({"script", "style"})
_INVISIBLE = str.maketrans("", "", "\u00ad\u200b\u200c\u200d\u2060\ufeff")
"""Soft hyphens and blanks without width, which editors paste into long words."""


@dataclass(slots=True)
class Cell:
    """One cell: its text, a line per line break, and its links."""

    text: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)
    """(text, address) of each link, without blanks around them."""


@dataclass(slots=True)
class Row:
    """One row and the line it begins on, counted from 1."""

    line: int
    cells: list[Cell] = field(default_factory=list)
    is_heading: bool = False

    @property
    def text(self) -> str:
        """The whole row on one line, for messages."""
        return " | ".join(" ".join(cell.text.split()) for cell in self.cells)


@dataclass(slots=True)
class Table:
    """The rows that stand under one heading."""

    rows: list[Row] = field(default_factory=list)
    heading: Row | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page holds besides prose."""

    tables: tuple[Table, ...]
    commented_rows: int
    """Table rows with a solution version that are commented out."""
    revised_on: date | None
    """`ms.date`: the day of this revision, if the page says it."""
    address: str
    """Where the page says it stands (`canonical`); empty: it does not say."""


def read_page(data: bytes, *, attempted: str, file: str | None) -> Page:
    """Return the tables of a page.

    Args:
        data: Markdown or HTML in UTF-8, or in UTF-16 with a byte order mark.
        attempted: What is being read, for errors.
        file: Its name or address, for errors.

    Raises:
        InputError: Larger than a page, or with more cells than a page has.
    """
    if len(data) > LIMIT_BYTES:
        raise InputError(
            attempted,
            file=file,
            found=f"more than {LIMIT_BYTES} bytes",
            expected="a documentation page",
            hint="is this the right address or file?",
        )
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    text, commented_rows = _without_comments(text.replace("\r\n", "\n").translate(_INVISIBLE))
    collected = _Collected()
    try:
        facts = _read_html(text, collected) if _HTML.search(text) else {}
        _read_markdown(text, collected)
    except _TooMuch as found:
        raise InputError(
            attempted, file=file, found=str(found), expected="a documentation page"
        ) from None
    return Page(
        tables=tuple(collected.tables),
        commented_rows=commented_rows,
        revised_on=_day(facts.get("ms.date", "") or _front_matter(text)),
        address=facts.get("canonical", ""),
    )


class _TooMuch(Exception):  # noqa: N818 - leaves this module as an InputError
    pass


class _Collected:
    """The tables read so far, and how many parts they may still have."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self._left = MOST_PARTS

    def take(self, parts: int = 1) -> None:
        """Count parts before they take memory."""
        self._left -= parts
        if self._left < 0:
            raise _TooMuch(f"tables of more than {MOST_PARTS} parts")


def _without_comments(text: str) -> tuple[str, int]:
    """Return the text with every comment blanked, lines kept, and the number of rows in comments."""
    rows = 0

    def blank(found: re.Match[str]) -> str:
        nonlocal rows
        rows += sum(
            bool(VERSION.search(piece)) and ("|" in piece or "<td" in piece.lower())
            for piece in re.split(r"\n|(?=<tr)", found[1])
        )
        return "\n" * found[0].count("\n")

    return _COMMENT.sub(blank, text), rows


# --- Markdown -----------------------------------------------------------------------------------


def _read_markdown(text: str, collected: _Collected) -> None:
    """Read pipe tables.

    A row counts under the last heading above it even where a note between two rows has ended the table:
    that stood on the published page, and readers of the page took the rows for rows.
    """
    if text.count("\n") >= MOST_LINES:
        raise _TooMuch(f"more than {MOST_LINES} lines")
    lines = [_unquoted(line) for line in _without_fences(text.split("\n"))]
    table: Table | None = None
    goes_on = False
    at = 0
    while at < len(lines):
        line = lines[at]
        if "|" in line and _is_delimiter(lines[at + 1] if at + 1 < len(lines) else ""):
            table = Table(heading=_markdown_row(line, at + 1, collected))
            collected.tables.append(table)
            at += 2
            goes_on = True
        elif line.startswith("|") or (goes_on and ("|" in line or VERSION.search(line))):
            if table is None:
                table = Table()
                collected.tables.append(table)
            note = _note_after(lines, at)
            table.rows.append(_markdown_row("\n".join([line, *note]), at + 1, collected))
            at += 1 + len(note)
        else:
            goes_on = False
            if line.startswith("#"):
                table = None
            at += 1


def _unquoted(line: str) -> str:
    """Return a table's line as it is outside quotations and lists."""
    inner = line.lstrip(" \t>")
    return inner if inner.startswith("|") else line


def _is_delimiter(line: str) -> bool:
    return {"|", "-"} <= set(line) <= set("|:- \t")


def _without_fences(lines: list[str]) -> list[str]:
    """Return the lines with code blocks blanked."""
    fence = ""
    kept = []
    for line in lines:
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and line.strip().startswith(fence):
            fence = ""
        elif not fence:
            kept.append(line)
            continue
        kept.append("")
    return kept


def _note_after(lines: list[str], at: int) -> list[str]:
    """Return the lines a row goes on with: those up to the `|` that the row itself lacks."""
    if lines[at].rstrip().endswith("|"):
        return []
    for end in range(at + 1, min(at + 1 + _MOST_NOTE_LINES, len(lines))):
        if lines[end].lstrip().startswith(("|", "#")):
            break
        if lines[end].rstrip().endswith("|"):
            return lines[at + 1 : end + 1]
    return []


def _markdown_row(text: str, line: int, collected: _Collected) -> Row:
    row = Row(line=line)
    inner = text.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    collected.take(inner.count("|") + 1)
    for part in re.split(r"(?<!\\)\|", inner):
        row.cells.append(_markdown_cell(part.replace("\\|", "|"), collected))
    return row


def _markdown_cell(text: str, collected: _Collected) -> Cell:
    """Read a cell's links, and the HTML that Markdown may hold."""
    cell = Cell()
    for link in _MD_LINK.finditer(text):
        collected.take()
        cell.links.append((link[1].strip(), link[2]))
    pieces = []
    for found in _TOKEN.finditer(_MD_LINK.sub(r"\1", text)):
        collected.take()
        token, tag = found[0], _TAG.match(found[0])
        if _BARE_LINK.match(token, 1):  # <https://…>
            pieces.append(token[1:-1])
        elif tag is None:
            pieces.append(html.unescape(token))
        elif tag[2].lower() in _BREAKS:
            pieces.append("\n")
        elif tag[2].lower() == "a" and (href := _attributes(token).get("href", "").strip()):
            cell.links.append(("", href))
    plain = "".join(pieces)
    for found in _BARE_LINK.finditer(plain):
        collected.take()
        cell.links.append(("", found[0]))
    cell.text = _BARE_LINK.sub("", plain).replace("**", "").replace("`", "")
    return cell


# --- HTML ---------------------------------------------------------------------------------------


def _read_html(text: str, collected: _Collected) -> dict[str, str]:
    """Read `<table>`s; return the facts of the page's head."""
    reader = _HtmlReader(collected)
    for found in _TOKEN.finditer(text):
        reader.token(found[0])
    reader.close()
    return reader.facts


class _HtmlReader:
    """Takes tags as they come; whatever is open ends where something of its kind begins."""

    def __init__(self, collected: _Collected) -> None:
        self.facts: dict[str, str] = {}
        self._collected = collected
        self._tables: list[Table] = []
        """Open tables; a row belongs to the innermost."""
        self._row: Row | None = None
        self._cell: Cell | None = None
        self._pieces: list[str] = []
        self._href = ""
        self._link: list[str] | None = None
        self._raw = ""
        self._line = 1

    def token(self, token: str) -> None:
        tag = _TAG.match(token)
        name = tag[2].lower() if tag else ""
        is_end = bool(tag and tag[1])
        if self._raw:
            if is_end and name == self._raw:
                self._raw = ""
        elif tag is None:
            self._text(html.unescape(token))
        elif is_end:
            self._end(name)
        else:
            self._begin(name, token)
        self._line += token.count("\n")

    def close(self) -> None:
        while self._tables:
            self._end("table")

    def _begin(self, name: str, token: str) -> None:
        if name in _RAW:
            self._raw = name
        elif name in ("meta", "link"):
            self._fact(_attributes(token))
        elif name == "table":
            self._end_row()
            self._collected.take()
            self._tables.append(Table())
        elif name == "tr":
            self._end_row()
            self._row = Row(line=self._line, is_heading=True) if self._tables else None
        elif name in ("td", "th") and self._row is not None:
            self._end_cell()
            self._cell = Cell()
            self._collected.take()
            self._row.cells.append(self._cell)
            self._row.is_heading &= name == "th"
        elif name in _BREAKS:
            self._text("\n")
        elif name == "a" and self._cell is not None:
            self._end_link()
            self._href, self._link = _attributes(token).get("href", "").strip(), []

    def _end(self, name: str) -> None:
        if name == "table" and self._tables:
            self._end_row()
            self._collected.tables.append(self._tables.pop())
        elif name == "tr":
            self._end_row()
        elif name in ("td", "th"):
            self._end_cell()
        elif name == "a":
            self._end_link()
        elif name in _BREAKS:
            self._text("\n")

    def _text(self, text: str) -> None:
        if self._link is not None:
            self._link.append(text)
        if self._cell is not None:
            self._collected.take()
            self._pieces.append(text)

    def _end_link(self) -> None:
        if self._cell is not None and self._link is not None:
            self._cell.links.append(("".join(self._link).strip(), self._href))
        self._link = None

    def _end_cell(self) -> None:
        self._end_link()
        if self._cell is not None:
            self._cell.text = "".join(self._pieces)
        self._cell = None
        self._pieces = []

    def _end_row(self) -> None:
        self._end_cell()
        row, self._row = self._row, None
        if row is None or not row.cells or not self._tables:
            return
        table = self._tables[-1]
        if row.is_heading and table.heading is None and not table.rows:
            table.heading = row
        else:
            table.rows.append(row)

    def _fact(self, attributes: dict[str, str]) -> None:
        if attributes.get("name", "").lower() == "ms.date":
            self.facts.setdefault("ms.date", attributes.get("content", ""))
        elif attributes.get("rel", "").lower() == "canonical":
            self.facts.setdefault("canonical", attributes.get("href", "").strip())


def _attributes(tag: str) -> dict[str, str]:
    return {
        found[1].lower(): html.unescape(found[2].strip("\"'")) for found in _ATTRIBUTE.finditer(tag)
    }


# --- the page's own date ------------------------------------------------------------------------


def _front_matter(text: str) -> str:
    """Return `ms.date` of the block between `---` at the top of a Markdown source."""
    if not text.startswith("---\n"):
        return ""
    block = text[: max(0, text.find("\n---", 4))]
    found = re.search(r"^ms\.date:[ \t]*(\S+)", block, re.MULTILINE)
    return found[1] if found else ""


def _day(text: str) -> date | None:
    """Read 03/23/2026 (month first, as in front matters) or 2026-03-23, a time after it or not."""
    found = re.match(
        r"[\"']?(?:(\d{1,2})/(\d{1,2})/(\d{4})|(\d{4})-(\d{2})-(\d{2}))", text, re.ASCII
    )
    if found is None:
        return None
    month, day, year = (
        (found[1], found[2], found[3]) if found[1] else (found[5], found[6], found[4])
    )
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None
