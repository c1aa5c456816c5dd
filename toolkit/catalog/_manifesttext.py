"""Manifests as text: a new one in the house's form, and small changes to one that people wrote. Pure.

A change touches the lines it is about and no others: a manifest is reviewed as a diff, and its comments are
somebody's. Both styles of YAML are changed in place, blocks by lines and flows by columns. Whoever changes
a text reads it again with `read_manifest`.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import yaml

from toolkit.catalog._manifest import FORMAT
from toolkit.model import Manifest, Payload, SolutionVersion, Witness
from toolkit.yamltext import Value, read_yaml

_WIDTH = 98
_HEADER = (
    "# Solution bundle {version}: what was published about it, and where each value was read.\n"
    "# `sha256` is the hash we pin, chosen by a person from the witnesses; docs/reference/formats.md,"
    " section Manifest.\n"
)
_PLAIN = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9:/._~%+-]*[A-Za-z0-9/])?|\d+(?:\.\d+){3}|\d{4}-\d{2}-\d{2}"
)
"""Words, addresses, versions and dates, as the shipped files write them."""
_ORDER = (
    "version",
    "os_build",
    "available_on",
    "status",
    "applies_from",
    "supersedes",
    "superseded_by",
    "payloads",
)


def write_manifest(manifest: Manifest) -> str:
    """Return a manifest in the form of the shipped ones."""
    lines = [
        f"format: {FORMAT}",
        f"version: {_quoted(str(manifest.version))}",
        f"os_build: {_quoted(manifest.os_build)}",
        f"available_on: {manifest.available_on}",
        f"status: {manifest.status}",
    ]
    if manifest.applies_from:
        lines.append(f"applies_from: {_quoted(manifest.applies_from)}")
    if manifest.supersedes:
        lines.append(f"supersedes: [{', '.join(map(_quoted, manifest.supersedes))}]")
    if manifest.superseded_by:
        lines.append(f"superseded_by: {_quoted(manifest.superseded_by)}")
    if manifest.notes:
        folded = textwrap.wrap(
            plain(manifest.notes), _WIDTH - 2, break_long_words=False, break_on_hyphens=False
        )
        lines += ["notes: >-", *(f"  {line}" for line in folded)]
    lines.append("payloads:")
    for payload in manifest.payloads:
        lines += _payload_lines(payload)
    if manifest.sources:
        groups: dict[str, list[str]] = {}
        for key in sorted(dict(manifest.sources), key=_ORDER.index):
            groups.setdefault(dict(manifest.sources)[key], []).append(key)
        lines += ["sources:", *_source_lines((keys, text) for text, keys in groups.items())]
    return _HEADER.format(version=manifest.version) + "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Return a text of a stranger on one line, without what cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def add_witness(text: str, payload: str, witness: Witness) -> str:
    """Return a manifest's text with one more witness of a payload, the last one."""
    witnesses = _payload(text, payload).mapping()["witnesses"]
    facts = _witness_facts(witness)
    if _is_flow(witnesses.node):
        item = "{" + ", ".join(facts) + "}"
        before_bracket = _offset(text, witnesses.node.end_mark) - 1
        return _splice(text, before_bracket, (", " if witnesses.items() else "") + item)
    return _insert_lines(
        text, _last_line(text, witnesses.node), _item(facts, witnesses.node.start_mark.column)
    )


def pin(text: str, payload: str, sha256: str) -> str:
    """Return a manifest's text with the pinned hash of a payload that had none."""
    found = _payload(text, payload)
    url = found.mapping()["url"].node
    if _is_flow(found.node):
        return _splice(text, _offset(text, url.end_mark), f", sha256: {sha256}")
    indent = " " * found.node.start_mark.column
    return _insert_lines(text, _last_line(text, url), [f"{indent}sha256: {sha256}"])


def set_url(text: str, payload: str, url: str, *, read_in: str) -> str:
    """Return a manifest's text with another address of a payload, and where that was read."""
    changed = _replace(text, _payload(text, payload).mapping()["url"].node, _scalar(url))
    return _set_source(changed, "payloads", read_in)


def set_fact(text: str, key: str, value: str, *, read_in: str) -> str:
    """Return a manifest's text with another value of a key that it has, and where that was read."""
    changed = _replace(text, _read(text).mapping()[key].node, _scalar(value))
    return _set_source(changed, key, read_in)


# --- the table of releases ----------------------------------------------------------------------


def set_release(text: str, facts: Mapping[str, str], *, source: str, source_name: str) -> str:
    """Return the text of releases.yaml with one release as `facts` say: changed, or at its place.

    Args:
        text: The table.
        facts: Its keys and values, `version` among them, but no source.
        source: Where they were read.
        source_name: What to call that place if the table does not know it yet.
    """
    text, name = _source_name(text, source, source_name)
    row = ", ".join(
        f"{key}: {_scalar(value)}" for key, value in ({**facts, "source": name}).items() if value
    )
    version = SolutionVersion.parse(facts["version"])
    items = _read(text).mapping()["releases"].items()
    for item in items:
        here = SolutionVersion.parse(item.mapping()["version"].text())
        if here == version:
            return _replace(text, item.node, "{" + row + "}")
        if here < version:
            return _insert_lines(text, item.node.start_mark.line - 1, [f"  - {{{row}}}"])
    return _insert_lines(text, _last_line(text, items[-1].node), [f"  - {{{row}}}"])


