"""Solution bundles that came by another way than `catalog download`, such as a browser."""

from __future__ import annotations

import re
from pathlib import Path

from toolkit.catalog._catalog import Catalog, wanted_of
from toolkit.catalog._loading import Manifests
from toolkit.errors import InputError
from toolkit.model import HeldPayload, PayloadKind, Progress

_BUNDLE = re.compile(
    r"CombinedSolutionBundle\.(\d+(?:\.\d+){3})(?: ?\(\d{1,3}\))?\.zip\Z", re.IGNORECASE
)
"""A browser appends ` (1)` to a name that is taken."""


def is_solution_bundle(path: Path) -> bool:
    """Whether a file is called like a published solution bundle.

    Source: import-discover-updates-offline-23h2.md (names of the download table).
    """
    return _BUNDLE.match(path.name) is not None


def add_solution_bundle(
    catalog: Catalog, path: Path, *, manifests: Manifests, progress: Progress
) -> HeldPayload:
    """Take in a solution bundle, compared with what its manifest says.

    Raises:
        DigestError: It is not what was published; nothing was added.
        InputError: Not called like a solution bundle, or of a version without a manifest.
        StorageError: It cannot be read, or the catalog not be written.
    """
    named = _BUNDLE.match(path.name)
    if named is None:
        raise InputError(f"add {path}", expected="a file CombinedSolutionBundle.<version>.zip")
    manifest = manifests.find(named.group(1))
    for payload in manifest.payloads:
        if payload.kind is PayloadKind.SOLUTION_BUNDLE:
            return catalog.take_in(path, wanted_of(manifest, payload, tuple(manifests)), progress)
    raise InputError(
        f"add {path}", found=f"no solution bundle in the manifest of {manifest.version}"
    )
