"""bytes → `Manifest`: our reviewed text that declares one solution bundle. Pure.

The format is described in docs/reference/formats.md, section Manifest. Published hashes are witnesses:
they are kept as published, malformed ones too, and only the hash a person pinned (`sha256`) is believed.
"""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlsplit

from toolkit.catalog._names import payload_name
from toolkit.model import (
    BundleStatus,
    Decision,
    Manifest,
    Payload,
    PayloadKind,
    Sha256,
    SolutionVersion,
    Witness,
)
from toolkit.yamltext import Value, read_yaml, require_format

FORMAT = 1
_REQUIRED = ("format", "version", "os_build", "available_on", "status", "payloads")
_OPTIONAL = ("applies_from", "supersedes", "superseded_by", "notes", "sources")
_SOURCED = frozenset({*_REQUIRED, *_OPTIONAL} - {"format", "sources", "notes"})
_PUBLISHED_LIMIT = 200


def read_manifest(data: bytes, *, file: str | None = None) -> Manifest:
    """Return the manifest that `data` holds.

    Args:
        data: A YAML document in UTF-8.
        file: Its name, for error messages.

    Raises:
        InputError: Not a manifest; says the file, key and line.
    """
    values = read_yaml(data, file=file).record(_REQUIRED, _OPTIONAL)
    require_format(values["format"], FORMAT)
    payloads = tuple(_payload(item) for item in values["payloads"].items())
    _check_names(values["payloads"], payloads)
    return Manifest(
        version=values["version"].parse(SolutionVersion.parse, "a version like 12.2603.1002.15"),
        os_build=values["os_build"].parse(_os_build, "an OS build like 26100.32522"),
        available_on=values["available_on"].parse(date.fromisoformat, "a date like 2026-03-17"),
        status=values["status"].parse(BundleStatus, " or ".join(BundleStatus)),
        payloads=payloads,
        applies_from=_optional(values, "applies_from"),
        supersedes=tuple(
            str(item.parse(SolutionVersion.parse, "a version like 12.2603.1002.15"))
            for item in (values["supersedes"].items() if "supersedes" in values else ())
        ),
        superseded_by=(
            str(values["superseded_by"].parse(SolutionVersion.parse, "a full version"))
            if "superseded_by" in values
            else ""
        ),
        notes=_optional(values, "notes"),
        sources=_sources(values) if "sources" in values else (),
    )


def sha256(text: str) -> Sha256:
    """Return a digest in our spelling.

    Raises:
        ValueError: Not 64 hex digits.
    """
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError(f"{text!r} has {len(text)} characters, not 64 hex digits")
    return Sha256(text.lower())


def _payload(value: Value) -> Payload:
    values = value.record(("name", "kind", "url", "witnesses"), ("sha256", "size_bytes", "decided"))
    if "decided" in values and "sha256" not in values:
        raise values["decided"].refuse(found="no sha256 beside it", expected="what was decided for")
    return Payload(
        name=values["name"].parse(payload_name, "a plain file name"),
        kind=values["kind"].parse(PayloadKind, " or ".join(PayloadKind)),
        url=values["url"].parse(https_url, "an https URL"),
        witnesses=tuple(_witness(item) for item in values["witnesses"].items()),
        sha256=values["sha256"].parse(sha256, "64 hex digits") if "sha256" in values else None,
        size_bytes=(
            values["size_bytes"].parse(_size, "a number of bytes")
            if "size_bytes" in values
            else None
        ),
        decided=_decision(values["decided"]) if "decided" in values else None,
    )


def _decision(value: Value) -> Decision:
    values = value.record(("on", "by", "why"))
    return Decision(
        on=values["on"].parse(date.fromisoformat, "a date like 2026-03-17"),
        by=values["by"].text(),
        why=values["why"].text(),
    )


def _witness(value: Value) -> Witness:
    values = value.record(("value", "source", "seen_on"), ("comment",))
    return Witness(
        value=values["value"].parse(_published, "a published hash").lower(),
        source=values["source"].text(),
        seen_on=values["seen_on"].parse(date.fromisoformat, "a date like 2026-03-17"),
        comment=_optional(values, "comment"),
    )


def _check_names(place: Value, payloads: tuple[Payload, ...]) -> None:
    if not payloads:
        raise place.refuse(found="no payload", expected="at least one")
    names = [payload.name.lower() for payload in payloads]
    for name in names:
        if names.count(name) > 1:
            raise place.refuse(
                found=f"{name} more than once",
                expected="names that differ in more than upper and lower case",
            )


def _sources(values: dict[str, Value]) -> tuple[tuple[str, str], ...]:
    """Return (key, where it was read); every value but the notes must have one."""
    sources: dict[str, str] = {}
    for item in values["sources"].items():
        entry = item.record(("of", "read_in"))
        for name in entry["of"].items():
            sources[name.text()] = entry["read_in"].text()
    wanted = _SOURCED & values.keys()
    if sources.keys() != wanted:
        odd = ", ".join(sorted(sources.keys() ^ wanted))
        raise values["sources"].refuse(
            found=f"no agreement about {odd}", expected="where each value was read, and no other"
        )
    return tuple(sorted(sources.items()))


def https_url(text: str) -> str:
    """Return `text` if it is a URL we would fetch from.

    Raises:
        ValueError: Not https, no host, or carrying a password.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ValueError("an address whose host cannot be read") from error
    if "@" in parts.netloc:  # not repeated: it may be a password
        raise ValueError("an address with a user name or password in it")
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{text!r} is not a plain https URL")
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError(f"{text!r} has a blank or control character in it")
    return text


def _optional(values: dict[str, Value], key: str) -> str:
    return values[key].text() if key in values else ""


def _os_build(text: str) -> str:
    if not re.fullmatch(r"\d{5}\.\d{1,6}", text, re.ASCII):
        raise ValueError(text)
    return text


def _published(text: str) -> str:
    if len(text) > _PUBLISHED_LIMIT:
        raise ValueError("longer than any hash")
    return text


def _size(text: str) -> int:
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or int(text) == 0:
        raise ValueError(text)
    return int(text)
