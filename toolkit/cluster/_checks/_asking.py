"""How the checks put their questions: one command, and an answer or the reason why there is none. Pure."""

from __future__ import annotations

from typing import Protocol

from toolkit.cluster._checks._check import Told
from toolkit.model import Command, T


class Ask(Protocol):
    """Puts questions to one node, or to the cluster through one."""

    def __call__(self, command: Command[T]) -> Told[T]:
        """Send a command; what gets lost, or is refused, is told in the node's own words."""
