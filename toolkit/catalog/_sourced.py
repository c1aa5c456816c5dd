"""Our reviewed tables in which every row names where it was read: `sources` maps short names to texts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from toolkit.yamltext import Value, read_yaml, require_format

Row = TypeVar("Row")


def read_rows(
    data: bytes,
    rows: str,
    *,
    file: str | None,
    format_number: int,
    read: Callable[[Value, Callable[[Value], str]], Row],
    name: Callable[[Row], Hashable],
    once: str,
) -> tuple[Row, ...]:
    """Return the rows of a document of `format`, `sources` and one list, in their order.

    Args:
        data: The document.
        rows: The key of the list.
        file: The document's name, for error messages.
        format_number: The format that is understood.
        read: Turns one item into a row; is given what looks up a source.
        name: What of a row there may be only once.
        once: That, in words.

    Raises:
        InputError: Not such a document; says the file, key and line.
    """
    values = read_yaml(data, file=file).record(("format", "sources", rows))
    require_format(values["format"], format_number)
    source = source_reader(values["sources"])
    found: dict[Hashable, Row] = {}
    for item in values[rows].items():
        row = read(item, source)
        if name(row) in found:
            raise item.refuse(found=f"{name(row)} again", expected=once)
        found[name(row)] = row
    return tuple(found.values())


def source_reader(sources: Value) -> Callable[[Value], str]:
    """Return a function that turns the name of a source into its text.

    Raises:
        InputError: `sources` is no mapping of names to texts.
    """
    texts = {name: value.text() for name, value in sources.mapping().items()}

    def look_up(name: str) -> str:
        if name not in texts:
            raise ValueError(name)
        return texts[name]

    return lambda value: value.parse(look_up, f"one of {', '.join(texts)}")
