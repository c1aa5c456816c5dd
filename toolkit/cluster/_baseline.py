"""The settings of all nodes as a person once called them right, kept at the site. Pure.

A setting is one text or several: a time zone, or a list of hotfixes. What differs between the nodes, and what
differs from the baseline, is found the same way for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from toolkit.errors import InputError, misread

FORMAT = 1
KIND = "ferry-baseline"
_MOST_NAMED = 20


class Setting(StrEnum):
    """What is remembered of each node."""

    TIME_ZONE = "time_zone"
    CULTURE = "culture"
    UI_CULTURE = "ui_culture"
    SYSTEM_LOCALE = "system_locale"
    HOME_LOCATION = "home_location"
    OS_BUILD = "os_build"
    HOTFIXES = "hotfixes"
    MODULES = "modules"

    @property
    def words(self) -> str:
        """The setting as people say it."""
        return _WORDS[self]

    @property
    def follows_updates(self) -> bool:
        """Whether an update changes it, too."""
        return self in (Setting.OS_BUILD, Setting.HOTFIXES, Setting.MODULES)


_WORDS = {
    Setting.TIME_ZONE: "time zone",
    Setting.CULTURE: "culture",
    Setting.UI_CULTURE: "display language",
    Setting.SYSTEM_LOCALE: "system locale",
    Setting.HOME_LOCATION: "region",
    Setting.OS_BUILD: "OS build",
    Setting.HOTFIXES: "hotfixes",
    Setting.MODULES: "PowerShell modules",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """How one node is set up."""

    node: str
    values: Mapping[Setting, tuple[str, ...]]
    untold: Mapping[Setting, str] = field(default_factory=dict)
    """What it did not tell, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The settings of a cluster's nodes at one time."""

    cluster: str
    taken_at: datetime
    by: str
    """The person who called them right."""
    solution_version: str
    """What was installed then; an update may change more than a person."""
    nodes: tuple[NodeSettings, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One setting that is not the same everywhere, or not the same as it was."""

    setting: Setting
    node: str
    """Empty: it differs between the nodes."""
    evidence: str


def drift_between(nodes: Iterable[NodeSettings]) -> Iterator[Drift]:
    """Yield what is not the same on all nodes that told it."""
    known = tuple(nodes)
    for setting in Setting:
        told = {node.node: node.values[setting] for node in known if setting in node.values}
        owners = {
            text: [name for name, texts in told.items() if text in texts]
            for text in sorted({text for texts in told.values() for text in texts})
        }
        differing = [
            f"{text} ({', '.join(names)})"
            for text, names in owners.items()
            if len(names) < len(told)
        ]
        if differing:
            yield Drift(
                setting=setting,
                node="",
                evidence=f"{setting.words}, not the same on every node: {_listed(differing)}",
            )


def drift_from(baseline: Baseline, nodes: Iterable[NodeSettings]) -> Iterator[Drift]:
    """Yield what a node of the baseline told then and tells otherwise now."""
    then = {node.node.casefold(): node.values for node in baseline.nodes}
    for node in nodes:
        before = then.get(node.node.casefold(), {})
        for setting, texts in node.values.items():
            expected = before.get(setting, texts)
            more = [text for text in texts if text not in expected]
            gone = [text for text in expected if text not in texts]
            if more or gone:
                yield Drift(
                    setting=setting,
                    node=node.node,
                    evidence=f"{setting.words}: now {_listed(more) or 'nothing'}, "
                    f"{baseline.taken_at:%Y-%m-%d} {_listed(gone) or 'nothing'}",
                )


def _listed(texts: list[str]) -> str:
    rest = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


# --- the file -----------------------------------------------------------------------------------


def write_baseline(baseline: Baseline) -> bytes:
    """Return the document that `read_baseline` reads."""
    document = {
        "format": FORMAT,
        "kind": KIND,
        "cluster": baseline.cluster,
        "taken_at": baseline.taken_at.astimezone(UTC).isoformat(),
        "by": baseline.by,
        "solution_version": baseline.solution_version,
        "nodes": {
            node.node: {
                "settings": {name: list(texts) for name, texts in node.values.items()},
                "untold": dict(node.untold),
            }
            for node in baseline.nodes
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def read_baseline(data: bytes, *, file: str) -> Baseline:
    """Return the baseline that a file of a site holds.

    Raises:
        InputError: Not written by this ferry, or changed since.
    """
    try:
        return _baseline(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            "read the baseline of a cluster",
            file=file,
            found=misread(error),
            expected=f"{KIND} format {FORMAT}",
            hint="restore the file from a backup, or take a new baseline: "
            'ferry cluster baseline --by "your name"',
        ) from error


def _baseline(document: dict[str, Any]) -> Baseline:
    if (document["kind"], document["format"]) != (KIND, FORMAT):
        raise ValueError(f"{document['kind']} format {document['format']}")
    taken_at = datetime.fromisoformat(document["taken_at"])
    if taken_at.tzinfo is None:
        raise ValueError("taken_at without an offset from UTC")
    return Baseline(
        cluster=_text(document["cluster"]),
        taken_at=taken_at,
        by=_text(document["by"]),
        solution_version=_text(document["solution_version"]),
        nodes=tuple(
            NodeSettings(
                node=node,
                values={Setting(name): _texts(texts) for name, texts in row["settings"].items()},
                untold={Setting(name): _text(why) for name, why in row["untold"].items()},
            )
            for node, row in document["nodes"].items()
        ),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(_text(text) for text in value)
