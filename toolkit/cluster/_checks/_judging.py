"""From answers to verdicts: every check speaks, or it is said why it does not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from toolkit.cluster._checks import _drift, _payload, _readiness
from toolkit.cluster._checks._answers import Answers
from toolkit.cluster._checks._check import (
    Check,
    CheckId,
    CheckResult,
    CheckVerdict,
    Need,
    Readiness,
    Said,
)
from toolkit.errors import ToolkitError

CHECKS: tuple[Check, ...] = (*_readiness.CHECKS, *_drift.CHECKS, *_payload.CHECKS)
"""Every check, in the order in which they are shown."""

_NEEDS: dict[Need, str] = {
    "medium": "a medium",
    "update": "the version of an update",
    "baseline": "a baseline of this cluster",
}
_ASK_AGAIN = "Find out why there was no answer, then check again."


def judge_all(answers: Answers, checks: Sequence[Check] = CHECKS) -> Readiness:
    """Judge by every check what was told.

    Where an answer is missing the verdict is `unknown`, once for each node, in the node's own words.

    Raises:
        ToolkitError: A mistake of ours: a check gave no verdict.
    """
    results: list[CheckResult] = []
    not_asked: list[tuple[CheckId, str]] = []
    for check in checks:
        if why := _unmet(check, answers) or check.not_asked(answers):
            not_asked.append((check.id, why))
            continue
        said = tuple(_judged(check, answers))
        if not said:
            raise ToolkitError(f"judge by check {check.id}", found="no verdict", expected="one")
        results += [_result(check, item) for item in said]
    return Readiness(
        cluster=answers.known.name,
        checked_at=answers.at,
        version=answers.version,
        set_name=answers.medium.set_name if answers.medium is not None else "",
        results=tuple(results),
        not_asked=tuple(not_asked),
    )


def _unmet(check: Check, answers: Answers) -> str:
    """Return what a check needs and is not there; empty: nothing."""
    there: dict[Need, object] = {
        "medium": answers.medium,
        "update": answers.version,
        "baseline": answers.baseline,
    }
    words = [_NEEDS[need] for need in there if need in check.needs and there[need] is None]
    return f"it needs {' and '.join(words)}" if words else ""


def _judged(check: Check, answers: Answers) -> Iterator[Said]:
    grounds = tuple(check.rests_on(answers))
    missing: dict[str, dict[str, None]] = {}
    for node, told in grounds:
        if told.why:
            missing.setdefault(node, {})[told.why] = None
    for node, words in missing.items():
        yield Said(
            verdict=CheckVerdict.UNKNOWN, node=node, evidence="; ".join(words), remedy=_ASK_AGAIN
        )
    if not grounds or any(not told.why for _, told in grounds):
        yield from check.judge(answers)


def _result(check: Check, said: Said) -> CheckResult:
    is_fine = said.verdict is CheckVerdict.PASS
    return CheckResult(
        check=check.id,
        title=check.title,
        verdict=said.verdict,
        node=said.node,
        evidence=said.evidence,
        remedy="" if is_fine else said.remedy or check.remedy,
        source=check.source,
        subject=said.subject,
    )
