"""The cmdlets that tell about action plans and update runs beyond the documented ones."""

from __future__ import annotations

from tests.simcluster.pipeline import Library

LIBRARY = Library()
