"""What exists and what we hold, on the connected side; and, for the site, what is known of it.

::

    manifests = load_manifests()
    news = refresh(fetcher=HttpsFetcher())                # what is published now, as proposals
    catalog = Catalog(Path("D:/catalog"))
    catalog.download(manifests.find("12.2603"), known=manifests)
    catalog.plan([Path("plant7.json")], to=Path("plan.json"), manifests=manifests)
    catalog.fetch(Path("plan.json"), manifests=manifests)
    payloads = catalog.for_medium(plan=Path("plan.json"), manifests=manifests)

`load_manifests` reads what we know of updates, `find_sbes` asks a hardware vendor, `inspect_zip` looks into one
archive; only an `HttpsFetcher` reaches the network, and `Catalog` makes one if it is given none. The types of
what they return are named here for type checkers only. The site asks what an update's known issues are
(`match_issues`), what an archive holds (`members_at_end`), how much room its import needs (`room_at_site`) and what the cluster will list then (`predict`).
"""

import importlib
from typing import TYPE_CHECKING

from toolkit.catalog._catalog import Catalog
from toolkit.catalog._limits import Limits
from toolkit.catalog._loading import load_manifests

if TYPE_CHECKING:
    from toolkit.catalog._fetch import HttpsFetcher
    from toolkit.catalog._inside import ZipReport as ZipReport
    from toolkit.catalog._inside import inspect_zip, members_at_end
    from toolkit.catalog._issues import Bearing, match_issues
    from toolkit.catalog._loading import Manifests as Manifests
    from toolkit.catalog._paths import SbeMinimum as SbeMinimum
    from toolkit.catalog._paths import SbeMoment
    from toolkit.catalog._plan_text import plan_text
    from toolkit.catalog._prediction import (
        HIDDEN,
        Confidence,
        ImportCase,
        PredictedUpdate,
        predict,
    )
    from toolkit.catalog._proposals import Refresh as Refresh
    from toolkit.catalog._refreshing import refresh
    from toolkit.catalog._sbe import find_sbes
    from toolkit.catalog._sbe_offers import SbeOffers as SbeOffers
    from toolkit.catalog._space import EXPANSION, room_at_site
    from toolkit.catalog._upkeep import CatalogStatus as CatalogStatus
    from toolkit.catalog._upkeep import Pruning as Pruning
    from toolkit.catalog._verifying import VerifiedPayload as VerifiedPayload

__all__ = [
    "EXPANSION",
    "HIDDEN",
    "Bearing",
    "Catalog",
    "Confidence",
    "HttpsFetcher",
    "ImportCase",
    "Limits",
    "PredictedUpdate",
    "SbeMoment",
    "find_sbes",
    "inspect_zip",
    "load_manifests",
    "match_issues",
    "members_at_end",
    "plan_text",
    "predict",
    "refresh",
    "room_at_site",
]

_LATER = {
    "EXPANSION": "_space",
    "HIDDEN": "_prediction",
    "Bearing": "_issues",
    "Confidence": "_prediction",
    "HttpsFetcher": "_fetch",
    "ImportCase": "_prediction",
    "PredictedUpdate": "_prediction",
    "SbeMoment": "_paths",
    "find_sbes": "_sbe",
    "inspect_zip": "_inside",
    "match_issues": "_issues",
    "members_at_end": "_inside",
    "plan_text": "_plan_text",
    "predict": "_prediction",
    "refresh": "_refreshing",
    "room_at_site": "_space",
}
"""Loaded when asked for: a download need not wait for readers of pages and signatures, nor a medium for the network."""


def __getattr__(name: str) -> object:
    """Load what few commands use."""
    if name not in _LATER:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"toolkit.catalog.{_LATER[name]}"), name)
