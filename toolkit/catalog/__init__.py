"""What exists and what we hold, on the connected side.

::

    manifests = load_manifests()
    catalog = Catalog(Path("D:/catalog"))
    held = catalog.download(manifests.find("12.2603"), known=manifests)

`read_manifest` is pure; `load_manifests` reads the shipped folder; `inspect_zip` looks into one archive;
`Catalog` is the only one that reaches the network.
"""

from toolkit.catalog._catalog import Catalog
from toolkit.catalog._inside import ZipReport, inspect_zip
from toolkit.catalog._loading import Manifests, load_manifests
from toolkit.catalog._manifest import read_manifest

__all__ = ["Catalog", "Manifests", "ZipReport", "inspect_zip", "load_manifests", "read_manifest"]
