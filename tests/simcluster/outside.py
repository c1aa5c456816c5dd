"""What an update needs besides its payload: data that a test edits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Outside:
    """What the cluster has to do with the world outside, and what it makes of imported content."""

    lists_although_hidden: bool = False
    """Updates stay listed that an imported SBE hides: what nobody foretells."""
