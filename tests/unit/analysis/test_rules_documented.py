from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolkit.analysis._rules import RULES
from toolkit.analysis._rules._rule import Rule

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "rules.md"


def row(rule: Rule) -> str:
    """Return the line of the page that describes a rule; the failing test prints what to put there."""
    title = re.sub(r"\{\w+\}", "…", rule.title.removesuffix("{where}")).replace("|", "\\|")
    return f"| `{rule.id}` | {title} | {rule.severity} | {rule.rerun_safe} |"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_is_documented_as_it_is(rule: Rule) -> None:
    assert row(rule) in PAGE.read_text(encoding="utf-8").splitlines()


def test_page_lists_no_rule_that_is_gone() -> None:
    listed = re.findall(
        r"^\| `([a-z0-9-]+)` \|.*\|.*\|.*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert listed == [rule.id for rule in RULES]
