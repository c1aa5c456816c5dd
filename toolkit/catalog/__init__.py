"""What exists and what we hold, on the connected side.

::

    manifests = load_manifests()
    catalog = Catalog(Path("D:/catalog"))
    held = catalog.download(manifests.find("12.2603"), known=manifests)
    for payload in held:
        require_fit_to_travel(payload)
    news = refresh(fetcher=HttpsFetcher())                # what is published now, as proposals
    plan = open_plan(Path("plan.json"))                   # made by plan_from_files from sites' requests

`read_manifest` is pure; `load_manifests` reads the shipped folder; `inspect_zip` looks into one archive; only an `HttpsFetcher` reaches the
network, and `Catalog` makes one if it is given none. Upkeep: `verify_held`, `catalog_status`, `prune`;
between colleagues: `export_catalog`, `import_catalog`, `know_key`. SBEs: `find_sbes`,
`fetch_sbe`, `add_sbe`.
"""

from toolkit.catalog._adding import add_solution_bundle, is_solution_bundle
from toolkit.catalog._catalog import Catalog
from toolkit.catalog._exchange import Export, export_catalog, import_catalog, know_key
from toolkit.catalog._fetch import HttpsFetcher
from toolkit.catalog._gate import is_fit_to_travel, require_fit_to_travel
from toolkit.catalog._inside import ZipReport, inspect_zip
from toolkit.catalog._limits import Limits
from toolkit.catalog._loading import Manifests, load_manifests
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._plan import Plan
from toolkit.catalog._plan_text import plan_text
from toolkit.catalog._proposals import Refresh
from toolkit.catalog._refreshing import refresh
from toolkit.catalog._sbe import add_sbe, fetch_sbe, find_sbes, is_sbe_source
from toolkit.catalog._sbe_offers import ClusterFacts, SbeOffers
from toolkit.catalog._trip import choose_for_medium, fetch_trip
from toolkit.catalog._trip_files import keep_plan, open_plan, plan_from_files
from toolkit.catalog._upkeep import CatalogStatus, Pruning, catalog_status, prune
from toolkit.catalog._verifying import Condition, VerifiedPayload, problem_of, verify_held

__all__ = [
    "Catalog",
    "CatalogStatus",
    "ClusterFacts",
    "Condition",
    "Export",
    "HttpsFetcher",
    "Limits",
    "Manifests",
    "Plan",
    "Pruning",
    "Refresh",
    "SbeOffers",
    "VerifiedPayload",
    "ZipReport",
    "add_sbe",
    "add_solution_bundle",
    "catalog_status",
    "choose_for_medium",
    "export_catalog",
    "fetch_sbe",
    "fetch_trip",
    "find_sbes",
    "import_catalog",
    "inspect_zip",
    "is_fit_to_travel",
    "is_sbe_source",
    "is_solution_bundle",
    "keep_plan",
    "know_key",
    "load_manifests",
    "open_plan",
    "plan_from_files",
    "plan_text",
    "problem_of",
    "prune",
    "read_manifest",
    "refresh",
    "require_fit_to_travel",
    "verify_held",
]
