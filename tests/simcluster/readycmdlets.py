"""The cmdlets that tell whether a node and its cluster are well."""

from __future__ import annotations

from tests.simcluster.pipeline import Library

LIBRARY = Library()
