"""What exists and what we hold, on the connected side.

::

    manifests = load_manifests()
    catalog = Catalog(Path("D:/catalog"))
    held = catalog.download(manifests.find("12.2603"), known=manifests)
    plan = open_plan(Path("plan.json"))                   # made by plan_from_files from sites' requests

`read_manifest` is pure; `load_manifests` reads the shipped folder; only an `HttpsFetcher` reaches the
network, and `Catalog` makes one if it is given none.
"""

from toolkit.catalog._catalog import Catalog
from toolkit.catalog._fetch import HttpsFetcher
from toolkit.catalog._gate import is_fit_to_travel, require_fit_to_travel
from toolkit.catalog._loading import Manifests, load_manifests
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._plan import Plan, check_held_sbes, wanted_sbes, wanted_versions
from toolkit.catalog._plan_text import plan_text
from toolkit.catalog._sbe_manifest import SbeManifest, read_sbe_manifest
from toolkit.catalog._trip_files import keep_plan, open_plan, plan_from_files

__all__ = [
    "Catalog",
    "HttpsFetcher",
    "Manifests",
    "Plan",
    "SbeManifest",
    "check_held_sbes",
    "is_fit_to_travel",
    "keep_plan",
    "load_manifests",
    "open_plan",
    "plan_from_files",
    "plan_text",
    "read_manifest",
    "read_sbe_manifest",
    "require_fit_to_travel",
    "wanted_sbes",
    "wanted_versions",
]
