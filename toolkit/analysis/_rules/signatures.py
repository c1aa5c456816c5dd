"""Text signatures: known failures recognised by their literal error texts, kept as YAML beside.

How they match: against one piece of text at a time, escapes undone, ignoring case, `.` over line ends.
An entry fits if one pattern of `match` is found and none of `not_match`. A generic entry counts only
where no exact one fits the same text. `check` names the health check an entry belongs to; it then fits
only that check's results and texts that come from no check. Of entries that share a text (`overlaps`),
one whose `target` fits the update in question wins over the other.

Patterns are English. On a system in another language the structural rules, which match ids, remain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import resources
from typing import Any

import yaml

from toolkit.analysis._case import Case, Text
from toolkit.analysis._rules._rule import Hit, Rank, Rule, limited
from toolkit.model import RerunSafety, Severity

FILES = ("cau", "sbe", "orchestrator", "os", "arc", "health", "access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """When one entry fits."""

    id: str
    match: tuple[re.Pattern[str], ...]
    not_match: tuple[re.Pattern[str], ...]
    check: re.Pattern[str] | None
    target: re.Pattern[str] | None
    overlaps: tuple[str, ...]
    is_generic: bool

    def fits(self, raw: str, check: str) -> bool:
        """Whether the entry fits a piece of text, taken alone."""
        if self.check is not None and check and not self.check.search(check):
            return False
        return any(pattern.search(raw) for pattern in self.match) and not any(
            pattern.search(raw) for pattern in self.not_match
        )


@lru_cache(maxsize=8192)
def _fitting(raw: str, check: str) -> tuple[Signature, ...]:
    """Return the entries that fit a piece of text: the exact ones, or else the generic ones."""
    found = tuple(one for one in SIGNATURES.values() if one.fits(raw, check))
    return tuple(one for one in found if not one.is_generic) or found


def _is_meant(signature: Signature, text: Text) -> bool:
    """Whether an entry holds against those it shares its text with."""
    fitting = _fitting(text.raw, text.check)
    if signature not in fitting:
        return False
    if signature.target is None or not text.target or signature.target.search(text.target):
        return True
    others = [one for one in fitting if one.id in signature.overlaps and one.target is not None]
    return not any(one.target and one.target.search(text.target) for one in others)


def _find(signature_id: str, case: Case) -> Iterator[Hit]:
    signature = SIGNATURES[signature_id]
    found = [text.evidence for text in case.texts if _is_meant(signature, text)]
    if found:
        nodes = ", ".join(dict.fromkeys(one.node for one in found if one.node))
        yield Hit(evidence=limited(found), facts={"where": f" ({nodes})" if nodes else ""})


def _patterns(row: dict[str, Any], key: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(item, re.IGNORECASE | re.DOTALL) for item in row.get(key, ()))


def _optional(row: dict[str, Any], key: str) -> re.Pattern[str] | None:
    return re.compile(row[key], re.IGNORECASE) if key in row else None


def _load() -> Iterator[tuple[Signature, Rule]]:
    folder = resources.files("toolkit.analysis._rules") / "signatures"
    for name in FILES:
        for row in yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")):
            signature = Signature(
                id=row["id"],
                match=_patterns(row, "match"),
                not_match=_patterns(row, "not_match"),
                check=_optional(row, "check"),
                target=_optional(row, "target"),
                overlaps=tuple(row.get("overlaps", ())),
                is_generic=row.get("generic", False),
            )
            yield (
                signature,
                Rule(
                    id=row["id"],
                    title=row["title"] + "{where}",
                    severity=Severity(row["severity"]),
                    rank=Rank.SYMPTOM if row.get("symptom") else Rank.CAUSE,
                    cause=row["cause"],
                    remedy=tuple(row["remedy"]),
                    rerun_safe=RerunSafety(row["rerun_safe"]),
                    guide=row["guide"],
                    affects=row.get("affects", ""),
                    find=partial(_find, row["id"]),
                    is_state=bool(row.get("check")),
                ),
            )


_LOADED = tuple(_load())
SIGNATURES = {signature.id: signature for signature, _ in _LOADED}
RULES: tuple[Rule, ...] = tuple(rule for _, rule in _LOADED)
