"""What exists and what we hold, on the connected side.

::

    manifests = load_manifests()
    catalog = Catalog(Path("D:/catalog"))
    held = catalog.download(manifests.find("12.2603"), known=manifests)

`read_manifest` is pure; `load_manifests` reads the shipped folder; only an `HttpsFetcher` reaches the
network, and `Catalog` makes one if it is given none.
"""

from toolkit.catalog._catalog import Catalog
from toolkit.catalog._fetch import HttpsFetcher
from toolkit.catalog._gate import is_fit_to_travel, require_fit_to_travel
from toolkit.catalog._loading import Manifests, load_manifests
from toolkit.catalog._manifest import read_manifest
from toolkit.catalog._sbe import find_sbes
from toolkit.catalog._sbe_manifest import SbeManifest, read_sbe_manifest
from toolkit.catalog._sbe_offers import ClusterFacts, SbeOffers

__all__ = [
    "Catalog",
    "ClusterFacts",
    "HttpsFetcher",
    "Manifests",
    "SbeManifest",
    "SbeOffers",
    "find_sbes",
    "is_fit_to_travel",
    "load_manifests",
    "read_manifest",
    "read_sbe_manifest",
    "require_fit_to_travel",
]
