"""What goes wrong around an update run: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class BadDays:
    """What goes wrong, and how."""

    action_plan_words: dict[str, str] = field(default_factory=dict)
    """Run → `AdditionalInformation` of its action plan: why the plan did not go on."""
