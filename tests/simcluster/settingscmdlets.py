"""The cmdlets that tell how a node is set up."""

from __future__ import annotations

from tests.simcluster.pipeline import Library

LIBRARY = Library()
