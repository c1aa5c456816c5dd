"""Checks of what an update needs besides its payload. Pure."""

from __future__ import annotations

from toolkit.cluster._checks._check import Check

CHECKS: tuple[Check, ...] = ()
