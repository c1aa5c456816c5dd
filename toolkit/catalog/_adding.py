"""Files that came by another way than `ferry catalog download`, such as a browser, each of its sort."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from toolkit.catalog._holding import Holding, wanted_of
from toolkit.catalog._loading import Manifests
from toolkit.catalog._sbe import VendorProof, add_sbe, fetch_sbe, is_sbe_source
from toolkit.errors import InputError
from toolkit.model import HeldPayload, PayloadKind, Progress
from toolkit.sbe import sbe_named

_BUNDLE = re.compile(
    r"CombinedSolutionBundle\.(\d+(?:\.\d+){3})(?: ?\(\d{1,3}\))?\.zip\Z", re.IGNORECASE
)
"""A browser appends ` (1)` to a name that is taken."""

_ACCEPTED = (
    "CombinedSolutionBundle.<version>.zip",
    "the files of one SBE, their folder, or the vendor's zip with them",
    "the title of an SBE such as SBE_Dell_AS-HCI-AX-16G_4.2.2506.1600, to be fetched",
)


def add(
    holding: Holding,
    paths: Iterable[Path],
    *,
    manifests: Manifests,
    proof: VendorProof,
    progress: Progress,
) -> tuple[HeldPayload, ...]:
    """Take files into the catalog, and fetch the SBEs that are named by their title only.

    Arguments and errors: `Catalog.add`.
    """
    bundles, parts, titles, strange = [], [], [], []
    for path in dict.fromkeys(paths):
        if _is_solution_bundle(path):
            bundles.append(path)
        elif is_sbe_source(path):
            parts.append(path)
        elif _is_title(path):
            titles.append(path)
        else:
            strange.append(path)
    if strange:
        raise InputError(
            "add files",
            found=", ".join(map(str, strange)),
            expected=" or ".join(_ACCEPTED),
            hint="give a file its published name; nothing was added",
        )
    held = [_add_solution_bundle(holding, path, manifests, progress) for path in bundles]
    if parts:
        held += add_sbe(holding, parts, progress=progress, proof=proof)
    for title in titles:
        held += fetch_sbe(holding, title.name, progress=progress, proof=proof)
    return tuple(held)


def _is_title(path: Path) -> bool:
    is_file_name = path.name.lower().endswith((".xml", ".zip"))
    is_name = not path.exists() and path.parent == Path() and not is_file_name
    return is_name and sbe_named(path.name) is not None


def _is_solution_bundle(path: Path) -> bool:
    """Whether a file is called like a published solution bundle.

    Source: import-discover-updates-offline-23h2.md (names of the download table).
    """
    return _BUNDLE.match(path.name) is not None


def _add_solution_bundle(
    holding: Holding, path: Path, manifests: Manifests, progress: Progress
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
            return holding.take_in(path, wanted_of(manifest, payload, tuple(manifests)), progress)
    raise InputError(
        f"add {path}",
        found=f"no solution bundle in the manifest of {manifest.version}",
        hint=f"see what it declares: `ferry catalog show {manifest.version}`",
    )