def _source_name(text: str, source: str, wanted: str) -> tuple[str, str]:
    """Return the text with the source in its list, and the source's name there."""
    known = {
        name: value.text() for name, value in _read(text).mapping()["sources"].mapping().items()
    }
    for name, said in known.items():
        if said == source:
            return text, name
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, len(known) + 3)))
    name = next(name for name in names if name not in known)
    sources = _read(text).mapping()["sources"].node
    line = f"{' ' * sources.start_mark.column}{name}: {_quoted(source)}"
    return _insert_lines(text, _last_line(text, sources), [line]), name


# --- pieces of a manifest -----------------------------------------------------------------------


def _payload_lines(payload: Payload) -> list[str]:
    facts = [
        f"name: {payload.name}",
        f"kind: {payload.kind}",
        f"url: {_scalar(payload.url)}",
        *([f"sha256: {payload.sha256}"] if payload.sha256 else []),
        *([f"size_bytes: {payload.size_bytes}"] if payload.size_bytes else []),
        "witnesses:" if payload.witnesses else "witnesses: []",
    ]
    witnesses = (_item(_witness_facts(witness), 6) for witness in payload.witnesses)
    return [*_item(facts, 2), *(line for lines in witnesses for line in lines)]


def _witness_facts(witness: Witness) -> list[str]:
    comment = plain(witness.comment)
    return [
        f"value: {_quoted(witness.value)}",
        f"source: {_quoted(witness.source)}",
        f"seen_on: {witness.seen_on}",
        *([f"comment: {_quoted(comment)}"] if comment else []),
    ]


def _source_lines(groups: Iterable[tuple[Sequence[str], str]], column: int = 2) -> list[str]:
    return [
        line
        for keys, read_in in groups
        for line in _item([f"of: [{', '.join(keys)}]", f"read_in: {_quoted(read_in)}"], column)
    ]


def _item(facts: Sequence[str], column: int) -> list[str]:
    """Return the lines of one item of a list of mappings."""
    first, *others = facts
    return [f"{' ' * column}- {first}", *(f"{' ' * column}  {fact}" for fact in others)]


def _set_source(text: str, key: str, read_in: str) -> str:
    values = _read(text).mapping()
    if "sources" not in values:
        return text
    groups: list[tuple[list[str], str]] = []
    for item in values["sources"].items():
        facts = item.mapping()
        keys = [name.text() for name in facts["of"].items() if name.text() != key]
        if keys:
            groups.append((keys, facts["read_in"].text()))
    if groups and groups[-1][1] == read_in:
        groups[-1][0].append(key)
    else:
        groups.append(([key], read_in))
    node = values["sources"].node
    if _is_flow(node):
        return _replace(text, node, "\n" + "\n".join(_source_lines(groups)))
    lines = text.split("\n")
    lines[node.start_mark.line : _last_line(text, node) + 1] = _source_lines(
        groups, node.start_mark.column
    )
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a double-quoted scalar; what JSON escapes, YAML understands."""
    return json.dumps(plain(text), ensure_ascii=False)


def _scalar(text: str) -> str:
    """Return a scalar as plain as the house writes it."""
    return text if _PLAIN.fullmatch(text) else _quoted(text)


# --- places in a text ---------------------------------------------------------------------------


def _read(text: str) -> Value:
    return read_yaml(text.encode(), file=None)


def _payload(text: str, name: str) -> Value:
    payloads = _read(text).mapping()["payloads"].items()
    return next(item for item in payloads if item.mapping()["name"].text() == name)


def _is_flow(node: yaml.Node) -> bool:
    return bool(isinstance(node, yaml.CollectionNode) and node.flow_style)


def _offset(text: str, mark: yaml.Mark) -> int:
    start = 0
    for _ in range(mark.line):
        start = text.index("\n", start) + 1
    return start + mark.column


def _last_line(text: str, node: yaml.Node) -> int:
    """Return the line on which a value ends, counted from 0.

    Marks cannot say it of a block: theirs is where the next value begins.
    """
    while isinstance(node, yaml.CollectionNode) and not _is_flow(node) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    line: int = node.end_mark.line
    if node.end_mark.column == 0:
        line -= 1
    lines = text.split("\n")
    while line > node.start_mark.line and not lines[line].strip():
        line -= 1
    return line


def _insert_lines(text: str, after: int, new: Sequence[str]) -> str:
    lines = text.split("\n")
    lines[after + 1 : after + 1] = new
    return "\n".join(lines)


def _splice(text: str, offset: int, new: str) -> str:
    return text[:offset] + new + text[offset:]


def _replace(text: str, node: yaml.Node, new: str) -> str:
    start, end = _offset(text, node.start_mark), _offset(text, node.end_mark)
    is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return text[:start] + new + ("\n" if is_block else "") + text[end:]
