"""What goes wrong around an update run: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class BadDays:
    """What goes wrong, and how."""
